"""What several commands share: the settings option, and how a command fails."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from monitor.settings import Settings, SettingsError, load
from monitor.types import ChannelChoice

SettingsFile = Annotated[
    Path | None, typer.Option("--settings", metavar="FILE", help="A TOML settings file.")
]
Channels = Annotated[
    ChannelChoice,
    typer.Option(
        "--channels", help="What is heard: mix of all, split into a participant each, left, right."
    ),
]


def chosen_settings(path: Path | None) -> Settings:
    """Read the settings, or end the command naming the field that is wrong."""
    try:
        return load(path)
    except SettingsError as error:
        fail(str(error))


WRONG, PASSING = 2, 75
"""Exit statuses: what was asked for cannot be done; it may be done later (EX_TEMPFAIL)."""


def fail(message: str, status: int = WRONG) -> NoReturn:
    """End the command as one that was asked for what cannot be done."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(status)
