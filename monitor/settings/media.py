"""How live media is taken in."""

from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, IPvAnyAddress, SecretStr, model_validator

from monitor.settings.section import Section
from monitor.types.sampling import Sampling


class Video(Section):
    """How pictures are sampled."""

    fps: float = Field(5.0, gt=0, le=60)
    """Pictures looked at per second."""
    burst_fps: float = Field(15.0, gt=0, le=60)
    """Pictures per second in a burst, for what moves: lips, eyelids; at least `fps` are taken."""
    burst_seconds: float = Field(10.0, ge=0)
    """Length of a burst; 0 switches physical cues off."""
    burst_every: float = Field(30.0, gt=0)
    """Seconds from one burst to the next; not more than `burst_seconds` means always."""
    width: int = Field(1280, ge=160, le=3840)
    """Pixels; wider pictures are scaled down before faces are searched."""

    most_pixels: int = Field(10_000_000, ge=76_800)
    """Width times height of an encoded picture; a larger one is not decoded, since a few kilobytes
    can claim to be gigabytes of picture. 4096x2304 has 9,437,184."""

    @property
    def sampling(self) -> Sampling:
        """When pictures are looked at."""
        return Sampling(
            self.fps, self.burst_fps, self.burst_seconds, self.burst_every, self.most_pixels
        )


class Rtsp(Section):
    """RTSP pulls; seconds unless said otherwise."""

    transport: Literal["tcp", "udp"] = "tcp"
    """How media comes; with rtsps:// always inside of TLS."""
    open_timeout: float = Field(5.0, gt=0)
    read_timeout: float = Field(3.0, gt=0)
    give_up_after: float = Field(300.0, ge=0)
    """Without media for this long the call ends; 0 never gives up."""
    tls_verify: bool = True
    """Whether an rtsps:// server must show a certificate for its name by a trusted issuer."""
    tls_ca_file: Path | None = None
    """Certificates in PEM to trust in place of the system's."""


class Whep(Section):
    """WHEP pulls; seconds. Their media is received as [webrtc] says."""

    open_timeout: float = Field(5.0, gt=0)
    """For each HTTP request."""
    give_up_after: float = Field(300.0, ge=0)
    """Without media for this long the call ends; 0 never gives up."""
    tls_verify: bool = True
    """Whether an HTTPS server must show a certificate for its name by a trusted issuer."""
    tls_ca_file: Path | None = None
    """Certificates in PEM to trust in place of the system's."""


class Rtp(Section):
    """RTP that is sent here, described by SDP; seconds unless said otherwise."""

    host: IPvAnyAddress = IPv4Address("127.0.0.1")
    """Address to receive at. RTP knows no authentication: on another than loopback, anybody who
    reaches the port can speak in the call."""
    ports: tuple[int, int] = (5000, 65_534)
    """First and last UDP port that a description may name."""
    open_timeout: float = Field(5.0, gt=0)
    read_timeout: float = Field(3.0, gt=0)
    give_up_after: float = Field(300.0, ge=0)
    """Without media for this long the call ends; 0 never gives up."""


class WebRtc(Section):
    """WHIP sessions; seconds unless said otherwise."""

    connect_timeout: float = Field(30.0, gt=0)
    idle_timeout: float = Field(3600.0, gt=0)
    """Without media, after which a participant is gone who still answers; who does not answer is
    found sooner."""
    ice_servers: tuple[str, ...] = ()
    """STUN or TURN URLs; none by default: nothing outside is contacted."""
    start_bitrate: int = Field(1500, ge=0)
    """kb/s of video that a browser is asked to begin with; 0 leaves it to the browser."""
    min_bitrate: int = Field(300, ge=0)
    """kb/s below which a browser does not go, congested or not; 0 leaves it to the browser."""
    max_bitrate: int = Field(2500, ge=0)
    """kb/s above which a browser does not go; 0 leaves it to the browser."""
    jitter_wait: float = Field(0.08, ge=0, le=1)
    """For how long a late audio packet holds back those after it."""


class Pull(Section):
    """A source that is pulled for as long as the service runs."""

    uri: SecretStr = SecretStr("")
    """An rtsp://, rtsps://, whep+http:// or whep+https:// URL; may hold credentials."""
    sdp_file: Path | None = None
    """In place of `uri`: a description (RFC 8866) of RTP that is sent here."""
    participant: str = "remote"
    label: str = ""
    token: SecretStr | None = None
    """Sent to a WHEP server as `Authorization: Bearer`."""
    transport: Literal["tcp", "udp"] | None = None
    open_timeout: float | None = Field(None, gt=0)
    read_timeout: float | None = Field(None, gt=0)
    give_up_after: float | None = Field(None, ge=0)
    """Left out, a source of the settings is never given up."""
    tls_verify: bool | None = None
    tls_ca_file: Path | None = None
    """These in place of what [rtsp], [whep] or [rtp] say."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.uri.get_secret_value()) == (self.sdp_file is not None):
            raise ValueError("needs either uri or sdp_file")
        return self
