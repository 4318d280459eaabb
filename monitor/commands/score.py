"""score: replay recordings through the live pipeline."""

import json
import os
import signal
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from monitor.commands.batch import KeptResults, Processes, results_of, through
from monitor.commands.options import Channels, SettingsFile, chosen_settings, fail
from monitor.inference.catalogue import CatalogueError
from monitor.offline.batch.crew import Listener, Made, Progress, UnusableError
from monitor.offline.batch.recordings import NoRecordingError, recordings
from monitor.offline.replay import sentence
from monitor.runtime import log
from monitor.service.session import Monitor, RecordingError
from monitor.settings import SettingsError, load
from monitor.types import ChannelChoice


@dataclass(frozen=True, slots=True)
class Scoring:
    """What a process does that scores recordings."""

    settings: Path | None
    channels: ChannelChoice

    def begin(self) -> Listener:
        """Load the models; raises SettingsError, CatalogueError or FileNotFoundError."""
        log.configure("warning")
        return partial(_score, Monitor(load(self.settings)), self.channels)


def _score(
    monitor: Monitor, channels: ChannelChoice, path: Path, progress: Progress, emit: Any
) -> None:
    try:
        verdicts = monitor.score(path, progress, emit, channels).verdicts
    except RecordingError as error:
        raise UnusableError(str(error)) from error
    for verdict in verdicts:
        emit(verdict)


def score(
    places: Annotated[
        list[Path], typer.Argument(metavar="FILE|FOLDER...", help="Recordings, or folders of them.")
    ],
    format_: Annotated[str, typer.Option("--format", metavar="text|jsonl")] = "jsonl",
    channels: Channels = ChannelChoice.MIX,
    processes: Processes = 0,
    results: KeptResults = None,
    settings: SettingsFile = None,
) -> None:
    """Replay recordings through the live pipeline; print windows and a verdict for each."""
    if format_ not in ("text", "jsonl"):
        fail("--format: must be text or jsonl")
    chosen = chosen_settings(settings)
    log.configure("warning")
    kept = results_of(results, chosen, channels, "score")
    bad = 0
    try:
        files = recordings(places)
        with closing(through(Scoring(settings, channels), files, processes, kept)) as events:
            for event in events:
                if isinstance(event, Made):
                    _print(event.record, format_)
                elif event.problem:
                    bad += 1
                    typer.echo(f"error: {event.problem}", err=True)
    except (CatalogueError, FileNotFoundError, NoRecordingError, SettingsError) as error:
        fail(str(error))
    except BrokenPipeError:
        # A reader that has enough, such as head, ends the command quietly.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    raise typer.Exit(2 if bad else 0)


def _print(record: dict[str, Any], format_: str) -> None:
    if format_ == "jsonl":
        typer.echo(json.dumps(record))
    elif record["type"] == "verdict":
        typer.echo(sentence(record))
