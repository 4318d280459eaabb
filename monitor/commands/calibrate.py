"""calibrate: thresholds from a site's own genuine calls."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from monitor.commands.batch import KeptResults, Processes, results_of, through
from monitor.commands.options import Channels, SettingsFile, chosen_settings, fail
from monitor.decision.reference import GenuineCall
from monitor.decision.sequential import STATISTICS
from monitor.decision.thresholds import BUDGETS
from monitor.inference.catalogue import CatalogueError, default_folder
from monitor.offline import calibrate as calibration
from monitor.offline.batch.crew import Listener, Made, Progress, Record, UnusableError
from monitor.runtime import log
from monitor.service.app import build_offline
from monitor.service.sources import open_file
from monitor.settings import SettingsError, load
from monitor.types import ChannelChoice


@dataclass(frozen=True, slots=True)
class AudioReceiver:
    """What a process does that hears genuine recordings."""

    settings: Path | None
    channels: ChannelChoice

    def begin(self) -> Listener:
        """Load the models; raises SettingsError, CatalogueError or FileNotFoundError."""
        log.configure("error")
        settings = load(self.settings)
        stages, metrics = build_offline(settings)

        def listen(path: Path, progress: Progress, emit: Callable[[Record], None]) -> None:
            source = open_file(settings, path, "remote", progress, self.channels)
            heard = asyncio.run(calibration.hear(path, source, stages, metrics))
            if not heard.participants:
                raise UnusableError(heard.ended)
            for said in heard.participants:
                emit({"type": "participant", "said": said.record()})
            emit({"type": "ended", "ended": heard.ended})

        return listen


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
    processes: Processes = 0,
    results: KeptResults = None,
    settings: SettingsFile = None,
) -> None:
    """Set thresholds on your own genuine calls and certify what they show."""
    if statistic not in STATISTICS:
        fail("--statistic: must be scan or cusum")
    chosen = chosen_settings(settings)
    log.configure("error")
    kept = results_of(results, chosen, channels, "calibrate")
    problems = 0
    calls: list[GenuineCall] = []
    try:
        recordings = calibration.find_recordings(genuine)
        paths = [recording.path for recording in recordings]
        with closing(through(AudioReceiver(settings, channels), paths, processes, kept)) as events:
            for event in events:
                recording = recordings[event.place]
                if isinstance(event, Made) and event.record["type"] == "participant":
                    said = calibration.Participant.read(event.record["said"])
                    calls += calibration.genuine_calls(recording.speaker, [said])
                    continue
                ended = event.record["ended"] if isinstance(event, Made) else event.problem
                if ended:
                    problems += ended != "ended"
                    typer.echo(f"{recording.path.name}: {ended}", err=True)
        stages, _ = build_offline(chosen)
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
