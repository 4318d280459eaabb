"""The command line: serve · watch · score · bench · calibrate · verify · models · cluster …"""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand

_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


class _Deferred(TyperCommand):
    """Leaves all arguments to the command that it stands for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep every argument as it is, `--help` and `--` too."""
        kept = ctx.args = list(args)
        return kept


def _add(app: typer.Typer, name: str, where: str, what: str, **settings: Any) -> None:
    """Add a command whose module is loaded when it runs.

    `--help` and `verify` would otherwise load media libraries, web server, database and models.
    `where` is a module of monitor.commands and a function, `what` its help in one line.
    """
    module, function = where.split(":")

    def run(context: typer.Context) -> None:
        command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        found = getattr(import_module(f"monitor.commands.{module}"), function)
        command.command(context_settings=settings)(found)
        command(context.args, prog_name=context.command_path)

    app.command(name, cls=_Deferred, help=what)(run)


def _group(name: str, what: str) -> typer.Typer:
    group = typer.Typer(no_args_is_help=True, help=what)
    cli.add_typer(group, name=name)
    return group


cli = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
_add(cli, "serve", "serve:serve", "Monitor live calls until stopped.")
_add(
    cli,
    "score",
    "score:score",
    "Replay recordings through the live pipeline; print windows and a verdict for each.",
)
_add(
    cli,
    "calibrate",
    "calibrate:calibrate",
    "Set thresholds on your own genuine calls and certify what they show.",
)
_add(
    cli,
    "evaluate",
    "train:evaluate",
    "Measure accuracy on held-out development data (extra `train`).",
    **_PASSED_ON,
)
_add(
    cli,
    "train",
    "train:train",
    "Train the voice detector on development data (extra `train`).",
    **_PASSED_ON,
)
_add(cli, "watch", "watch:watch", "Monitor one stream in this terminal.")
_add(
    cli,
    "bench",
    "bench:bench",
    "Measure how many calls this machine holds (bench --help).",
    **_PASSED_ON,
    help_option_names=[],
)
_add(
    cli,
    "verify",
    "evidence:verify_bundles",
    "Check evidence offline and say what is wrong with it.",
)

_models = _group("models", "The models that came with the package.")
_add(
    _models,
    "verify",
    "models:verify_models",
    "Check every model file against the manifest and load it as the service would.",
)
_add(
    _models,
    "promote",
    "models:promote_models",
    "Put a challenger's models in the service's place, if every tier is certified.",
)

_cluster = _group("cluster", "Several machines (extra `ray`).")
_add(
    _cluster,
    "start",
    "cluster:start",
    "Run Ray here until stopped: authenticated, without dashboard, reporting to nobody.",
    **_PASSED_ON,
)
_add(
    _cluster,
    "drain",
    "cluster:drain",
    "Give a node no new call and wait until it has none; MONITOR_TOKEN needs read and control.",
)

_evidence = _group("evidence", "What is kept of alerts.")
_add(
    _evidence,
    "key",
    "evidence:show_key",
    "Print the public key that verifies this service's bundles.",
)


def main() -> None:
    """Run the command line."""
    cli(prog_name="deepfake-monitor")
