"""What becomes of an alert: real receivers, a service that is killed, and a disk that is full."""

import asyncio
import csv
import io
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from monitor.offline.calibrate import find_recordings
from tests.certificates import certificate
from tests.e2e.conftest import SYNTHETIC
from tests.e2e.rig.brokers import Listener, Mosquitto, NatsServer, key
from tests.e2e.rig.peers import Alertmanager
from tests.e2e.rig.process import wait_until
from tests.e2e.rig.receiver import Receiver
from tests.e2e.rig.recordings import Recordings
from tests.e2e.rig.rtsp import Mount, RtspServer
from tests.e2e.rig.syslog import Rsyslog
from tests.e2e.service import Service

SECRET = "whsec_ZW5kLXRvLWVuZC1zZWNyZXQtMTIzNA=="
HOOK = '[[webhooks]]\nname = "desk"\nurl = "{url}"\nsecret = "{secret}"\n'


@pytest.fixture(scope="module")
def cameras(
    recordings: Recordings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RtspServer]:
    mount = Mount.of(recordings, SYNTHETIC, video=None, audio="opus", name="synthetic", loop=True)
    with RtspServer([mount], tmp_path_factory.mktemp("rtsp")) as found:
        yield found


def raised(service: Service, call: str) -> dict[str, Any]:
    """The call's first message of tier alert."""

    def look() -> list[dict[str, Any]]:
        return [a for a in service.alerts(call) if a["tier"] == "alert"]

    return wait_until(look, 60, "an alert of the call", every=0.25)[0]


def keys(receiver: Receiver) -> list[str]:
    """Distinct messages in order of first arrival; every one signed."""
    for post in receiver.posts:
        Webhook(SECRET).verify(post.body, dict(post.headers))
    return list(dict.fromkeys(p.headers["webhook-id"] for p in receiver.posts))


