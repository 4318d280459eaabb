"""What moves in the followed face of one participant, and what is heard → cue outcomes."""

import math
from collections.abc import Iterable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from monitor.analysis.alignment import crop_map
from monitor.analysis.cue_windows import CueCrop, CueFrame, CueWindower
from monitor.analysis.faces import FaceFrame
from monitor.analysis.landmarker import Landmarker, LandmarkTracker, crop_points, eyes, mouth, skin
from monitor.analysis.sound import MelBands
from monitor.calls.absence import Absences
from monitor.calls.admission import Level
from monitor.calls.judgement import measured
from monitor.calls.stages import Stages
from monitor.calls.thinning import Thinning
from monitor.runtime import log
from monitor.types import (
    SOUND_HZ,
    AbstentionReason,
    AudioFrame,
    CueWindow,
    Gap,
    Outcome,
    Reading,
    Span,
    VideoFrame,
)
from monitor.types.protocols import Cue
from monitor.types.sampling import Pace

_log = log.get(__name__)
CROPS_HZ = 1.0
"""Crops a second that a window keeps."""
_CONTINUES = 0.05
"""Seconds a frame of sound may be early or late and still continue the one before."""


class CuePath:
    """The physical cues of one participant."""

    def __init__(
        self,
        call: str,
        participant: str,
        stages: Stages,
        landmarker: Landmarker,
        thinning: Thinning,
    ) -> None:
        self._call = call
        self._participant = participant
        self._stages = stages
        self._thinning = thinning
        self._windower = CueWindower(participant)
        self._tracker = LandmarkTracker(landmarker)
        self._cropping = Pace(lambda _: CROPS_HZ)
        self._bands = MelBands()
        self._heard = math.nan
        """Call seconds at which the sound begins that is still to come out of the bands."""
        self._heard_until = math.nan
        self._absences = Absences(participant)
        self._shown_until = -math.inf
        """Call seconds up to which pictures came."""

    async def push(self, picture: VideoFrame, seen: FaceFrame | None) -> list[Outcome]:
        """Take a picture in, and what the face's tracker saw in it if it looked."""
        ended = list(self._windower.until(picture.time))
        if seen is not None and (seen.lost or seen.found):
            ended += self._windower.restart(picture.time)
            self._tracker.restart()
        outcomes = await self._measured(ended)
        self._shown_until = picture.time
        full = self._thinning.level is Level.FULL
        if full and self._stages.sampling.bursting(picture.time):
            try:
                frame = await self._stages.executor.run(
                    "landmarks", partial(self._find, picture, seen)
                )
            except Exception:  # noqa: BLE001
                # One bad picture must not end the call.
                _log.exception("landmarks failed", call=self._call)
                frame = None
            if frame is not None:
                self._windower.push(frame)
        return outcomes

    def hear(self, sound: AudioFrame) -> None:
        """Take sound in; only what is heard while pictures come in bursts matters."""
        if not self._stages.sampling.bursting(sound.start) or self._shown_until < 0:
            return
        if not abs(sound.start - self._heard_until) < _CONTINUES:
            self._hand_over(self._bands.flush())
            self._bands, self._heard = MelBands(), sound.start
        self._heard_until = sound.end
        self._hand_over(self._bands.push(sound.samples))

    async def unseen(self, span: Span) -> list[Outcome]:
        """Take in that monitoring was paused in `span`; pauses come in order."""
        if self._shown_until < 0:
            return []
        self._absences.pause(span, self._shown_until)
        self._shown_until = max(self._shown_until, span.end)
        return await self._measured(self._windower.until(span.end))

    async def finish(self) -> list[Outcome]:
        """Measure what is left."""
        self._hand_over(self._bands.flush())
        return await self._measured(self._windower.flush(self._shown_until))

    def _hand_over(self, bands: NDArray[np.float32]) -> None:
        if len(bands) and not math.isnan(self._heard):
            self._windower.hear(self._heard, bands)
            self._heard += len(bands) / SOUND_HZ

    def _find(self, picture: VideoFrame, seen: FaceFrame | None) -> CueFrame | None:
        face = seen.face if seen is not None else None
        found = self._tracker.look(picture.image, face.landmarks if face is not None else None)
        if found is None:
            return None
        crop = None
        if face is not None and face.crop is not None and self._cropping.due(picture.time):
            back = crop_map(face.landmarks)
            scale = math.hypot(back[0, 0], back[1, 0])
            crop = CueCrop(face.crop, crop_points(found.points, back), scale)
        shown = mouth(picture.image, found.points)
        colours = skin(picture.image, found.points)
        lids = eyes(picture.image, found.points)
        return CueFrame(picture.time, found.points, found.pose, shown, lids, colours, crop)

    async def _measured(self, windows: Iterable[CueWindow]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for window in windows:
            readings = await self._stages.executor.run("cues", partial(self._readings, window))
            undecoded = self._thinning.most(window.fresh) >= Level.KEY_FRAMES
            away = self._shown_until < window.fresh.start and not undecoded
            lost = self._absences.take(window.fresh, away)
            outcomes += [self._outcome(cue, window, r, lost) for cue, r in readings]
        return outcomes

    def _readings(self, window: CueWindow) -> list[tuple[Cue, Reading]]:
        unseen = self._unseen(window)
        return [
            (cue, Reading(None, unseen) if unseen is not None else self._reading(cue, window))
            for cue in self._stages.judges.cues
        ]

    def _unseen(self, window: CueWindow) -> AbstentionReason | None:
        """Why nothing new was seen; None if something was.

        What was in part left out on purpose counts as not seen: it shall not pass for all of it.
        """
        thinned = self._thinning.most(window.fresh) > Level.FULL
        if thinned and self._stages.sampling.bursts_in(window.fresh):
            return AbstentionReason.NOT_EVALUATED
        if len(window.times) and window.times[-1] >= window.fresh.start:
            return None
        if self._shown_until < window.fresh.start:
            return AbstentionReason.GAP
        if not self._stages.sampling.bursts_in(window.fresh):
            return AbstentionReason.NOT_SAMPLED
        return AbstentionReason.NO_FACE

    def _reading(self, cue: Cue, window: CueWindow) -> Reading:
        try:
            return cue.measure(window)
        except Exception:  # noqa: BLE001
            # One cue that fails must not silence the others.
            _log.exception("cue failed", detector=cue.name, call=self._call)
            return Reading(None, AbstentionReason.FAULT)

    def _outcome(
        self, cue: Cue, window: CueWindow, reading: Reading, lost: tuple[Gap, ...]
    ) -> Outcome:
        return measured(
            reading,
            detector=cue.name,
            model=cue.model,
            participant=self._participant,
            span=window.span,
            fresh=window.fresh,
            quality=window.quality,
            lost=lost,
        )
