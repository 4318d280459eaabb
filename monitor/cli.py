"""The command line: serve · watch · score · bench · calibrate · verify · models · cluster …"""

import typer

from monitor.commands import (
    bench,
    calibrate,
    cluster,
    evidence,
    models,
    score,
    serve,
    train,
    watch,
)

cli = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
_passed_on = {"allow_extra_args": True, "ignore_unknown_options": True}

cli.command()(serve.serve)
cli.command()(score.score)
cli.command()(calibrate.calibrate)
cli.command(context_settings=_passed_on)(train.evaluate)
cli.command(context_settings=_passed_on)(train.train)
cli.command()(watch.watch)
cli.command(context_settings=_passed_on | {"help_option_names": []})(bench.bench)
cli.command("verify")(evidence.verify_bundles)

_models = typer.Typer(no_args_is_help=True, help="The models that came with the package.")
_models.command("verify")(models.verify_models)
_models.command("promote")(models.promote_models)
cli.add_typer(_models, name="models")

_cluster = typer.Typer(no_args_is_help=True, help="Several machines (extra `ray`).")
_cluster.command("start", context_settings=_passed_on)(cluster.start)
_cluster.command("drain")(cluster.drain)
cli.add_typer(_cluster, name="cluster")

_evidence = typer.Typer(no_args_is_help=True, help="What is kept of alerts.")
_evidence.command("key")(evidence.show_key)
cli.add_typer(_evidence, name="evidence")


def main() -> None:
    """Run the command line."""
    cli(prog_name="deepfake-monitor")
