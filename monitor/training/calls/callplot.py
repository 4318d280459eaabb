"""The report on calls as one SVG picture; written by hand, so that nothing has to be installed.

realised false-alarm rate over the random halves, one dot each, against the budget
noticed fakes over time: the scan by channel   |   all statistics at one budget
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from monitor.training.calls.baselines import SCAN
from monitor.training.calls.callbench import CALL_LEVEL, NAIVE
from monitor.training.calls.calltables import KINDS, RULES, TITLES
from monitor.training.data.clips import fraction

Row = Mapping[str, Any]
SECONDS = 60.0
WIDTH, HEIGHT = 920, 680
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Okabe and Ito's, told apart by colour-blind eyes too."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A rectangle of the picture with linear axes."""

    left: float
    top: float
    width: float
    height: float
    x_most: float
    y_most: float

    def x(self, value: float) -> float:
        """Picture coordinate of a value on the horizontal axis."""
        return self.left + self.width * min(value, self.x_most) / self.x_most

    def y(self, value: float) -> float:
        """Picture coordinate of a value on the vertical axis."""
        return self.top + self.height * (1 - min(value, self.y_most) / self.y_most)


def draw(report: Row) -> str:
    """Return the picture as SVG text."""
    curves = report["curves"]
    by_channel = [c for c in curves if c["channel"] != "all"]
    by_statistic = [c for c in curves if c["channel"] == "all"]
    left = Frame(60, 390, 370, 190, SECONDS, 1.0)
    right = Frame(520, 390, 370, 190, SECONDS, 1.0)
    body = [
        *_realised(report),
        *_noticed(
            left,
            "The scan at the review budget",
            [(f"{KINDS[c['kind']]}, {c['channel']}", c) for c in by_channel],
        ),
        *_noticed(
            right,
            f"Fakes mid-call, all channels, budget {report['compared']}",
            [(TITLES[c["statistic"]], c) for c in by_statistic],
        ),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12" fill="#222">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _realised(report: Row) -> Iterable[str]:
    rows = [
        row
        for row in report["false_alarms"]
        if row["level"] == report["per_call"]
        and (row["rule"] == NAIVE or (row["statistic"] == SCAN and row["rule"] == CALL_LEVEL))
    ]
    most = max([0.1, *(rate for row in rows for rate in row["rates"])])
    frame = Frame(190, 50, 700, 60.0 * max(1, len(rows)), most * 1.05, 1.0)
    title = f"False alarms per genuine call, {report['splits']} random halves of the speakers"
    yield _text(frame.left, 30, title, weight="bold")
    step = next(s for s in (0.02, 0.05, 0.1, 0.2) if most / s <= 8)
    yield from _axis(frame, [step * i for i in range(int(frame.x_most / step) + 1)], " %")
    for i, row in enumerate(rows):
        colour = _COLOURS[i % len(_COLOURS)]
        middle = frame.top + 60 * i + 30
        yield _text(frame.left - 10, middle - 3, TITLES[row["statistic"]], anchor="end")
        rule = f"threshold from {RULES[row['rule']]}"
        yield _text(frame.left - 10, middle + 12, rule, anchor="end", size=10)
        for n, rate in enumerate(row["rates"]):
            y = middle + 40 * (fraction(f"{i}/{n}") - 0.5)
            yield (
                f'<circle cx="{frame.x(rate):.1f}" cy="{y:.1f}" r="2.2" '
                f'fill="{colour}" fill-opacity="0.35"/>'
            )
        x = frame.x(row["mean"])
        yield _line(x, middle - 24, x, middle + 24, colour, 2.5)
    if rows:
        x = frame.x(rows[0]["nominal"])
        yield _line(x, frame.top - 8, x, frame.top + frame.height, "#222", 1.5, "5 3")
        yield _text(x + 4, frame.top - 2, f"budget {100 * rows[0]['nominal']:.2g} %", size=11)


def _noticed(frame: Frame, title: str, curves: Sequence[tuple[str, Row]]) -> Iterable[str]:
    yield _text(frame.left, frame.top - 14, title, weight="bold")
    yield from _axis(frame, [0, 15, 30, 45, 60], " s")
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = frame.y(share)
        yield _line(frame.left, y, frame.left + frame.width, y, "#ddd", 1)
        yield _text(frame.left - 6, y + 4, f"{100 * share:.0f} %", anchor="end", size=11)
    for i, (name, curve) in enumerate(curves):
        colour = _COLOURS[i % len(_COLOURS)]
        x, y = frame.x(0), frame.y(0)
        points = [f"{x:.1f},{y:.1f}"]
        for seconds, noticed in zip(curve["seconds"], curve["noticed"], strict=True):
            if seconds > frame.x_most:
                break
            points += [f"{frame.x(seconds):.1f},{y:.1f}"]
            y = frame.y(noticed)
            points += [f"{frame.x(seconds):.1f},{y:.1f}"]
        points.append(f"{frame.x(curve['longest']):.1f},{y:.1f}")
        yield (
            f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" '
            'stroke-width="2"/>'
        )
        left = frame.left + frame.width / 2 * (i % 2)
        at = frame.top + frame.height + 58 + 18 * (i // 2)
        yield _line(left, at - 4, left + 18, at - 4, colour, 3)
        yield _text(left + 24, at, name, size=11)
    below = frame.top + frame.height + 34
    yield _text(frame.left, below, "seconds since the onset of the fake; share noticed", size=11)


def _axis(frame: Frame, ticks: Sequence[float], unit: str) -> Iterable[str]:
    bottom = frame.top + frame.height
    yield _line(frame.left, bottom, frame.left + frame.width, bottom, "#222", 1)
    for tick in ticks:
        shown = 100 * tick if unit == " %" else tick
        yield _line(frame.x(tick), bottom, frame.x(tick), bottom + 4, "#222", 1)
        yield _text(frame.x(tick), bottom + 17, f"{shown:.0f}{unit}", anchor="middle", size=11)


def _line(
    x1: float, y1: float, x2: float, y2: float, colour: str, width: float, dashes: str = ""
) -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width:g}"{dashed}/>'
    )


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", size: int = 12, weight: str = "normal"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}">{escape(words)}</text>'
    )
