"""The real service as a subprocess, and what tests ask of it."""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.contract import Contract
from tests.e2e.rig.process import Process, wait_until

TOKEN = "end-to-end-token"


def is_all(spent: Mapping[str, float], sent: float) -> bool:
    """Whether the account holds each second that was sent.

    A sender on a busy machine takes longer than it means to; what it did not fill is accounted too.
    """
    accounted = spent["scored"] + spent["abstained"] + spent["lost"]
    return sent - 1 <= accounted <= sent + 5


class Service:
    """`deepfake-monitor serve` on a free port, or on a chosen one; the API as methods."""

    def __init__(self, folder: Path, settings: str = "", port: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.settings = folder / "settings.toml"
        self.settings.write_text(f'state_dir = "{folder / "var"}"\n{settings}')
        command = [sys.executable, "-m", "monitor", "serve", "--port", str(port)]
        self.process = Process(
            [*command, "--settings", str(self.settings)],
            folder / "service.log",
            env={**os.environ, "MONITOR_TOKEN": TOKEN, "PYTHONUNBUFFERED": "1"},
        )
        self.url = ""
        self.http = httpx.Client()
        self._contract: Contract | None = None

    def start(self) -> Self:
        before = len(self._heard())
        self.process.start()
        self.process.wait_ready(lambda: len(self._heard()) > before)
        self.url = self._heard()[-1].rstrip("/")
        self.http.close()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self.http = httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)
        return self

    def _heard(self) -> list[str]:
        """Where it said that it listens, in this run and those before."""
        return re.findall(r"^listening on (\S+)$", self.process.said(), re.M)

    def log(self, event: str) -> list[dict[str, Any]]:
        """Log records with this message."""
        lines = (line for line in self.process.said().splitlines() if line.startswith("{"))
        return [r for r in map(json.loads, lines) if r.get("event") == event]

    def get(self, path: str, **parameters: Any) -> Any:
        """An answer's content, which must be as the service describes it."""
        response = self.http.get(path, params=parameters)
        response.raise_for_status()
        return self.contract.holds(response)

    @property
    def contract(self) -> Contract:
        """What the service says about its API."""
        if self._contract is None:
            self._contract = Contract(self.http.get("/openapi.json").json())
        return self._contract

    def pull(self, uri: str, **fields: Any) -> httpx.Response:
        return self.http.post("/api/v1/sources", json={"uri": uri, **fields})

    def call(self, call_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/api/v1/calls/{call_id}")
        return found

    def verdict(self, call_id: str) -> dict[str, Any]:
        """The latest verdict of a call's only participant, or an empty record."""
        participants = self.call(call_id)["participants"]
        return (participants[0]["verdict"] or {}) if participants else {}

    def wait_verdict(self, call_id: str, scored: float, timeout: float) -> dict[str, Any]:
        """Wait until this many seconds are scored."""

        def look() -> dict[str, Any] | None:
            verdict = self.verdict(call_id)
            return verdict if verdict and verdict["seconds"]["scored"] >= scored else None

        found = wait_until(look, timeout, f"{scored} scored seconds", every=0.5)
        assert found is not None
        return found

    def alerts(self, call_id: str) -> list[dict[str, Any]]:
        """Alert messages of a call, oldest first."""
        found: list[dict[str, Any]] = self.get("/api/v1/alerts", call=call_id)
        return found[::-1]

    def metrics(self) -> dict[str, float]:
        """Samples by name and labels as Prometheus writes them."""
        text = self.http.get("/metrics").text
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    @contextmanager
    def events(self, call: str | None = None) -> Iterator[Iterator[tuple[str, dict[str, Any]]]]:
        """Follow the event stream."""
        parameters = {"call": call} if call else {}
        with self.http.stream("GET", "/api/v1/events", params=parameters) as response:

            def read() -> Iterator[tuple[str, dict[str, Any]]]:
                event = ""
                for line in response.iter_lines():
                    if line.startswith("event: "):
                        event = line[7:]
                    elif line.startswith("data: "):
                        yield event, json.loads(line[6:])

            yield read()

    def stop(self) -> None:
        self.http.close()
        self.process.stop()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
