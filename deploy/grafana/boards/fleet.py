"""Is every call monitored, on every machine? And what was found?"""

from deploy.grafana.boards.panel import (
    DUE,
    JOB,
    NO_ALERT,
    NO_TROUBLE,
    NOTHING_MISSED,
    Board,
    events,
    lines,
    number,
)

_FIRING = '{alertname=~"Monitor.+",alertstate="firing"}'

FLEET = Board(
    "deepfake-fleet",
    "Deepfake monitor: fleet",
    "Is every call monitored, on every machine? And what was found?",
    (
        (
            "Now",
            (
                number("Nodes that answer", f"sum(up{{{JOB}}})"),
                number("Calls in progress", "sum(monitor_calls)"),
                number(
                    "Calls in review or alert",
                    'sum(monitor_calls{state=~"review|alert"})',
                    empty="until a call has been suspected since the start",
                    red=1,
                ),
                number(
                    "Not judged, of what was due",
                    f'sum(rate(monitor_seconds_total{{outcome!="scored",{DUE}}}[5m]))'
                    f" / (sum(rate(monitor_seconds_total{{{DUE}}}[5m])) > 0)",
                    "percentunit",
                    "Lost, or abstained for another reason than silence; five minutes.",
                    NOTHING_MISSED,
                    0.2,
                ),
                number(
                    "Verdicts, 95 % within",
                    "histogram_quantile(0.95, sum by (le) (rate(monitor_lag_seconds_bucket[5m])))",
                    "s",
                    red=1,
                ),
                number("Operations alerts", f"count(ALERTS{_FIRING})", empty=NO_TROUBLE, red=1),
            ),
        ),
        (
            "Calls",
            (
                lines("By state", "sum by (state) (monitor_calls)", "{{state}}", kind="stacked"),
                lines("By ingest", "sum by (ingest) (monitor_calls)", "{{ingest}}", kind="stacked"),
                lines(
                    "By node", "sum by (instance) (monitor_calls)", "{{instance}}", kind="stacked"
                ),
                events("Begun", "monitor_calls_started_total", "ingest", where=""),
                events(
                    "Ended",
                    "monitor_calls_ended_total",
                    "ingest, reason",
                    where="",
                    empty="until a call has ended",
                ),
                events(
                    "Refused",
                    "monitor_calls_refused_total",
                    "instance, ingest",
                    where="",
                    about="Nobody monitors these.",
                    empty="until a call has been refused",
                ),
                events(
                    "Not as it should be",
                    "monitor_anomalies_total",
                    "ingest, kind",
                    where="",
                    about="What senders did that could not be used; the calls went on.",
                    empty="while senders keep to their protocols",
                ),
            ),
        ),
        (
            "Findings and trouble",
            (
                events(
                    "Alerts raised",
                    "monitor_alerts_total",
                    "tier, type",
                    'action="raised"',
                    where="",
                    empty=NO_ALERT,
                ),
                lines(
                    "Not judged, by node",
                    "instance_detector:monitor_seconds_unmonitored:ratio_rate5m",
                    "{{instance}} {{detector}}",
                    "percentunit",
                    empty=NOTHING_MISSED,
                    red=0.2,
                ),
                lines(
                    "Operations alerts, by node",
                    f"count by (alertname, instance) (ALERTS{_FIRING})",
                    "{{alertname}} {{instance}}",
                    kind="bars",
                    empty=NO_TROUBLE,
                ),
            ),
        ),
    ),
)
