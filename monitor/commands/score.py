"""score: replay recordings through the live pipeline."""

import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from monitor import log
from monitor.commands.options import Channels, SettingsFile, chosen_settings, fail
from monitor.inference.catalogue import CatalogueError
from monitor.replay import sentence
from monitor.session import Monitor, RecordingError
from monitor.settings import SettingsError
from monitor.types import ChannelChoice


def score(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Recordings.")],
    format_: Annotated[str, typer.Option("--format", metavar="text|jsonl")] = "jsonl",
    channels: Channels = ChannelChoice.MIX,
    settings: SettingsFile = None,
) -> None:
    """Replay recordings through the live pipeline; print windows and a verdict for each."""
    if format_ not in ("text", "jsonl"):
        fail("--format: must be text or jsonl")
    # A reader that has enough, such as head, ends the command quietly.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    chosen = chosen_settings(settings)
    log.configure("warning")
    try:
        monitor = Monitor(chosen)
    except (CatalogueError, FileNotFoundError, SettingsError) as error:
        fail(str(error))
    emit = (lambda r: typer.echo(json.dumps(r))) if format_ == "jsonl" else (lambda r: None)
    bad = 0
    for path in files:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(
            *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
        ) as progress:
            task = progress.add_task(path.name, total=None)

            def show(
                done: float, total: float, progress: Progress = progress, task: TaskID = task
            ) -> None:
                progress.update(task, completed=done, total=total or None)

            try:
                verdicts = monitor.score(path, show, emit, channels).verdicts
            except RecordingError as error:
                bad += 1
                typer.echo(f"error: {error}", err=True)
                continue
        for verdict in verdicts:
            typer.echo(sentence(verdict) if format_ == "text" else json.dumps(verdict))
    monitor.close()
    raise typer.Exit(2 if bad else 0)
