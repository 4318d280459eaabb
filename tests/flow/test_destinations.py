"""Alertmanager's interface, syslog over TCP and TLS, and apprise, each on a real socket."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.delivery.alertmanager import AlertmanagerDestination
from monitor.delivery.notify import NotifyDestination
from monitor.delivery.siem import SiemDestination
from monitor.schema import wire
from monitor.schema.messages import DeliveryError
from monitor.types import AlertAction
from tests.alerts import alert, allowed, message
from tests.certificates import certificate
from tests.e2e.rig.receiver import Receiver

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)


class Desk:
    """An Alertmanager destination, its clock, and which calls go on."""

    def __init__(self, receiver: Receiver) -> None:
        self.now = NOW
        self.going_on = {"c"}
        self.receiver = receiver
        self.destination = AlertmanagerDestination(
            receiver.url("/"), 60.0, 300.0, self.going_on.__contains__, {"team": "fraud"},
            wall=lambda: self.now,
        )  # fmt: skip

    def posted(self) -> list[tuple[str, float]]:
        """Tier and seconds left of each alert posted since the last look."""
        found = [
            (a["labels"]["tier"], (datetime.fromisoformat(a["endsAt"]) - self.now).total_seconds())
            for post in self.receiver.posts
            for a in post.json()
        ]
        self.receiver.clear()
        return found


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    with Receiver() as receiver:
        receiver.status = 200
        found = Desk(receiver)
        yield found
        await found.destination.close()


async def test_an_alert_is_refreshed_while_it_is_raised_and_then_resolved() -> None:
    async with desk() as found:
        await found.destination.refresh()
        assert found.posted() == []
        await found.destination.send(message(alert(1)))
        (post,) = found.receiver.posts
        assert post.path == "/api/v2/alerts"
        (sent,) = post.json()
        assert sent["startsAt"] == "2026-01-01T00:00:01+00:00"
        assert sent["labels"]["alertname"] == "DeepfakeSuspected"
        assert sent["labels"]["team"] == "fraud"
        assert sent["labels"]["severity"] == "critical"
        assert sent["annotations"]["advice"] == "human_review"
        assert found.posted() == [("alert", 180.0)]
        found.now += timedelta(seconds=60)
        await found.destination.refresh()
        assert found.posted() == [("alert", 180.0)]
        await found.destination.send(message(alert(1, action=AlertAction.CLEARED)))
        assert found.posted() == [("alert", 0.0)]
        await found.destination.refresh()
        assert found.posted() == []


async def test_an_alert_outlives_its_call_for_a_while_only() -> None:
    async with desk() as found:
        await found.destination.send(message(alert(1)))
        found.going_on.clear()
        await found.destination.send(message(alert(1, action=AlertAction.UPDATED)))
        assert found.posted() == [("alert", 180.0), ("alert", 300.0)]
        await found.destination.refresh()
        assert found.posted() == [("alert", 300.0)]
        await found.destination.refresh()
        assert found.posted() == []


async def test_alertmanager_refusing_is_a_failure_and_a_refresh_never_raises() -> None:
    async with desk() as found:
        await found.destination.send(message(alert(1)))
        found.receiver.status = 400
        with pytest.raises(DeliveryError, match="400"):
            await found.destination.send(message(alert(2)))
        await found.destination.refresh()
        found.receiver.plan = [0]
        await found.destination.refresh()


class Log:
    """A syslog receiver that reads octet-counted frames to the end of each connection."""

    def __init__(self) -> None:
        self.read: list[bytes] = []
        self.port = 0

    @asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Log"]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.read.append(await reader.read())
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", self.port, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()


async def test_cef_over_tcp() -> None:
    async with Log().listening() as log:
        destination = SiemDestination(f"tcp://127.0.0.1:{log.port}", "cef", "host")
        await destination.send(message(alert(1)))
        await destination.send(message(alert(2)))
        await destination.close()
    assert len(log.read) == 2
    length, _, line = log.read[0].partition(b" ")
    assert int(length) == len(line)
    assert b" host deepfake-monitor " in line
    assert b"externalId=c:remote:voice:alert:1:raised" in line


async def test_ocsf_over_tls_to_whom_it_may_be_told(tmp_path: Path) -> None:
    mine, other = certificate(tmp_path, "127.0.0.1"), certificate(tmp_path, "other.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(mine)
    async with Log().listening(context) as log:
        url = f"tls://127.0.0.1:{log.port}"
        for trusted in (None, str(other)):
            with pytest.raises(DeliveryError, match="TLS"):
                await SiemDestination(url, "ocsf", "host", trusted).send(message(alert(1)))
        async with asyncio.timeout(120):
            await SiemDestination(url, "ocsf", "host", str(mine)).send(message(alert(1)))
    event = json.loads(log.read[-1].partition(b" - ")[2])
    assert event["class_uid"] == 2004
    assert [r for r in log.read if r] == [log.read[-1]]


async def test_nobody_reads() -> None:
    destination = SiemDestination("tcp://127.0.0.1:9", "cef", "host")
    with pytest.raises(DeliveryError):
        await destination.send(message(alert(1)))

    release, done = asyncio.Event(), asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()
        done.set()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await SiemDestination(f"tcp://127.0.0.1:{port}", "cef", "host").send(message(alert(1)))
    release.set()
    async with asyncio.timeout(120):
        await done.wait()
    server.close()


async def test_ocsf_over_http() -> None:
    with Receiver() as receiver:
        destination = SiemDestination(receiver.url("/ingest"), "ocsf", "host")
        await destination.send(message(alert(1)))
        receiver.status = 500
        with pytest.raises(DeliveryError, match="500"):
            await destination.send(message(alert(1)))
        await destination.close()
        post = receiver.posts[0]
    assert post.headers["idempotency-key"] == alert(1).idempotency_key
    assert post.json()["metadata"]["uid"] == alert(1).idempotency_key


async def test_people_are_told_by_apprise() -> None:
    with Receiver() as receiver:
        receiver.status = 200
        url = receiver.url("/chat").replace("http://", "json://user:hunter2@")
        destination = NotifyDestination(url)
        await destination.send(message(alert(1)))
        await destination.send(message(allowed(alert(2, action=AlertAction.CLEARED))))
        receiver.status = 500
        with pytest.raises(DeliveryError) as caught:
            await destination.send(message(alert(3)))
        await destination.close()
        first, second = (p.json() for p in receiver.posts[:2])
    assert "hunter2" not in str(caught.value)
    assert first["title"] == "Deepfake alert raised: remote"
    assert "call c, participant remote" in first["message"]
    assert "advice: human_review" in first["message"]
    assert "not certified" in first["message"]
    assert "allowed synthetic speech" in second["title"]
    assert "announcements" in second["message"]


def test_a_url_that_apprise_does_not_know_is_not_shown() -> None:
    with pytest.raises(ValueError, match="apprise") as caught:
        NotifyDestination("nothing-like-it://user:hunter2@host/")
    assert "hunter2" not in str(caught.value)


def test_the_record_has_what_destinations_use() -> None:
    record = wire.alert(alert(1))
    assert record["allowed"] is None
    assert json.loads(json.dumps(record)) == record
