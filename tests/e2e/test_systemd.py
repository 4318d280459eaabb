"""systemd itself reads the shipped unit; it is not started here."""

import subprocess
from pathlib import Path

UNIT = Path(__file__).resolve().parents[2] / "deploy/systemd/deepfake-monitor.service"
PROGRAM = "/opt/deepfake-monitor/bin/deepfake-monitor"


def analyze(unit: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *words, str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def installed(folder: Path, text: str) -> Path:
    """The unit with a program that this machine has."""
    unit = folder / UNIT.name
    assert PROGRAM in text
    unit.write_text(text.replace(PROGRAM, "/bin/true"))
    return unit


def test_the_unit_is_well_formed(tmp_path: Path) -> None:
    good = analyze(installed(tmp_path, UNIT.read_text()), "verify")
    assert (good.returncode, good.stderr) == (0, "")
    bad = UNIT.read_text().replace("ProtectSystem=strict", "ProtectSystm=strict")
    assert "ProtectSystm" in analyze(installed(tmp_path, bad), "verify").stderr


def test_the_unit_is_hardened(tmp_path: Path) -> None:
    limit = ("security", "--offline=true", "--threshold=15", "--no-pager")
    good = analyze(installed(tmp_path, UNIT.read_text()), *limit)
    assert good.returncode == 0, good.stdout
    bad = UNIT.read_text().replace("CapabilityBoundingSet=\n", "")
    assert analyze(installed(tmp_path, bad), *limit).returncode != 0
