"""A Ray cluster of simulated machines with the service on them, and its gateway."""

import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpx

from monitor.cluster.engine import DEFAULTS, start_command
from tests.e2e.rig.machines import HERE, Machine
from tests.e2e.rig.process import Process, Started, wait_until
from tests.e2e.service import TOKEN

PORT = 8077
RAY = f"{HERE}:6399"
_PORTS = (
    "--node-manager-port=6701", "--object-manager-port=6702", "--runtime-env-agent-port=6703",
    "--dashboard-agent-grpc-port=6704", "--dashboard-agent-listen-port=6705",
    "--metrics-export-port=6706",
)  # fmt: skip


class Cluster(Started):
    """A head in the test's own namespace, media nodes on machines, a gateway beside the head.

    Needs the bridge.
    """

    def __init__(self, folder: Path, machines: int, settings: str) -> None:
        # Sockets lie there, whose paths must be short.
        self._temporary = Path(tempfile.mkdtemp(prefix="ray-"))
        self.machines = [Machine(n, folder, self._temporary) for n in range(1, machines + 1)]
        self.folder = folder
        self.logs = self._temporary / "session_latest" / "logs"
        """Where Ray's processes write, on each machine for itself."""
        folder.mkdir(parents=True, exist_ok=True)
        token = folder / "ray-token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        self.environment = {
            "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "MONITOR_TOKEN": TOKEN,
            "RAY_TMPDIR": str(self._temporary), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        self.settings = folder / "settings.toml"
        self.settings.write_text(settings)
        here = [*_command("cluster", "start"), "--head", "--ip", HERE, "--port", "6399"]
        here += [f"--temp-dir={self._temporary}", "--no-monitor", *_PORTS]
        self.head = Process(here, folder / "head.log", self.environment)
        serve = _command("serve", "--cluster", "--host", "0.0.0.0", "--port", str(PORT))
        self.gateway = Process(
            [*serve, "--settings", str(self.settings)], folder / "gateway.log", self.environment
        )
        self._joined: list[Process] = []
        self.url = f"http://127.0.0.1:{PORT}"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self.http = httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    def start(self) -> Self:
        """Switch everything on; returns when every machine takes calls."""
        try:
            self.head.start()
            for machine in self.machines:
                machine.start()
            self.head.wait_ready(lambda: "Ray runtime started" in self.head.said(), 60)
            for machine in self.machines:
                # As `cluster start --join` does, without its start-up time.
                command = [*start_command(False, RAY, machine.address, 0, 1), *_PORTS]
                joining = machine.process(command, "ray", DEFAULTS | self.environment)
                self._joined.append(joining.start())
            self.gateway.start()
            self.gateway.wait_ready(lambda: "listening on" in self.gateway.said(), 90)
            wait_until(lambda: len(self.ready()) == len(self.machines), 90, "every node")
        except BaseException:
            self.keep_logs()
            self.stop()
            raise
        return self

    def nodes(self) -> list[dict[str, Any]]:
        """Nodes as the gateway shows them."""
        found: list[dict[str, Any]] = self.get("/api/v1/nodes")["nodes"]
        return found

    def ready(self) -> list[dict[str, Any]]:
        """Those that take calls."""
        return [node for node in self.nodes() if node["state"] == "ready"]

    def machine(self, node: Mapping[str, Any] | str) -> Machine:
        """The machine of a node, or of an instance."""
        if isinstance(node, str):
            (node,) = [n for n in self.nodes() if n["instance"] == node]
        (found,) = [m for m in self.machines if f"//{m.address}:" in node["inner_url"]]
        return found

    def get(self, path: str, **parameters: Any) -> Any:
        """JSON of a GET at the gateway."""
        response = self.http.get(path, params=parameters)
        response.raise_for_status()
        return response.json()

    def director(self) -> int:
        """The id of the director's process."""
        (found,) = self._actors("DirectorActor")
        return found

    def _actors(self, name: str = "") -> list[int]:
        """Ids of processes in which this cluster's actors run, those of the machines excepted."""
        mine = f"RAY_TMPDIR={self._temporary}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            # Others come and go meanwhile.
            with suppress(OSError):
                named = (folder / "cmdline").read_bytes().startswith(f"ray::{name}".encode())
                if named and mine in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
        return found

    def keep_logs(self) -> None:
        """Copy what the head's processes wrote to where it outlives them."""
        if self.logs.exists():
            shutil.copytree(self.logs, self.folder / "ray-logs", dirs_exist_ok=True, symlinks=False)

    def stop(self) -> None:
        """Switch everything off."""
        self.http.close()
        self.gateway.stop()
        for process in self._joined:
            process.kill()
        for machine in self.machines:
            machine.stop()
        # Asked to end, it would wait for its actors. Those end when they miss it.
        self.head.kill()
        for pid in self._actors():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self._temporary, ignore_errors=True)


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "monitor", *words]
