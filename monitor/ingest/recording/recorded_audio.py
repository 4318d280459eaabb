"""The sound of a recording → a call's sound, with what is missing booked."""

from collections.abc import Sequence

import av
import numpy as np

from monitor.ingest.codecs.convert import ends_block
from monitor.ingest.recording.container import Damage, Decoded
from monitor.ingest.recording.timeline import Timeline
from monitor.ingest.recording.voices import Voices
from monitor.types import SAMPLE_RATE, AudioFrame, Gap, LostReason, Span, Waveform
from monitor.types.protocols import Intake

MISSING_TAIL = 1.0
"""Seconds that a stated duration may exceed the media by: containers round, encoders pad."""
_UNEVEN = 0.5
"""Seconds by which sound may begin after the rest, or end before it, without a word."""
_LONGEST_PAUSE = 10.0
"""Seconds of unsent silence that are filled in."""
_SEEN_HZ = 2.0
"""Pictures a second that say: the file is well here, this track has nothing."""
_SKIPPED_SHARE = 0.25
"""Share of its usual bytes that must have been passed over for a hole to count as damage."""


class RecordedSound:
    """One track, handed on without a hole but those that are booked.

    Frames are converted and handed on in blocks, as those of live media are: each costs more by
    itself than by its length, and the decode thread waits for every one that it hands on.
    """

    def __init__(self, voices: Voices, intake: Intake, timeline: Timeline) -> None:
        self._voices = voices
        self._intake = intake
        self._timeline = timeline
        self._heard = 0.0
        """Call seconds up to which sound or a gap was handed on."""
        self._began = False
        self._waiting: list[av.AudioFrame] = []
        """Decoded, and not converted yet; all of one kind."""
        self._kind: tuple[int, str, str] | None = None
        self.seen = 0
        """Pictures since the last sound."""
        self._begin = 0.0
        """Call seconds at which the recording began that is played."""
        self._position = self._skipped = 0
        """Its bytes so far, and those that the demuxer passed over."""

    @property
    def different(self) -> bool:
        """Whether channels with different voices were made one."""
        return self._voices.different

    def hear(self, item: Decoded, frame: av.AudioFrame) -> None:
        """Take a decoded frame; raises av.error.FFmpegError if its kind cannot be converted."""
        length = frame.samples / frame.sample_rate
        before = self._timeline.reached("sound")
        start = self._timeline.sound("sound", item.at, length)
        self._position, self._skipped = item.position, self._skipped + item.skipped
        if start > before:
            self._convert()
            self._hole(start, item)
        self._began, self.seen = True, 0
        kind = frame.sample_rate, frame.format.name, frame.layout.name
        if kind != self._kind:
            self._convert()
        self._waiting.append(frame)
        # The first of a kind goes at once: whether it can be converted is known where it came.
        if kind != self._kind or ends_block(start, start + length):
            self._kind = kind
            self._convert()

    def damage(self, damage: Damage) -> None:
        """Book a packet that did not decode."""
        if damage.length:
            start = self._timeline.sound("sound", damage.at, damage.length)
            self._gap(start + damage.length, LostReason.DAMAGED)

    def end(self, end: float, missing: float) -> float:
        """A recording is over: hand on what is held back, and book what lacks until `end`.

        Of the seconds that are `missing` to what it states, return those that were damaged.
        """
        self._convert()
        self._hand_on(self._voices.flush())
        if end - self._heard > _UNEVEN:
            self._gap(end, LostReason.ABSENT)
        damaged = (
            missing if missing > MISSING_TAIL and self._is_damage(missing, self._skipped) else 0.0
        )
        if damaged:
            # Frames are counted where timestamps are not kept: what was passed over counts nothing.
            end = self._timeline.sound("sound", None, damaged) + damaged
            self._gap(end, LostReason.DAMAGED)
        self._begin, self._position, self._skipped = end, 0, 0
        return damaged

    def skip(self, end: float) -> None:
        """Go on at call second `end`: what lies before it is booked."""
        self._heard = self._begin = end

    def _hole(self, start: float, item: Decoded) -> None:
        hole = start - self._heard
        if not self._began and not self._heard and start <= _UNEVEN:
            self._heard = start
        elif item.paused and hole <= _LONGEST_PAUSE:
            self._hand_on(self._voices.flush())
            silence = max(0, round((start - self._heard) * SAMPLE_RATE))
            self._hand_on([np.zeros(silence, np.float32)] * len(self._voices.participants))
        else:
            damaged = item.counted or self._is_damage(hole, item.skipped)
            self._gap(start, LostReason.DAMAGED if damaged else LostReason.ABSENT)

    def _is_damage(self, hole: float, skipped: int) -> bool:
        """Whether so many bytes may have been the sound of so many seconds."""
        if self._heard == self._begin or self.seen > _SEEN_HZ * hole:
            return False
        usual = (self._position - self._skipped) / max(1.0, self._heard - self._begin)
        return skipped > _SKIPPED_SHARE * usual * hole

    def _gap(self, end: float, reason: LostReason) -> None:
        self._convert()
        self._hand_on(self._voices.flush())
        if end > self._heard:
            for participant in self._voices.participants:
                gap = Gap(participant, Span(self._heard, end), reason)
                self._intake.put_threadsafe(gap)
            self._heard = end

    def _convert(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._hand_on(self._voices.convert(*waiting))

    def _hand_on(self, voices: Sequence[Waveform]) -> None:
        start = self._heard
        for participant, samples in zip(self._voices.participants, voices, strict=True):
            if len(samples):
                frame = AudioFrame(participant, start, samples)
                self._intake.put_threadsafe(frame)
                self._heard = frame.end
