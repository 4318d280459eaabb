"""watch: one stream in a terminal."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from monitor.commands.options import SettingsFile, chosen_settings, fail
from monitor.inference.catalogue import CatalogueError
from monitor.offline import terminal
from monitor.runtime import log
from monitor.service.app import build_offline
from monitor.service.sources import Wanted, is_stream, open_file, open_pull
from monitor.settings import SettingsError


def watch(
    uri: Annotated[str, typer.Argument(help="rtsp://…, rtsps://… or a file.")],
    settings: SettingsFile = None,
) -> None:
    """Monitor one stream in this terminal."""
    chosen = chosen_settings(settings)
    log.configure("error")
    try:
        stages, metrics = build_offline(chosen)
        source = (
            open_pull(chosen, Wanted(uri))
            if is_stream(uri)
            else open_file(chosen, Path(uri), "remote")
        )
        problem = asyncio.run(terminal.watch(log.redact(uri), source, stages, metrics))
    except (CatalogueError, FileNotFoundError, SettingsError, ValueError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        problem = ""
    stages.executor.close()
    if problem:
        fail(problem)
