"""A cluster does not start where it would not be safe, or could not keep its state."""

import subprocess
import sys
from pathlib import Path

import pytest

from monitor.cluster import engine
from monitor.service.fleet import ClusterPlan
from monitor.settings import SettingsError, load

GOOD = {
    "store": 'url = "postgresql://monitor@db.example/monitor"',
    "cluster": f'secret = "{"s" * 32}"',
}


def settings(tmp_path: Path, more: str = "", **tables: str) -> Path:
    path = tmp_path / "monitor.toml"
    text = "".join(f"[{name}]\n{lines}\n" for name, lines in (GOOD | tables).items())
    path.write_text(more + text)
    return path


@pytest.mark.parametrize(
    ("tables", "named"),
    [
        ({"store": ""}, r"store\.url: .*PostgreSQL"),
        ({"store": 'url = "sqlite:///x.db"'}, r"store\.url: .*PostgreSQL"),
        ({"cluster": ""}, r"cluster\.secret"),
        ({"cluster": 'secret = "short"'}, r"cluster: .*32 characters"),
        ({"cluster": "node_ports = [9, 8]"}, "node_ports"),
        ({"cluster": 'node_url = "https://{machine}"'}, "node_url"),
        ({"cluster": 'node_url = "ftp://{host}"'}, "node_url"),
        ({"[sources]": 'sdp_file = "room.sdp"'}, "sdp_file"),
    ],
)
def test_what_a_cluster_cannot_do_with_is_named(
    tmp_path: Path, tables: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONITOR_TOKEN", "t")
    with pytest.raises(SettingsError, match=named):
        ClusterPlan.of(load(settings(tmp_path, **tables)))


def test_nodes_are_not_left_open(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"server\.tokens"):
        ClusterPlan.of(load(settings(tmp_path)))


def test_sources_of_the_settings_are_sealed_under_lasting_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONITOR_TOKEN", "t")
    pulled = '[[sources]]\nuri = "rtsp://u:hunter2@camera/s"\n'
    path = settings(tmp_path)
    path.write_text(path.read_text() + pulled)
    (first,), (second,) = (ClusterPlan.of(load(path)).wanted() for _ in range(2))
    assert first.id == second.id
    assert "hunter2" not in first.sealed


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "RAY_AUTH_MODE"),
        ({"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "x"}, "RAY_AUTH_MODE"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/nowhere"}, "/nowhere"),
        ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/dev/null"}, "empty"),
    ],
)
def test_ray_without_a_token_is_refused(
    environment: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(engine.EngineError, match=named):
        engine.require_authentication()


def test_the_command_refuses_it_with_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "cluster", "start", "--head"],
        env={"PATH": "/usr/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: RAY_AUTH_MODE=token is not set")


def test_ray_is_started_closed_and_silent() -> None:
    head = engine.start_command(True, "", "10.0.0.1", 6379, 0)
    assert {"--head", "--include-dashboard=false", "--disable-usage-stats"} <= set(head)
    assert '--resources={"director": 1}' in head
    worker = engine.start_command(False, "10.0.0.1:6379", "", 6379, 2)
    assert {"--address=10.0.0.1:6379", '--resources={"media_node": 2}'} <= set(worker)
    assert "--head" not in worker
    assert engine.DEFAULTS["RAY_USAGE_STATS_ENABLED"] == "0"
