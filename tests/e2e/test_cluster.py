"""Four machines on Ray: calls are spread, and what becomes of them when a machine is lost.

The machines are namespaces with addresses of their own on a bridge. The tests build on each other:
machines that are switched off or cut off stay so.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from tests.e2e.conftest import HUMAN, SYNTHETIC
from tests.e2e.rig.browser import Browser
from tests.e2e.rig.cluster import Cluster
from tests.e2e.rig.machines import HERE, Bridge
from tests.e2e.rig.panels import unanswered
from tests.e2e.rig.peers import Prometheus
from tests.e2e.rig.postgres import Postgres
from tests.e2e.rig.process import Process, free_port, wait_until
from tests.e2e.rig.publisher import Publisher
from tests.e2e.rig.receiver import Receiver
from tests.e2e.rig.recordings import Recordings
from tests.e2e.rig.rtsp import Mount, RtspServer
from tests.e2e.service import TOKEN
from tests.e2e.test_whip import OFFER

SECRET = "whsec_ZW5kLXRvLWVuZC1zZWNyZXQtMTIzNA=="
MACHINES = 4
REPULLED = 10.0
"""Seconds within which a lost machine's source is pulled elsewhere."""
BEGUN_ANEW = 15.0
"""Further ones when the director is lost too: Ray starts another process."""
UNKEPT = 6.0
"""Seconds of a call of which the database need not know yet."""
PAGE = "http://127.0.0.1:8078"
"""Another origin than the gateway's own."""
SETTINGS = """
state_dir = "{folder}/var"
[server]
cors_origins = ["{page}"]
[limits]
calls = 3
inference_threads = 1
[video]
burst_seconds = 0.0
[store]
url = "{database}"
[cluster]
address = "{here}:6399"
secret = "an-end-to-end-secret-of-the-cluster"
[[webhooks]]
name = "desk"
url = "{hook}"
secret = "{secret}"
[[sources]]
uri = "{camera}"
label = "front desk"
"""


@pytest.fixture(scope="module")
def receiver(_namespace: None) -> Iterator[Receiver]:
    with Bridge(), Receiver(HERE) as found:
        yield found


@pytest.fixture(scope="module")
def camera(
    receiver: Receiver, recordings: Recordings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RtspServer]:
    mount = Mount.of(recordings, SYNTHETIC, video=None, audio="opus", name="synthetic", loop=True)
    with RtspServer([mount], tmp_path_factory.mktemp("rtsp"), host=HERE) as found:
        yield found


