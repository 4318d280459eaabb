"""Alerts → people, by the chat, paging and mail services that apprise knows (extra `notify`)."""

from collections.abc import Mapping
from typing import Any

from monitor.schema.messages import DeliveryError, Message
from monitor.types import AlertAction


class NotifyDestination:
    """One service; one apprise object each, so that a retry never repeats to another."""

    def __init__(self, url: str) -> None:
        """Raise ValueError, without the URL, for one that apprise does not know.

        Raises ModuleNotFoundError without the extra.
        """
        # Here and not above: an extra, and it takes a while to load.
        import apprise

        # In memory: apprise would else keep files of its own.
        asset = apprise.AppriseAsset(app_id="deepfake-monitor", storage_mode="memory")
        self._apprise = apprise.Apprise(asset=asset)
        if not self._apprise.add(url):
            raise ValueError("not a URL that apprise knows")

    async def send(self, message: Message) -> None:
        """Notify; the service's own answer is all that apprise tells."""
        record = message.record
        cleared = record["action"] == AlertAction.CLEARED
        done = await self._apprise.async_notify(
            body=text(record),
            title=title(record),
            notify_type="success" if cleared else "warning",
        )
        if not done:
            raise DeliveryError("not notified")

    async def run(self) -> None:
        """Nothing is to be done between messages."""

    async def close(self) -> None:
        """Nothing is held open."""


def title(record: Mapping[str, Any]) -> str:
    """One line."""
    allowed = " (allowed synthetic speech)" if record["allowed"] else ""
    return f"Deepfake {record['tier']} {record['action']}: {record['participant']}{allowed}"


def text(record: Mapping[str, Any]) -> str:
    """What a person needs to find the call and to judge the alert."""
    verdict = record["verdict"]
    p_value = verdict["p_value"]
    far = "unknown" if p_value is None else f"{p_value:.2%} of genuine calls go this far"
    lines = [
        f"call {record['call']}, participant {record['participant']}",
        f"{record['type']}, suspicious from {record['span']['start']} s; {far}",
        f"not monitored: {record['unmonitored_seconds']} s",
        f"advice: {record['advice']}",
    ]
    if not record["certified"]:
        lines.append("this tier's false-alarm rate is not certified")
    if not record.get("committed", True):
        lines.append("the database did not take this alert: it may be listed late, or not at all")
    if record["allowed"]:
        allowed = record["allowed"]
        lines.append(f"allowed: {allowed['name']}, {allowed['reason']}, until {allowed['until']}")
    return "\n".join(lines)
