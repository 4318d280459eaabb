"""calibrate: thresholds from a site's own genuine calls."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from monitor import calibrate as calibration
from monitor import log
from monitor.app import build_offline
from monitor.commands.options import Channels, SettingsFile, chosen_settings, fail
from monitor.decision.sequential import STATISTICS
from monitor.decision.thresholds import BUDGETS
from monitor.inference.catalogue import CatalogueError, default_folder
from monitor.settings import SettingsError
from monitor.sources import open_file
from monitor.types import ChannelChoice


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
    channels: Channels = ChannelChoice.MIX,
    settings: SettingsFile = None,
) -> None:
    """Set thresholds on your own genuine calls and certify what they show."""
    if statistic not in STATISTICS:
        fail("--statistic: must be scan or cusum")
    chosen = chosen_settings(settings)
    log.configure("error")
    problems = 0

    def progress(recording: calibration.Recording, how: str) -> None:
        nonlocal problems
        problems += how != "ended"
        typer.echo(f"{recording.path.name}: {how}", err=True)

    try:
        recordings = calibration.find_recordings(genuine)
        stages, metrics = build_offline(chosen)
        calls = asyncio.run(
            calibration.run_genuine(
                recordings,
                lambda path: open_file(chosen, path, "remote", None, channels),
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
    except (
        calibration.CalibrationError,
        CatalogueError,
        FileNotFoundError,
        SettingsError,
    ) as error:
        fail(str(error))
    for line in calibration.describe(certificate):
        typer.echo(line)
    if problems:
        typer.echo(f"{problems} recordings could not be used whole, see above", err=True)
    stages.executor.close()
