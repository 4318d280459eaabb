"""The summary of a replayed recording: for machines, and in words that do not contradict it."""

from pathlib import Path

import numpy as np
import pytest

from monitor.ingest.recording.file_source import FileSource
from monitor.metrics.sink import Metrics
from monitor.offline.replay import Recorder, Replay, replay, sentence
from monitor.types.sampling import Sampling
from tests.fakes import noise, stages
from tests.recordings import write_wav

QUIET, LOUD = 0.03, 0.3


async def replayed(path: Path, seconds: float, level: float) -> Replay:
    write_wav(path, np.clip(noise(0, seconds, level).samples, -1, 1))
    shared = stages()
    try:
        source = FileSource(path, "remote", Sampling(), 1280)
        return await replay(path, source, shared, Metrics(), Recorder())
    finally:
        shared.executor.close()


@pytest.mark.parametrize("level", [QUIET, LOUD])
async def test_what_was_never_decided_is_not_called_normal(tmp_path: Path, level: float) -> None:
    """A voice message of four seconds, genuine or not.

    Case short-recording, 2026-11: normal, nothing could be scored, and 4.0 s scored, all at once.
    """
    (verdict,) = (await replayed(tmp_path / "short.wav", 4, level)).verdicts
    assert verdict["state"] == verdict["final_state"] == "warming"
    assert verdict["tier"] is None
    assert verdict["seconds"]["scored"] == pytest.approx(4, abs=0.1)
    assert verdict["seconds_needed"] == 6
    words = sentence(verdict)
    assert "normal" not in words
    assert "nothing could be scored" not in words
    assert "4.0 s scored" in words
    assert "6 s must be scored before anything is decided" in words


async def test_what_was_decided_is_said(tmp_path: Path) -> None:
    (quiet,) = (await replayed(tmp_path / "quiet.wav", 12, QUIET)).verdicts
    assert quiet["state"] == "normal"
    assert "must be scored" not in sentence(quiet)
    (loud,) = (await replayed(tmp_path / "loud.wav", 20, LOUD)).verdicts
    assert loud["state"] == loud["tier"] == "alert"
    assert "first alarm at" in sentence(loud)


async def test_silence_is_not_called_normal(tmp_path: Path) -> None:
    (verdict,) = (await replayed(tmp_path / "still.wav", 12, 0.0)).verdicts
    assert verdict["state"] == "warming"
    assert verdict["seconds"]["scored"] == 0
    assert "nothing could be scored" in sentence(verdict)


async def test_a_long_name_is_scored_like_any_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recorders put parties and times into names; an exemplar has room for 128 characters."""
    (verdict,) = (await replayed(tmp_path / f"{'n' * 240}.wav", 12, QUIET)).verdicts
    assert verdict["state"] == "normal"
    assert verdict["seconds"]["scored"] > 10
    assert "Traceback" not in "".join(capsys.readouterr())
