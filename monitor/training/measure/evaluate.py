"""Scored windows → the figures of the model card.

The headline is the macro within-source equal error rate: fakes are compared with humans of
their own source only, because channels differ between sources and would be what is measured.
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.decision import calibration
from monitor.training.data.clips import Clip, Split, generator_key
from monitor.training.measure.metrics import (
    Groups,
    Scores,
    area_under_curve,
    bootstrap,
    equal_error_rate,
    equal_error_threshold,
    error_rates,
    macro_equal_error_rate,
)
from monitor.training.measure.scoring import CHANNELS, CLEAN, HELD_OUT, Table, score_clips

MIN_CLIPS = 5
MIN_SPEAKERS = 3
"""A source with fewer of these has no equal error rate worth the name."""
LENGTHS = (1.0, 2.0, 3.0, 4.0, 8.0)
"""Seconds."""

Report = dict[str, Any]
Mask = NDArray[np.bool_]


def report(table: Table, trained: Collection[str] = ()) -> Report:
    """Every figure of the card, JSON values; `trained` holds keys of generators trained on."""
    unseen = _without(table, trained)
    threshold = development_threshold(table)
    return {
        "threshold": threshold,
        "channels": {
            channel: {
                "windows": paired_report(table, channel),
                "unseen": paired_report(unseen, channel),
                "development": paired_report(table, channel, Split.DEV),
                "transferred": transferred(table, channel, threshold),
                "cost": cost(table, channel),
                "families": families(table, channel),
            }
            for channel in CHANNELS
        },
    }


def development_threshold(table: Table) -> float:
    """The logit at which errors of both kinds are equal on the development sources, clean."""
    rows = _rows(table, CLEAN, Split.DEV)
    return equal_error_threshold(
        _logits(table, rows & ~_fake(table)), _logits(table, rows & _fake(table))
    )


def paired_report(table: Table, channel: str, split: Split = Split.TEST) -> Report:
    """Per source and macro, of windows and of whole clips, with bootstrap intervals."""
    rows = _rows(table, channel, split)
    clip_table = _clip_means(table, rows)
    out: Report = {}
    for unit, part, mask in (
        ("window", table, rows),
        ("clip", clip_table, np.ones(len(clip_table["logit"]), bool)),
    ):
        names = scored_sources(part, mask)
        groups = [_groups(part, mask & (part["source"] == name)) for name in names]
        pooled = [(_pool(human), _pool(fake)) for human, fake in groups]
        out[unit] = {
            "eer": macro_equal_error_rate(pooled),
            "interval": bootstrap(macro_equal_error_rate, groups),
            "auc": float(np.mean([area_under_curve(*pair) for pair in pooled])),
            "sources": {
                name: {
                    "eer": equal_error_rate(*pair),
                    "interval": bootstrap(macro_equal_error_rate, [group], rounds=300),
                    "human": len(pair[0]),
                    "fake": len(pair[1]),
                    "speakers": len(group[0]),
                    "generators": len(group[1]),
                }
                for name, pair, group in zip(names, pooled, groups, strict=True)
            },
        }
    return out


def transferred(table: Table, channel: str, threshold: float) -> Report:
    """Error rates at a threshold that was set on other sources, all windows."""
    fake = _fake(table)
    test, human = _rows(table, channel, Split.TEST), _rows(table, channel, Split.HUMAN)
    alarms, misses = error_rates(
        _logits(table, test & ~fake), _logits(table, test & fake), threshold
    )
    alone = {
        str(name): _share(_logits(table, human & (table["source"] == name)), threshold)
        for name in np.unique(table["source"][human])
    }
    return {
        "hter": (alarms + misses) / 2,
        "false_alarms": alarms,
        "misses": misses,
        "human_only": _share(_logits(table, human & ~fake), threshold),
        "human_only_sources": alone,
    }


def cost(table: Table, channel: str) -> Report:
    """Cllr of all test windows: the bare logit, and calibrated on the development sources."""
    fake = _fake(table)
    development, test = (_rows(table, channel, split) for split in (Split.DEV, Split.TEST))
    fitted = calibration.fit(
        _logits(table, development & ~fake), _logits(table, development & fake)
    )
    human, spoof = _logits(table, test & ~fake), _logits(table, test & fake)
    return {
        "bare": calibration.cllr(human, spoof),
        "calibrated": calibration.cllr(
            *(np.array([fitted.llr(x) for x in scores]) for scores in (human, spoof))
        ),
    }


def families(table: Table, channel: str) -> Report:
    """Equal error rate of each generator family and generator, macro over the test sources."""
    rows = _rows(table, channel, Split.TEST)
    out: Report = {}
    for column in ("family", "generator"):
        found = {}
        for name in np.unique(table[column][rows & _fake(table)]):
            mine = rows & (~_fake(table) | (table[column] == name))
            names = [
                s for s in scored_sources(table, rows) if s in table["source"][mine & _fake(table)]
            ]
            pairs = []
            for source in names:
                here = mine & (table["source"] == source)
                pairs.append(
                    (_logits(table, here & ~_fake(table)), _logits(table, here & _fake(table)))
                )
            if pairs:
                found[str(name)] = {
                    "eer": macro_equal_error_rate(pairs),
                    "fake": int(sum(len(pair[1]) for pair in pairs)),
                }
        out[column] = found
    return out


def lengths(clips: Sequence[Clip], model: Path, processes: int) -> Report:
    """Macro equal error rate of the test sources against the length of the window."""
    out: Report = {}
    for seconds in LENGTHS:
        table = score_clips(clips, model, (Split.TEST,), seconds, processes)
        spoken = table["speech"].astype(float) >= 0.6 * seconds
        for channel in CHANNELS:
            rows = _rows(table, channel, Split.TEST) & spoken
            groups = [
                _groups(table, rows & (table["source"] == name))
                for name in scored_sources(table, rows)
            ]
            pairs = [(_pool(human), _pool(fake)) for human, fake in groups]
            out[f"{seconds:g} s {channel}"] = {
                "eer": macro_equal_error_rate(pairs),
                "interval": bootstrap(macro_equal_error_rate, groups, rounds=300),
                "windows": int(rows.sum()),
                "sources": len(pairs),
            }
    return out


def scored_sources(table: Table, rows: Mask) -> list[str]:
    """Sources with enough clips of both labels, and enough speakers, among the rows."""
    names = []
    for name in np.unique(table["source"][rows]):
        here = rows & (table["source"] == name)
        human, fake = here & ~_fake(table), here & _fake(table)
        clips = min(len(np.unique(table["clip"][mask])) for mask in (human, fake))
        if clips >= MIN_CLIPS and len(np.unique(table["speaker"][human])) >= MIN_SPEAKERS:
            names.append(str(name))
    return names


def _without(table: Table, trained: Collection[str]) -> Table:
    """The rows of humans and of generators that are not among the trained ones."""
    seen = [f and generator_key(str(g)) in trained for f, g in _labels(table)]
    return {name: values[~np.array(seen, bool)] for name, values in table.items()}


def _labels(table: Table) -> Iterable[tuple[bool, str]]:
    return zip(_fake(table), table["generator"], strict=True)


def _clip_means(table: Table, rows: Mask) -> Table:
    """The masked rows with one row per clip, its logit the mean over its windows."""
    where = np.flatnonzero(rows)
    _, first, group = np.unique(table["clip"][where], return_index=True, return_inverse=True)
    out = {name: values[where[first]] for name, values in table.items()}
    out["logit"] = np.bincount(group, _logits(table, rows)) / np.bincount(group)
    return out


def _groups(table: Table, rows: Mask) -> tuple[Groups, Groups]:
    human, fake = rows & ~_fake(table), rows & _fake(table)
    return (
        {
            str(s): _logits(table, human & (table["speaker"] == s))
            for s in _values(table, "speaker", human)
        },
        {
            str(g): _logits(table, fake & (table["generator"] == g))
            for g in _values(table, "generator", fake)
        },
    )


def _values(table: Table, column: str, rows: Mask) -> Iterable[Any]:
    found: Iterable[Any] = np.unique(table[column][rows])
    return found


def _pool(groups: Groups) -> Scores:
    return np.concatenate(list(groups.values()))


def _share(logits: Scores, threshold: float) -> dict[str, float]:
    return {"windows": len(logits), "share": float(np.mean(logits >= threshold))}


def _rows(table: Table, channel: str, split: Split) -> Mask:
    assert split in HELD_OUT
    rows: Mask = (table["channel"] == channel) & (table["split"] == split.value)
    return rows


def _fake(table: Table) -> Mask:
    return table["fake"].astype(bool)


def _logits(table: Table, rows: Mask) -> Scores:
    return table["logit"][rows].astype(np.float64)
