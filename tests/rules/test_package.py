"""The wheel holds what the service needs to run, and nothing of the tests."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_carries_models_and_page(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    models = {f"monitor/{p.relative_to(ROOT)}" for p in (ROOT / "models").rglob("*") if p.is_file()}
    pages = {str(p.relative_to(ROOT)) for p in (ROOT / "monitor" / "web" / "console").iterdir()}
    migrations = (ROOT / "monitor" / "store" / "migrations").rglob("*.py")
    assert models | pages | {str(p.relative_to(ROOT)) for p in migrations} <= names
    assert not any(name.startswith("tests") for name in names)
    assert any(name.endswith("LICENSE") for name in names)
