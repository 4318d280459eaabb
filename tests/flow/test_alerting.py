"""The service's own wiring of store, outbox and destinations."""

import sys
from pathlib import Path
from typing import Any

import pytest

from monitor.metrics.sink import Metrics
from monitor.runtime.tasks import Workers
from monitor.service.alerting import Alerting, build_store
from monitor.settings import SettingsError, load
from monitor.store.recorder import CAPACITY, Recorder
from monitor.store.store import Store
from monitor.types import Advice
from tests.alerts import alert
from tests.fakes import MemorySink
from tests.storecases import score

SECRET = "whsec_YWxlcnRpbmcgdGVzdCBzZWNyZXQ="


def alerting(folder: Path, sink: MemorySink | None = None, **settings: Any) -> Alerting:
    chosen = load(None, state_dir=folder, **settings)
    return Alerting(chosen, Metrics(), lambda call: None, (sink or MemorySink()).alert, Workers())


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"webhooks": [{"url": "https://x/", "secret": "whsec_"}]}, "webhook 'webhook': secret"),
        (
            {"webhooks": [{"url": "https://x/", "secret": SECRET, "ca_file": "/no/file"}]},
            "webhook 'webhook': /no/file",
        ),
        ({"notify": [{"url": "nosuch://hunter2@x/"}]}, "notify 'notify': not a URL"),
        (
            {"mqtt": [{"url": "mqtts://broker", "certificate": "/no/file"}]},
            "mqtt 'mqtt': /no/file: not a certificate",
        ),
        ({"nats": [{"url": "tls://server", "ca_file": "/no/file"}]}, "nats 'nats': /no/file"),
        ({"store": {"url": "mysql://hunter2@x/"}}, "store"),
        ({"store": {"url": "hunter2"}}, "store.url: not a database URL"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, settings: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        alerting(tmp_path, **settings)
    assert named in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("extra", "module", "url"),
    [
        ("notify", "apprise", "json://host/"),
        ("mqtt", "paho.mqtt.client", "mqtt://broker"),
        ("nats", "nats.aio.client", "nats://server"),
    ],
)
def test_an_extra_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: str, module: str, url: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"monitor.delivery.{extra}", raising=False)
    chosen: dict[str, Any] = {extra: [{"url": url}]}
    with pytest.raises(SettingsError, match=rf"{extra} '{extra}': needs the extra `{extra}`"):
        alerting(tmp_path, **chosen)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="state_dir"):
        build_store(load(None, state_dir=tmp_path / "file" / "var"), Metrics())


async def test_what_is_queued_when_the_service_stops_is_committed(tmp_path: Path) -> None:
    sink = MemorySink()
    found = alerting(tmp_path, sink)
    async with found.running():
        for n in range(1, 300):
            found.outbox.alert(alert(n))
        found.recorder.call_started("c", "rtsp", "remote")
    assert len(sink.alerts) == 299
    assert all(a.guidance and a.guidance.advice is Advice.HUMAN_REVIEW for a in sink.alerts)
    again = alerting(tmp_path)
    async with again.running():
        assert len(await again.store.alerts.latest(1000)) == 299
        kept = await again.store.calls.find("c")
        assert kept is not None
        assert kept["ended"] == "interrupted"


async def test_a_second_service_on_the_same_file_does_not_start(tmp_path: Path) -> None:
    first, second = alerting(tmp_path), alerting(tmp_path)
    async with first.running():
        with pytest.raises(SettingsError, match="another service"):
            async with second.running():
                pytest.fail("it started")
    async with second.running():
        assert second.store.degraded is None


async def test_deliveries_to_a_destination_that_was_removed_are_given_up(tmp_path: Path) -> None:
    hook = {"url": "http://127.0.0.1:9/", "secret": SECRET}
    before = alerting(tmp_path, webhooks=[hook])
    async with before.running():
        before.outbox.alert(alert(1))
    after = alerting(tmp_path)
    async with after.running():
        (row,) = await after.store.deliveries.latest(10)
        assert (row["state"], row["error"]) == ("dead", "the destination is not configured")


async def test_timelines_are_bounded_while_the_database_is_away(tmp_path: Path) -> None:
    metrics = Metrics()
    store = Store(f"sqlite:///{tmp_path / 'monitor.db'}", metrics)
    keeping = Recorder(store.calls, metrics, str, lambda call, who: None)
    for n in range(CAPACITY + 7):
        keeping.window("c", score(float(n)))
    assert not await keeping.flush()  # the tables do not exist yet
    value = metrics.registry.get_sample_value
    assert value("monitor_store_dropped_total", {"kind": "window"}) == 7
    await store.close()


async def test_no_timeline_is_kept_where_none_is_wanted(tmp_path: Path) -> None:
    found = alerting(tmp_path, store={"timelines": False})
    async with found.running():
        found.recorder.call_started("c", "rtsp", "remote")
        found.recorder.window("c", score(0.0))
        assert await found.recorder.flush()
        assert await found.store.calls.find("c") is not None
        assert await found.store.calls.timeline("c") == []
