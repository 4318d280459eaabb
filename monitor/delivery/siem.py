"""Alerts → security event logs: OCSF Detection Finding, or CEF, over RFC 5424 syslog or HTTP."""

import asyncio
import json
import os
import re
import ssl
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from monitor.delivery.http import client, context, failure, posted
from monitor.schema.messages import DeliveryError, Message
from monitor.types import AlarmState, AlertAction
from monitor.version import VERSION

_VENDOR = "deepfake-monitor"
_OCSF_SEVERITY = {AlarmState.REVIEW: (3, "Medium"), AlarmState.ALERT: (4, "High")}
_CEF_SEVERITY = {AlarmState.REVIEW: 5, AlarmState.ALERT: 8}
_ACTIVITY = {
    AlertAction.RAISED: (1, "Create"),
    AlertAction.UPDATED: (2, "Update"),
    AlertAction.CLEARED: (3, "Close"),
}
_STATUS = {
    AlertAction.RAISED: (1, "New"),
    AlertAction.UPDATED: (1, "New"),
    AlertAction.CLEARED: (4, "Resolved"),
}
_FACILITY = 13
"""Log audit."""
_SYSLOG_SEVERITY = {AlarmState.REVIEW: 4, AlarmState.ALERT: 2}
_READ = 4096
OcsfVersion = Literal["1.4", "1.7"]
"""The class is the same in both; receivers choose their schema by `metadata.version`."""


def ocsf(record: Mapping[str, Any], version: OcsfVersion = "1.4") -> dict[str, Any]:
    """The alert as an OCSF Detection Finding (class 2004)."""
    action, tier = AlertAction(record["action"]), AlarmState(record["tier"])
    activity, activity_name = _ACTIVITY[action]
    severity, severity_name = _OCSF_SEVERITY[tier]
    status, status_name = _STATUS[action]
    at = _milliseconds(record["raised_at"])
    return {
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200400 + activity,
        "type_name": f"Detection Finding: {activity_name}",
        "time": at,
        "severity_id": severity,
        "severity": severity_name,
        "status_id": status,
        "status": status_name,
        "message": _summary(record),
        "is_alert": tier is AlarmState.ALERT,
        "finding_info": {
            "uid": record["id"],
            "title": "Suspected synthetic media",
            "desc": _summary(record),
            "types": [f"deepfake.{record['type']}"],
            "created_time": at,
        },
        "metadata": {
            "version": f"{version}.0",
            "uid": record["idempotency_key"],
            "correlation_uid": record["call"],
            "product": {
                "name": "deepfake monitor",
                "vendor_name": _VENDOR,
                "version": VERSION,
            },
        },
        "unmapped": dict(record),
    }


def cef(record: Mapping[str, Any]) -> str:
    """The alert as one line of the Common Event Format, version 0."""
    verdict, allowed = record["verdict"], record["allowed"]
    fields: dict[str, Any] = {
        "rt": _milliseconds(record["raised_at"]),
        "externalId": record["idempotency_key"],
        "act": record["action"],
        "cat": record["type"],
        "suser": record["participant"],
        "cs1Label": "call",
        "cs1": record["call"],
        "cs2Label": "tier",
        "cs2": record["tier"],
        "cs3Label": "advice",
        "cs3": record["advice"],
        "cs4Label": "allowed",
        "cs4": allowed["name"] if allowed else "no",
        "cs5Label": "alert",
        "cs5": record["id"],
        "cs6Label": "certified",
        "cs6": "yes" if record["certified"] else "no",
        "cfp1Label": "statistic",
        "cfp1": verdict["statistic"],
        "cfp2Label": "p_value",
        "cfp2": verdict["p_value"],
        "cfp3Label": "unmonitored_seconds",
        "cfp3": record["unmonitored_seconds"],
        "msg": _summary(record),
    }
    # A label without its value would be read as a field of another kind.
    absent = {name for name, value in fields.items() if value is None}
    kept = {k: v for k, v in fields.items() if k not in absent and k[:-5] not in absent}
    extension = " ".join(f"{name}={_extension(str(value))}" for name, value in kept.items())
    header = (
        _VENDOR, "deepfake monitor", VERSION,
        f"{record['type']}.{record['action']}", "Suspected synthetic media",
        str(_CEF_SEVERITY[AlarmState(record["tier"])]),
    )  # fmt: skip
    return "CEF:0|" + "|".join(_header(part) for part in header) + "|" + extension


def syslog(record: Mapping[str, Any], body: str, host: str) -> bytes:
    """An RFC 5424 message in a frame of RFC 6587, its length first."""
    priority = _FACILITY * 8 + _SYSLOG_SEVERITY[AlarmState(record["tier"])]
    name = re.sub(r"[^!-~]", "-", host)[:255] or "-"
    head = f"<{priority}>1 {record['raised_at']} {name} {_VENDOR} {os.getpid()} {record['action']}"
    line = f"{head} - {body}".encode()
    return str(len(line)).encode() + b" " + line


class SiemDestination:
    """One event log."""

    def __init__(
        self,
        url: str,
        format_: Literal["ocsf", "cef"],
        host: str,
        ca_file: str | None = None,
        version: OcsfVersion = "1.4",
    ) -> None:
        """`host` is what syslog messages call this machine."""
        parts = urlsplit(url)
        self._url = url
        self._format = format_
        self._version = version
        self._host = host
        self._peer = (parts.hostname or "", parts.port or 0)
        self._tls = context(ca_file) if parts.scheme == "tls" else None
        self._client = client(ca_file) if parts.scheme in ("http", "https") else None

    async def send(self, message: Message) -> None:
        """Send it; syslog's receiver says no more than that it has read to the end."""
        record = message.record
        body = cef(record) if self._format == "cef" else _json(ocsf(record, self._version))
        if self._client is not None:
            headers = {"content-type": "application/json", "idempotency-key": message.key}
            response = await posted(self._client, self._url, body.encode(), headers)
            if not response.is_success:
                raise failure(response)
            return
        try:
            await self._write(syslog(record, body, self._host))
        except ssl.SSLError as error:
            raise DeliveryError(f"TLS {error.reason or type(error).__name__}") from error
        except OSError as error:
            raise DeliveryError(type(error).__name__) from error

    async def run(self) -> None:
        """Nothing is to be done between messages."""

    async def close(self) -> None:
        """Let the connections go."""
        if self._client is not None:
            await self._client.aclose()

    async def _write(self, frame: bytes) -> None:
        """Send one frame on a connection of its own.

        Syslog acknowledges nothing, and what is written to a connection whose other side is gone
        is lost without an error. Closing it and waiting for the other side's close is the only
        answer there is: who closes in turn has read everything.
        """
        host, port = self._peer
        reader, writer = await asyncio.open_connection(host, port, ssl=self._tls)
        try:
            writer.write(frame)
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
                while await reader.read(_READ):
                    pass
            writer.close()
            await writer.wait_closed()
        except BaseException:
            # At once: a TLS farewell to a peer that does not answer would outlast the deadline.
            writer.transport.abort()
            raise


def _summary(record: Mapping[str, Any]) -> str:
    allowed = " (allowed)" if record["allowed"] else ""
    kept = "" if record.get("committed", True) else " (not committed)"
    what = f"{record['tier']} {record['action']}{allowed}{kept}"
    return f"{record['type']} of {record['participant']}: {what}"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _milliseconds(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def _header(part: str) -> str:
    return _plain(part).replace("\\", "\\\\").replace("|", "\\|")


def _extension(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("=", "\\=")
    return escaped.replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "\\r")


def _plain(part: str) -> str:
    return " ".join(part.split())