@pytest.fixture(scope="module")
def cluster(
    receiver: Receiver, camera: RtspServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with Postgres(folder / "postgres", HERE) as database:
        settings = SETTINGS.format(
            folder=folder, page=PAGE, here=HERE, hook=receiver.url(), secret=SECRET,
            camera=camera.url("synthetic"), database=database.create("cluster"),
        )  # fmt: skip
        with Cluster(folder, MACHINES, settings) as running:
            yield running


@pytest.fixture(scope="module")
def publisher(cluster: Cluster) -> Iterator[Publisher]:
    """Four calls that last as long as their machines."""
    flowing(cluster)
    with Publisher(cluster.folder, "calls", f"{cluster.url}/whip", 4, TOKEN) as found:
        yield found


def source(cluster: Cluster) -> dict[str, Any]:
    (found,) = cluster.get("/api/v1/sources")
    return dict(found)


def answered(cluster: Cluster) -> dict[str, Any] | None:
    """The source; None while there is no director to ask."""
    answer = cluster.http.get("/api/v1/sources")
    if answer.status_code == 503:
        return None
    answer.raise_for_status()
    (found,) = answer.json()
    return dict(found)


def flowing(cluster: Cluster, epoch: int = 0) -> dict[str, Any]:
    """The source, once it is pulled under a later lease."""

    def look() -> dict[str, Any] | None:
        found = answered(cluster)
        return found if found and found["flowing"] and found["epoch"] > epoch else None

    found = wait_until(look, 30, "media of the source")
    assert found is not None
    return found


def call(cluster: Cluster, call_id: str) -> dict[str, Any]:
    return dict(cluster.get(f"/api/v1/calls/{call_id}"))


def seconds(cluster: Cluster, call_id: str) -> dict[str, Any]:
    """Where the seconds of a call's only participant went."""
    participants = call(cluster, call_id)["participants"]
    verdict = participants[0]["verdict"] if participants else None
    return dict(verdict["seconds"]) if verdict else {"scored": 0.0, "abstained": 0.0, "lost": 0.0}


def wait_heard(cluster: Cluster, call_id: str) -> None:
    """Wait until some of the call's media has been dealt with."""

    def look() -> bool:
        found = seconds(cluster, call_id)
        return bool(found["scored"] + found["abstained"] > 1)

    wait_until(look, 20, "media")


def node_of(cluster: Cluster, call_id: str) -> str:
    (found,) = [c for c in cluster.get("/api/v1/calls", active=True) if c["id"] == call_id]
    return str(found["node"])


def others(cluster: Cluster, publisher: Publisher, lost: str) -> list[str]:
    """Calls that are not on the node."""
    active = cluster.get("/api/v1/calls", active=True)
    found = [c["id"] for c in active if c["id"] in publisher.calls and c["node"] != lost]
    assert found
    return found


def test_calls_are_spread_by_307(cluster: Cluster, publisher: Publisher) -> None:
    for answer in publisher.answers:
        assert (answer["status"], answer["hops"]) == (201, [307])
    nodes = {node_of(cluster, call_id) for call_id in publisher.calls}
    assert len(nodes) >= 3
    busy = [node["calls"] for node in cluster.ready()]
    wait_until(lambda: sum(n["calls"] for n in cluster.ready()) == 5, 5, "reports")
    assert max(busy) <= 2
    for call_id in publisher.calls:
        wait_heard(cluster, call_id)


def test_a_ticket_is_taken_once_and_nobody_comes_without(cluster: Cluster) -> None:
    posted = {"Content-Type": "application/sdp"}
    answer = cluster.http.post("/whip", content="v=0", headers=posted)
    assert answer.status_code == 307
    where = answer.headers["location"]
    # let in, and then told that this is no offer
    assert httpx.post(where, content="v=0", headers=posted, trust_env=False).status_code == 422
    again = httpx.post(where, content="v=0", headers=posted, trust_env=False)
    assert (again.status_code, again.json()["field"]) == (401, "ticket")
    bare = httpx.post(where.partition("?")[0], content="v=0", headers=posted, trust_env=False)
    assert bare.status_code == 401
    wrong = cluster.http.post("/whip", content="v=0", headers={"Authorization": "Bearer x"})
    assert wrong.status_code == 401


PUBLISH = """
async ({url, token, sdp}) => {
  const headers = {'Content-Type': 'application/sdp', 'Authorization': `Bearer ${token}`};
  const answer = await fetch(url, {method: 'POST', body: sdp, headers});
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status} ${text}`);
  await window.pc.setRemoteDescription({type: 'answer', sdp: text});
  return {url: answer.url, redirected: answer.redirected, session: answer.headers.get('location')};
}
"""
HANG_UP = """
async ({url, token}) => {
  const headers = {'Authorization': `Bearer ${token}`};
  return (await fetch(url, {method: 'DELETE', headers})).status;
}
"""


def test_a_page_of_another_origin_publishes_through_the_gateway(
    cluster: Cluster, recordings: Recordings, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text("<!doctype html><title>softphone</title>")
    command = [sys.executable, "-m", "http.server", "8078", "--bind", "127.0.0.1"]
    with (
        Process([*command, "--directory", str(tmp_path)], tmp_path / "page.log") as pages,
        Browser(tmp_path, recordings.voice(HUMAN).wav48) as browser,
    ):
        pages.wait_ready(lambda: _answers(PAGE))
        page = browser.open(PAGE)
        sdp = page.evaluate(OFFER, {"codec": None, "audio": True, "trickle": False})
        given = {"url": f"{cluster.url}/whip", "token": TOKEN, "sdp": sdp}
        answer = page.evaluate(PUBLISH, given)
        assert answer["redirected"]
        assert answer["session"].startswith("http://10.77.0.")
        assert answer["url"].startswith(answer["session"].partition("/whip/")[0])
        call_id = answer["session"].rsplit("/", 1)[1]
        wait_until(lambda: seconds(cluster, call_id)["scored"] >= 1, 20, "speech of the page")
        hung_up = page.evaluate(HANG_UP, {"url": answer["session"], "token": TOKEN})
        assert hung_up == 200
    wait_until(lambda: call(cluster, call_id)["ended"] == "ended", 10, "the end")


def test_a_gateway_may_hand_offers_on_instead(cluster: Cluster) -> None:
    port = free_port()
    command = [*cluster.gateway.command[:-4], "--port", str(port)]
    command += ["--settings", str(cluster.settings)]
    environment = cluster.environment | {"MONITOR_CLUSTER__SIGNALLING": "proxy"}
    with Process(command, cluster.folder / "proxy.log", environment) as second:
        second.wait_ready(lambda: "listening on" in second.said(), 60)
        url = f"http://127.0.0.1:{port}/whip"
        with Publisher(cluster.folder, "proxied", url, 1, TOKEN) as proxied:
            (answer,) = proxied.answers
            assert (answer["status"], answer["hops"]) == (201, [])
            assert answer["session"].startswith("http://10.77.0.")
            wait_heard(cluster, answer["call"])
            headers = {"Authorization": f"Bearer {TOKEN}"}
            hung_up = httpx.delete(answer["session"], headers=headers, trust_env=False)
            assert hung_up.status_code == 200


def test_prometheus_finds_the_nodes(cluster: Cluster, tmp_path: Path) -> None:
    # Without the type Prometheus 2.42 finds nodes with a header that nobody understands.
    credentials = {"authorization": {"type": "Bearer", "credentials": TOKEN}}
    found = {"url": f"{cluster.url}/api/v1/nodes/targets", "refresh_interval": "1s", **credentials}
    job = {"job_name": "nodes", "http_sd_configs": [found], **credentials}
    door = {"job_name": "gateway", "static_configs": [{"targets": [cluster.url[7:]]}]}
    config = tmp_path / "prometheus.json"
    jobs = [job, door | credentials]
    config.write_text(json.dumps({"global": {"scrape_interval": "2s"}, "scrape_configs": jobs}))
    with Prometheus(tmp_path, "", config=config) as prometheus:
        wait_until(lambda: _up(prometheus) == MACHINES, 30, "every node scraped")
        prometheus.wait_for('sum(monitor_calls{ingest="rtsp",job="nodes"}) == 1')
        prometheus.wait_for(f'monitor_cluster_nodes{{state="ready"}} == {MACHINES}')

        def empty() -> list[str]:
            found = unanswered(["deepfake-cluster"], prometheus.url)
            return [title for _, title, words in found if "Empty " not in words]

        wait_until(lambda: not empty(), 20, "an answer to every panel")


def _up(prometheus: Prometheus) -> int:
    targets = prometheus.get("/api/v1/targets", state="active")["data"]["activeTargets"]
    mine = [t for t in targets if t["labels"]["job"] == "nodes"]
    return sum(t["health"] == "up" for t in mine)


def test_a_drained_node_gets_no_call_and_gives_its_source_away(
    cluster: Cluster, publisher: Publisher
) -> None:
    before = flowing(cluster)
    drain = f"/api/v1/nodes/{before['node']}/drain"
    assert cluster.http.put(drain).status_code == 204
    after = flowing(cluster, before["epoch"])
    assert after["node"] != before["node"]
    assert after["lost_seconds"] < 6
    wait_until(
        lambda: call(cluster, before["call"])["ended"] == "stopped", 15, "the old call's end"
    )
    states = {node["instance"]: node["state"] for node in cluster.nodes()}
    assert states[before["node"]] in ("draining", "drained")
    assert cluster.http.delete(drain).status_code == 204
    assert cluster.http.put("/api/v1/nodes/nobody/drain").status_code == 404


def test_a_director_that_dies_comes_back_and_nobody_notices(
    cluster: Cluster, publisher: Publisher
) -> None:
    before, nodes = flowing(cluster), {n["instance"] for n in cluster.ready()}
    os.kill(cluster.director(), signal.SIGKILL)

    def again() -> bool:
        answer = cluster.http.get("/api/v1/nodes")
        if answer.status_code != 200:
            return False
        return {n["instance"] for n in answer.json()["nodes"] if n["state"] == "ready"} == nodes

    time.sleep(0.5)
    wait_until(again, 30, "the director")
    after = flowing(cluster)
    assert (after["node"], after["epoch"]) == (before["node"], before["epoch"])
    assert call(cluster, before["call"])["ended"] is None


def lost_and_repulled(
    cluster: Cluster, before: dict[str, Any], since: float, within: float = REPULLED
) -> dict[str, Any]:
    """The source as another node pulls it, with what was lost accounted for."""
    after = flowing(cluster, before["epoch"])
    took = time.monotonic() - since
    sys.stdout.write(f"pulled elsewhere after {took:.1f} s\n")
    assert after["node"] != before["node"]
    assert took <= within
    assert 1 < after["lost_seconds"] - before["lost_seconds"] <= took + UNKEPT
    return after


def accounted(cluster: Cluster, call_id: str) -> None:
    """A call that was lost says so, and for how long nobody knew."""
    wait_until(lambda: call(cluster, call_id)["ended"] == "interrupted", 10, "the call's end")
    reasons = seconds(cluster, call_id)["lost_by_reason"]
    assert 0 < reasons["interrupted"] < 20


def undisturbed(cluster: Cluster, calls: list[str], before: dict[str, dict[str, Any]]) -> None:
    """Calls elsewhere have gone on without losing anything."""
    for call_id in calls:
        found = seconds(cluster, call_id)
        gained = found["scored"] + found["abstained"]
        assert gained > before[call_id]["scored"] + before[call_id]["abstained"] + 3
        assert found["lost"] - before[call_id]["lost"] < 1
        assert call(cluster, call_id)["ended"] is None


def alerted(receiver: Receiver, call_id: str) -> None:
    """The desk has heard of the call."""
    wait_until(
        lambda: [p for p in receiver.posts if p.json()["data"]["call"] == call_id],
        40, "an alert of the call",
    )  # fmt: skip


def kept(cluster: Cluster) -> set[str]:
    """Keys of the messages that the store holds."""
    return {a["idempotency_key"] for a in cluster.get("/api/v1/alerts", limit=1000)}


def test_a_machine_that_dies_loses_its_own_calls_only(
    cluster: Cluster, publisher: Publisher, receiver: Receiver
) -> None:
    before = flowing(cluster)
    alerted(receiver, before["call"])
    # What is lost is added to what is kept of a participant, which is written every few seconds.
    wait_heard(cluster, before["call"])
    elsewhere = others(cluster, publisher, before["node"])
    own = set(publisher.calls) - set(elsewhere)
    spent = {call_id: seconds(cluster, call_id) for call_id in elsewhere}
    machine = cluster.machine(before["node"])
    # The director with it: the one that comes next has never heard of that node.
    os.kill(cluster.director(), signal.SIGKILL)
    since = machine.kill()
    lost_and_repulled(cluster, before, since, REPULLED + BEGUN_ANEW)
    for call_id in [before["call"], *own]:
        accounted(cluster, call_id)
    undisturbed(cluster, elsewhere, spent)
    assert len(cluster.ready()) == MACHINES - 1
    tally = cluster.get("/api/v1/nodes")["tally"]
    assert tally["nodes_lost"] == 1
    assert tally["calls_interrupted"] == 1 + len(own)
    assert tally["seconds_lost"] > 0


def test_a_machine_that_is_cut_off_stops_before_another_begins(
    cluster: Cluster, publisher: Publisher, receiver: Receiver
) -> None:
    before = flowing(cluster)
    alerted(receiver, before["call"])
    # What is lost is added to what is kept of a participant, which is written every few seconds.
    wait_heard(cluster, before["call"])
    elsewhere = others(cluster, publisher, before["node"])
    spent = {call_id: seconds(cluster, call_id) for call_id in elsewhere}
    machine = cluster.machine(before["node"])
    cut, since = time.time(), time.monotonic()
    machine.unplug()
    after = lost_and_repulled(cluster, before, since)
    accounted(cluster, before["call"])
    undisturbed(cluster, elsewhere, spent)
    # both clocks are this machine's
    log = machine.run(f"cat {cluster.logs}/worker-*.err")
    records = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    (alone,) = [r for r in records if r["event"] == "node is alone"]
    stopped = _unix(alone["timestamp"])
    assert cut < stopped < cut + 7
    started = _unix(call(cluster, after["call"])["started_at"])
    assert stopped < started

    machine.plug()
    time.sleep(3)
    assert source(cluster)["epoch"] == after["epoch"]
    assert call(cluster, before["call"])["ended"] == "interrupted"


def test_no_alert_came_twice_under_two_keys(cluster: Cluster, receiver: Receiver) -> None:
    alerted(receiver, flowing(cluster)["call"])
    # The source goes on and may alarm at any moment: what is kept by now is told sooner or later.
    accepted = kept(cluster)

    def told() -> set[str]:
        return {post.headers["webhook-id"] for post in receiver.posts}

    wait_until(lambda: accepted <= told(), 40, "every message that was kept")
    bodies: dict[str, set[bytes]] = {}
    raised: dict[tuple[str, ...], set[str]] = {}
    for post in receiver.posts:
        Webhook(SECRET).verify(post.body, dict(post.headers))
        key, data = post.headers["webhook-id"], post.json()["data"]
        bodies.setdefault(key, set()).add(post.body)
        what = (data["call"], data["tier"], data["type"], data["action"], str(data["sequence"]))
        raised.setdefault(what, set()).add(key)
    assert all(len(contents) == 1 for contents in bodies.values()), "one key, one message"
    assert all(len(keys) == 1 for keys in raised.values()), "one message, one key"
    # each pull of the source is a call of its own, and alarms for itself
    pulled = {data.rpartition(".")[2] for data, *_ in raised}
    assert len(pulled) >= 3
    assert set(bodies) <= kept(cluster), "nothing is told that was not kept"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _unix(moment: str) -> float:
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
