"""The real command where it must not start."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "hunter2"
AS_ANYBODY = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
"""Takes from root what makes files' permissions mean nothing to it."""


def refused(
    state: Path, url: str | None = None, as_anybody: bool = False, port: int = 0, status: int = 2
) -> str:
    """What the command says when it does not start; its log lines, which are JSON, aside."""
    if as_anybody and os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root needs setpriv (util-linux) to be refused anything")
    prefix = AS_ANYBODY if as_anybody and os.geteuid() == 0 else []
    settings = state.parent / "settings.toml"
    settings.write_text(f'state_dir = "{state}"\n' + (f'[store]\nurl = "{url}"\n' if url else ""))
    command = [sys.executable, "-m", "monitor", "serve", "--port", str(port)]
    result = subprocess.run(
        [*prefix, *command, "--settings", str(settings)],
        capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "MONITOR_TOKEN": "startup-token"},
    )  # fmt: skip
    assert result.returncode == status, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert '"level": "error"' not in result.stderr
    assert PASSWORD not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if not line.startswith("{")]
    return line
