"""python -m monitor.training.calls.callreport: what whole calls show about alarms, in one run.

Writes report.json, report.md and report.svg. Held-out recordings only.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monitor.decision.certificate import binomial_upper
from monitor.inference.catalogue import sha256
from monitor.training.calls.baselines import BASELINES, SCAN
from monitor.training.calls.callbench import COMPARED, LEVELS, PER_CALL, Bench
from monitor.training.calls.calldetection import (
    ALL,
    ROUNDS,
    Outcome,
    bench_without,
    curve,
    detection_rows,
    family_rows,
    outcomes,
)
from monitor.training.calls.callplot import draw
from monitor.training.calls.callset import Kind, StagedCall, staged_calls
from monitor.training.calls.callsplits import SPLITS, certificates, realised_rates, shifts
from monitor.training.calls.calltables import markdown
from monitor.training.data.clips import Clip

Report = dict[str, Any]
REVIEW = "review"
BASE_RATES = (1e-2, 1e-3, 1e-4)
"""Fakes among all calls."""


def evaluate_calls(clips: Sequence[Clip], model: Path, folder: Path, processes: int = 2) -> Report:
    """Stage and score calls of the held-out recordings, and write the report into `folder`."""
    calls = staged_calls(clips, model, folder, processes)
    report = {"model": sha256(model), **report_on(calls)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")
    (folder / "report.md").write_text(markdown(report))
    (folder / "report.svg").write_text(draw(report))
    return report


def report_on(calls: Sequence[StagedCall], splits: int = SPLITS, rounds: int = ROUNDS) -> Report:
    """Every figure, as JSON values; `rounds` are the bootstrap's."""
    bench = bench_without(calls)
    found = outcomes(calls)
    detection = detection_rows(found, rounds)
    proof = certificates(bench)
    return {
        "calls": _inventory(calls, bench),
        "per_call": PER_CALL.name,
        "compared": COMPARED.name,
        "scan": {
            "separation": bench.fitted.scan.separation,
            "between": bench.fitted.scan.between,
            "within": bench.fitted.scan.within,
            "autocorrelation": bench.fitted.scan.autocorrelation,
        },
        "splits": splits,
        "false_alarms": realised_rates(bench, splits),
        "certificates": proof,
        "shifts": shifts(bench),
        "detection": detection,
        "families": {
            level.name: family_rows(found, level.name, SCAN, rounds)
            for level in LEVELS
            if level.name in (REVIEW, COMPARED.name)
        },
        "precision": _precision(proof, detection),
        "curves": _curves(found),
    }


def _inventory(calls: Sequence[StagedCall], bench: Bench) -> Report:
    out: Report = {
        kind.value: {
            "calls": len(mine),
            "hours": sum(c.call.seconds for c in mine) / 3600,
            "fake_hours": sum(c.fake.duration for c in mine if c.fake) / 3600,
            "channels": dict(sorted(Counter(c.call.channel for c in mine).items())),
            "match": dict(sorted(Counter(c.match for c in mine if c.match).items())),
        }
        for kind in Kind
        if (mine := [c for c in calls if c.kind is kind])
    }
    out["reference"] = {
        "calls": len(bench.calls),
        "speakers": len(set(bench.speakers.tolist())),
        "hours": float(bench.hours.sum()),
        "median_seconds": float(np.median(bench.hours)) * 3600,
        "long": int(bench.counts(COMPARED).sum()),
    }
    return out


def _precision(proof: Sequence[Report], detection: Sequence[Report]) -> list[Report]:
    """How many alarmed calls hold a fake, at several shares of fakes among the calls."""
    rows = []
    for kind in (Kind.FULL, Kind.SWITCH):
        for shown in proof:
            if shown["statistic"] != SCAN:
                continue
            hits = [
                row["noticed"]
                for row in detection
                if (row["level"], row["kind"]) == (shown["level"], kind)
                and (row["statistic"], row["channel"]) == (SCAN, ALL)
            ]
            if not hits or hits[0] is None:
                continue
            upper = binomial_upper(shown["alarms"], shown["calls"])
            rows.append(
                {
                    "kind": kind.value,
                    "level": shown["level"],
                    "noticed": hits[0],
                    "false_alarms": shown["nominal"],
                    "upper": upper,
                    "at_budget": {f"{b:g}": _ppv(b, hits[0], shown["nominal"]) for b in BASE_RATES},
                    "at_upper": {f"{b:g}": _ppv(b, hits[0], upper) for b in BASE_RATES},
                }
            )
    return rows


def _ppv(base_rate: float, noticed: float, false_alarms: float) -> float:
    true = base_rate * noticed
    return true / (true + (1 - base_rate) * false_alarms) if true else 0.0


def _curves(found: Sequence[Outcome]) -> list[Report]:
    """Share noticed over seconds since the onset, for the figure."""
    channels = [
        (REVIEW, SCAN, kind, channel)
        for kind in (Kind.FULL, Kind.SWITCH)
        for channel in ("clean", "g711")
    ]
    rivals = [(COMPARED.name, statistic, Kind.SWITCH, ALL) for statistic in (SCAN, *BASELINES)]
    rows = []
    for level, statistic, kind, channel in (*channels, *rivals):
        part = [
            o
            for o in found
            if (o.level, o.statistic, o.kind) == (level, statistic, kind)
            and channel in (ALL, o.channel)
        ]
        survival = curve(part)
        rows.append(
            {
                "level": level,
                "statistic": statistic,
                "kind": kind.value,
                "channel": channel,
                "longest": max(0.0, survival.longest),
                "seconds": [round(float(t), 2) for t in survival.times],
                "noticed": [round(1 - float(s), 4) for s in survival.unnoticed],
            }
        )
    return rows
