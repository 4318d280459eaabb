"""The command line: serve · watch · score · calibrate · train · evaluate · models."""

import asyncio
import json
import runpy
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import uvicorn
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from monitor import access, log, replay, terminal
from monitor import app as composition
from monitor import calibrate as calibration
from monitor.decision.sequential import STATISTICS
from monitor.decision.thresholds import BUDGETS
from monitor.inference.catalogue import Catalogue, CatalogueError, default_folder
from monitor.promotion import PromotionError, promote
from monitor.settings import Settings, SettingsError, load

cli = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
models = typer.Typer(no_args_is_help=True, help="The models that came with the package.")
cli.add_typer(models, name="models")

SettingsFile = Annotated[
    Path | None, typer.Option("--settings", metavar="FILE", help="A TOML settings file.")
]


class Server(uvicorn.Server):
    """Says where it listens as soon as it does, and ends event streams before it stops."""

    def __init__(self, config: uvicorn.Config, service: composition.Service) -> None:
        super().__init__(config)
        self._service = service

    async def startup(self, sockets: Any = None) -> None:
        """Start, then print the one line that scripts wait for."""
        await super().startup(sockets)
        if self.should_exit:
            return
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        typer.echo(f"listening on http://{shown}:{port}/")
        sys.stdout.flush()

    async def shutdown(self, sockets: Any = None) -> None:
        """Stop; readers of the event stream would otherwise keep their connections open."""
        self._service.close_streams()
        await super().shutdown(sockets)


@cli.command()
def serve(
    settings: SettingsFile = None,
    host: Annotated[str | None, typer.Option(help="Address to bind.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 picks a free one.")] = None,
) -> None:
    """Monitor live calls until stopped."""
    chosen = _load(settings)
    update = {k: v for k, v in (("host", host), ("port", port)) if v is not None}
    chosen = chosen.model_copy(update={"server": chosen.server.model_copy(update=update)})
    log.configure(chosen.log_level)
    try:
        chosen, token_file = access.ensure_token(chosen)
        service = composition.Service(chosen)
    except (SettingsError, CatalogueError, FileNotFoundError) as error:
        _fail(str(error))
    if token_file is not None:
        typer.echo(f"token in {token_file}")
    server = Server(
        uvicorn.Config(
            service.app,
            host=chosen.server.host,
            port=chosen.server.port,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=15,
            # Bytes of a WebSocket message; telephony refuses larger ones too.
            ws_max_size=64 * 1024,
        ),
        service,
    )
    server.run()
    if not server.started:
        raise typer.Exit(1)


@cli.command()
def score(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Recordings.")],
    format_: Annotated[str, typer.Option("--format", metavar="text|jsonl")] = "jsonl",
    settings: SettingsFile = None,
) -> None:
    """Replay recordings through the live pipeline; print windows and a verdict for each."""
    if format_ not in ("text", "jsonl"):
        _fail("--format: must be text or jsonl")
    chosen = _load(settings)
    log.configure("warning")
    try:
        stages, metrics = composition.build_offline(chosen)
    except (CatalogueError, FileNotFoundError) as error:
        _fail(str(error))
    bad = 0
    for path in files:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(
            *columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()
        ) as progress:
            task = progress.add_task(path.name, total=None)
            source = composition.open_file(
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
        elif format_ == "text":
            typer.echo(replay.sentence(outcome.verdict))
        else:
            typer.echo(json.dumps(outcome.verdict))
    stages.executor.close()
    raise typer.Exit(2 if bad else 0)


@cli.command()
def calibrate(
    genuine: Annotated[
        Path, typer.Option(help="Folder of genuine calls, or CSV with columns path and speaker.")
    ],
    out: Annotated[Path, typer.Option(help="Models folder to write; use it as models_dir.")],
    review_budget: Annotated[
        float, typer.Option(min=1e-6, help="False alarms per call-hour of tier review.")
    ] = BUDGETS["review"],
    alert_budget: Annotated[
        float, typer.Option(min=1e-6, help="False alarms per call-hour of tier alert.")
    ] = BUDGETS["alert"],
    statistic: Annotated[str, typer.Option(metavar="scan|cusum")] = "scan",
    source: Annotated[str, typer.Option(help="Which speech this is, for the certificate.")] = "",
    settings: SettingsFile = None,
) -> None:
    """Set thresholds on your own genuine calls and certify what they show."""
    if statistic not in STATISTICS:
        _fail("--statistic: must be scan or cusum")
    chosen = _load(settings)
    log.configure("error")
    problems = 0

    def progress(recording: calibration.Recording, how: str) -> None:
        nonlocal problems
        problems += how != "ended"
        typer.echo(f"{recording.path.name}: {how}", err=True)

    try:
        recordings = calibration.find_recordings(genuine)
        stages, metrics = composition.build_offline(chosen)
        calls = asyncio.run(
            calibration.run_genuine(
                recordings,
                lambda path: composition.open_file(chosen, path, "remote"),
                stages,
                metrics,
                progress,
            )
        )
        certificate = calibration.write_models(
            calls,
            stages,
            chosen.models_dir or default_folder(),
            out,
            date=datetime.now(UTC).date().isoformat(),
            source=source or f"{len(calls)} genuine calls of this site",
            budgets={"review": review_budget, "alert": alert_budget},
            statistic=statistic,
        )
    except (calibration.CalibrationError, CatalogueError, FileNotFoundError) as error:
        _fail(str(error))
    for line in calibration.describe(certificate):
        typer.echo(line)
    if problems:
        typer.echo(f"{problems} recordings could not be used whole, see above", err=True)
    stages.executor.close()


@cli.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def evaluate(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="voice|calls")],
) -> None:
    """Measure accuracy on held-out development data (extra `train`)."""
    stages = {"voice": "voice-evaluate", "calls": "calls-evaluate"}
    if what not in stages:
        _fail("evaluate: must be voice or calls")
    _training([stages[what], *context.args])


