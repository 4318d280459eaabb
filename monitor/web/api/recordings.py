"""REST: a recording is uploaded, replayed like a live call, and deleted."""

import asyncio
import errno
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from typing_extensions import TypedDict

from monitor.calls.paced import PacedSource
from monitor.calls.registry import Registry
from monitor.ingest.recording.voices import named
from monitor.runtime.refusals import refused
from monitor.schema.records import described
from monitor.types import ChannelChoice
from monitor.types.protocols import Source
from monitor.web.api.begin import begun
from monitor.web.auth import Gatekeeper, Grant
from monitor.web.description import DescribedRoute, refusals
from monitor.web.problems import Problem
from monitor.web.quota import Quota

NAME = "recording"
"""What an uploaded file is called: the name that its owner gave it stays unknown."""
_CHUNK = 1 << 20
_AT_ONCE = 4
"""Uploads of one token that are not finished."""
_STALLED = 30.0
"""Seconds without a byte after which an upload is given up."""
_RAW = (
    "body: is a form; send the file itself and nothing around it "
    "(curl --data-binary @FILE in place of -F)"
)
Words = Annotated[str, Query(max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$")]


@described
class ReplayRecord(TypedDict):
    """The call that an upload has become."""

    id: str
    participant: str
    label: str
    pace: Literal["live", "fast"]


class Uploads:
    """A folder of files that exist only while they are replayed."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        """`most_bytes` of one file; 0 takes none."""
        self._folder = folder
        self.most_bytes = most_bytes

    def clear(self) -> None:
        """Delete what a killed service has left."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @asynccontextmanager
    async def taken(self, parts: AsyncIterator[bytes]) -> AsyncIterator[Path]:
        """Write a body to a file of its own, which is deleted if the block fails.

        Raises Problem, naming the body, for one that is too large or empty.
        """
        try:
            folder = await asyncio.to_thread(self._make)
        except OSError as error:
            raise _not_kept(error) from error
        try:
            path = folder / NAME
            try:
                await self._write(path, parts)
            except OSError as error:
                raise _not_kept(error) from error
            yield path
        except BaseException:
            self.remove(folder / NAME)
            raise

    def remove(self, path: Path) -> None:
        """Delete a file that was taken."""
        shutil.rmtree(path.parent, ignore_errors=True)

    def _make(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Path(tempfile.mkdtemp(dir=self._folder))

    async def _write(self, path: Path, parts: AsyncIterator[bytes]) -> None:
        size, waiting = 0, bytearray()
        # In a thread: live media must not wait for the disk.
        with await asyncio.to_thread(path.open, "wb") as file:
            async for part in parts:
                size += len(part)
                if size > self.most_bytes:
                    raise _too_large(self.most_bytes)
                waiting += part
                if len(waiting) >= _CHUNK:
                    await asyncio.to_thread(file.write, bytes(waiting))
                    waiting.clear()
            await asyncio.to_thread(file.write, bytes(waiting))
        if not size:
            raise Problem(422, "Invalid request", "body: is empty; send a file", field="body")


def router(
    registry: Registry,
    gatekeeper: Gatekeeper,
    uploads: Uploads,
    open_source: Callable[[Path, str, ChannelChoice], Source],
    look: Callable[[str, str], object] = lambda *_: None,
) -> APIRouter:
    """Return the route; `open_source(file, participant, channels)` makes the replay.

    `look(call, participant)` has pictures made from its first second on: whoever sends a recording
    looks at it a moment later, when a short one is over.
    """
    routes = APIRouter(prefix="/api/v1", tags=["sources"], route_class=DescribedRoute)
    quota = Quota("uploads", "body: recordings that are being uploaded", _AT_ONCE)

    @routes.post(
        "/recordings",
        status_code=201,
        responses=refusals(408, 413, 415, 429, 503, 507),
        openapi_extra={"requestBody": {"required": True, "content": {"*/*": {}}}},
    )
    async def replay(
        request: Request,
        response: Response,
        by: Annotated[Grant, Depends(gatekeeper.require("control"))],
        participant: Annotated[Words, Query(min_length=1)] = "remote",
        label: Words = "",
        pace: Literal["live", "fast"] = "fast",
        channels: ChannelChoice = ChannelChoice.MIX,
    ) -> ReplayRecord:
        """Replay the file in the body: `live` as it was spoken, `fast` as it can be judged.

        With `channels=split` each channel is a participant, such as `remote left`.

        Answers when media flows, or with what is wrong. The file is deleted when the call ends.
        """
        if not uploads.most_bytes:
            raise Problem(403, "Uploads are off", "limits.upload_megabytes is 0: none are taken")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind.startswith("multipart/"):
            raise Problem(415, "Unsupported media type", _RAW, field="body")
        if int(request.headers.get("content-length", "0")) > uploads.most_bytes:
            raise _too_large(uploads.most_bytes)
        registry.admit("file")
        async with uploads.taken(_steady(request.stream(), quota, by.name)) as path:
            source = open_source(path, participant, channels)
            source = PacedSource(source) if pace == "live" else source
            call = registry.start(source, participant, label, lambda _: uploads.remove(path))
            for name in named(participant, 2 if channels is ChannelChoice.SPLIT else 1):
                look(call.id, name)
        await begun(registry, call, 422, "Cannot be replayed", "body")
        response.headers["Location"] = f"/api/v1/calls/{call.id}"
        return {"id": call.id, "participant": participant, "label": label, "pace": pace}

    return routes


async def _steady(parts: AsyncIterator[bytes], quota: Quota, by: str) -> AsyncIterator[bytes]:
    """Hand on what comes, one upload of several at once; raises Problem for one that stands."""
    with quota.held(by):
        while True:
            try:
                async with asyncio.timeout(_STALLED):
                    part = await anext(parts, None)
            except TimeoutError:
                refused("upload_stalled", by=by)
                detail = f"body: nothing came for {_STALLED:g} s"
                raise Problem(408, "Request timeout", detail, field="body") from None
            if part is None:
                return
            yield part


def _not_kept(error: OSError) -> Problem:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    status, title = (507, "Insufficient storage") if full else (503, "Not kept")
    why = error.strerror or type(error).__name__
    detail = f"body: cannot be kept while it is replayed ({why}); nothing of it is left"
    return Problem(status, title, detail, {"Retry-After": "30"}, field="body")


def _too_large(most: int) -> Problem:
    detail = f"body: at most {most / 1e6:g} MB (limits.upload_megabytes)"
    return Problem(413, "Too large", detail, field="body")
