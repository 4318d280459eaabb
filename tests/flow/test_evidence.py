"""From an alert to a bundle that proves itself, in a running service."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pyrage
import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from monitor.calls.call import Call
from monitor.cli import cli
from monitor.evidence.container import unpack
from monitor.evidence.signing import KEY_FILE
from monitor.service.app import Service
from monitor.settings import SettingsError, load
from monitor.types import AudioFrame, Tracks
from monitor.types.packet import PacketTarget
from monitor.types.protocols import Intake
from tests.fakes import noise, stages
from tests.unit.evidence.drafts import draft, fill
from tests.unit.evidence.media import frames, sound

HEADERS = {"Authorization": "Bearer an-api-token"}
SECRETS = {
    "token": "an-api-token",
    "webhooks": [{"url": "http://127.0.0.1:9/hook-s3cret", "secret": "whsec_c2VjcmV0LXNlY3JldA=="}],
    "telephony": {"audiohook": {"api_key": "hook-key-s3cret", "client_secret": "c2VjcmV0"}},
    "webrtc": {"ice_servers": ["turn:s3cret@127.0.0.1"]},
}
EVERYBODY: list[dict[str, str]] = [{}]


class Caller:
    """Ten loud seconds, faster than real time, through G.711."""

    ingest = "twilio"
    live = True

    def __init__(self, *participants: str) -> None:
        self.participants = participants or ("remote",)
        self.offered: PacketTarget | None = None

    async def run(self, intake: Intake) -> str:
        intake.now()
        self.offered = intake.encoded
        for participant in self.participants:
            await intake.put(Tracks(participant, True, False))
        packets = sound("pcm_mulaw", 10.0)
        for i in range(100):
            for name in self.participants:
                loud = noise(i / 10, 0.1, 0.3, seed=i).samples
                await intake.put(AudioFrame(name, i / 10, loud))
                for packet in packets[5 * i : 5 * i + 5] if intake.encoded else ():
                    assert intake.encoded is not None
                    changed = {"participant": name}
                    intake.encoded(type(packet)(**{**_fields(packet), **changed}))
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.0)
        return "ended"


def _fields(packet: Any) -> dict[str, Any]:
    return {name: getattr(packet, name) for name in packet.__slots__}


@asynccontextmanager
async def running(
    folder: Path, **evidence: Any
) -> AsyncIterator[tuple[Service, httpx.AsyncClient]]:
    service = Service(load(None, state_dir=folder, **SECRETS, evidence=evidence))
    service.registry._stages = parts = stages()
    transport = httpx.ASGITransport(service.app)
    async with (
        service.app.router.lifespan_context(service.app),
        httpx.AsyncClient(
            transport=transport, base_url="http://monitor", headers=HEADERS, timeout=10
        ) as client,
    ):
        yield service, client
    parts.executor.close()


async def call(service: Service, source: Caller, label: str = "") -> Call:
    found = service.registry.start(source, source.participants[0], label)
    async with asyncio.timeout(120):
        await service.registry.wait(found)
    return found


async def bundles(client: httpx.AsyncClient, at_least: int) -> list[dict[str, Any]]:
    """What is listed, once there are enough."""
    async with asyncio.timeout(120):
        while True:
            listed: dict[str, Any] = (await client.get("/api/v1/evidence")).json()
            if len(listed["bundles"]) >= at_least:
                return list(listed["bundles"])
            await asyncio.sleep(0.05)


def verified(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["verify", *map(str, arguments)])
    return result.exit_code, result.output


async def test_an_alert_makes_a_bundle_that_proves_itself(tmp_path: Path) -> None:
    async with running(tmp_path, record=EVERYBODY) as (service, client):
        made = await call(service, Caller())
        listed = await bundles(client, 2)
        assert [b["sequence"] for b in listed] == [2, 1]
        assert {b["call"] for b in listed} == {made.id}
        alerts = (await client.get(f"/api/v1/alerts?call={made.id}")).json()
        raised = {a["id"]: a for a in alerts if a["action"] == "raised"}
        assert {b["alert"] for b in listed} == set(raised)
        of_alert = (await client.get(f"/api/v1/alerts/{listed[0]['alert']}/evidence")).json()
        assert of_alert == listed[:1]
        with capture_logs() as logged:
            got = await client.get(listed[0]["href"])
        assert got.status_code == 200
        (line,) = [r for r in logged if r["event"] == "evidence downloaded"]
        assert (line["evidence"], line["by"]) == (listed[0]["id"], "environment")
        assert got.headers["content-type"] == "application/x-tar"
        rows = (await client.get(f"/api/v1/audit?subject={listed[0]['id']}")).json()
        assert [(r["action"], r["by"]) for r in rows] == [("evidence.download", "environment")]
        metrics = (await client.get("/metrics")).text
        assert 'monitor_evidence_bundles_total{outcome="written"} 2.0' in metrics
        state = (await client.get("/api/v1/evidence")).json()
        assert state["state"] == "recording"
        assert state["head"]["sequence"] == 2
        key = state["public_key"]
    taken = tmp_path / listed[0]["file"]
    taken.write_bytes(got.content)
    folder = tmp_path / "evidence"
    for arguments in ((taken, "--key", folder / "signing.pub"), (folder, "--key", key)):
        code, words = verified(*arguments)
        assert code == 0, words
    parts = unpack(got.content).parts
    assert json.loads(parts["alert.json"])["id"] == listed[0]["alert"]
    windows = [json.loads(line) for line in parts["windows.jsonl"].splitlines()]
    assert any("llr" in w for w in windows)
    assert json.loads(parts["seconds.json"])["unmonitored"] >= 0
    assert len(json.loads(parts["models.json"])["files"]["voice"]["sha256"]) == 64
    assert json.loads(parts["certificate.json"])["voice"]["tiers"]["alert"]["certified"] is False
    assert json.loads(parts["settings.json"])["alarm"]["warm_up"] == 6.0
    clip = json.loads(parts["manifest.json"])["subject"]["clip"]
    assert clip["tracks"] == [{"kind": "audio", "codec": "pcm_mulaw", "as_arrived": True}]
    assert frames(parts["media.mka"], "audio") == pytest.approx(
        (clip["end"] - clip["start"]) * 50, abs=1
    )
    for secret in (b"s3cret", b"an-api-token", b"whsec_", b"c2VjcmV0"):
        assert secret not in got.content


async def test_nothing_is_kept_unless_it_is_asked_for(tmp_path: Path) -> None:
    async with running(tmp_path) as (service, client):
        source = Caller()
        made = await call(service, source)
        assert source.offered is None
        alerts = (await client.get(f"/api/v1/alerts?call={made.id}")).json()
        assert alerts
        state = (await client.get("/api/v1/evidence")).json()
        assert (state["state"], state["bundles"]) == ("off", [])
    assert not (tmp_path / "evidence").exists()
    assert not (tmp_path / KEY_FILE).exists()


async def test_only_those_who_are_named_are_recorded(tmp_path: Path) -> None:
    record = [{"label": "fraud-*", "participant": "remote"}]
    async with running(tmp_path, record=record, tiers=["alert"]) as (service, client):
        other = Caller()
        await call(service, other, "sales-7")
        assert other.offered is None
        both = Caller("remote", "agent")
        await call(service, both, "fraud-7")
        assert both.offered is not None
        (one,) = await bundles(client, 1)
        assert one["participant"] == "remote"
        assert service._archive.recorder.size == 0


async def test_ids_are_no_paths(tmp_path: Path) -> None:
    async with running(tmp_path, record=EVERYBODY) as (_, client):
        for name in (
            "..%2F..%2Fetc%2Fpasswd",
            "../journal.jsonl",
            "journal.jsonl",
            "0" * 15,
            "%00",
        ):
            answer = await client.get(f"/api/v1/evidence/{name}")
            assert answer.status_code in (404, 422), name
        assert (await client.get("/api/v1/evidence/" + "0" * 16)).status_code == 404


async def test_a_damaged_journal_degrades_evidence_and_nothing_else(tmp_path: Path) -> None:
    made, _ = fill(tmp_path, "a", "b")
    (tmp_path / "key.pem").rename(tmp_path / KEY_FILE)
    journal = made.folder / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"sequence": 1', b'"sequence": 7'))
    async with running(tmp_path, record=EVERYBODY) as (service, client):
        source = Caller()
        found = await call(service, source)
        assert source.offered is None
        assert (await client.get(f"/api/v1/alerts?call={found.id}")).json()
        state = (await client.get("/api/v1/evidence")).json()
        assert state["state"] == "degraded"
        assert "line" in state["detail"]
        assert "monitor_evidence_degraded 1.0" in (await client.get("/metrics")).text


def test_wrong_keys_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="recipients"):
        Service(load(None, state_dir=tmp_path, evidence={"record": [{}], "recipients": ["age1x"]}))
    (tmp_path / KEY_FILE).write_text("no key")
    (tmp_path / KEY_FILE).chmod(0o600)
    with pytest.raises(SettingsError, match="signing_key"):
        Service(load(None, state_dir=tmp_path, evidence={"record": [{}]}))


async def test_old_bundles_are_deleted_unless_their_call_is_held(tmp_path: Path) -> None:
    made, _ = fill(tmp_path, "0" * 16, "1" * 16)
    subject = {**draft("x").subject, "call": "call-held"}
    held = made.put(type(draft("x"))("2" * 16, "2026-01-01T00:00:00+00:00", subject, {}))
    (tmp_path / "key.pem").rename(tmp_path / KEY_FILE)
    async with running(tmp_path, keep_days=0) as (service, client):
        assert len(await bundles(client, 3)) == 3
        await service.alerting.store.holds.put("call", "call-held", "call-held", "court", "me")
    async with running(tmp_path, keep_days=1) as (service, client):
        async with asyncio.timeout(120):
            while len(left := await bundles(client, 1)) > 1:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert left[0]["id"] == held.id
        assert (await client.get(left[0]["href"])).status_code == 200
    code, words = verified(tmp_path / "evidence", "--key", tmp_path / "evidence" / "signing.pub")
    assert code == 0, words


async def test_an_encrypted_bundle_is_opened_by_its_recipient_alone(tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    recipients = [str(identity.to_public())]
    async with running(tmp_path, record=EVERYBODY, recipients=recipients) as (service, client):
        await call(service, Caller())
        listed = await bundles(client, 2)
        got = await client.get(listed[0]["href"])
    assert b"alert.json" not in got.content
    folder = tmp_path / "evidence"
    key = folder / "signing.pub"
    assert verified(folder / listed[0]["file"], "--key", key)[0] == 3
    opened = tmp_path / listed[0]["file"].removesuffix(".age")
    opened.write_bytes(pyrage.decrypt(got.content, [identity]))
    assert verified(opened, "--key", key)[0] == 0


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    _, (a, b, c) = fill(tmp_path, "a", "b", "c")
    key = tmp_path / "evidence" / "signing.pub"
    assert verified(a, b, c, "--key", key)[0] == 0
    code, words = verified(a)
    assert (code, "not checked" in words) == (3, True)
    code, words = verified(a, c, b, "--key", key)
    assert (code, "the order was changed" in words) == (1, True)
    spoilt = shutil.copy(b, tmp_path / "spoilt.evidence.tar")
    data = bytearray(b.read_bytes())
    data[data.index(b"soundsound")] ^= 4
    Path(spoilt).write_bytes(data)
    code, words = verified(spoilt, "--key", key)
    assert (code, "media.mka: its content was changed" in words) == (1, True)
    assert verified(tmp_path / "nowhere")[0] == 2
    assert verified(a, "--key", "nonsense")[0] == 2
    settings = tmp_path / "settings.toml"
    settings.write_text(f'state_dir = "{tmp_path / "other"}"\n')
    shown = CliRunner().invoke(cli, ["evidence", "key", "--settings", str(settings)])
    assert shown.exit_code == 0
    assert "BEGIN PUBLIC KEY" in shown.output
    (tmp_path / "other.pub").write_text(shown.output)
    code, words = verified(a, "--key", tmp_path / "other.pub")
    assert (code, "wrong key" in words) == (1, True)


@pytest.mark.parametrize("encrypted", [False, True])
async def test_bundles_whose_alert_was_never_committed_are_told_of_at_the_start(
    tmp_path: Path, encrypted: bool
) -> None:
    chosen: dict[str, Any] = {"record": EVERYBODY}
    if encrypted:
        chosen["recipients"] = [str(pyrage.x25519.Identity.generate().to_public())]
    async with running(tmp_path, **chosen) as (service, client):
        await call(service, Caller())
        made = {b["alert"] for b in await bundles(client, 2)}
        before = (await client.get("/api/v1/alerts")).json()
    with sqlite3.connect(tmp_path / "monitor.db") as database:
        for table in ("deliveries", "messages", "alerts"):
            database.execute(f"delete from {table}")  # as if it had been killed before
    with capture_logs() as logged:
        async with running(tmp_path, **chosen) as (service, client):
            after = (await client.get("/api/v1/alerts")).json()
            rows = (await client.get("/api/v1/audit")).json()
            metrics = (await client.get("/metrics")).text
    told = [r for r in logged if r["event"] == "evidence without a committed alert"]
    outcome = "unmatched" if encrypted else "reconciled"
    assert {(r["alert"], r["outcome"]) for r in told} == {(a, outcome) for a in made}
    assert [r["action"] for r in rows] == ["evidence.reconcile"] * len(made)
    assert f'monitor_evidence_bundles_total{{outcome="{outcome}"}} {len(made)}.0' in metrics
    raised = {a["idempotency_key"] for a in before if a["id"] in made and a["action"] == "raised"}
    assert {a["idempotency_key"] for a in after} == (set() if encrypted else raised)
    if not encrypted:
        with capture_logs() as logged:
            async with running(tmp_path, **chosen):
                pass
        assert not [r for r in logged if r["event"] == "evidence without a committed alert"]
