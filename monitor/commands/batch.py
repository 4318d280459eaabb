"""What commands share that work on many recordings: options, the bar, results that are kept."""

import hashlib
import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from monitor.commands.options import fail
from monitor.inference.catalogue import MANIFEST, default_folder
from monitor.offline.batch.crew import Done, Event, Made, Work, cores, work_through
from monitor.offline.batch.results import Results
from monitor.settings import Settings
from monitor.types import ChannelChoice
from monitor.version import VERSION

Processes = Annotated[
    int,
    typer.Option(
        "--processes", min=0, help="Recordings at once; 0 for as many as there are cores."
    ),
]
KeptResults = Annotated[
    Path | None,
    typer.Option(
        "--results",
        metavar="FOLDER",
        help="Keep each recording's results here; those that are there are not made again.",
    ),
]


class Bar:
    """One bar over all recordings, on a terminal only."""

    def __init__(self, recordings: Sequence[Path]) -> None:
        """What a recording is of the whole goes by its bytes: its seconds are not known before."""
        self._sizes = [_size(path) for path in recordings]
        self._shares = [0.0] * len(recordings)
        self._over = 0
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(),
            console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(),
        )  # fmt: skip
        self._task = self._progress.add_task(self._told, total=sum(self._sizes))

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, place: int, done: float, total: float) -> None:
        """A recording has come so far; `total` may be 0."""
        self._shares[place] = min(1.0, done / total) if total else 0.0
        self._update()

    def end(self, place: int) -> None:
        """A recording is over."""
        self._shares[place] = 1.0
        self._over += 1
        self._update()

    @property
    def _told(self) -> str:
        return f"{self._over} of {len(self._sizes)}"

    def _update(self) -> None:
        done = sum(share * size for share, size in zip(self._shares, self._sizes, strict=True))
        self._progress.update(self._task, completed=done, description=self._told)


def results_of(
    folder: Path | None, settings: Settings, channels: ChannelChoice, command: str
) -> Results | None:
    """Open a folder of results, or end the command saying why it cannot be had."""
    if folder is None:
        return None
    models = settings.models_dir or default_folder()
    try:
        manifest = (models / MANIFEST).read_bytes()
        made_by = "\n".join((command, VERSION, channels, settings.model_dump_json()))
        digest = hashlib.sha256(made_by.encode() + manifest).hexdigest()
        return Results(folder, digest)
    except OSError as error:
        fail(f"--results: {error.filename or folder}: {error.strerror}")


def through(
    work: Work, recordings: Sequence[Path], processes: int, results: Results | None
) -> Generator[Event]:
    """Work on recordings as `work_through` does, under a bar; what was kept is not made again."""
    kept = {}
    if results is not None:
        for place, path in enumerate(recordings):
            if (records := results.find(path)) is not None:
                kept[place] = records
    fresh = [place for place in range(len(recordings)) if place not in kept]
    with (
        Bar(recordings) as bar,
        closing(
            work_through(
                work,
                [recordings[place] for place in fresh],
                processes or cores(),
                lambda place, done, total: bar.show(fresh[place], done, total),
            )
        ) as made,
    ):
        for place, path in enumerate(recordings):
            if place in kept:
                yield from (Made(place, record) for record in kept[place])
                event: Event = Done(place, "")
            else:
                records = []
                while isinstance(event := next(made), Made):
                    records.append(event.record)
                    yield Made(place, event.record)
                event = Done(place, event.problem)
                if results is not None and not event.problem:
                    _keep(results, path, records)
            bar.end(place)
            yield event


def _keep(results: Results, path: Path, records: Sequence[dict[str, object]]) -> None:
    try:
        results.keep(path, records)
    except OSError as error:
        fail(f"--results: {error.filename or path}: {error.strerror}")


def _size(path: Path) -> int:
    try:
        return max(1, path.stat().st_size)
    except OSError:
        # What cannot be read is told when its turn comes.
        return 1
