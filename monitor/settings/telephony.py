"""What telephone platforms may send."""

from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, IPvAnyAddress, IPvAnyNetwork, SecretStr, model_validator

from monitor.settings.section import Section


class AudioHook(Section):
    """Genesys AudioHook; offered once both secrets are set."""

    api_key: SecretStr | None = None
    """What Genesys sends as X-API-KEY."""
    client_secret: SecretStr | None = None
    """Base64; signs every request."""
    organizations: tuple[str, ...] = ()
    """Genesys organization ids that may connect; empty means any that signs."""

    @model_validator(mode="after")
    def _check(self) -> "AudioHook":
        if (self.api_key is None) != (self.client_secret is None):
            raise ValueError("api_key and client_secret belong together")
        return self


class Twilio(Section):
    """Twilio Media Streams."""

    auth_token: SecretStr | None = None
    """The account's; with it, X-Twilio-Signature is checked in place of an API token."""
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field((), max_length=32)
    """Ports in the stream's URL that a proxy takes out of Host, besides the usual ones."""


class AudioSocket(Section):
    """Asterisk AudioSocket: a TCP port without authentication, so off by default."""

    host: str = "127.0.0.1"
    port: int = Field(0, ge=0, le=65535)
    """0 means off; Asterisk's examples use 9092."""
    peers: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks that may connect."""


class Siprec(Section):
    """Session recording server (RFC 7866); off without a port."""

    host: IPvAnyAddress = IPv4Address("127.0.0.1")
    """Address to listen at, for SIP and RTP."""
    address: IPvAnyAddress | None = None
    """How recording clients reach this machine, if not at `host`; needed for a wildcard."""
    port: int = Field(0, ge=0, le=65535)
    """UDP and TCP; 0 means off, 5060 is usual."""
    tls_port: int = Field(0, ge=0, le=65535)
    """0 means off, 5061 is usual."""
    tls_certificate: Path | None = None
    """PEM, with its chain."""
    tls_key: Path | None = None
    """PEM; left out if the certificate's file holds it."""
    tls_client_ca: Path | None = None
    """PEM; with it, clients must show a certificate of this issuer."""
    peers: tuple[IPvAnyNetwork, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
    """Networks that recording clients call and send from."""
    username: str = ""
    password: SecretStr | None = None
    """With both, clients must prove that they know them (digest authentication)."""
    agents: tuple[str, ...] = ()
    """Addresses of our side, such as `sip:*@desk.example`; without any, everybody is scored."""
    rtp_ports: tuple[int, int] = (40_000, 40_999)
    """First and last UDP port of RTP; each stream takes two."""

    @property
    def enabled(self) -> bool:
        """Whether there is a port to call."""
        return bool(self.port or self.tls_port)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.username) != (self.password is not None):
            raise ValueError("username and password belong together")
        if self.tls_port and self.tls_certificate is None:
            raise ValueError("tls_port needs tls_certificate")
        if self.enabled and self.host.is_unspecified and self.address is None:
            raise ValueError("host is a wildcard, so address must say how this machine is reached")
        first, last = self.rtp_ports
        if not 1024 <= first < last <= 65_535:
            raise ValueError("rtp_ports: two ports from 1024 to 65535, the lower first")
        open_to_all = any(network.prefixlen == 0 for network in self.peers)
        proven = self.password is not None or (self.tls_client_ca is not None and not self.port)
        if open_to_all and not proven:
            raise ValueError("peers: everybody, so there must be a password or tls_client_ca alone")
        return self


class Telephony(Section):
    """Calls that telephone platforms fork to this service."""

    score: Literal["remote", "both"] = "remote"
    """Whose voice is judged: the far party's, or the agent's too."""
    idle_timeout: float = Field(3600.0, gt=0)
    """Seconds without media after which a call ends whose other end still answers."""
    audiohook: AudioHook = AudioHook()
    twilio: Twilio = Twilio()
    audiosocket: AudioSocket = AudioSocket()
    siprec: Siprec = Siprec()
