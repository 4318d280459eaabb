"""Prometheus scrapes, webhooks arrive signed, and a service that must not start does not."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.e2e.conftest import SYNTHETIC
from tests.e2e.rig.peers import Prometheus
from tests.e2e.rig.process import Process, wait_until
from tests.e2e.rig.receiver import Receiver
from tests.e2e.rig.recordings import Recordings
from tests.e2e.rig.rtsp import Mount, RtspServer
from tests.e2e.service import TOKEN, Service

SECRET = "whsec_ZW5kLXRvLWVuZC1zZWNyZXQtMTIzNA=="
ROOT = Path(__file__).resolve().parents[2]


def test_an_alert_reaches_prometheus_and_a_failing_webhook(
    recordings: Recordings, tmp_path: Path
) -> None:
    mount = Mount.of(recordings, SYNTHETIC, audio="opus", name="synthetic")
    with Receiver() as receiver, RtspServer([mount], tmp_path / "rtsp") as cameras:
        receiver.plan = [503, 0]  # refuses once, hangs up once, then accepts
        settings = f'[[webhooks]]\nname = "desk"\nurl = "{receiver.url()}"\nsecret = "{SECRET}"\n'
        with (
            Service(tmp_path / "service", settings) as service,
            Prometheus(tmp_path / "prometheus", service.url.split("//")[1], TOKEN) as prometheus,
        ):
            prometheus.wait_scraped()
            call = service.pull(cameras.url("synthetic")).json()["id"]
            posts = wait_until(
                lambda: [p for p in receiver.posts if p.json()["data"]["tier"] == "alert"],
                60, "the alert at the webhook",
            )  # fmt: skip
            event = Webhook(SECRET).verify(posts[0].body, dict(posts[0].headers))
            assert event["specversion"] == "1.0"
            assert event["data"]["call"] == call
            assert event["data"]["idempotency_key"] == posts[0].headers["webhook-id"]
            assert event["data"]["evidence"]
            assert len({p.headers["webhook-id"] for p in receiver.posts}) < len(receiver.posts)
            for expression, least in {
                'monitor_alerts_total{tier="alert",type="voice",action="raised"}': 1,
                'monitor_seconds_total{detector="voice",outcome="scored"}': 5,
                'monitor_windows_total{detector="face",outcome="scored"}': 3,
                'monitor_calls{ingest="rtsp",state="alert"}': 1,
                'monitor_delivery_attempts_total{sink="desk",outcome="failed"}': 2,
                'monitor_delivery_attempts_total{sink="desk",outcome="delivered"}': 1,
                'monitor_faces_total{event="found"}': 1,
                "monitor_lag_seconds_count": 5,
                "monitor_model_info": 1,
            }.items():
                found = prometheus.wait_for(f"{expression} >= {least}")
                assert found, expression
            names = {labels["__name__"] for labels, _ in prometheus.query('{job!=""}')}
            documented = re.findall(r"^\| `(monitor_\w+)`", (ROOT / "docs/metrics.md").read_text(),
                                    re.M)  # fmt: skip
            exposed = {re.sub(r"_(total|bucket|sum|count)$", "", n) for n in names}
            # families whose labels have not occurred: no refusal, canary, challenger, fault, oddity
            # of a sender, sound brought back to a clock, or model that looks twice
            absent = {"monitor_calls_refused", "monitor_calls_ended", "monitor_dropped",
                      "monitor_canary_llr", "monitor_canary_state_ok",
                      "monitor_canary_age_seconds", "monitor_challenger_windows",
                      "monitor_alerts_allowed", "monitor_store_failures",
                      "monitor_store_dropped", "monitor_evidence_bundles",
                      "monitor_pauses", "monitor_anomalies", "monitor_task_failures",
                      "monitor_voice_looks", "monitor_refusals", "monitor_corrected_seconds",
                      "monitor_corrected_windows"}  # fmt: skip
            assert set(documented) - exposed <= absent
            assert not any(call in str(labels) for labels, _ in prometheus.query('{job!=""}'))
            exemplars = prometheus.get(
                "/api/v1/query_exemplars",
                query="monitor_lag_seconds_bucket", start="0", end="9999999999",
            )  # fmt: skip
            assert call in json.dumps(exemplars)


def serve(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "monitor", "serve", "--port", "0", *arguments],
        capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip


def test_it_does_not_start_open_to_others_without_a_token(tmp_path: Path) -> None:
    result = serve("--host", "0.0.0.0", MONITOR_STATE_DIR=str(tmp_path))
    assert result.returncode == 2
    assert "server.host" in result.stderr
    assert "token" in result.stderr


@pytest.mark.parametrize("harm", ["model", "decision", "manifest", "missing"])
def test_it_does_not_start_with_a_harmed_model(tmp_path: Path, harm: str) -> None:
    folder = shutil.copytree(ROOT / "models", tmp_path / "models")
    named = {
        "model": folder / "voice/model.onnx",
        "decision": folder / "decision/voice.json",
        "manifest": folder / "manifest.toml",
        "missing": folder / "voice/model.onnx",
    }[harm]
    if harm == "missing":
        named.unlink()
    elif harm == "manifest":
        named.write_text("not toml")
    else:
        data = bytearray(named.read_bytes())
        data[len(data) // 2] ^= 1
        named.write_bytes(data)
    environment = {"MONITOR_MODELS_DIR": str(folder), "MONITOR_STATE_DIR": str(tmp_path)}
    result = serve(**environment)
    assert result.returncode == 2
    assert str(named) in result.stderr
    verify = subprocess.run(
        [sys.executable, "-m", "monitor", "models", "verify"],
        capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip
    assert verify.returncode == 2
    assert str(named) in verify.stderr


def test_a_token_is_made_for_this_machine_only(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "MONITOR_TOKEN"}
    environment |= {"MONITOR_STATE_DIR": str(tmp_path / "var"), "PYTHONUNBUFFERED": "1"}
    process = Process(
        [sys.executable, "-m", "monitor", "serve", "--port", "0"], tmp_path / "log", environment
    )
    with process:
        process.wait_ready(lambda: "listening on" in process.said())
        token = tmp_path / "var" / "token"
        assert f"token in {token}" in process.said()
        assert token.stat().st_mode & 0o777 == 0o600
        assert token.read_text().strip() not in process.said()
