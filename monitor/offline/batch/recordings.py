"""Files and folders → the recordings in them, in an order that is always the same."""

from collections.abc import Sequence
from pathlib import Path

MEDIA = frozenset(
    ".wav .mp3 .m4a .ogg .oga .opus .flac .mp4 .mkv .mka .webm .mov .aac .amr .awb .3gp .3g2 .au "
    ".snd .aif .aiff .w64 .caf .gsm .ul .ulaw .mulaw .mu .pcmu .al .alaw .pcma .ts .avi .wma .wmv "
    ".mpg .mpeg .mp2 .wv .spx .voc".split()
)
"""How names end that count as recordings inside a folder; a file that is named may have any."""


class NoRecordingError(Exception):
    """A folder holds none; the message names it."""


def recordings(places: Sequence[Path]) -> list[Path]:
    """List files as they are named, and in the place of a folder what is in it, by name.

    Folders are searched to the bottom; names that begin with a dot are left out. Raises
    NoRecordingError for a folder without a recording.
    """
    found: list[Path] = []
    for place in places:
        if not place.is_dir():
            found.append(place)
            continue
        inside = sorted(path for path in place.rglob("*") if _is_recording(path, place))
        if not inside:
            raise NoRecordingError(f"{place}: no recording in this folder")
        found += inside
    return found


def _is_recording(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in MEDIA and not hidden and not path.is_dir()
