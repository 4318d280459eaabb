"""All settings, from one TOML file and the environment."""

import ipaddress
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from monitor.settings.cluster import Cluster
from monitor.settings.decision import Advising, Alarm, Allowed, Canary
from monitor.settings.delivery import (
    Alertmanager,
    Custom,
    Destination,
    Mqtt,
    Nats,
    Notify,
    Siem,
    Webhook,
)
from monitor.settings.evidence import Evidence
from monitor.settings.extensions import Extensions
from monitor.settings.login import Oidc
from monitor.settings.media import Pull, Rtp, Rtsp, Video, WebRtc, Whep
from monitor.settings.section import SettingsError, refuse_blank
from monitor.settings.server import Governor, Inference, Limits, Server
from monitor.settings.store import Store
from monitor.settings.telephony import Telephony
from monitor.settings.zoom import Zoom


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
    oidc: Oidc | None = None
    limits: Limits = Limits()
    governor: Governor = Governor()
    inference: Inference = Inference()
    video: Video = Video()
    rtsp: Rtsp = Rtsp()
    whep: Whep = Whep()
    rtp: Rtp = Rtp()
    webrtc: WebRtc = WebRtc()
    telephony: Telephony = Telephony()
    zoom: Zoom = Zoom()
    alarm: Alarm = Alarm()
    canary: Canary = Canary()
    advice: Advising = Advising()
    allowed: tuple[Allowed, ...] = ()
    store: Store = Store()
    cluster: Cluster = Cluster()
    evidence: Evidence = Evidence()
    webhooks: tuple[Webhook, ...] = ()
    alertmanagers: tuple[Alertmanager, ...] = ()
    notify: tuple[Notify, ...] = ()
    siem: tuple[Siem, ...] = ()
    mqtt: tuple[Mqtt, ...] = ()
    nats: tuple[Nats, ...] = ()
    custom: tuple[Custom, ...] = ()
    sources: tuple[Pull, ...] = ()
    extensions: Extensions = Extensions()

    @model_validator(mode="after")
    def _no_secret_is_blank(self) -> "Settings":
        refuse_blank(self)
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> "Settings":
        names = [d.name for d in self.destinations]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two destinations have the name {name!r}")
        return self

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """Everything that alerts are sent to."""
        return (
            *self.webhooks, *self.alertmanagers, *self.notify, *self.siem, *self.mqtt, *self.nats,
            *self.custom,
        )  # fmt: skip

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
