"""bench: how many calls this machine holds."""

import runpy
import sys

import typer


def bench(context: typer.Context) -> None:
    """Measure how many calls this machine holds (bench --help)."""
    sys.argv = ["deepfake-monitor bench", *context.args]
    # By the module's name: the service itself must never import it.
    runpy.run_module("monitor.bench", run_name="__main__", alter_sys=True)
