"""The report on calls as Markdown tables for the model card."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from monitor.training.calls.baselines import CUSUM, MEAN, SCAN, WINDOW
from monitor.training.calls.callbench import CALL_LEVEL, NAIVE

Row = Mapping[str, Any]
TITLES = {
    SCAN: "scan (ours)",
    MEAN: "mean over the call",
    WINDOW: "single window",
    CUSUM: "plain CUSUM",
}
RULES = {CALL_LEVEL: "whole calls", NAIVE: "textbook"}
KINDS = {"full": "fully fake", "switch": "fake mid-call", "partial": "fake for 8 to 15 s"}


def markdown(report: Row) -> str:
    """All tables, with what each one counts."""
    splits = [row for row in report["false_alarms"] if row["level"].endswith("calls")]
    detection = report["detection"]
    whole = [row for row in detection if row["kind"] != "partial"]
    shown = ("review", "alert", report["compared"])
    parts = [
        _about(report),
        _section(
            f"False alarms per genuine call over {report['splits']} random halves of the speakers",
            _false_alarms(splits),
        ),
        _section(
            "The same at the budgets per hour (with too few calls the policy's rule uses a model)",
            _false_alarms([row for row in report["false_alarms"] if row not in splits]),
        ),
        _section(
            "False alarms per hour on the policy's own division, exact 95 % limits",
            _certificates(report["certificates"]),
        ),
        _section(
            "The scan's thresholds set on one channel and used on another: beyond what is promised",
            _shifts(report["shifts"]),
        ),
        _section(
            "Detection by the scan (95 % intervals over generators; times since the onset, "
            "Kaplan-Meier, while five calls are followed)",
            _detection([r for r in whole if r["statistic"] == SCAN and r["level"] in shown]),
        ),
        _section(
            f"Detection of all statistics at the same budget, {report['compared']}",
            _detection(
                [r for r in whole if r["channel"] == "all" and r["level"] == report["compared"]]
            ),
        ),
        _section(
            "Partial fakes",
            _partial([r for r in detection if r["kind"] == "partial" and r["level"] in shown]),
        ),
        *(
            _section(f"By generator family, scan, level: {level}", _families(rows))
            for level, rows in report["families"].items()
        ),
        _section(
            "Alert precision: the share of alarmed calls that hold a fake",
            _precision(report["precision"]),
        ),
    ]
    return "\n".join(parts)


def _about(report: Row) -> str:
    calls, scan = report["calls"], report["scan"]
    lines = [
        f"- {KINDS.get(kind, kind)}: {c['calls']} calls, {c['hours']:.2f} h"
        + (f" ({c['fake_hours']:.2f} h fake)" if c["fake_hours"] else "")
        + f"; {_counts(c['channels'])}"
        + (f"; human and fake share: {_counts(c['match'])}" if c["match"] else "")
        for kind, c in calls.items()
        if kind != "reference"
    ]
    reference = calls["reference"]
    lines.append(
        f"- thresholds: {reference['calls']} genuine calls of {reference['speakers']} speakers "
        f"that warmed up, {reference['hours']:.2f} h, median {reference['median_seconds']:.0f} s, "
        f"{reference['long']} of them long (20 s or more)"
    )
    lines.append(
        f"- scan model: separation {scan['separation']:.2f}, variance between calls "
        f"{scan['between']:.2f}, within {scan['within']:.2f}, "
        f"autocorrelation {scan['autocorrelation']:.2f}"
    )
    return "\n".join([f"Model {report.get('model', '')[:12]}", "", *lines, ""])


def _false_alarms(rows: Iterable[Row]) -> str:
    return _table(
        ("budget", "statistic", "threshold from", "nominal", "mean", "times the budget",
         "5 to 95 %", "if exchangeable", "splits above", "alarms / h", "the budget is"),
        (
            (
                r["level"],
                TITLES[r["statistic"]],
                _rule(r),
                _percent(r["nominal"]),
                _percent(r["mean"]) if r["reachable"] else "too few calls",
                f"{r['mean'] / r['nominal']:.1f}" if r["reachable"] else "",
                f"{_percent(r['low'])} to {_percent(r['high'])}" if r["reachable"] else "",
                _theory(r.get("theory")),
                _percent(r["above"]) if r["reachable"] else "",
                f"{r['mean_per_hour']:.1f}" if r["reachable"] else "",
                _verdict(r),
            )
            for r in rows
        ),
    )  # fmt: skip


def _rule(row: Row) -> str:
    per_call = row["level"].endswith("calls")
    return RULES[row["rule"]] if per_call or row["rule"] == NAIVE else "the policy's rule"


def _verdict(row: Row) -> str:
    if not row["reachable"]:
        return ""
    if row["straddles"]:
        return "straddled"
    return "**overshot**" if row["mean"] > row["nominal"] else "undershot"


def _theory(theory: Sequence[float] | None) -> str:
    return f"{_percent(theory[0])} to {_percent(theory[2])}" if theory else ""


def _certificates(rows: Iterable[Row]) -> str:
    return _table(
        ("budget", "statistic", "threshold from", "nominal / call", "threshold", "alarms / calls",
         "hours", "alarms / h", "at most / h", "at most / call"),
        (
            (
                r["level"],
                TITLES[r["statistic"]],
                _rule(r),
                _percent(r["nominal"]),
                _number(r["threshold"]),
                f"{r['alarms']} / {r['calls']}",
                f"{r['hours']:.2f}",
                f"{r['per_hour']:.1f}" if r["threshold"] is not None else "",
                f"{r['bound_per_hour']:.1f}" if r["threshold"] is not None else "too few calls",
                _percent(r["bound_per_call"]) if r["threshold"] is not None else "",
            )
            for r in rows
        ),
    )  # fmt: skip


def _shifts(rows: Iterable[Row]) -> str:
    return _table(
        ("budget", "set on", "used on", "alarms / calls", "at most / call"),
        (
            (
                r["level"],
                f"{r['from']} ({r['setting_calls']})",
                r["to"],
                f"{r['alarms']} / {r['calls']}",
                _percent(r["bound_per_call"]),
            )
            for r in rows
        ),
    )


def _detection(rows: Iterable[Row]) -> str:
    return _table(
        ("budget", "calls", "channel", "statistic", "n", "too short", "not measurable",
         "alarmed before", "noticed", "within 15 / 30 / 60 s", "median", "p90", "missed"),
        (
            (
                r["level"],
                KINDS[r["kind"]],
                r["channel"],
                TITLES[r["statistic"]],
                r["calls"],
                r["undecided"] - r["not_measurable"],
                r["not_measurable"],
                r["early"],
                f"{_percent(r['noticed'])} {_interval(r['interval'])}",
                " / ".join(_percent(x) for x in r["within"].values()),
                _seconds(r["median"]),
                _seconds(r["p90"]),
                _percent(1 - r["noticed"]) if r["noticed"] is not None else "",
            )
            for r in rows
        ),
    )  # fmt: skip


def _partial(rows: Iterable[Row]) -> str:
    return _table(
        ("budget", "channel", "statistic", "n", "alarmed before", "noticed", "median",
         "fake inside the span", "span inside the fake"),
        (
            (
                r["level"],
                r["channel"],
                TITLES[r["statistic"]],
                r["calls"],
                r["early"],
                f"{_percent(r['noticed'])} {_interval(r['interval'])}",
                _seconds(r["median"]),
                _percent(r.get("covered")),
                _percent(r.get("pure")),
            )
            for r in rows
            if r["channel"] == "all" or r["statistic"] == SCAN
        ),
    )  # fmt: skip


def _families(rows: Iterable[Row]) -> str:
    return _table(
        ("calls", "by", "", "n", "too short", "not measurable", "noticed", "within 30 s", "median"),
        (
            (
                KINDS[r["kind"]],
                r["by"],
                r["name"],
                r["calls"],
                r["undecided"] - r["not_measurable"],
                r["not_measurable"],
                f"{_percent(r['noticed'])} {_interval(r['interval'])}",
                _percent(r["within"]["30"]),
                _seconds(r["median"]),
            )
            for r in rows
            if r["by"] != "generator"
        ),
    )


def _precision(rows: Sequence[Row]) -> str:
    rates = list(rows[0]["at_budget"]) if rows else []
    return _table(
        ("budget", "calls", "noticed", "false alarms / call",
         *(f"1 fake in {round(1 / float(b)):,}" for b in rates)),
        (
            (
                r["level"],
                KINDS[r["kind"]],
                _percent(r["noticed"]),
                f"{_percent(r[false])} ({words})",
                *(_percent(x) for x in r[at].values()),
            )
            for r in rows
            for false, at, words in (
                ("false_alarms", "at_budget", "budget"),
                ("upper", "at_upper", "95 % limit"),
            )
        ),
    )  # fmt: skip


def _section(title: str, table: str) -> str:
    return f"### {title}\n\n{table}\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items())


def _percent(share: float | None) -> str:
    if share is None:
        return "-"
    return f"{100 * share:.2g} %" if share < 0.0995 else f"{100 * share:.0f} %"


def _interval(interval: Sequence[float | None] | None) -> str:
    return f"({_percent(interval[0])} to {_percent(interval[1])})" if interval else ""


def _seconds(value: float | None) -> str:
    return "not reached" if value is None else f"{value:.0f} s"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
