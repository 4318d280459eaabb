"""Log lines are JSON and hold no credential."""

import io
import json
import logging

import pytest

from monitor.runtime import log


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://bob:p%40ss@10.0.0.1:554/cam?token=x#y", "rtsp://10.0.0.1:554/..."),
        ("rtsps://bob@[::1]:322/", "rtsps://[::1]:322/"),
        ("rtsp://h/user=a_password=hush_channel=1_stream=0.sdp?real_stream", "rtsp://h/..."),
        ("RTSP://h:554/USER=a&PASSWORD=hush", "rtsp://h:554/..."),
        ("rtsp://h/%75ser=a%26pass%77ord=h%75sh", "rtsp://h/..."),
        ("rtsps://nvr:7441/s3cr3tT0kenInThePath", "rtsps://nvr:7441/..."),
        ("rtsp://h/live;pwd=hush", "rtsp://h/..."),
        ("rtsp://h#password=hush", "rtsp://h"),
        ("rtsp://h?password=hush", "rtsp://h"),
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
    assert first["uri"] == "rtsp://host/..."
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


def test_a_url_in_words_and_in_a_traceback_is_hidden() -> None:
    stream = io.StringIO()
    before = logging.getLogger().handlers[:]
    url = "rtsp://bob:hush@host/user=a&password=hush?token=hush"
    try:
        log.configure("info", stream)
        try:
            raise OSError(5, "Input/output error", url)
        except OSError:
            log.get("a").exception("fault", detail=f"{url}: gone")
            logging.getLogger("b").exception("fault of %s", url)
        with log.about(call="c1"):
            log.get("a").info("lost")
    finally:
        logging.getLogger().handlers[:] = before
    one, other, third = map(json.loads, stream.getvalue().splitlines())
    assert "hush" not in stream.getvalue()
    assert one["detail"] == "rtsp://host/... gone"
    assert "Input/output error" in one["exception"]
    assert other["event"] == "fault of rtsp://host/..."
    assert third["call"] == "c1"