@cli.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train(context: typer.Context) -> None:
    """Train the voice detector on development data (extra `train`)."""
    _training(["voice-train", *context.args])


def _training(arguments: list[str]) -> None:
    """Run a training stage by the module's name: the service itself must never import one."""
    sys.argv = ["python -m monitor.training", *arguments]
    try:
        runpy.run_module("monitor.training", run_name="__main__", alter_sys=True)
    except ModuleNotFoundError as error:
        _fail(f"{error}; install the package with its extra: pip install 'deepfake-monitor[train]'")


@cli.command()
def watch(
    uri: Annotated[str, typer.Argument(help="rtsp://… or a file.")],
    settings: SettingsFile = None,
) -> None:
    """Monitor one stream in this terminal."""
    chosen = _load(settings)
    log.configure("error")
    try:
        stages, metrics = composition.build_offline(chosen)
        source = (
            composition.open_rtsp(chosen, uri, "remote")
            if uri.startswith(("rtsp://", "rtsps://"))
            else composition.open_file(chosen, Path(uri), "remote")
        )
        problem = asyncio.run(terminal.watch(log.redact(uri), source, stages, metrics))
    except (CatalogueError, FileNotFoundError, ValueError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        problem = ""
    stages.executor.close()
    if problem:
        _fail(problem)


@models.command("verify")
def verify_models(settings: SettingsFile = None) -> None:
    """Check every model file against the manifest and load it as the service would."""
    chosen = _load(settings)
    log.configure("error")
    try:
        catalogue = Catalogue(chosen.models_dir or default_folder())
        for name in catalogue.models:
            model = catalogue.verified(name)
            typer.echo(f"{name} {model.version} ok, license {model.license}")
        composition.build_offline(chosen)
    except (CatalogueError, FileNotFoundError) as error:
        _fail(str(error))


@models.command("promote")
def promote_models(
    folder: Annotated[Path, typer.Argument(help="The challenger's models folder.")],
    to: Annotated[
        Path | None, typer.Option(help="Folder to replace; the service's own if left out.")
    ] = None,
    settings: SettingsFile = None,
) -> None:
    """Put a challenger's models in the service's place, if every tier is certified."""
    target = to or _load(settings).models_dir or default_folder()
    try:
        done = promote(folder, target, composition.load_judges, datetime.now(UTC))
    except (PromotionError, CatalogueError) as error:
        _fail(str(error))
    for name, version in done.models.items():
        typer.echo(f"{name} {version} promoted to {target}")
    if done.backup is not None:
        typer.echo(f"what was there before is in {done.backup}")
    typer.echo("a running service uses it after its next start")


def _load(path: Path | None) -> Settings:
    try:
        return load(path)
    except SettingsError as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(2)


def main() -> None:
    """Run the command line."""
    cli(prog_name="deepfake-monitor")
