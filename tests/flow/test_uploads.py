"""An upload where the disk takes no more: what is written to /dev/full fails."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monitor.web.api.recordings import NAME, Uploads
from monitor.web.problems import Problem


async def body() -> AsyncIterator[bytes]:
    yield b"RIFF" * 1000


async def test_a_full_disk_is_said_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = Uploads(tmp_path / "uploads", 1_000_000)
    make = uploads._make

    def on_a_full_disk() -> Path:
        folder = make()
        (folder / NAME).symlink_to("/dev/full")
        return folder

    monkeypatch.setattr(uploads, "_make", on_a_full_disk)
    with pytest.raises(Problem, match="No space left") as caught:
        async with uploads.taken(body()):
            pass
    assert caught.value.status == 507
    assert not list((tmp_path / "uploads").iterdir())