def test_an_alert_reaches_everybody_and_is_reviewed(cameras: RtspServer, tmp_path: Path) -> None:
    authority = certificate(tmp_path, "127.0.0.1")
    with (
        Receiver() as hook,
        Receiver() as chat,
        Receiver() as pager,
        Alertmanager(tmp_path / "am", pager.url()) as alertmanager,
        Rsyslog(tmp_path / "tcp") as plain,
        Rsyslog(tmp_path / "tls", authority) as secure,
        Mosquitto(tmp_path / "mqtt") as mqtt,
        NatsServer(tmp_path / "nats") as nats,
    ):
        listener = Listener(mqtt)
        asyncio.run(nats.make_stream("ALERTS", "deepfake-monitor.>"))
        chat.status = 200
        chat_url = chat.url().replace("http://", "json://user:hunter2@")
        settings = (
            HOOK.format(url=hook.url(), secret=SECRET)
            + f"""
[[alertmanagers]]
url = "{alertmanager.url}"
allowed = true
refresh = 1.0
linger = 2.0
[[notify]]
name = "chat"
url = "{chat_url}"
tiers = ["alert"]
[[siem]]
name = "cef"
format = "cef"
url = "tcp://127.0.0.1:{plain.port}"
[[siem]]
name = "ocsf"
url = "tls://127.0.0.1:{secure.port}"
ca_file = "{authority}"
[[mqtt]]
url = "mqtt://127.0.0.1:{mqtt.port}"
[[nats]]
url = "nats://127.0.0.1:{nats.port}"
[[advice.rules]]
label = "vip*"
review = "continue"
alert = "step_up"
[[allowed]]
name = "announcements"
participant = "ivr*"
reason = "our own prompts"
until = 2099-01-01T00:00:00Z
"""
        )
        with Service(tmp_path / "service", settings) as service:
            call = service.pull(cameras.url("synthetic"), label="vip line").json()["id"]
            prompts = service.pull(cameras.url("synthetic"), participant="ivr 7").json()["id"]
            found = raised(service, call)
            assert (found["advice"], found["allowed"]) == ("step_up", None)
            expected = raised(service, prompts)
            assert expected["advice"] == "continue"
            assert expected["allowed"]["name"] == "announcements"
            member = service.call(prompts)["participants"][0]
            assert member["allowed"]["until"].startswith("2099")
            assert service.get("/api/v1/allowances")[0]["active"] is True

            # Alertmanager: one group for each alert, refreshed beyond its first end.
            active = alertmanager.wait_alert(call=call, tier="alert")
            assert active["annotations"]["advice"] == "step_up"
            assert alertmanager.wait_alert(call=prompts)["annotations"]["allowed"]
            time.sleep(4)
            (again,) = alertmanager.alerts(call=call, tier="alert")
            assert again["fingerprint"] == active["fingerprint"]
            assert again["endsAt"] > active["endsAt"]

            for stopped in (call, prompts):
                assert service.http.delete(f"/api/v1/calls/{stopped}").status_code == 204
            # A call's end queues its last messages; they are committed, then delivered.
            wait_until(
                lambda: (
                    not service.metrics()["monitor_alerts_uncommitted"]
                    and not service.get("/api/v1/deliveries", state="pending")
                ), 20, "deliveries",
            )  # fmt: skip
            told = [a["idempotency_key"] for a in service.get("/api/v1/alerts")][::-1]
            assert sorted(keys(hook)) == sorted(told)
            assert [k for k in keys(hook) if k.startswith(call)] == [
                k for k in told if k.startswith(call)
            ]
            grouped = wait_until(
                lambda: [
                    p.json() for p in pager.posts
                    if p.json()["status"] == "resolved" and p.json()["commonLabels"]["call"] == call
                ], 30, "the alert resolved at the pager",
            )  # fmt: skip
            assert grouped[0]["commonLabels"]["alertname"] == "DeepfakeSuspected"
            firing = [p.json() for p in pager.posts if p.json()["status"] == "firing"]
            groups = [(p["commonLabels"]["call"], p["commonLabels"]["tier"]) for p in firing]
            assert (call, "alert") in groups

            lines = plain.wait(len(told))
            assert {m["found"]["Extensions"]["externalId"] for m in lines} == set(told)
            one = next(m for m in lines if m["found"]["Extensions"]["cs5"] == found["id"])
            assert one["found"]["Severity"] == "8"
            assert one["found"]["Extensions"]["cs3"] == "step_up"
            events = secure.wait(len(told))
            assert {e["found"]["metadata"]["uid"] for e in events} == set(told)
            # At least once: on a slow machine a message may come again.
            published: set[str] = set()
            while published < set(told):
                published.add(key(listener.next()))
            assert published == set(told)
            listener.close()
            stored = [headers["Nats-Msg-Id"] for headers, _ in nats.stored_now("ALERTS")]
            assert sorted(stored) == sorted(told)
            assert [k for k in stored if k.startswith(call)] == [
                k for k in told if k.startswith(call)
            ]
            # People are not called about allowed speech.
            assert chat.posts
            assert all(call in p.json()["message"] for p in chat.posts)

            review_one(service, found, expected, tmp_path)
            shown = service.process.said()
            assert "hunter2" not in shown
            assert SECRET not in shown


def review_one(
    service: Service, fake: dict[str, Any], harmless: dict[str, Any], folder: Path
) -> None:
    """An analyst's day."""
    unknown = {"alert": "0" * 24, "outcome": "unsure", "reason": "?"}
    answer = service.http.post("/api/v1/reviews", json=unknown)
    assert (answer.status_code, answer.json()["field"]) == (404, "alert")
    wrong = {"alert": fake["id"], "outcome": "nonsense", "reason": "?"}
    answer = service.http.post("/api/v1/reviews", json=wrong)
    assert (answer.status_code, answer.json()["field"]) == (422, "outcome")
    assert answer.headers["content-type"] == "application/problem+json"
    for alert, outcome in ((fake, "true_fake"), (harmless, "benign_processing")):
        body = {"alert": alert["id"], "outcome": outcome, "reason": "heard it"}
        answer = service.http.post("/api/v1/reviews", json=body)
        assert answer.status_code == 201, answer.text
        assert answer.json()["by"] == "environment"
    exported = folder / "genuine.csv"
    exported.write_text(service.http.get("/api/v1/reviews/export").text)
    (recording,) = find_recordings(exported)
    assert recording.path == folder / f"{harmless['call']}.wav"
    text = service.http.get("/api/v1/reviews/export", params={"label": "fake"}).text
    assert [r["call"] for r in csv.DictReader(io.StringIO(text))] == [fake["call"]]
    answer = service.http.get("/api/v1/reviews/export", params={"path": "x.wav"})
    assert (answer.status_code, answer.json()["field"]) == (422, "path")

    hold = f"/api/v1/alerts/{fake['id']}/hold"
    assert service.http.put(hold, json={}).json()["field"] == "reason"
    assert service.http.put(hold, json={"reason": "case 7"}).status_code == 204
    assert service.get("/api/v1/holds")[0]["call"] == fake["call"]
    assert service.http.delete(hold).status_code == 204
    assert service.http.delete(hold).status_code == 404
    hold = f"/api/v1/calls/{fake['call']}/hold"
    assert service.http.put(hold, json={"reason": "case 7"}).status_code == 204
    trail = service.get("/api/v1/audit")
    assert [row["action"] for row in trail] == [
        "hold.put", "hold.remove", "hold.put", "review.add", "review.add",
    ]  # fmt: skip
    assert {row["by"] for row in trail} == {"environment"}


