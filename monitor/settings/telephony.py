"""What telephone platforms may send."""

from typing import Literal

from pydantic import Field, SecretStr, model_validator

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


class AudioSocket(Section):
    """Asterisk AudioSocket: a TCP port without authentication, so off by default."""

    host: str = "127.0.0.1"
    port: int = Field(0, ge=0, le=65535)
    """0 means off; Asterisk's examples use 9092."""
    peers: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks that may connect."""


class Telephony(Section):
    """Calls that telephone platforms fork to this service."""

    score: Literal["remote", "both"] = "remote"
    """Whose voice is judged: the far party's, or the agent's too."""
    idle_timeout: float = Field(30.0, gt=0)
    """Seconds without media after which the call ends."""
    audiohook: AudioHook = AudioHook()
    twilio: Twilio = Twilio()
    audiosocket: AudioSocket = AudioSocket()
