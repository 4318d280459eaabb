"""Calls with a fake in them → what is noticed, how fast, and where.

Each call is judged by a fit that never saw the source of its fake, nor the human's, and by
thresholds from genuine calls of other speakers.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitor.decision.alarm import AlarmTiming
from monitor.training.calls.baselines import STATISTICS
from monitor.training.calls.callbench import (
    CALL_LEVEL,
    LEVELS,
    Bench,
    Level,
    Trace,
    contenders,
    traces,
)
from monitor.training.calls.callset import Kind, StagedCall
from monitor.training.calls.policy import fit
from monitor.training.calls.survival import Survival, kaplan_meier
from monitor.training.data.clips import Split
from monitor.types import Span

WITHIN = (15.0, 30.0, 60.0)
"""Seconds since the onset."""
AFTERGLOW = 3.0
"""Seconds after a partial fake in which its last window may still raise the alarm."""
ROUNDS = 500
FEWEST_FOLLOWED = 5
"""Calls that must still run for a time to detection to be stated."""
FEWEST_GENERATORS = 3
"""Below it there is nothing to draw from."""
ALL = "all"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one call with a fake, by one statistic at one level."""

    kind: Kind
    channel: str
    family: str
    generator: str
    match: str
    level: str
    statistic: str
    decided: bool
    """Whether it had enough speech of measurable quality to be decided on."""
    spoken: bool
    """Whether it had enough speech of any quality."""
    early: bool
    """Alarmed before the onset: a false alarm, and no detection."""
    followed: float
    """Seconds from the onset to the alarm, or to the end of the call or of the partial fake."""
    noticed: bool
    covered: float = 0.0
    """Share of a partial fake inside the span that carried the statistic at its height."""
    pure: float = 0.0
    """Share of that span inside the partial fake."""


def outcomes(calls: Sequence[StagedCall]) -> list[Outcome]:
    """Judge every call with a fake."""
    fitting = {c.call.source for c in calls if c.call.split in (Split.DEV, Split.TEST)}
    benches: dict[frozenset[str], Bench] = {}
    found: list[Outcome] = []
    for call in calls:
        if call.fake is None:
            continue
        out = frozenset({call.source, call.call.source}) & fitting
        if out not in benches:
            benches[out] = bench_without(calls, out)
        found += _judge(call, call.fake, benches[out])
    return found


def bench_without(calls: Sequence[StagedCall], sources: Iterable[str] = ()) -> Bench:
    """Fit on whole calls of the other sources; raises ValueError if that separates nothing."""
    plain = [c.call for c in calls if c.kind in (Kind.GENUINE, Kind.FULL)]
    return Bench(fit([c for c in plain if c.source not in set(sources)]), calls)


def _judge(call: StagedCall, fake: Span, bench: Bench) -> Iterator[Outcome]:
    setting = bench.speakers != call.speaker
    paths = traces(call.call, bench.fitted)
    for level in LEVELS:
        for statistic, rule in contenders(level):
            if rule != CALL_LEVEL:
                continue
            threshold = bench.threshold(level, statistic, rule, setting)
            yield _outcome(call, fake, paths[statistic], threshold, level, statistic)


def _outcome(
    call: StagedCall, fake: Span, path: Trace, threshold: float, level: Level, statistic: str
) -> Outcome:
    first = path.first_above(threshold)
    early = first is not None and path.times[first] <= fake.start
    last = fake.end + AFTERGLOW if call.kind is Kind.PARTIAL else call.call.seconds
    at = path.first_above(threshold, fake.start)
    noticed = at is not None and not early and path.times[at] <= last
    covered = pure = 0.0
    if noticed:
        inside = np.flatnonzero((path.times > fake.start) & (path.times <= last))
        span = path.spans[int(inside[np.argmax(path.values[inside])])]
        shared = max(0.0, min(span.end, fake.end) - max(span.start, fake.start))
        covered, pure = shared / fake.duration, shared / span.duration
    alarmed = float(path.times[at]) if at is not None and noticed else last
    return Outcome(
        kind=call.kind,
        channel=call.call.channel,
        family=call.call.family,
        generator=call.call.generator,
        match=call.match,
        level=level.name,
        statistic=statistic,
        decided=bool(np.isfinite(path.maximum)),
        spoken=call.call.scored_seconds >= AlarmTiming().warm_up,
        early=bool(early),
        followed=min(alarmed, call.call.seconds) - fake.start,
        noticed=noticed,
        covered=covered,
        pure=pure,
    )


