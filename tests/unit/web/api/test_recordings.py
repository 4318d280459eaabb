"""Uploads: bounded, named when they are at fault, and gone when their call is."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from monitor.calls.admission import Slots
from monitor.calls.paced import PacedSource
from monitor.calls.registry import Registry
from monitor.metrics.sink import Metrics
from monitor.types import ChannelChoice, Tracks
from monitor.types.protocols import Source, SourceError
from monitor.web import problems
from monitor.web.api import recordings
from monitor.web.api.recordings import Uploads
from monitor.web.auth import Gatekeeper, Grant, digest
from tests.fakes import MemorySink, ScriptedSource, noise, stages

MOST = 1000
MEDIA = (Tracks("remote", audio=True, video=False), noise(0, 4, 0.05))


class Unreadable:
    ingest = "file"
    live = False

    async def run(self, intake: object) -> str:
        raise SourceError("unreadable", "recording: not a media file that can be opened")


class Desk:
    """The route around a registry whose sources are made up."""

    def __init__(self, folder: Path, most: int = MOST) -> None:
        self.folder = folder
        self.sink = MemorySink()
        self.registry = Registry(stages(), self.sink, Metrics(), Slots(2))
        self.uploads = Uploads(folder, most)
        self.opened: list[tuple[bytes, str]] = []
        self.choices: list[ChannelChoice] = []
        self.make: Callable[[], Source] = lambda: ScriptedSource(*MEDIA)
        app = FastAPI()
        problems.install(app)
        keeper = Gatekeeper([Grant("tester", digest("token"), frozenset({"control"}))])
        app.include_router(recordings.router(self.registry, keeper, self.uploads, self._open))
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://monitor",
            headers={"Authorization": "Bearer token"},
        )

    def _open(self, path: Path, participant: str, channels: ChannelChoice) -> Source:
        self.choices.append(channels)
        self.opened.append((path.read_bytes(), participant))
        return self.make()

    @property
    def left(self) -> list[Path]:
        return list(self.folder.iterdir()) if self.folder.exists() else []


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path / "uploads")
    yield made
    await made.registry.close()
    await made.http.aclose()


async def test_a_recording_becomes_a_call_and_its_file_goes_with_it(desk: Desk) -> None:
    answer = await desk.http.post(
        "/api/v1/recordings?participant=Ada&label=friday", content=b"sound"
    )
    assert answer.status_code == 201, answer.text
    call = answer.json()["id"]
    assert answer.headers["location"] == f"/api/v1/calls/{call}"
    assert desk.opened == [(b"sound", "Ada")]
    await desk.registry.close()
    found = desk.registry.find(call)
    assert found is not None
    assert (found.label, found.ended) == ("friday", "ended")
    assert desk.left == []


async def test_the_choice_of_channels_is_handed_on(desk: Desk) -> None:
    for choice in ("", "?channels=split"):
        answer = await desk.http.post(f"/api/v1/recordings{choice}", content=b"sound")
        assert answer.status_code == 201, answer.text
    assert desk.choices == [ChannelChoice.MIX, ChannelChoice.SPLIT]


@pytest.mark.parametrize(
    ("query", "body", "status", "field"),
    [
        ("", b"", 422, "body"),
        ("", b"x" * (MOST + 1), 413, "body"),
        ("?pace=backwards", b"x", 422, "pace"),
        ("?channels=both", b"x", 422, "channels"),
        ("?participant=", b"x", 422, "participant"),
        ("?participant=" + "x" * 81, b"x", 422, "participant"),
        ("?label=%00", b"x", 422, "label"),
    ],
)
async def test_what_is_at_fault_is_named(
    desk: Desk, query: str, body: bytes, status: int, field: str
) -> None:
    answer = await desk.http.post(f"/api/v1/recordings{query}", content=body)
    assert answer.status_code == status
    assert answer.json()["field"] == field
    assert desk.left == []
    assert desk.registry.active == 0


async def test_a_body_of_unknown_length_is_bounded_too(desk: Desk) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    answer = await desk.http.post("/api/v1/recordings", content=parts())
    assert answer.status_code == 413
    assert desk.left == []


async def test_a_file_that_is_no_media_is_named_and_deleted(desk: Desk) -> None:
    desk.make = Unreadable
    answer = await desk.http.post("/api/v1/recordings", content=b"not media")
    assert answer.status_code == 422
    assert answer.json()["field"] == "body"
    assert "not a media file" in answer.json()["detail"]
    assert desk.left == []


async def test_where_uploads_are_off_none_is_taken(tmp_path: Path) -> None:
    off = Desk(tmp_path / "uploads", most=0)
    answer = await off.http.post("/api/v1/recordings", content=b"x")
    assert answer.status_code == 403
    assert "limits.upload_megabytes" in answer.json()["detail"]
    await off.http.aclose()


def test_what_a_killed_service_left_is_deleted(tmp_path: Path) -> None:
    left = tmp_path / "uploads" / "tmpabc"
    left.mkdir(parents=True)
    (left / recordings.NAME).write_bytes(b"sound")
    Uploads(tmp_path / "uploads", MOST).clear()
    assert not left.exists()


async def test_a_paced_replay_takes_as_long_as_the_call(desk: Desk) -> None:
    first, last = noise(0.0, 0.2, 0.05), noise(0.4, 0.2, 0.05)

    class Intake:
        times: list[float] = []

        async def put(self, media: object) -> None:
            self.times.append(time())

    from asyncio import get_running_loop

    time = get_running_loop().time
    intake = Intake()
    source = PacedSource(ScriptedSource(MEDIA[0], first, last))
    assert source.ingest == "file"
    began = time()
    assert await source.run(intake) == "ended"  # type: ignore[arg-type]
    tracks, early, late = intake.times
    assert tracks - began < early - began
    # No piece comes before its own last sample.
    assert early - tracks >= 0.19
    assert late - tracks >= 0.59


async def test_a_form_is_told_that_the_file_itself_is_wanted(desk: Desk) -> None:
    answer = await desk.http.post("/api/v1/recordings", files={"file": ("call.wav", b"RIFF")})
    assert (answer.status_code, answer.json()["field"]) == (415, "body")
    assert "--data-binary" in answer.json()["detail"]
    # What curl says of any file that is sent as it is.
    plain = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await desk.http.post("/api/v1/recordings", content=b"not media", headers=plain)
    assert answer.status_code == 201
