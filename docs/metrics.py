"""Every Prometheus family as a page."""

from monitor.metrics.sink import Metrics

_HEAD = """# Metrics

Written by `python -m docs.build` from the families' own words (`HELP`); change those in
`monitor/metrics` and write it again.

`GET /metrics` (token scope `metrics`) serves Prometheus text, or OpenMetrics with exemplars when
asked for it. Base units; labels come from small closed sets; a call's id appears only in
exemplars. Counters carry the suffix `_total` on the wire.

| family | kind | labels | meaning |
|---|---|---|---|
"""
_FOOT = """
Seconds that were not monitored, as a share of all:

    sum(rate(monitor_seconds_total{detector="voice",outcome!="scored"}[5m]))
      / sum(rate(monitor_seconds_total{detector="voice"}[5m]))
"""


def text() -> str:
    """The page."""
    rows = []
    for family in vars(Metrics()).values():
        if not hasattr(family, "describe"):
            continue
        (told,) = family.describe()
        labels = ", ".join(family._labelnames)
        rows.append(f"| `{told.name}` | {told.type} | {labels} | {told.documentation} |\n")
    return _HEAD + "".join(rows) + _FOOT
