"""score: replay recordings through the live pipeline."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from monitor import log, replay
from monitor.app import build_offline
from monitor.commands.options import SettingsFile, chosen_settings, fail
from monitor.inference.catalogue import CatalogueError
from monitor.settings import SettingsError
from monitor.sources import open_file


def score(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Recordings.")],
    format_: Annotated[str, typer.Option("--format", metavar="text|jsonl")] = "jsonl",
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
        stages, metrics = build_offline(chosen)
    except (CatalogueError, FileNotFoundError, SettingsError) as error:
        fail(str(error))
    bad = 0
    for path in files:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(
            *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
        ) as progress:
            task = progress.add_task(path.name, total=None)
            source = open_file(
                chosen,
                path,
                "remote",
                lambda done, total: progress.update(task, completed=done, total=total or None),  # noqa: B023
            )
            sink = replay.Recorder(
                emit=(lambda r: typer.echo(json.dumps(r))) if format_ == "jsonl" else None
            )
            outcome = asyncio.run(replay.replay(path, source, stages, metrics, sink))
        if outcome.problem:
            bad += 1
            typer.echo(f"error: {outcome.problem}", err=True)
        for verdict in outcome.verdicts:
            typer.echo(replay.sentence(verdict) if format_ == "text" else json.dumps(verdict))
    stages.executor.close()
    raise typer.Exit(2 if bad else 0)
