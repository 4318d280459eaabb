"""The Python API gives what the command line prints, and says what is wrong."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import monitor
from monitor.cli import cli
from tests.recordings import humming, write_wav


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("session") / "call.wav", humming(9.0))


def test_it_gives_what_the_command_prints(recording: Path) -> None:
    ran = CliRunner().invoke(cli, ["score", str(recording)])
    printed = [json.loads(line) for line in ran.stdout.splitlines()]
    found = monitor.score(recording)
    assert json.loads(json.dumps([*found.windows, *found.verdicts])) == printed
    (verdict,) = found.verdicts
    parts = (verdict["seconds"][name] for name in ("scored", "abstained", "lost"))
    assert sum(parts) == pytest.approx(9.0, abs=0.1)
    assert verdict["state"] in set(monitor.AlarmState)


def test_one_monitor_scores_many_recordings_alike(recording: Path, tmp_path: Path) -> None:
    heard: list[monitor.WindowRecord] = []
    done: list[tuple[float, float]] = []
    with monitor.open_monitor() as it:
        first = it.score(recording)
        again = it.score(str(recording), lambda *at: done.append(at), heard.append)
        with pytest.raises(monitor.RecordingError, match=r"text\.wav"):
            it.score(_text(tmp_path))
    assert first.verdicts == again.verdicts
    assert first.windows == tuple(heard)
    assert again.windows == ()
    assert done[-1] == pytest.approx((9.0, 9.0), abs=0.1)


def test_it_can_be_used_beside_an_event_loop(recording: Path) -> None:
    async def program() -> monitor.Scores:
        return await asyncio.to_thread(monitor.score, recording)

    assert len(asyncio.run(program()).verdicts) == 1


def test_what_is_wrong_is_named(recording: Path, tmp_path: Path) -> None:
    settings = tmp_path / "monitor.toml"
    settings.write_text("[limits]\ncalls = -1\n")
    with pytest.raises(monitor.SettingsError, match=r"limits\.calls"):
        monitor.score(recording, settings)
    with pytest.raises(monitor.RecordingError, match="gone"):
        monitor.score(tmp_path / "gone.wav")


def test_importing_it_loads_nothing_and_every_name_is_there() -> None:
    assert all(getattr(monitor, name) is not None for name in monitor.__all__)
    with pytest.raises(AttributeError, match="no attribute 'scores'"):
        monitor.scores  # noqa: B018
    program = (
        "import sys, monitor; print(sorted({'numpy', 'av', 'onnxruntime'} & sys.modules.keys()))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert found.stdout.split() == [b"[]"]


def _text(folder: Path) -> Path:
    path = folder / "text.wav"
    path.write_text("no recording\n")
    return path