def test_a_killed_service_delivers_what_it_had_accepted(
    cameras: RtspServer, tmp_path: Path
) -> None:
    with Receiver() as receiver:
        receiver.status = 503
        service = Service(tmp_path / "service", HOOK.format(url=receiver.url(), secret=SECRET))
        with service:
            call = service.pull(cameras.url("synthetic"), label="front desk").json()["id"]
            raised(service, call)
            wait_until(lambda: receiver.posts, 20, "a first attempt")
            accepted = service.alerts(call)
            # the recorder's batch
            wait_until(lambda: service.get(f"/api/v1/calls/{call}/timeline"), 20, "a timeline")
            service.process.kill()
            receiver.clear()
            receiver.status = 204
            service.start()
            assert service.alerts(call) == accepted
            kept = service.call(call)
            assert (kept["ended"], kept["label"]) == ("interrupted", "front desk")
            assert kept["participants"][0]["verdict"]["seconds"]["scored"] > 0
            assert service.get(f"/api/v1/calls/{call}/timeline")
            assert service.log("calls were interrupted")
            wanted = [a["idempotency_key"] for a in accepted]
            wait_until(lambda: keys(receiver) == wanted, 30, "what was accepted")
            assert len(receiver.posts) == len(wanted)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own, so that nothing else can fill or free it."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_does_not_stop_the_monitoring(cameras: RtspServer, tmp_path: Path) -> None:
    with Receiver() as receiver, small_disk(tmp_path / "disk", "4m") as disk:
        hook = HOOK.format(url=receiver.url(), secret=SECRET)
        with Service(disk, hook) as service:
            log = tmp_path / "disk.log"  # what the service says needs room of its own
            service.stop()
            service.process.log = log
            service.start()
            assert service.get("/readyz")["store"] == "ok"
            filler = disk / "filler"
            with filler.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"x" * 4096)
                except OSError:
                    pass
            call = service.pull(cameras.url("synthetic")).json()["id"]
            ready = wait_until(
                lambda: (r := service.get("/readyz"))["status"] == "degraded" and r, 30, "degraded"
            )
            assert ready["store"] == "degraded: full"
            assert service.metrics()["monitor_store_degraded"] == 1
            wait_until(lambda: service.verdict(call).get("state") == "alert", 60, "an alert state")
            assert service.metrics()["monitor_alerts_uncommitted"] >= 1
            assert service.alerts(call) == []
            # Told all the same, and marked.
            told = wait_until(lambda: list(receiver.posts), 30, "the alert at the webhook")
            assert {post.json()["data"]["committed"] for post in told} == {False}
            scored = service.verdict(call)["seconds"]["scored"]
            service.wait_verdict(call, scored + 3, 30)

            filler.unlink()
            assert raised(service, call)["action"] == "raised"
            assert service.get("/readyz")["store"] == "ok"
            assert service.metrics()["monitor_store_degraded"] == 0
            keys = [post.headers["webhook-id"] for post in receiver.posts]
            assert len(set(keys)) == len(keys), "nothing is told twice"
            wait_until(lambda: service.get(f"/api/v1/calls/{call}/timeline"), 20, "the timeline")
