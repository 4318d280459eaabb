"""Settings → what alerts are sent to."""

import socket
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from monitor.delivery.alertmanager import AlertmanagerDestination
from monitor.delivery.bus import BusDestination, Login
from monitor.delivery.courier import Destination, Terms
from monitor.delivery.http import context
from monitor.delivery.notify import NotifyDestination
from monitor.delivery.siem import SiemDestination
from monitor.delivery.webhook import WebhookDestination
from monitor.service import extensions
from monitor.settings import Settings, SettingsError
from monitor.settings import delivery as tables


def build_destinations(
    settings: Settings, in_progress: Callable[[str], bool]
) -> list[tuple[Terms, Destination]]:
    """Make each one; raises SettingsError naming what cannot be used."""
    found = []
    for chosen in settings.destinations:
        kind = type(chosen).__name__.lower()
        try:
            built = _build(chosen, in_progress)
        except ModuleNotFoundError as error:
            raise SettingsError(f"{kind} {chosen.name!r}: {_needed(kind)}") from error
        except (ValueError, SettingsError) as error:
            raise SettingsError(f"{kind} {chosen.name!r}: {error}") from error
        found.append((_terms(chosen), built))
    return found


def _terms(chosen: tables.Destination) -> Terms:
    return Terms(
        name=chosen.name,
        tiers=frozenset(chosen.tiers),
        allowed=chosen.allowed,
        timeout=chosen.timeout,
        give_up_after=chosen.give_up_after,
    )


def _build(chosen: tables.Destination, in_progress: Callable[[str], bool]) -> Destination:
    authorities = _file(chosen.ca_file)
    match chosen:
        case tables.Webhook():
            secrets = [s.get_secret_value() for s in (chosen.secret, *chosen.previous_secrets)]
            return WebhookDestination(chosen.url, secrets, chosen.redirects, authorities)
        case tables.Alertmanager():
            return AlertmanagerDestination(
                chosen.url, chosen.refresh, chosen.linger, in_progress, chosen.labels, authorities
            )
        case tables.Notify():
            return NotifyDestination(chosen.url.get_secret_value())
        case tables.Siem():
            host = socket.gethostname()
            return SiemDestination(
                chosen.url, chosen.format, host, authorities, chosen.ocsf_version
            )
        case tables.Custom():
            return extensions.destination(chosen.kind, chosen.options)
        case tables.Mqtt():
            # Here and not above, like the next: extras.
            from monitor.delivery.mqtt import MqttBroker

            tls = context(authorities, _file(chosen.certificate))
            login = Login(chosen.username, _clear(chosen.password))
            broker = MqttBroker(chosen.url, chosen.topic, login, chosen.client_id, tls)
            return BusDestination(broker.connect)
        case tables.Nats():
            from monitor.delivery.nats import NatsServer

            tls = context(authorities, _file(chosen.certificate))
            login = Login(chosen.username, _clear(chosen.password), _clear(chosen.token))
            server = NatsServer(chosen.url, chosen.subject, chosen.stream, login, tls)
            return BusDestination(server.connect)
    raise ValueError("not a kind of destination")


def _needed(extra: str) -> str:
    return f"needs the extra `{extra}`: pip install 'deepfake-monitor[{extra}]'"


def _clear(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None


def _file(path: Path | None) -> str | None:
    return str(path) if path is not None else None
