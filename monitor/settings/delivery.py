"""Where alerts go."""

from pathlib import Path
from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from monitor.settings.section import Section

TierName = Literal["review", "alert"]
_NAME = "^[a-z0-9_-]{1,40}$"


class Destination(Section):
    """What all destinations have in common."""

    name: str = Field(pattern=_NAME)
    """Metric label and the name under which deliveries are kept."""
    tiers: tuple[TierName, ...] = ("review", "alert")
    allowed: bool = True
    """Whether alerts about allowed synthetic speech are sent, marked as such."""
    timeout: float = Field(5.0, gt=0)
    """Seconds one attempt may take."""
    give_up_after: float = Field(86_400.0, gt=0)
    """Seconds of the service's running time after which a message becomes a dead letter."""
    ca_file: Path | None = None
    """Certificates to trust instead of the system's, for HTTPS and TLS."""


class HttpDestination(Destination):
    """One that is reached by HTTP."""

    url: str

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        return _url(value, ("http", "https"))


class Webhook(HttpDestination):
    """A signed CloudEvent for each alert message."""

    name: str = Field("webhook", pattern=_NAME)
    secret: SecretStr
    """Standard Webhooks signing secret, `whsec_` and base64."""
    previous_secrets: tuple[SecretStr, ...] = ()
    """Secrets that are being replaced: messages carry a signature by each."""
    redirects: Literal["refuse", "public", "any"] = "refuse"
    """Which redirects (307 and 308) are followed: none, those to public addresses, all."""


class Alertmanager(HttpDestination):
    """Prometheus Alertmanager, version 2 of its interface."""

    name: str = Field("alertmanager", pattern=_NAME)
    allowed: bool = False
    refresh: float = Field(60.0, gt=0)
    """Seconds after which a raised alert is sent again; it ends after three without one."""
    linger: float = Field(300.0, ge=0)
    """Seconds that an alert stays active after its call ended."""
    labels: dict[str, str] = {}
    """Labels that every alert gets, for routing."""


class Notify(Destination):
    """A chat, paging or mail service that apprise knows (extra `notify`)."""

    name: str = Field("notify", pattern=_NAME)
    allowed: bool = False
    url: SecretStr
    """An apprise URL; holds credentials."""
    timeout: float = Field(20.0, gt=0)


class Siem(Destination):
    """A security event log: OCSF or CEF, over syslog or HTTP."""

    name: str = Field("siem", pattern=_NAME)
    format: Literal["ocsf", "cef"] = "ocsf"
    ocsf_version: Literal["1.4", "1.7"] = "1.4"
    """The schema that OCSF events follow and name."""
    url: str
    """tcp://HOST:PORT or tls://HOST:PORT for syslog, http:// or https:// for OCSF."""

    @model_validator(mode="after")
    def _check(self) -> "Siem":
        if self.format == "cef" and "ocsf_version" in self.model_fields_set:
            raise ValueError("ocsf_version is for the format ocsf")
        syslog = ("tcp", "tls")
        _url(self.url, syslog if self.format == "cef" else (*syslog, "http", "https"))
        parts = urlsplit(self.url)
        if parts.scheme in syslog and not parts.port:
            raise ValueError("url must name a port")
        return self


class Custom(Destination):
    """A kind of destination that another installed package has."""

    name: str = Field("custom", pattern=_NAME)
    kind: str
    """Its entry point in `deepfake_monitor.destinations`."""
    options: dict[str, Any] = Field({}, repr=False)
    """What it is made with; may hold secrets."""


class Bus(Destination):
    """A message broker."""

    url: str
    username: str | None = None
    password: SecretStr | None = None
    certificate: Path | None = None
    """Our own certificate and its key, in one file, for brokers that ask for one."""
    _schemes: ClassVar[tuple[str, ...]]

    @field_validator("url")
    @classmethod
    def _broker(cls, value: str) -> str:
        parts = urlsplit(_url(value, cls._schemes))
        if parts.username is not None or parts.password is not None:
            raise ValueError("url must hold no credentials: use username and password")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("url must end with the host or the port")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.password is not None and self.username is None:
            raise ValueError("password needs a username")
        return self


class Mqtt(Bus):
    """An MQTT 5 broker (extra `mqtt`): a CloudEvent for each alert message."""

    _schemes = ("mqtt", "mqtts")
    name: str = Field("mqtt", pattern=_NAME)
    url: str
    """mqtt://HOST or mqtts://HOST, with or without a port."""
    topic: str = Field("deepfake-monitor/alerts", min_length=1, max_length=1024)
    client_id: str = Field("", max_length=128)
    """Empty: the broker chooses. Two processes must not share one: each would end the other."""

    @field_validator("topic")
    @classmethod
    def _one_topic(cls, value: str) -> str:
        if not value.isprintable() or set(value) & set("#+") or value.startswith("$"):
            raise ValueError("topic must be one to publish to: no #, no +, no leading $")
        return value


class Nats(Bus):
    """A NATS server with JetStream (extra `nats`): a CloudEvent for each alert message."""

    _schemes = ("nats", "tls")
    name: str = Field("nats", pattern=_NAME)
    url: str
    """nats://HOST or tls://HOST, with or without a port."""
    subject: str = Field("deepfake-monitor.alerts", min_length=1, max_length=1024)
    """A stream must take it."""
    stream: str | None = Field(None, pattern=r"^[^\s.*>/\\]+$")
    """The stream that must take it; others are refused."""
    token: SecretStr | None = None

    @field_validator("subject")
    @classmethod
    def _one_subject(cls, value: str) -> str:
        if not value.isprintable() or " " in value or set(value) & set("*>"):
            raise ValueError("subject must be one to publish to: no blank, no *, no >")
        if not all(value.split(".")):
            raise ValueError("subject must have no empty part between its dots")
        return value

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if self.token is not None and self.username is not None:
            raise ValueError("token and username exclude each other")
        return self


def _url(value: str, schemes: tuple[str, ...]) -> str:
    parts = urlsplit(value)
    if parts.scheme not in schemes or not parts.hostname:
        wanted = " or ".join(f"{s}://" for s in schemes)
        raise ValueError(f"url must begin with {wanted} and name a host")
    return value
