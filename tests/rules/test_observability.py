"""Rules and dashboards name what exists, are documented, and are what their generator draws."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from deploy.grafana import build
from monitor.metrics.cluster import ClusterFamilies
from monitor.metrics.sink import Metrics

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
FOREIGN = {"up", "ALERTS", "node_filesystem_avail_bytes", "node_filesystem_size_bytes"}
"""Series of Prometheus itself and of node_exporter."""
TARGET = {"job", "instance"}


@cache
def rules(kind: str) -> dict[str, dict[str, Any]]:
    """Recording (`record`) or alerting (`alert`) rules by name."""
    groups = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())["groups"]
    return {rule[kind]: rule for group in groups for rule in group["rules"] if kind in rule}


@cache
def expectations() -> list[tuple[str, bool]]:
    """Alerts that rules_test.yml looks at, and whether they are to fire."""
    tests = yaml.safe_load((DEPLOY / "prometheus/rules_test.yml").read_text())["tests"]
    checks = [check for test in tests for check in test.get("alert_rule_test", [])]
    return [(check["alertname"], bool(check["exp_alerts"])) for check in checks]


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every panel with the name of its dashboard's file."""
    for path in sorted((DEPLOY / "grafana/dashboards").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            if panel["type"] != "row":
                yield path.name, panel


def filled(expression: str) -> str:
    """The expression with Grafana's variables filled in."""
    for variable, value in {"$__rate_interval": "1m", "$instance": ".*"}.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression, f"unknown variable in {expression}"
    return expression


def expressions() -> list[tuple[str, str]]:
    """Every PromQL expression that is shipped, and where it stands."""
    found = [(name, rule["expr"]) for kind in ("record", "alert")
             for name, rule in rules(kind).items()]  # fmt: skip
    for file, panel in panels():
        found += [(f"{file}: {panel['title']}", filled(t["expr"])) for t in panel["targets"]]
    return found


@cache
def samples() -> dict[str, set[str]]:
    """Names of samples as they are on the wire, with their labels."""
    known: dict[str, set[str]] = {}
    for family in vars(Metrics()).values():
        if not hasattr(family, "describe"):
            continue
        (described,) = family.describe()
        labels = set(family._labelnames) | TARGET
        endings = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
        for ending in endings[described.type]:
            more = {"le"} if ending == "_bucket" else set()
            known[described.name + ending] = labels | more
    for family in ClusterFamilies().collect():
        for sample in family.samples:
            known.setdefault(sample.name, set(TARGET)).update(sample.labels)
    return known


def selectors(expression: str) -> list[tuple[str, set[str]]]:
    """Series an expression reads, each with the labels it is chosen by."""
    words = r'([a-zA-Z_:][\w:]*)(?:\{((?:[^"}]|"[^"]*")*)\})?'
    plain = re.sub(r"\b(?:by|on|without|ignoring)\s*\([^)]*\)|\[[^]]*\]", " ", expression)
    found = []
    for name, matchers in re.findall(words, plain):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', '""', matchers)))
        if name.startswith("monitor_") or ":" in name or name in FOREIGN or labels:
            found.append((name, labels))
    return found


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_an_expression_reads_only_series_that_exist(where: str, expression: str) -> None:
    promql_parser.parse(expression)
    known, recorded = samples(), rules("record")
    read = selectors(expression)
    assert read, f"{where} reads nothing of the service"
    for name, labels in read:
        if name in FOREIGN:
            continue
        if name in recorded:
            assert name != where
            assert labels <= TARGET | {"detector", "stage"}, f"{where}: {name} by {labels}"
            continue
        assert name in known, f"{where}: there is no series {name}"
        assert labels <= known[name], f"{where}: {name} has no labels {labels - known[name]}"


def test_a_series_that_does_not_exist_would_be_found() -> None:
    assert selectors('rate(monitor_calls_started{ingest="rtsp"}[5m])')[0][0] not in samples()
    assert selectors('sum by (x) (up{nonsense="a,b=}"})') == [("up", {"nonsense"})]


def test_every_family_is_on_a_dashboard() -> None:
    text = "\n".join(t["expr"] for _, panel in panels() for t in panel["targets"])
    text += "\n".join(r["expr"] for name, r in rules("record").items() if name in text)
    shown = {re.sub(r"_(total|bucket|sum|count)$", "", n) for n, _ in selectors(text)}
    families = {family.name for family in Metrics().registry.collect()}
    families |= {family.name for family in ClusterFamilies().collect()}
    assert families - shown == set()


def test_the_dashboards_are_what_the_generator_draws() -> None:
    folder = DEPLOY / "grafana/dashboards"
    drawn = build.drawn()
    assert {path.name for path in folder.iterdir()} == set(drawn)
    for name, text in drawn.items():
        assert (folder / name).read_bytes() == text.encode(), (
            f"{name} is not what `python -m deploy.grafana.build` draws"
        )


def test_dashboards_and_panels_have_names_of_their_own() -> None:
    seen: dict[str, list[Any]] = {}
    for file, panel in panels():
        seen.setdefault(file, []).append((panel["id"], panel["title"]))
    assert len(seen) == len(build.BOARDS)
    for file, names in seen.items():
        assert len({i for i, _ in names}) == len({t for _, t in names}) == len(names), file


@pytest.mark.parametrize("name", rules("alert"))
def test_an_alert_is_tested_routed_and_explained(name: str) -> None:
    rule = rules("alert")[name]
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert rule["labels"]["team"] == "operations"
    assert rule["annotations"]["runbook"] == f"docs/deployment.md#{name.lower()}"
    assert f"### {name}\n" in (ROOT / "docs/deployment.md").read_text()
    expected = {fires for alert, fires in expectations() if alert == name}
    assert expected == {True, False}, "both firing and not firing must be tested"


def test_no_alert_is_explained_that_does_not_exist() -> None:
    explained = re.findall(r"^### (Monitor\w+)$", (ROOT / "docs/deployment.md").read_text(), re.M)
    assert len(explained) == len(set(explained))
    assert set(explained) == set(rules("alert"))
