"""The import contracts hold, and each of them fails when it is broken."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

BREAKS = {
    "layers": ("types/media.py", "import monitor.clock"),
    "training": ("training/breaks.py", "import monitor.calls.call"),
    "settings": ("calls/breaks.py", "import monitor.settings"),
    "adapters": ("calls/breaks.py", "import monitor.ingest.rtsp"),
    "media": ("calls/breaks.py", "import av"),
    "onnxruntime": ("detectors/breaks.py", "import onnxruntime"),
    "database": ("delivery/breaks.py", "import sqlalchemy"),
    "evidence": ("evidence/breaks.py", "import socket"),
    "ray": ("web/breaks.py", "import ray"),
    "core": ("web/breaks.py", "import monitor.cluster.actors"),
    "torch": ("inference/breaks.py", "import torch"),
    "pure": ("decision/breaks.py", "import asyncio"),
}


def lint(folder: Path, contract: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    command += ["--no-cache"] + (["--contract", contract] if contract else [])
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
    )


def test_contracts_hold() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_contract_is_tried_below() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert {i for i in BREAKS if f'id = "{i}"' in text} == set(BREAKS)
    assert text.count("[[tool.importlinter.contracts]]") == len(BREAKS)


@pytest.mark.parametrize("contract", BREAKS)
def test_contract_fails_when_broken(contract: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "monitor", tmp_path / "monitor")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    name, line = BREAKS[contract]
    file = tmp_path / "monitor" / name
    before = file.read_text() if file.exists() else ""
    file.write_text(before + f"\n{line}\n")
    result = lint(tmp_path, contract)
    assert result.returncode != 0
    assert "BROKEN" in result.stdout, result.stdout + result.stderr
