"""Report → the tables of the model card, as Markdown."""

from collections.abc import Iterator, Mapping
from typing import Any

from monitor.training.measure.scoring import CHANNELS

_NAMES = {
    "clean": "clean",
    "g711": "G.711",
    "opus": "Opus 12 kb/s, 5 % lost",
    "mobile": "AMR 7.4 kb/s",
}
_HEADS = " | ".join(_NAMES[channel] for channel in CHANNELS)
_RULE = "---|" * len(CHANNELS)


def markdown(report: Mapping[str, Any]) -> str:
    """All tables, one after the other."""
    return "\n".join(
        line
        for part in (_headline, _sources, _transferred, _human_only, _families, _lengths)
        for line in part(report)
    )


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _with_interval(found: Mapping[str, Any]) -> str:
    low, high = found["interval"]
    return f"{_percent(found['eer'])} ({_percent(low)}-{_percent(high)})"


def _headline(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"| macro within-source EER, % (95 % interval) | {_HEADS} |"
    yield f"|---|{_RULE}"
    rows = (
        ("windows", "window", "test, 3 s windows"),
        ("windows", "clip", "test, mean over a clip"),
        ("unseen", "window", "test, 3 s windows, generators never trained on"),
        ("development", "window", "development, 3 s windows (chose the checkpoint)"),
    )
    for part, unit, title in rows:
        cells = [_with_interval(report["channels"][channel][part][unit]) for channel in CHANNELS]
        yield f"| {title} | " + " | ".join(cells) + " |"
    yield ""


def _sources(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"| test source, EER % of windows | human (speakers) | fake (generators) | {_HEADS} |"
    yield f"|---|---|---|{_RULE}"
    each = [report["channels"][channel]["windows"]["window"]["sources"] for channel in CHANNELS]
    for name, found in each[0].items():
        cells = " | ".join(_with_interval(sources[name]) for sources in each)
        yield (
            f"| {name} | {found['human']} ({found['speakers']}) "
            f"| {found['fake']} ({found['generators']}) | {cells} |"
        )
    yield ""


def _transferred(report: Mapping[str, Any]) -> Iterator[str]:
    title = f"at the development sources' threshold ({report['threshold']:.3f}), %"
    yield f"| {title} | {_HEADS} |"
    yield f"|---|{_RULE}"
    moved = [report["channels"][channel]["transferred"] for channel in CHANNELS]
    for key, title in (
        ("hter", "half total error rate, test windows"),
        ("false_alarms", "false alarms, human test windows"),
        ("misses", "misses, fake test windows"),
    ):
        yield f"| {title} | " + " | ".join(_percent(each[key]) for each in moved) + " |"
    costs = [report["channels"][channel]["cost"] for channel in CHANNELS]
    for key, title in (
        ("bare", "Cllr in bits, bare logit"),
        ("calibrated", "Cllr in bits, calibrated on the development sources"),
    ):
        yield f"| {title} | " + " | ".join(f"{each[key]:.2f}" for each in costs) + " |"
    cells = [_percent(each["human_only"]["share"]) for each in moved]
    windows = moved[0]["human_only"]["windows"]
    yield (
        f"| false alarms, human-only held-out windows (n = {windows}) | " + " | ".join(cells) + " |"
    )
    yield ""


def _human_only(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"| human-only source, false alarms % | windows | {_HEADS} |"
    yield f"|---|---|{_RULE}"
    each = [
        report["channels"][channel]["transferred"]["human_only_sources"] for channel in CHANNELS
    ]
    for name, found in each[0].items():
        if found["windows"] >= 20:
            shares = (_percent(sources[name]["share"]) for sources in each)
            yield f"| {name} | {found['windows']} | " + " | ".join(shares) + " |"
    yield ""


def _families(report: Mapping[str, Any]) -> Iterator[str]:
    for column, least in (("family", 10), ("generator", 25)):
        yield f"| {column} (test), EER % | fake windows | {_HEADS} |"
        yield f"|---|---|{_RULE}"
        each = [report["channels"][channel]["families"][column] for channel in CHANNELS]
        for name, found in sorted(each[0].items(), key=lambda item: float(item[1]["eer"])):
            if found["fake"] >= least:
                rates = (_percent(names[name]["eer"]) for names in each)
                yield f"| {name} | {found['fake']} | " + " | ".join(rates) + " |"
        yield ""


def _lengths(report: Mapping[str, Any]) -> Iterator[str]:
    if "lengths" in report:
        yield "| window | windows (sources) | macro EER, % (95 % interval) |"
        yield "|---|---|---|"
        for name, found in report["lengths"].items():
            yield f"| {name} | {found['windows']} ({found['sources']}) | {_with_interval(found)} |"
        yield ""
    if "by_speech" in report:
        yield "| speech | voices (sources) | macro EER, % (95 % interval) | by the first window |"
        yield "|---|---|---|---|"
        for name, found in report["by_speech"].items():
            yield (
                f"| {name} | {found['voices']} ({found['sources']}) "
                f"| {_with_interval(found)} | {_percent(found['first'])} |"
            )
        yield ""
