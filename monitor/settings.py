"""What can be configured, from one TOML file and the environment.

Read by cli, app, access and telephony only.
"""

import ipaddress
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

Scope = Literal["publish", "read", "control", "metrics"]
ALL_SCOPES: tuple[Scope, ...] = ("publish", "read", "control", "metrics")


class SettingsError(Exception):
    """A setting is wrong; the message names the file and the field."""


class Section(BaseModel):
    """A table of the settings file; unknown keys are errors, so that typing errors are found."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Token(Section):
    """An API token, kept as a hash."""

    name: str
    """Whom it was given to; appears in logs."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Hexadecimal SHA-256 of the token."""
    scopes: tuple[Scope, ...] = ALL_SCOPES


class Server(Section):
    """The HTTP interface."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    """TCP port; 0 picks a free one."""
    tokens: tuple[Token, ...] = ()
    cors_origins: tuple[str, ...] = ()
    """Web origins whose pages may publish and read; none by default."""


class Limits(Section):
    """What one process takes on."""

    calls: int = Field(20, ge=1)
    """Calls monitored at once; further ones are refused with Retry-After."""
    inference_threads: int = Field(0, ge=0)
    """0 means one per core."""


class Video(Section):
    """How pictures are sampled."""

    fps: float = Field(5.0, gt=0, le=60)
    """Pictures looked at per second."""
    width: int = Field(1280, ge=160, le=3840)
    """Pixels; wider pictures are scaled down before faces are searched."""


class Rtsp(Section):
    """RTSP pulls; seconds unless said otherwise."""

    transport: Literal["tcp", "udp"] = "tcp"
    open_timeout: float = Field(5.0, gt=0)
    read_timeout: float = Field(3.0, gt=0)
    give_up_after: float = Field(300.0, ge=0)
    """Without media for this long the call ends; 0 never gives up."""


class WebRtc(Section):
    """WHIP sessions; seconds unless said otherwise."""

    connect_timeout: float = Field(30.0, gt=0)
    idle_timeout: float = Field(30.0, gt=0)
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


class Alarm(Section):
    """How fast alarm states change; seconds of call time."""

    warm_up: float = Field(6.0, ge=0)
    clear_after: float = Field(30.0, ge=0)
    cool_down: float = Field(120.0, ge=0)


class Webhook(Section):
    """One destination for alerts."""

    name: str = Field("webhook", pattern="^[a-z0-9_-]{1,40}$")
    """Metric label."""
    url: str
    secret: SecretStr
    """Standard Webhooks signing secret, `whsec_` and base64."""
    tiers: tuple[Literal["review", "alert"], ...] = ("review", "alert")
    timeout: float = Field(5.0, gt=0)
    """Seconds one attempt may take."""
    give_up_after: float = Field(3600.0, gt=0)
    """Seconds after which an undelivered message is dropped, counted."""

    @model_validator(mode="after")
    def _check(self) -> "Webhook":
        if not self.url.startswith(("http://", "https://")):
            raise ValueError("url must begin with http:// or https://")
        return self


class Canary(Section):
    """Recordings replayed through the live path now and then; none by default."""

    genuine: Path | None = None
    """A recording that must not alarm."""
    fake: Path | None = None
    """A recording that must."""
    every_seconds: float = Field(86_400.0, ge=1)
    """From the end of one round of replays to the next; the first comes at the start."""


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


class RtspPull(Section):
    """A camera that is pulled for as long as the service runs."""

    uri: SecretStr
    """An rtsp:// or rtsps:// URL; may hold credentials."""
    participant: str = "remote"
    label: str = ""
    transport: Literal["tcp", "udp"] | None = None


class Settings(BaseSettings):
    """Everything; environment variables such as MONITOR_SERVER__PORT win over the file."""

    model_config = SettingsConfigDict(
        env_prefix="MONITOR_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    token: SecretStr | None = None
    """An API token with every scope, in clear; for automation (MONITOR_TOKEN)."""
    state_dir: Path = Path("var")
    """Where the service keeps what it writes."""
    models_dir: Path | None = None
    """The folder with manifest.toml; None means the one that came with the package."""
    challenger_dir: Path | None = None
    """A second folder like models_dir: its decisions are compared, never delivered."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    server: Server = Server()
    limits: Limits = Limits()
    video: Video = Video()
    rtsp: Rtsp = Rtsp()
    webrtc: WebRtc = WebRtc()
    telephony: Telephony = Telephony()
    alarm: Alarm = Alarm()
    canary: Canary = Canary()
    webhooks: tuple[Webhook, ...] = ()
    sources: tuple[RtspPull, ...] = ()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file over defaults."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def bound_to_loopback(self) -> bool:
        """Whether only this machine can reach the HTTP interface."""
        if self.server.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.server.host).is_loopback
        except ValueError:
            return False

    @property
    def has_token(self) -> bool:
        """Whether somebody configured who may use the API."""
        return self.token is not None or bool(self.server.tokens)


def load(path: Path | None, **overrides: Any) -> Settings:
    """Read settings; `overrides` are top-level fields. Raises SettingsError naming the field."""
    if path is not None and not path.is_file():
        raise SettingsError(f"{path}: no such settings file")

    class FromFile(Settings):
        model_config = SettingsConfigDict(**Settings.model_config | {"toml_file": path})

    try:
        return FromFile(**overrides)
    except ValidationError as error:
        problems = "; ".join(
            # Never `input`: it may be a secret.
            f"{'.'.join(str(part) for part in e['loc']) or 'settings'}: {e['msg']}"
            for e in error.errors(include_input=False, include_context=False, include_url=False)
        )
        raise SettingsError(f"{path or 'environment'}: {problems}") from error
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error