def detection_rows(found: Sequence[Outcome], rounds: int = ROUNDS) -> list[Row]:
    """Full, mid-call and partial fakes by level, statistic, kind and channel."""
    rows = []
    for level in LEVELS:
        for kind in (Kind.FULL, Kind.SWITCH, Kind.PARTIAL):
            for statistic in STATISTICS:
                for channel in (ALL, *sorted({o.channel for o in found})):
                    part = [
                        o
                        for o in found
                        if (o.level, o.kind, o.statistic) == (level.name, kind, statistic)
                        and channel in (ALL, o.channel)
                    ]
                    if part:
                        names = {"level": level.name, "kind": kind.value, "statistic": statistic}
                        rows.append({**names, "channel": channel, **measured(part, rounds)})
    return rows


def family_rows(
    found: Sequence[Outcome], level: str, statistic: str, rounds: int = ROUNDS
) -> list[Row]:
    """Full and mid-call fakes by generator family, by generator and by what the voices share."""
    rows = []
    for kind in (Kind.FULL, Kind.SWITCH):
        mine = [o for o in found if (o.kind, o.level, o.statistic) == (kind, level, statistic)]
        for column in ("family", "generator", "match"):
            for name in sorted({getattr(o, column) for o in mine}):
                part = [o for o in mine if getattr(o, column) == name]
                if name and any(o.decided for o in part):
                    row = measured(part, rounds)
                    rows.append({"kind": kind.value, "by": column, "name": name, **row})
    return rows


def measured(part: Sequence[Outcome], rounds: int = ROUNDS) -> Row:
    """Shares and times of some calls, with 95 % intervals over generators."""
    counted = [o for o in part if o.decided and not o.early]
    survival = curve(part)
    row: Row = {
        "calls": len(part),
        "undecided": sum(not o.decided for o in part),
        "not_measurable": sum(o.spoken and not o.decided for o in part),
        "early": sum(o.decided and o.early for o in part),
        "generators": len({o.generator for o in part}),
        "noticed": float(np.mean([o.noticed for o in counted])) if counted else None,
        "within": {f"{s:g}": survival.noticed_by(s) for s in WITHIN},
        "median": survival.quantile(0.5),
        "p90": survival.quantile(0.9),
        **_intervals(counted, rounds),
    }
    noticed = [o for o in counted if o.noticed]
    if noticed and noticed[0].kind is Kind.PARTIAL:
        row["covered"] = float(np.median([o.covered for o in noticed]))
        row["pure"] = float(np.median([o.pure for o in noticed]))
    return row


def curve(part: Sequence[Outcome]) -> Survival:
    """Time to the alarm of the calls that were decided on and had no false alarm before."""
    counted = [o for o in part if o.decided and not o.early]
    return kaplan_meier(
        [o.followed for o in counted], [o.noticed for o in counted], FEWEST_FOLLOWED
    )


def _intervals(counted: Sequence[Outcome], rounds: int) -> Row:
    """Intervals of the share noticed, of that within 30 s and of the median time.

    A generator's calls resemble each other and are drawn together.
    """
    generator = np.array([o.generator for o in counted])
    groups = [np.flatnonzero(generator == name) for name in np.unique(generator)]
    if len(groups) < FEWEST_GENERATORS:
        return {"interval": None, "within_30_interval": None, "median_interval": None}
    followed = np.array([o.followed for o in counted])
    noticed = np.array([o.noticed for o in counted])
    rng = np.random.default_rng(0)
    shares, within, medians = [], [], []
    for _ in range(rounds):
        drawn = np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))])
        survival = kaplan_meier(followed[drawn], noticed[drawn], FEWEST_FOLLOWED)
        shares.append(float(noticed[drawn].mean()))
        by = survival.noticed_by(30.0)
        within += [by] if by is not None else []
        median = survival.quantile(0.5)
        medians.append(math.inf if median is None else median)
    return {
        "interval": _middle(shares),
        "within_30_interval": _middle(within),
        "median_interval": _middle(medians),
    }


def _middle(values: Sequence[float]) -> tuple[float | None, float | None] | None:
    if not values:
        return None
    low, high = (float(x) for x in np.quantile(values, [0.025, 0.975], method="nearest"))
    return low if math.isfinite(low) else None, high if math.isfinite(high) else None
