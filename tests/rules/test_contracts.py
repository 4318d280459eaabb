"""The import contracts hold, and each of them fails when it is broken."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# By contract: what breaks it, each in a file of its own. Loose modules are tried as well as
# folders: a contract that named its sources one by one would miss the next one.
BREAKS = {
    "layers": {"types/media.py": "import monitor.channel"},
    "training": {"training/breaks.py": "import monitor.calls.call"},
    "settings": {
        "calls/breaks.py": "import monitor.settings",
        "canary.py": "import monitor.settings",
    },
    "adapters": {"calls/breaks.py": "import monitor.ingest.rtsp"},
    "media": {
        "calls/breaks.py": "import av",
        "fleet.py": "import av",
        "sip/server.py": "import aiortc",
    },
    "onnxruntime": {
        "detectors/breaks.py": "import onnxruntime",
        "sip/server.py": "import onnxruntime",
        "promotion.py": "import onnxruntime",
    },
    "database": {
        "delivery/breaks.py": "import sqlalchemy",
        "gateway.py": "import sqlalchemy",
        "telephony.py": "import sqlite3",
    },
    "evidence": {"evidence/breaks.py": "import socket"},
    "ray": {"web/breaks.py": "import ray", "cluster/node.py": "import ray"},
    "core": {"web/breaks.py": "import monitor.cluster.actors"},
    "torch": {"inference/breaks.py": "import torch", "gateway.py": "import torch"},
    "pure": {"decision/breaks.py": "import asyncio"},
    "pictures": {"calls/breaks.py": "import cv2", "ingest/breaks.py": "import cv2"},
}


WIRING = {
    "__init__", "__main__", "access", "alerting", "app", "archive", "cli", "commands",
    "destinations", "fleet", "gateway", "judges", "meetings", "session", "settings", "sources",
    "telephony",
}  # fmt: skip
"""What may read settings."""


def lint(folder: Path, contract: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    command += ["--no-cache"] + (["--contract", contract] if contract else [])
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
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


def test_the_contract_about_settings_leaves_nothing_out() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (found,) = (c for c in contracts["contracts"] if c["id"] == "settings")
    there = {p.stem for p in (ROOT / "monitor").iterdir() if p.suffix == ".py" or p.is_dir()}
    named = {module.removeprefix("monitor.") for module in found["source_modules"]}
    assert named == there - WIRING - {"__pycache__"}


@pytest.mark.parametrize("contract", BREAKS)
def test_contract_fails_when_broken(contract: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "monitor", tmp_path / "monitor")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, line in BREAKS[contract].items():
        file = tmp_path / "monitor" / name
        file.write_text((file.read_text() if file.exists() else "") + f"\n{line}\n")
    result = lint(tmp_path, contract)
    assert result.returncode != 0
    assert "BROKEN" in result.stdout, result.stdout + result.stderr
    for name, line in BREAKS[contract].items():
        module = "monitor." + name.removesuffix(".py").replace("/", ".")
        found = line.removeprefix("import ")
        assert re.search(rf"{re.escape(module)} -> {re.escape(found)}", result.stdout), (
            result.stdout
        )


def test_opencv_opens_no_media_and_runs_no_network() -> None:
    """Which parts of it are used is beyond an import contract."""
    allowed = re.compile(
        r"BORDER_\w+|INTER_\w+|WARP_\w+|TM_\w+|COLOR_\w+|blur|remap|mean|matchTemplate|cvtColor"
        r"|setNumThreads|warpAffine|resize"
    )
    for file in sorted((ROOT / "monitor").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Attribute(value=ast.Name(id="cv2"), attr=name):
                    assert allowed.fullmatch(name), f"{file}: cv2.{name}"
                case ast.ImportFrom(module=str(module)):
                    assert module.split(".")[0] != "cv2", f"{file}: import cv2 whole"
