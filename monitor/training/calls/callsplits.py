"""Genuine calls divided again and again → how the realised false-alarm rate lies to its budget.

Speakers are divided, never calls: all of one speaker's calls set thresholds or test them.
"""

import math
from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.decision.certificate import binomial_upper, poisson_upper
from monitor.decision.reference import sets_thresholds
from monitor.training.calls.baselines import SCAN
from monitor.training.calls.callbench import (
    CALL_LEVEL,
    LEVELS,
    NAIVE,
    PER_CALL,
    Bench,
    Level,
    Mask,
    contenders,
)

SPLITS = 200
_DRAWS = 20_000
Row = dict[str, Any]


def realised_rates(bench: Bench, rounds: int = SPLITS, seed: int = 0) -> list[Row]:
    """False alarms per testing call over random halves, for every level and contender."""
    rng = np.random.default_rng(seed)
    names = np.unique(bench.speakers)
    rates: dict[tuple[Level, str, str], list[float]] = defaultdict(list)
    hourly: dict[tuple[Level, str, str], list[float]] = defaultdict(list)
    thresholds: dict[tuple[Level, str, str], list[float]] = defaultdict(list)
    nominal: dict[Level, list[float]] = defaultdict(list)
    sizes: dict[Level, list[tuple[int, int]]] = defaultdict(list)
    for _ in range(rounds):
        chosen = rng.permutation(names)[: len(names) // 2]
        setting = np.isin(bench.speakers, chosen)
        for level in LEVELS:
            testing = ~setting & bench.counts(level)
            sizes[level].append((int((setting & bench.counts(level)).sum()), int(testing.sum())))
            nominal[level].append(bench.nominal(level, setting))
            for statistic, rule in contenders(level):
                threshold = bench.threshold(level, statistic, rule, setting)
                alarmed = bench.maxima[statistic][testing] > threshold
                key = (level, statistic, rule)
                thresholds[key].append(threshold)
                rates[key].append(float(alarmed.mean()))
                hourly[key].append(float(alarmed.sum() / bench.hours[testing].sum()))
    rows = []
    for key, values in rates.items():
        level = key[0]
        size = tuple(round(x) for x in np.mean(sizes[level], axis=0))
        rows.append(
            _row(
                key,
                np.array(values),
                hourly[key],
                thresholds[key],
                nominal[level],
                (size[0], size[1]),
            )
        )
    return rows


def _row(
    key: tuple[Level, str, str],
    rates: NDArray[np.float64],
    hourly: list[float],
    thresholds: list[float],
    nominals: list[float],
    size: tuple[int, int],
) -> Row:
    level, statistic, rule = key
    nominal = float(np.mean(nominals))
    low, high = np.quantile(rates, [0.05, 0.95])
    reached = float(np.mean(np.isfinite(thresholds)))
    row: Row = {
        "level": level.name,
        "statistic": statistic,
        "rule": rule,
        "nominal": nominal,
        "setting_calls": size[0],
        "testing_calls": size[1],
        "reachable": reached,
        "threshold": float(np.median(thresholds)) if reached > 0.5 else None,
        "mean": float(rates.mean()),
        "low": float(low),
        "high": float(high),
        "above": float(np.mean(rates > nominal)),
        # The budget lies among the realised rates, and at least half of them keep it.
        "straddles": bool(low <= nominal <= high and np.mean(rates > nominal) <= 0.5),
        "mean_per_hour": float(np.mean(hourly)),
        "rates": [round(float(rate), 4) for rate in rates],
    }
    if rule == CALL_LEVEL and level.per_call is not None:
        row["theory"] = exchangeable(nominal, *size)
    return row


def exchangeable(alpha: float, setting: int, testing: int) -> list[float] | None:
    """5 %, mean and 95 % of the realised rate if calls are exchangeable; None if unreachable.

    The rate of a conformal threshold is Beta(n + 1 - k, k) over the setting calls (Vovk, Asian
    Conference on Machine Learning 2012), and the testing calls are a binomial draw from it.
    """
    rank = math.ceil((setting + 1) * (1 - alpha) - 1e-9)
    if rank > setting:
        return None
    rng = np.random.default_rng(0)
    share = rng.binomial(testing, rng.beta(setting + 1 - rank, rank, _DRAWS)) / testing
    low, high = np.quantile(share, [0.05, 0.95])
    return [float(low), float(share.mean()), float(high)]


def shifts(bench: Bench) -> list[Row]:
    """Thresholds set on the calls of one channel, tested on those of another.

    Calls of different channels are not exchangeable: nothing promises these rates.
    """
    channels = np.array([c.call.channel for c in bench.calls])
    rows = []
    for origin in np.unique(channels):
        threshold = bench.threshold(PER_CALL, SCAN, CALL_LEVEL, channels == origin)
        for target in np.unique(channels):
            tested = bench.maxima[SCAN][channels == target]
            if origin == target or not math.isfinite(threshold):
                continue
            alarms = int((tested > threshold).sum())
            rows.append(
                {
                    "level": PER_CALL.name,
                    "from": str(origin),
                    "to": str(target),
                    "setting_calls": int((channels == origin).sum()),
                    "calls": len(tested),
                    "alarms": alarms,
                    "bound_per_call": binomial_upper(alarms, len(tested)),
                }
            )
    return rows


def certificates(bench: Bench) -> list[Row]:
    """One division, the one that the policy makes, with exact limits on the testing calls."""
    setting: Mask = np.array([sets_thresholds(c.call.name) for c in bench.calls])
    if setting.all() or not setting.any():
        raise ValueError("too few genuine calls to set thresholds on some and test on others")
    rows = []
    for level in LEVELS:
        testing = ~setting & bench.counts(level)
        calls, hours = int(testing.sum()), float(bench.hours[testing].sum())
        for statistic, rule in contenders(level):
            if statistic != SCAN and rule != NAIVE:
                continue
            threshold = bench.threshold(level, statistic, rule, setting)
            alarms = int((bench.maxima[statistic][testing] > threshold).sum())
            rows.append(
                {
                    "level": level.name,
                    "statistic": statistic,
                    "rule": rule,
                    "nominal": bench.nominal(level, setting),
                    "threshold": threshold if math.isfinite(threshold) else None,
                    "setting_calls": int((setting & bench.counts(level)).sum()),
                    "calls": calls,
                    "hours": hours,
                    "alarms": alarms,
                    "per_hour": alarms / hours,
                    "bound_per_hour": poisson_upper(alarms, hours),
                    "bound_per_call": binomial_upper(alarms, calls),
                }
            )
    return rows
