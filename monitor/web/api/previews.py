"""Pictures of calls that somebody looks at: a minute of each, in memory, never written."""

import asyncio
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from typing_extensions import TypedDict

from monitor.calls.registry import Registry
from monitor.delivery.logged import NullSink
from monitor.schema.records import described
from monitor.types import (
    PREVIEW_BANDS,
    PREVIEW_FLOOR_DB,
    PREVIEW_HZ,
    SAMPLE_RATE,
    AudioPreview,
    FacePreview,
    Preview,
)
from monitor.web.auth import Gatekeeper
from monitor.web.description import DescribedRoute, refusals
from monitor.web.problems import Problem

INTEREST = 10.0
"""Seconds after a request in which pictures of the call go on being made."""
KEPT = 60.0
"""Call seconds of spectrogram kept; and seconds without a request until all is dropped."""
JUDGED = 2.0
"""Seconds after a judged picture of a face in which unjudged ones do not take its place."""
LINGER = 600.0
"""Seconds for which an ended call's pictures can still be fetched."""
MOST_ENDED = 20
"""Ended calls whose pictures are kept; those that ended first give way."""


@described
class PieceRecord(TypedDict):
    """Sound between two call seconds."""

    start: float
    end: float
    data: str
    """Columns in base64."""


@described
class SpectrogramRecord(TypedDict):
    """What a participant's sound looks like."""

    enabled: bool
    """Whether such pictures are made at all (`server.previews`)."""
    bands: int
    hertz_per_band: float
    columns_per_second: float
    floor_db: float
    pieces: list[PieceRecord]


@described
class HeatmapRecord(TypedDict):
    """What in a face spoke for a forgery: bytes row by row, in base64."""

    rows: int
    columns: int
    data: str


@described
class FaceRecord(TypedDict):
    """A face in the picture."""

    time: float
    width: int
    height: int
    rgb: str
    """Pixels row by row, in base64."""
    heatmap: HeatmapRecord | None
    """Null where the picture was followed and not judged."""
    cues: dict[str, float]
    """What was measured."""


@described
class PortraitRecord(TypedDict):
    """The latest face."""

    enabled: bool
    """Whether such pictures are made at all (`server.previews`)."""
    face: FaceRecord | None


@dataclass(slots=True)
class _Shown:
    """One participant."""

    sound: deque[AudioPreview] = field(default_factory=deque)
    face: FacePreview | None = None

    def unjudged(self, time: float) -> bool:
        """Whether nothing of the last seconds was judged."""
        face = self.face
        return face is None or face.heatmap is None or time - face.time > JUDGED


class Previews(NullSink):
    """Takes previews in, and tells producers which calls are looked at."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        """`later(seconds, do)` runs something after a while; the event loop's if left out."""
        self._clock = clock
        self._later = later or (lambda after, do: asyncio.get_running_loop().call_later(after, do))
        self._asked: dict[str, float] = {}
        self._shown: dict[str, dict[str, _Shown]] = {}
        self._ended: list[str] = []
        """Calls that are over, with pictures that were asked for."""

    def wanted(self, call: str) -> bool:
        """Whether somebody asked for this call a moment ago."""
        asked = self._asked.get(call)
        return asked is not None and self._clock() - asked < INTEREST

    def look(self, call: str, participant: str) -> tuple[list[AudioPreview], FacePreview | None]:
        """Return what there is, oldest sound first, and have more made for a while."""
        if call not in self._asked:
            self._later(KEPT, lambda: self._tidy(call))
        self._asked[call] = self._clock()
        return self.kept(call, participant)

    def kept(self, call: str, participant: str) -> tuple[list[AudioPreview], FacePreview | None]:
        """Return what there is, and have no more made."""
        shown = self._shown.get(call, {}).get(participant)
        return ([], None) if shown is None else (list(shown.sound), shown.face)

    def preview(self, call: str, preview: Preview) -> None:
        """Keep the latest of a call that is looked at."""
        if call not in self._asked:
            return
        shown = self._shown.setdefault(call, {}).setdefault(preview.participant, _Shown())
        if isinstance(preview, FacePreview):
            # More pictures are followed than are judged: those with a heat map say more.
            if preview.heatmap is not None or shown.unjudged(preview.time):
                shown.face = preview
            return
        shown.sound.append(preview)
        while shown.sound[0].end < preview.end - KEPT:
            shown.sound.popleft()

    def call_ended(self, call: str, reason: str) -> None:
        """Keep for a while what was asked for; nobody need ask again."""
        if self._asked.pop(call, None) is None or call not in self._shown:
            return
        self._ended.append(call)
        self._later(LINGER, lambda: self._drop(call))
        if len(self._ended) > MOST_ENDED:
            self._drop(self._ended[0])

    def _tidy(self, call: str) -> None:
        """Drop what nobody has asked for in a while; look again later otherwise."""
        asked = self._asked.get(call)
        if asked is None:
            return
        if self._clock() - asked >= KEPT:
            self._drop(call)
        else:
            self._later(KEPT, lambda: self._tidy(call))

    def _drop(self, call: str) -> None:
        self._shown.pop(call, None)
        self._asked.pop(call, None)
        if call in self._ended:
            self._ended.remove(call)


