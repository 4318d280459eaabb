"""Files that are damaged, empty or not what their name says."""

from pathlib import Path
from typing import Literal

Kind = Literal["cut.mp4", "cut.wav", "empty.wav", "empty.mp4", "text.wav", "video-only.mp4"]
KINDS: tuple[Kind, ...] = (
    "cut.mp4", "cut.wav", "empty.wav", "empty.mp4", "text.wav", "video-only.mp4",
)  # fmt: skip
"""cut.mp4 lost its index (it stands at the end), cut.wav lost 60 % of the samples it promises."""


def make(path: Path, kind: Kind, wav: Path, mp4: Path) -> None:
    """Write the damaged file of this kind from whole ones."""
    if kind == "cut.mp4":
        whole = mp4.read_bytes()
        path.write_bytes(whole[: len(whole) * 6 // 10])
    elif kind == "cut.wav":
        whole = wav.read_bytes()
        path.write_bytes(whole[: len(whole) * 4 // 10 + 1])
    elif kind in ("empty.wav", "empty.mp4"):
        path.write_bytes(b"")
    elif kind == "text.wav":
        path.write_text("This is a letter, not a sound.\n" * 200)
    else:
        raise ValueError(f"{kind} is made as a film")
