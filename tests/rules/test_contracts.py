"""The import contracts hold, and each of them fails when it is broken."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# By contract: what breaks it, each in a file of its own. New files and old ones, loose ones and
# rooms: a contract that named its sources one by one would miss the next one.
BREAKS = {
    "layers": {
        "types/media.py": "import monitor.runtime.channel",
        "calls/breaks.py": "import monitor.settings",
        "offline/replay.py": "import monitor.settings",
        "version.py": "import monitor.types",
    },
    "service": {"service/alerting.py": "import monitor.service.fleet"},
    "ingest": {"ingest/codecs/g711.py": "import monitor.ingest.rtp.sdp"},
    "web": {"web/auth.py": "import monitor.web.api.whip"},
    "runtime": {"runtime/log.py": "import monitor.runtime.tasks"},
    "offline": {"offline/promotion.py": "import monitor.offline.replay"},
    "stages": {"training/data/clips.py": "import monitor.training.voice.train"},
    "faces": {"training/face/eyes/eyes.py": "import monitor.training.face.lips.lips_data"},
    "training": {"training/breaks.py": "import monitor.calls.call"},
    "settings": {
        "bench/breaks.py": "import monitor.settings",
        "training/breaks.py": "import monitor.settings",
    },
    "adapters": {"calls/breaks.py": "import monitor.ingest.pull.rtsp_source"},
    "media": {
        "calls/breaks.py": "import av",
        "service/fleet.py": "import av",
        "sip/server.py": "import aiortc",
    },
    "onnxruntime": {
        "detectors/breaks.py": "import onnxruntime",
        "sip/server.py": "import onnxruntime",
        "offline/promotion.py": "import onnxruntime",
    },
    "database": {
        "delivery/breaks.py": "import sqlalchemy",
        "service/gateway.py": "import sqlalchemy",
        "service/telephony_ports.py": "import sqlalchemy",
        "version.py": "import sqlite3",
    },
    "evidence": {"evidence/breaks.py": "import socket"},
    "ray": {"web/breaks.py": "import ray", "cluster/node.py": "import ray"},
    "core": {"web/breaks.py": "import monitor.cluster.actors"},
    "torch": {"inference/breaks.py": "import torch", "service/gateway.py": "import torch"},
    "pure": {"decision/breaks.py": "import asyncio"},
    "pictures": {"calls/breaks.py": "import cv2", "ingest/breaks.py": "import cv2"},
}


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
