"""Ray: how a machine joins it, how it is connected to, and when it is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

NAMESPACE = "deepfake-monitor"
"""Ray's namespace of all actors."""
NODE_RESOURCE = "media_node"
"""Ray's resource of a machine, or a group of its cores, that monitors calls."""
HEAD_RESOURCE = "director"
"""Ray's resource of the machine where the director runs."""

DEFAULTS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}
"""Reports to nobody, and notices within seconds, rather than twenty, that a node is gone."""
_CHECK_SECONDS = 30.0
_OBJECT_STORE = 80_000_000
"""Bytes; the least that Ray takes."""


class EngineError(Exception):
    """Ray is missing, or would not be safe; the message says what to do."""


def require_authentication() -> None:
    """Raise EngineError unless this process shows Ray a token; whoever reaches Ray runs code."""
    if os.environ.get("RAY_AUTH_MODE") != "token":
        raise EngineError(
            "RAY_AUTH_MODE=token is not set: without it whoever reaches Ray's ports runs code here"
        )
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    file = Path(path) if path else Path.home() / ".ray" / "auth_token"
    if os.environ.get("RAY_AUTH_TOKEN"):
        return
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(
            f"no Ray token in RAY_AUTH_TOKEN, and {file} cannot be read; "
            "make one with: ray get-auth-token --generate"
        ) from error
    if not token:
        raise EngineError(f"{file}: the Ray token is empty")


def refuses_strangers(address: str) -> bool:
    """Whether Ray at `address` turns away who shows no token.

    Ray that was started without one takes everybody, with a token that is shown or without.
    Raises EngineError if it says neither yes nor no.
    """
    stranger = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH_")}
    try:
        done = subprocess.run(
            [*_ray(), "health-check", "--address", address],
            env=stranger | {"RAY_AUTH_MODE": "disabled"},
            capture_output=True,
            text=True,
            timeout=_CHECK_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"cluster.address: {address}: no answer") from error
    if done.returncode and "InvalidAuthToken" not in done.stdout + done.stderr:
        said = " ".join((done.stdout + done.stderr).split())[-200:]
        raise EngineError(f"cluster.address: {address}: whether it is secured is not known: {said}")
    return done.returncode != 0


def start_command(head: bool, address: str, ip: str, port: int, nodes: int) -> list[str]:
    """The command that makes this machine part of Ray, and stays in the foreground."""
    resources = {NODE_RESOURCE: nodes} if nodes else {}
    if head:
        resources[HEAD_RESOURCE] = 1
    where = ["--head", f"--port={port}", "--include-dashboard=false"] if head else []
    where += [] if head else [f"--address={address}"]
    return [
        *_ray(), "start", "--block", *where,
        *([f"--node-ip-address={ip}"] if ip else []),
        f"--resources={json.dumps(resources)}",
        # Nothing is scheduled by cores, and windows stay in the process that made them.
        "--num-cpus=0", f"--object-store-memory={_OBJECT_STORE}", "--disable-usage-stats",
    ]  # fmt: skip


def _ray() -> list[str]:
    # Ray's own command line, of this interpreter.
    return [sys.executable, "-m", "ray.scripts.scripts"]
