"""train and evaluate: the development tools, if they are installed."""

import runpy
import sys
from typing import Annotated

import typer

from monitor.commands.options import fail


def evaluate(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="voice|calls")],
) -> None:
    """Measure accuracy on held-out development data (extra `train`)."""
    stages = {"voice": "voice-evaluate", "calls": "calls-evaluate"}
    if what not in stages:
        fail("evaluate: must be voice or calls")
    _training([stages[what], *context.args])


def train(context: typer.Context) -> None:
    """Train the voice detector on development data (extra `train`)."""
    _training(["voice-train", *context.args])


def _training(arguments: list[str]) -> None:
    """Run a training stage by the module's name: the service itself must never import one."""
    sys.argv = ["python -m monitor.training", *arguments]
    try:
        runpy.run_module("monitor.training", run_name="__main__", alter_sys=True)
    except ModuleNotFoundError as error:
        fail(f"{error}; install the package with its extra: pip install 'deepfake-monitor[train]'")
