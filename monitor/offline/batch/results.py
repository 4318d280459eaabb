"""What was found out about recordings, kept so that a run that was broken off can be resumed."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Records = list[dict[str, Any]]
_STEM = 80
"""Characters of a recording's name in that of its results; names may be as long as a system has."""


class Results:
    """A folder with a file of JSON lines for each recording that is done.

    A file is there whole or not at all. Its first line says what it is of: what has another
    size or time since, or was made by something else, counts as not there.
    """

    def __init__(self, folder: Path, made_by: str) -> None:
        """`made_by` names all that a result depends on but the recording. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._made_by = made_by
        self._headers: dict[Path, dict[str, Any]] = {}
        """What recordings were like when they were looked for; some are still being written."""

    def find(self, recording: Path) -> Records | None:
        """Return a recording's records, or None if it has to be worked on."""
        try:
            wanted = self._headers[recording] = self._header(recording)
            lines = self._place(recording).read_text(encoding="utf-8").splitlines()
            header, *records = map(json.loads, lines)
            return records if header == wanted else None
        except (OSError, ValueError):
            # Not there, or not what this class wrote: it is made anew.
            return None

    def keep(self, recording: Path, records: Sequence[dict[str, Any]]) -> None:
        """Keep the records of a recording that was looked for; raises OSError."""
        place = self._place(recording)
        part = place.with_suffix(".part")
        with part.open("w", encoding="utf-8") as file:
            for record in (self._headers[recording], *records):
                file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)

    def _place(self, recording: Path) -> Path:
        # Recordings of several folders may have one name.
        digest = hashlib.sha256(os.fsencode(recording.absolute())).hexdigest()[:16]
        stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in recording.stem[:_STEM])
        while len(os.fsencode(stem)) > 2 * _STEM:
            stem = stem[:-1]
        return self._folder / f"{stem}-{digest}.jsonl"

    def _header(self, recording: Path) -> dict[str, Any]:
        about = recording.stat()
        return {
            "type": "recording",
            "bytes": about.st_size,
            "modified": about.st_mtime_ns,
            "made_by": self._made_by,
        }
