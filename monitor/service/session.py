"""The Python API: recordings through the live pipeline, in a program of one's own.

from monitor import open_monitor

with open_monitor() as monitor:
    for verdict in monitor.score("call.wav").verdicts:
        print(verdict["participant"], verdict["state"], verdict["p_value"])
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from monitor.offline.replay import ALONE, Recorder, replay
from monitor.schema.records import WindowRecord
from monitor.service.app import build_offline
from monitor.service.sources import open_file
from monitor.settings import Settings, load
from monitor.types import ChannelChoice


class RecordingError(ValueError):
    """A recording cannot be scored; the message names the file and says why."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What one recording came to: the records that `deepfake-monitor score` prints."""

    verdicts: tuple[dict[str, Any], ...]
    """One for each participant."""
    windows: tuple[WindowRecord, ...]
    """In the order in which they were judged; empty if they were passed on as they came."""


class Monitor:
    """Loaded models and a policy; scores any number of recordings, one at a time."""

    def __init__(self, settings: Settings) -> None:
        """Load the models.

        Raises CatalogueError, FileNotFoundError or SettingsError, which name what is wrong.
        """
        self._settings = settings
        self._stages, self._metrics = build_offline(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the threads that run the models."""
        self._stages.executor.close()

    def score(
        self,
        path: Path | str,
        progress: Callable[[float, float], None] | None = None,
        emit: Callable[[WindowRecord], None] | None = None,
        channels: ChannelChoice | str = ChannelChoice.MIX,
    ) -> Scores:
        """Score one recording; blocks, and runs an event loop of its own.

        `progress` hears seconds done and seconds in all (0 if unknown), `emit` each window's record
        as it is made, which then is not kept. `channels` says what is heard: mix, split, left or
        right. Raises RecordingError if it cannot be scored, ValueError for another choice.
        """
        path, channels = Path(path), ChannelChoice(channels)
        windows: list[WindowRecord] = []
        source = open_file(self._settings, path, ALONE, progress, channels)
        recorder = Recorder(emit=emit or windows.append)
        outcome = asyncio.run(replay(path, source, self._stages, self._metrics, recorder))
        if outcome.problem:
            raise RecordingError(outcome.problem)
        return Scores(outcome.verdicts, tuple(windows))


def open_monitor(settings: Path | str | None = None) -> Monitor:
    """Load a monitor as the command line would: from a TOML settings file or by defaults.

    Raises SettingsError, CatalogueError or FileNotFoundError.
    """
    return Monitor(load(Path(settings) if settings is not None else None))


def score(
    path: Path | str,
    settings: Path | str | None = None,
    channels: ChannelChoice | str = ChannelChoice.MIX,
) -> Scores:
    """Score one recording. Who scores several opens a monitor: its models are loaded once.

    Raises RecordingError, SettingsError, CatalogueError or FileNotFoundError.
    """
    with open_monitor(settings) as monitor:
        return monitor.score(path, channels=channels)
