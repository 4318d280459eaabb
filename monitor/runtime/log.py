"""Structured JSON log lines; credentials never reach one."""

import logging
import re
import sys
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from typing import Any, TextIO
from urllib.parse import urlsplit, urlunsplit

import structlog

_URL = re.compile(r"\b(?:rtsps?|whep\+https?)://[^\s\"'<>]+", re.IGNORECASE)
_ANY_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>]+", re.IGNORECASE)
_TOKEN = re.compile(r"(\btoken=)[^&\s\"']+")
_SECRET_KEYS = frozenset({"authorization", "token", "password", "secret", "sdp", "credentials"})


def redact(url: str) -> str:
    """Return a URL's scheme, host and port.

    All else may hold a secret: cameras and media servers take passwords and tokens in user,
    password, path, query and fragment, under any name.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if ":" in host:
            host = f"[{host}]"
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "unreadable-url"
    path = "/..." if parts.path.strip("/") else parts.path
    return urlunsplit((parts.scheme, host + port, path, "", ""))


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's records to `stream` as one JSON object a line."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide_secrets,
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.format_exc_info,
            _hide_traced,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.processors.format_exc_info, _hide_traced],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # These log one line a request or packet at INFO, or where the server listens a second time;
    # FFmpeg's and apprise's messages may hold URLs.
    noisy = "httpx httpcore aiortc aioice alembic uvicorn.access uvicorn.error"
    for name in noisy.split():
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("libav", "apprise"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn.error").addFilter(_no_false_alarm)


def _no_false_alarm(record: logging.LogRecord) -> bool:
    # What uvicorn says of every WebSocket that was refused with an HTTP status.
    return record.msg != "ASGI callable returned without completing handshake."


def get(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger; messages are constant strings, values go in fields."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def about(**values: str) -> AbstractContextManager[None]:
    """Add these fields to whatever is logged within, and in tasks and threads begun there."""
    return structlog.contextvars.bound_contextvars(**values)


def _hide_traced(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """FFmpeg's and other libraries' errors quote the URL that they were given."""
    if isinstance(event.get("exception"), str):
        event["exception"] = _ANY_URL.sub(lambda found: redact(found[0]), event["exception"])
    return event


def _hide_secrets(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for key in event.keys() & _SECRET_KEYS:
        event[key] = "redacted"
    if isinstance(event.get("uri"), str):
        event["uri"] = redact(event["uri"])
    for key, value in event.items():
        if isinstance(value, str) and "://" in value:
            event[key] = _URL.sub(lambda found: redact(found[0]), value)
    if isinstance(event.get("event"), str):
        # uvicorn logs the whole request line of a WebSocket.
        event["event"] = _TOKEN.sub(r"\1redacted", event["event"])
    return event
