"""The shipped rules, routes and dashboards in the programs they were written for."""

import json
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import SYNTHETIC
from tests.e2e.rig.panels import unanswered
from tests.e2e.rig.peers import Alertmanager, Prometheus
from tests.e2e.rig.process import wait_until
from tests.e2e.rig.receiver import Receiver
from tests.e2e.rig.recordings import Recordings
from tests.e2e.rig.rtsp import Mount, RtspServer
from tests.e2e.service import TOKEN, Service

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
ONE_SERVICE = ("deepfake-fleet", "deepfake-node", "deepfake-quality", "deepfake-delivery")
SET_OFF = {
    "Alert messages",
    "Alerts raised",
    "Delivery attempts",
    "Evidence bundles",
    "Calls in review or alert",
    "Faces found and lost",
    "Face width",
    "Oldest undelivered",
}
"""Panels that may be empty, and are not after an alert of a recorded call with video."""
SECRET = "whsec_ZW5kLXRvLWVuZC1zZWNyZXQtMTIzNA=="


def told(*command: str | Path) -> str:
    """What a program says; it must succeed. A program that is missing is a failure, too."""
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_finds_rules_well_formed_and_their_tests_pass(tmp_path: Path) -> None:
    rules = DEPLOY / "prometheus/rules.yml"
    assert "SUCCESS" in told("promtool", "check", "rules", rules)
    assert "SUCCESS" in told("promtool", "test", "rules", rules.with_name("rules_test.yml"))
    config = configured(tmp_path / "prometheus", "127.0.0.1:1", 2)
    assert "1 rule files found" in told("promtool", "check", "config", config)


def test_promtool_fails_a_rule_that_is_wrong(tmp_path: Path) -> None:
    tests = yaml.safe_load((DEPLOY / "prometheus/rules_test.yml").read_text())
    tests["tests"] = [t for t in tests["tests"] if "MonitorDeadLetters" in str(t)]
    assert len(tests["tests"]) == 1
    (tmp_path / "rules_test.yml").write_text(json.dumps(tests))
    text = (DEPLOY / "prometheus/rules.yml").read_text()
    (tmp_path / "rules.yml").write_text(text.replace("_dead_letters > 0", "_dead_letters > 9"))
    with pytest.raises(AssertionError, match="MonitorDeadLetters"):
        told("promtool", "test", "rules", tmp_path / "rules_test.yml")


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=DeepfakeSuspected tier=alert severity=critical", "fraud-pager"),
        ("alertname=DeepfakeSuspected tier=review severity=warning", "fraud-desk"),
        ("alertname=MonitorDown severity=critical team=operations", "operations-pager"),
        ("alertname=MonitorDrift severity=warning team=operations", "operations"),
        ("alertname=MonitorNotCertified severity=info team=operations", "operations"),
    ],
)
def test_fraud_and_operations_go_to_different_people(labels: str, receiver: str) -> None:
    config = DEPLOY / "alertmanager/alertmanager.yml"
    assert "SUCCESS" in told("amtool", "check-config", config)
    route = ["amtool", "config", "routes", "test", f"--config.file={config}"]
    assert told(*route, *labels.split()).strip() == receiver


def configured(folder: Path, target: str, alertmanager: int) -> Path:
    """The shipped prometheus.yml beside its rules, on other ports and faster."""
    folder.mkdir()
    shutil.copy(DEPLOY / "prometheus/rules.yml", folder)
    token = folder / "token"
    token.write_text(TOKEN)
    text = (DEPLOY / "prometheus/prometheus.yml").read_text()
    for old, new in {
        "127.0.0.1:8080": target,
        "127.0.0.1:9093": f"127.0.0.1:{alertmanager}",
        "/etc/prometheus/deepfake-monitor.token": str(token),
        "evaluation_interval: 15s": "evaluation_interval: 1s",
        "scrape_interval: 10s": "scrape_interval: 1s\n    scrape_timeout: 1s",
    }.items():
        assert old in text
        text = text.replace(old, new)
    config = folder / "prometheus.yml"
    config.write_text(text)
    return config


def test_every_panel_has_an_answer_after_one_call(recordings: Recordings, tmp_path: Path) -> None:
    mount = Mount.of(recordings, SYNTHETIC, audio="opus", name="synthetic")
    with (
        Receiver() as receiver,
        Alertmanager(tmp_path / "alertmanager") as alertmanager,
        RtspServer([mount], tmp_path / "rtsp") as cameras,
    ):
        settings = (
            f'[[webhooks]]\nname = "desk"\nurl = "{receiver.url()}"\nsecret = "{SECRET}"\n'
            f'[[alertmanagers]]\nname = "pager"\nurl = "{alertmanager.url}"\n'
            "[evidence]\nrecord = [{}]\n"
        )
        with Service(tmp_path / "service", settings) as service:
            target = service.url.split("//")[1]
            config = configured(tmp_path / "prometheus", target, alertmanager.port)
            with Prometheus(tmp_path / "prometheus", target, config=config) as prometheus:
                # On a busy machine a scrape may take longer than its second.
                wait_until(lambda: prometheus.target().get("health") == "up", 30, "a good scrape")
                call = service.pull(cameras.url("synthetic")).json()["id"]
                wait_until(lambda: service.alerts(call), 60, "an alert", every=0.5)
                alertmanager.wait_alert(alertname="DeepfakeSuspected", call=call)
                # Only an alert raised and everything it sets off is more than one scrape long.
                prometheus.wait_for('monitor_evidence_bundles_total{outcome="written"} >= 1')
                prometheus.wait_for('monitor_delivery_attempts_total{outcome="delivered"} >= 1')
                prometheus.wait_for("count_over_time(monitor_evidence_bundles_total[1m]) >= 2")

                states = {rule["name"]: rule for rule in prometheus.rules()}
                assert {r["health"] for r in states.values()} == {"ok"}
                seen = {(a["labels"]["alertname"], a["state"]) for a in prometheus.alerts()}
                # The shipped policy is certified for no tier; nothing else is wrong for long.
                assert ("MonitorNotCertified", "pending") in seen
                assert "firing" not in {state for _, state in seen}

                def missing() -> list[tuple[str, str]]:
                    """Panels without an answer, but those that may be empty and say why.

                    What one alert of a recorded call sets off may not.
                    """
                    return [
                        (board, title)
                        for board, title, words in unanswered(ONE_SERVICE, prometheus.url, target)
                        if title in SET_OFF or "Empty " not in words
                    ]

                # A scrape that took longer than its second empties the panels until the next.
                with suppress(TimeoutError):
                    wait_until(lambda: not missing(), 20, "answers", every=0.5)
                assert missing() == []

                service.process.kill()
                prometheus.wait_for(
                    'ALERTS{alertname="MonitorDown",alertstate="pending"}', timeout=15
                )
