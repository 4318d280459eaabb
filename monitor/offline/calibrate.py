"""A site's own genuine recordings → a models folder whose thresholds were set on them."""

import csv
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from monitor.calls.call import Call
from monitor.calls.stages import Stages
from monitor.decision.certificate import Certificate
from monitor.decision.policy import loads
from monitor.decision.reference import GenuineCall, ScoredWindow, write_policy
from monitor.delivery.fanout import Fanout
from monitor.delivery.logged import NullSink
from monitor.inference.catalogue import MANIFEST, Catalogue, sha256
from monitor.metrics.sink import Metrics
from monitor.offline.batch.recordings import NoRecordingError, recordings
from monitor.types import AlertType, Outcome, Score, Span, Verdict
from monitor.types.protocols import Source


class CalibrationError(Exception):
    """The recordings cannot calibrate; the message says what is wrong with which."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One genuine call of the site."""

    path: Path
    speaker: str
    """Calls of one speaker stay on one side of every division."""


def find_recordings(genuine: Path) -> list[Recording]:
    """List the recordings of a folder, or of a CSV with columns `path` and `speaker`.

    In a folder each file counts as a speaker of its own. Paths in a CSV are relative to it.
    Raises CalibrationError naming the file or column at fault.
    """
    if genuine.is_dir():
        try:
            found = recordings([genuine])
        except NoRecordingError as error:
            raise CalibrationError(str(error)) from error
        return [Recording(path, str(path.relative_to(genuine))) for path in found]
    try:
        with genuine.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise CalibrationError(f"{genuine}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CalibrationError(f"{genuine}: neither a folder nor a CSV manifest") from error
    if not rows:
        raise CalibrationError(f"{genuine}: the manifest has no row")
    for column in ("path", "speaker"):
        if column not in rows[0]:
            raise CalibrationError(f"{genuine}: the manifest has no column {column!r}")
    return [Recording(genuine.parent / row["path"], row["speaker"]) for row in rows]


class _Windows(NullSink):
    """Keeps the scored windows of one call, by participant."""

    def __init__(self) -> None:
        self.windows: dict[str, list[ScoredWindow]] = {}
        self.ends: dict[str, float] = {}

    def window(self, call: str, outcome: Outcome) -> None:
        if isinstance(outcome, Score) and outcome.detector == "voice":
            window = ScoredWindow(
                outcome.span, outcome.value, outcome.quality, outcome.present_seconds
            )
            self.windows.setdefault(outcome.participant, []).append(window)

    def verdict(self, call: str, verdict: Verdict) -> None:
        participant = verdict.participant
        self.ends[participant] = max(self.ends.get(participant, 0.0), verdict.time)


@dataclass(frozen=True, slots=True)
class Participant:
    """What one participant of a recording said."""

    seconds: float
    windows: tuple[ScoredWindow, ...]

    def record(self) -> dict[str, Any]:
        """All of it for JSON, to the last digit."""
        return asdict(self)

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "Participant":
        """What `record` gave."""
        windows = (ScoredWindow(**{**w, "span": Span(**w["span"])}) for w in record["windows"])
        return cls(record["seconds"], tuple(windows))


@dataclass(frozen=True, slots=True)
class Heard:
    """How the replay of a recording went."""

    participants: tuple[Participant, ...]
    ended: str
    """`ended`, `truncated`, or why nothing of it is used."""


async def hear(path: Path, source: Source, stages: Stages, metrics: Metrics) -> Heard:
    """Replay one genuine recording through the live pipeline."""
    sink = _Windows()
    call = Call(
        id=path.name,
        source=source,
        stages=stages,
        sink=Fanout([sink, metrics]),
        metrics=metrics,
        participant="remote",
    )
    reason = await call.run()
    if reason not in ("ended", "truncated"):
        return Heard((), call.detail or reason)
    found = (
        Participant(end, tuple(sink.windows.get(participant, ())))
        for participant, end in sink.ends.items()
    )
    return Heard(tuple(found), reason)


def genuine_calls(speaker: str, participants: Iterable[Participant]) -> list[GenuineCall]:
    """Each participant is a call of its own; those of one recording count as one speaker's."""
    return [GenuineCall(speaker, said.seconds, said.windows) for said in participants]


def write_models(
    calls: Sequence[GenuineCall],
    stages: Stages,
    models: Path,
    out: Path,
    *,
    date: str,
    source: str,
    budgets: Mapping[str, float],
    statistic: str,
) -> Certificate:
    """Write a copy of the models folder with thresholds set on these calls.

    The detector's calibration and scan model stay as they are: they need fakes, which a site
    does not have. Raises CalibrationError when the calls cannot set a threshold, or when `out`
    exists.
    """
    if out.exists():
        raise CalibrationError(f"{out}: exists already")
    used = stages.judges.policies[AlertType.VOICE]
    try:
        text = write_policy(
            calls,
            used.calibration,
            used.scan,
            model=stages.judges.voice.model,
            date=date,
            source=source,
            statistic=statistic,
            budgets=budgets,
        )
    except ValueError as error:
        raise CalibrationError(str(error)) from error
    model = Catalogue(models).verified("voice")
    if model.decision is None or model.decision_sha256 is None:
        raise CalibrationError(f"{models}: model 'voice' has no decision file")
    shutil.copytree(models, out)
    decision = out / model.decision.relative_to(models)
    decision.write_text(text, encoding="utf-8")
    manifest = out / MANIFEST
    entry = manifest.read_text(encoding="utf-8")
    manifest.write_text(entry.replace(model.decision_sha256, sha256(decision)), encoding="utf-8")
    return loads(text).certificate


def describe(certificate: Certificate) -> Iterator[str]:
    """The certificate in lines for a person."""
    yield f"certificate {certificate.identity} of {certificate.date}, model {certificate.model}"
    yield f"genuine speech: {certificate.source}"
    yield f"reference: {len(certificate.maxima['pooled'])} calls"
    for tier in certificate.tiers.values():
        verdict = "certified" if tier.certified else "NOT certified"
        thresholds = ", ".join(f"{s} {h:.2f}" for s, h in tier.thresholds.items())
        yield (
            f"{tier.name}: {verdict}. Budget {tier.budget_per_hour:g} false alarms an hour; "
            f"tested on {tier.calls} other calls, {tier.hours:.2f} hours: {tier.alarms} alarms, "
            f"so at most {tier.bound_per_hour:.2f} an hour and {tier.bound_per_call:.1%} of "
            f"calls (one-sided 95 %). Thresholds ({tier.basis}): {thresholds}"
        )
