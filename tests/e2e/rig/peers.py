"""Debian's own Prometheus and Alertmanager, started for one test, and what they answer."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from tests.e2e.rig.process import Process, Started, free_port, wait_until

PROMETHEUS = "/usr/bin/prometheus"
ALERTMANAGER = "/usr/bin/prometheus-alertmanager"


class Peer(Started):
    """A program with an HTTP interface on a free port of loopback."""

    def __init__(self, binary: str, arguments: Sequence[str], folder: Path, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.process = Process([binary, *arguments], folder / f"{Path(binary).name}.log")

    def start(self) -> Self:
        """Run it; returns when it says that it is ready."""
        self.process.start()
        self.process.wait_ready(self._ready, 60)
        return self

    def stop(self) -> None:
        """End it."""
        self.process.stop()

    def get(self, path: str, **parameters: str) -> Any:
        """JSON of a GET; raises httpx.HTTPStatusError."""
        answer = httpx.get(self.url + path, params=parameters, timeout=10, trust_env=False)
        return answer.raise_for_status().json()

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=2, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


class Prometheus(Peer):
    """Scrapes one target (HOST:PORT) every second with a bearer token, evaluates rule files.

    Configuration is JSON, which is YAML too. `config` replaces the made one when a shipped
    prometheus.yml is to be tried; it is used as it is.
    """

    def __init__(
        self,
        folder: Path,
        target: str,
        token: str | None = None,
        metrics_path: str = "/metrics",
        rules: Sequence[Path] = (),
        alertmanager: "Alertmanager | None" = None,
        interval: str = "1s",
        config: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if config is None:
            config = folder / "prometheus.json"
            job: dict[str, Any] = {
                "job_name": "monitor",
                "metrics_path": metrics_path,
                "static_configs": [{"targets": [target]}],
            }
            if token:
                job["authorization"] = {"credentials": token}
            made: dict[str, Any] = {
                "global": {
                    "scrape_interval": interval,
                    "scrape_timeout": interval,
                    "evaluation_interval": interval,
                },
                "scrape_configs": [job],
                "rule_files": [str(path.absolute()) for path in rules],
            }
            if alertmanager:
                made["alerting"] = {
                    "alertmanagers": [
                        {"static_configs": [{"targets": [f"127.0.0.1:{alertmanager.port}"]}]}
                    ]
                }
            config.write_text(json.dumps(made, indent=1))
        port = free_port()
        arguments = [
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--enable-feature=exemplar-storage",
        ]
        super().__init__(PROMETHEUS, arguments, folder, port)

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series of an instant query."""
        result = self.get("/api/v1/query", query=expression)["data"]["result"]
        return [(series["metric"], float(series["value"][1])) for series in result]

    def wait_for(self, expression: str, timeout: float = 20) -> list[tuple[dict[str, str], float]]:
        """The query's answer once it has any series: write the condition into the expression."""
        return wait_until(lambda: self.query(expression), timeout, expression, every=0.25)

    def target(self) -> dict[str, Any]:
        """The first target (health, lastError, scrapeUrl and so on); {} before discovery ran."""
        targets = self.get("/api/v1/targets", state="active")["data"]["activeTargets"]
        return dict(targets[0]) if targets else {}

    def wait_scraped(self, timeout: float = 20) -> dict[str, Any]:
        """The target once it was scraped, well (health `up`) or not (`down`)."""

        def look() -> dict[str, Any]:
            target = self.target()
            return target if target.get("health", "unknown") != "unknown" else {}

        return wait_until(look, timeout, "first scrape", every=0.25)

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its health and state."""
        groups = self.get("/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def alerts(self) -> list[dict[str, Any]]:
        """Alerts pending or firing here."""
        return list(self.get("/api/v1/alerts")["data"]["alerts"])


class Alertmanager(Peer):
    """Groups nothing, waits for nothing; sends to a webhook if one is given.

    `config` replaces the made configuration.
    """

    def __init__(
        self, folder: Path, webhook: str | None = None, config: Path | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if config is None:
            config = folder / "alertmanager.json"
            receiver: dict[str, Any] = {"name": "test"}
            if webhook:
                receiver["webhook_configs"] = [{"url": webhook, "send_resolved": True}]
            route = {
                "receiver": "test",
                "group_by": ["..."],
                "group_wait": "0s",
                "group_interval": "1s",
                "repeat_interval": "1h",
            }
            config.write_text(json.dumps({"route": route, "receivers": [receiver]}, indent=1))
        port = free_port()
        arguments = [
            f"--config.file={config}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ]
        super().__init__(ALERTMANAGER, arguments, folder, port)

    def alerts(self, **labels: str) -> list[dict[str, Any]]:
        """Active alerts that carry these labels."""
        found: list[dict[str, Any]] = self.get("/api/v2/alerts", active="true")
        return [a for a in found if labels.items() <= a["labels"].items()]

    def wait_alert(self, timeout: float = 20, **labels: str) -> dict[str, Any]:
        """The first active alert with these labels; raises TimeoutError."""
        return wait_until(lambda: self.alerts(**labels), timeout, f"alert {labels}")[0]
