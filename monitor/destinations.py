"""Settings → what alerts are sent to."""

import socket
from collections.abc import Callable
from pathlib import Path

from monitor.delivery.alertmanager import AlertmanagerDestination
from monitor.delivery.courier import Destination, Terms
from monitor.delivery.notify import NotifyDestination
from monitor.delivery.siem import SiemDestination
from monitor.delivery.webhook import WebhookDestination
from monitor.settings import Settings, SettingsError
from monitor.settings import delivery as tables


def build_destinations(
    settings: Settings, in_progress: Callable[[str], bool]
) -> list[tuple[Terms, Destination]]:
    """Make each one; raises SettingsError naming what cannot be used."""
    found = []
    for chosen in settings.destinations:
        try:
            built = _build(chosen, in_progress)
        except ValueError as error:
            kind = type(chosen).__name__.lower()
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
            return SiemDestination(chosen.url, chosen.format, host, authorities)
    raise ValueError("not a kind of destination")


def _file(path: Path | None) -> str | None:
    return str(path) if path is not None else None
