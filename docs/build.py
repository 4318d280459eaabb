"""Writes the references from the code: `python -m docs.build` writes api.md and metrics.md.

The files are in the repository, so that they can be read without running anything; a test writes
them again and compares.
"""

import sys
from pathlib import Path

from docs import api, metrics

FOLDER = Path(__file__).parent


def written() -> dict[str, str]:
    """File names and their content."""
    return {"api.md": api.text(), "metrics.md": metrics.text()}


if __name__ == "__main__":
    for name, content in written().items():
        (FOLDER / name).write_text(content)
        sys.stdout.write(f"{FOLDER / name}\n")
