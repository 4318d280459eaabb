"""Alerts → Prometheus Alertmanager (`POST /api/v2/alerts`): refreshed while raised, resolved.

Each message goes through the outbox. Between messages a raised alert is refreshed here: one that
is not ends by itself, so a service that dies leaves nothing firing for ever.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from monitor.delivery.http import client, failure, posted
from monitor.runtime import log
from monitor.schema.messages import DeliveryError, Message
from monitor.types import AlarmState, AlertAction

_log = log.get(__name__)
_SEVERITY = {AlarmState.REVIEW: "warning", AlarmState.ALERT: "critical"}
_REFRESH_TIMEOUT = 10.0


class AlertmanagerDestination:
    """One Alertmanager."""

    def __init__(
        self,
        url: str,
        refresh: float,
        linger: float,
        in_progress: Callable[[str], bool],
        labels: Mapping[str, str] | None = None,
        ca_file: str | None = None,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`refresh` and `linger` are seconds; `in_progress` knows whether a call goes on."""
        self._url = httpx.URL(url.rstrip("/") + "/api/v2/alerts")
        self._refresh = refresh
        self._linger = linger
        self._in_progress = in_progress
        self._labels = dict(labels or {})
        self._client = client(ca_file)
        self._wall = wall
        self._firing: dict[str, Mapping[str, Any]] = {}

    async def send(self, message: Message) -> None:
        """Post the message's alert as firing or resolved."""
        record = message.record
        alert = str(record["id"])
        if record["action"] == AlertAction.CLEARED:
            self._firing.pop(alert, None)
            await self._post([self._alert(record, 0.0)])
            return
        going_on = self._in_progress(message.call)
        await self._post([self._alert(record, 3 * self._refresh if going_on else self._linger)])
        if going_on:
            self._firing[alert] = record

    async def run(self) -> None:
        """Refresh what is raised, until cancelled."""
        while True:
            await asyncio.sleep(self._refresh)
            await self.refresh()

    async def refresh(self) -> None:
        """Post everything raised once more; let go of what belongs to calls that are over."""
        over = [a for a, r in self._firing.items() if not self._in_progress(r["call"])]
        ending = [self._alert(self._firing.pop(a), self._linger) for a in over]
        alerts = ending + [self._alert(r, 3 * self._refresh) for r in self._firing.values()]
        if not alerts:
            return
        try:
            async with asyncio.timeout(_REFRESH_TIMEOUT):
                await self._post(alerts)
        except (DeliveryError, TimeoutError) as error:
            _log.warning("alerts not refreshed", cause=str(error) or "timeout", count=len(alerts))

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    def _alert(self, record: Mapping[str, Any], lasts: float) -> dict[str, Any]:
        labels = {
            "alertname": "DeepfakeSuspected",
            "call": record["call"],
            "participant": record["participant"],
            "type": record["type"],
            "tier": record["tier"],
            "sequence": str(record["sequence"]),
            "severity": _SEVERITY[AlarmState(record["tier"])],
        }
        verdict = record["verdict"]
        allowed = record["allowed"]
        annotations = {
            "summary": f"{record['participant']}: {record['type']} looks synthetic",
            "advice": record["advice"],
            "p_value": verdict["p_value"],
            "statistic": verdict["statistic"],
            "certified": record["certified"],
            "unmonitored_seconds": record["unmonitored_seconds"],
            "allowed": f"{allowed['name']} until {allowed['until']}" if allowed else None,
        }
        now = self._wall()
        # The same from message to message, or Alertmanager would take it for another alert.
        starts = min(now, datetime.fromisoformat(record["raised_at"]))
        return {
            "labels": {**self._labels, **labels},
            "annotations": {k: str(v) for k, v in annotations.items() if v is not None},
            "startsAt": starts.isoformat(),
            "endsAt": (now + timedelta(seconds=lasts)).isoformat(),
        }

    async def _post(self, alerts: list[dict[str, Any]]) -> None:
        body = json.dumps(alerts).encode()
        response = await posted(self._client, self._url, body, {"content-type": "application/json"})
        if not response.is_success:
            raise failure(response)
