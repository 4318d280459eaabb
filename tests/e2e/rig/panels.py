"""What the shipped dashboards ask, put to a real Prometheus."""

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import httpx

DASHBOARDS = Path(__file__).resolve().parents[3] / "deploy/grafana/dashboards"


def panels(boards: Collection[str]) -> list[tuple[str, dict[str, Any]]]:
    """Every panel of these dashboards, with the name of its own."""
    read = [json.loads((DASHBOARDS / f"{name}.json").read_text()) for name in boards]
    return [(b["uid"], p) for b in read for p in b["panels"] if p["type"] != "row"]


def asked(expression: str, instance: str) -> str:
    """A panel's query with Grafana's variables filled in."""
    for variable, value in {"$__rate_interval": "30s", "$instance": re.escape(instance)}.items():
        expression = expression.replace(variable, value.replace("\\", "\\\\"))
    assert "$" not in expression, expression
    return expression


def unanswered(
    boards: Collection[str], url: str, instance: str = ".*"
) -> list[tuple[str, str, str]]:
    """Panels with a query that has no series: dashboard, title, description."""
    found = []
    with httpx.Client(base_url=url, timeout=10, trust_env=False) as http:
        for board, panel in panels(boards):
            for target in panel["targets"]:
                query = asked(target["expr"], instance)
                answer = http.get("/api/v1/query", params={"query": query})
                assert answer.status_code == 200, f"{board}: {panel['title']}: {answer.text}"
                if not answer.json()["data"]["result"]:
                    found.append((board, panel["title"], panel.get("description", "")))
    return found
