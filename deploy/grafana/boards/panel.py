"""A panel asks one question in PromQL; a board is rows of them.

`$instance` is the node chosen in Grafana. A panel that can rightly be empty says when in `empty`;
every other one has series as soon as one call has been judged, and a test holds it to that.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["lines", "stacked", "bars", "number", "heatmap"]

DUE = 'reason!~"silence|too_little_speech|no_face|no_model|paused"'
"""Seconds that ought to be judged."""
NODE = 'instance=~"$instance"'
JOB = 'job="deepfake-monitor"'

NOTHING_MISSED = "while every second due was judged since the start, or nobody speaks"
NO_TROUBLE = "while nothing is wrong"
NO_VIDEO = "without video"
NO_CANARY = "without canary recordings, and before the first replay"
NO_DESTINATION = "without a destination"
NO_ALERT = "until an alert was raised"


@dataclass(frozen=True)
class Panel:
    """One question."""

    title: str
    queries: tuple[tuple[str, str], ...]
    """PromQL, and the legend of its series."""
    unit: str = "short"
    kind: Kind = "lines"
    about: str = ""
    empty: str = ""
    """When it may show nothing; part of the description."""
    red: float | None = None
    """The value from which on it is drawn in red."""


@dataclass(frozen=True)
class Board:
    """One dashboard."""

    uid: str
    title: str
    about: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    choose: Literal["", "one", "many"] = ""
    """Whether nodes are chosen: not at all, one, or several."""


def number(
    title: str,
    query: str,
    unit: str = "short",
    about: str = "",
    empty: str = "",
    red: float | None = None,
) -> Panel:
    """Make a panel with the present value."""
    return Panel(title, ((query, ""),), unit, "number", about, empty, red)


def lines(
    title: str,
    query: str,
    legend: str,
    unit: str = "short",
    kind: Kind = "lines",
    about: str = "",
    empty: str = "",
    red: float | None = None,
) -> Panel:
    """Make a panel over time from one query."""
    return Panel(title, ((query, legend),), unit, kind, about, empty, red)


def events(
    title: str,
    family: str,
    by: str,
    more: str = "",
    about: str = "",
    empty: str = "",
    where: str = NODE,
) -> Panel:
    """Make bars that count a family's events, by labels."""
    selector = ",".join(part for part in (where, more) if part)
    query = f"sum by ({by}) (increase({family}{{{selector}}}[$__rate_interval]))"
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    return Panel(title, ((query, legend),), kind="bars", about=about, empty=empty)


def spread(title: str, family: str, unit: str, about: str, empty: str = "") -> Panel:
    """Make a panel with a histogram's tenth, half and nine tenths over time."""
    rate = f"sum by (le) (rate({family}_bucket{{{NODE}}}[$__rate_interval]))"
    queries = tuple(
        (f"histogram_quantile({share}, {rate})", name)
        for share, name in ((0.9, "90 %"), (0.5, "median"), (0.1, "10 %"))
    )
    return Panel(title, queries, unit, about=about, empty=empty)


def heat(title: str, family: str, unit: str, more: str = "", about: str = "") -> Panel:
    """Make a histogram over time, with exemplars."""
    selector = ",".join(part for part in (NODE, more) if part)
    query = f"sum by (le) (increase({family}_bucket{{{selector}}}[$__rate_interval]))"
    return Panel(title, ((query, "{{le}}"),), unit, "heatmap", about)
