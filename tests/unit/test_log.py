"""Log lines are JSON and hold no credential."""

import io
import json
import logging

import pytest

from monitor import log


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://bob:p%40ss@10.0.0.1:554/cam?token=x#y", "rtsp://10.0.0.1:554/cam"),
        ("rtsps://bob@[::1]:322/a", "rtsps://[::1]:322/a"),
        ("rtsp://host", "rtsp://host"),
        ("rtsp://bob:secret@host:port/", "unreadable-url"),
    ],
)
def test_redact(url: str, shown: str) -> None:
    assert log.redact(url) == shown


def test_both_kinds_of_loggers_write_json_without_secrets() -> None:
    stream = io.StringIO()
    before = logging.getLogger().handlers[:]
    try:
        log.configure("info", stream)
        log.get("a").info("pulled", uri="rtsp://bob:secret@host/x", token="secret")
        logging.getLogger("b").warning("plain")
    finally:
        logging.getLogger().handlers[:] = before
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["uri"] == "rtsp://host/x"
    assert first["event"] == "pulled"
    assert second["event"] == "plain"
    assert "secret" not in stream.getvalue()


def test_a_token_in_a_request_line_is_hidden() -> None:
    stream = io.StringIO()
    before = logging.getLogger().handlers[:]
    try:
        log.configure("info", stream)
        uvicorn = logging.getLogger("uvicorn.error")
        uvicorn.warning(
            '%s - "WebSocket %s" [accepted]', "1.2.3.4", "/telephony/plivo?token=hush&call=a"
        )
        uvicorn.error("ASGI callable returned without completing handshake.")
    finally:
        logging.getLogger().handlers[:] = before
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["event"].endswith('?token=redacted&call=a" [accepted]')