def router(gatekeeper: Gatekeeper, registry: Registry, previews: Previews | None) -> APIRouter:
    """Return the routes; without `previews` they say that none are made."""
    routes = APIRouter(
        prefix="/api/v1/calls/{call_id}/previews/{participant}",
        tags=["calls"],
        dependencies=[Depends(gatekeeper.require("read"))],
        route_class=DescribedRoute,
        responses=refusals(404),
    )

    def look(
        response: Response, call_id: str, participant: str
    ) -> tuple[list[AudioPreview], FacePreview | None]:
        response.headers["Cache-Control"] = "no-store"
        call = registry.find(call_id)
        if call is None:
            raise Problem(404, "No such call", "the call was never here or is long over")
        if previews is None:
            return [], None
        # Asking about a call that is over must not make it one that is looked at.
        seen = previews.look if call.ended is None else previews.kept
        return seen(call_id, participant)

    @routes.get("/spectrogram")
    async def spectrogram(
        response: Response,
        call_id: str,
        participant: str,
        since: Annotated[float, Query(ge=0)] = 0.0,
    ) -> SpectrogramRecord:
        """The last minute of sound, as far as it lies after call second `since`.

        Columns are `bands` bytes each, lowest band first: 0 is `floor_db`, 255 full scale.
        """
        sound, _ = look(response, call_id, participant)
        return {
            "enabled": previews is not None,
            "bands": PREVIEW_BANDS,
            "hertz_per_band": SAMPLE_RATE / 2 / PREVIEW_BANDS,
            "columns_per_second": PREVIEW_HZ,
            "floor_db": PREVIEW_FLOOR_DB,
            "pieces": [_sound(piece) for piece in sound if piece.start >= since - 1e-3],
        }

    @routes.get("/face")
    async def face(response: Response, call_id: str, participant: str) -> PortraitRecord:
        """The latest face that was judged: RGB, row by row, and the heat map over it."""
        _, found = look(response, call_id, participant)
        shown = None if found is None else _face(found)
        return {"enabled": previews is not None, "face": shown}

    return routes


def _sound(piece: AudioPreview) -> PieceRecord:
    data = b64encode(piece.bands.tobytes()).decode()
    return {"start": round(piece.start, 3), "end": round(piece.end, 3), "data": data}


def _face(found: FacePreview) -> FaceRecord:
    _, height, width = found.crop.shape
    rgb = found.crop.transpose(1, 2, 0).tobytes()
    heatmap: HeatmapRecord | None = None
    if found.heatmap is not None:
        rows, columns = found.heatmap.shape
        data = b64encode(found.heatmap.tobytes()).decode()
        heatmap = {"rows": rows, "columns": columns, "data": data}
    return {
        "time": round(found.time, 3),
        "width": width,
        "height": height,
        "rgb": b64encode(rgb).decode(),
        "heatmap": heatmap,
        "cues": {name: round(value, 3) for name, value in found.cues.items() if value == value},
    }
