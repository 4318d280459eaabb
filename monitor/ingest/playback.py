"""Decoded media of a recording → a call's media, with what is missing booked."""

import threading
from collections.abc import Callable, Sequence

import av
import numpy as np
from av.container import InputContainer
from av.stream import Stream

from monitor import log
from monitor.ingest.convert import VideoSampler, seconds
from monitor.ingest.header import Part
from monitor.ingest.picturecodec import bound
from monitor.ingest.recording import Damage, Decoded, cause, decoded
from monitor.ingest.timeline import Timeline
from monitor.ingest.voices import Track, Voices
from monitor.protocols import Intake, SourceError
from monitor.types import (
    SAMPLE_RATE,
    AudioFrame,
    ChannelChoice,
    Gap,
    LostReason,
    Span,
    Tracks,
    VideoFrame,
    Waveform,
)

_log = log.get(__name__)

_MISSING_TAIL = 1.0
"""Seconds that a stated duration may exceed the media by: containers round, encoders pad."""
_UNEVEN = 0.5
"""Seconds by which sound may begin after the rest, or end before it, without a word."""
_LONGEST_PAUSE = 10.0
"""Seconds of unsent silence that are filled in."""
_SEEN_HZ = 2.0
"""Pictures a second that say: the file is well here, this track has nothing."""
_SKIPPED_SHARE = 0.25
"""Share of its usual bytes that must have been passed over for a hole to count as damage."""


class Playback:
    """One file: all recordings in it, one after the other."""

    def __init__(
        self,
        name: str,
        participant: str,
        intake: Intake,
        sampler: VideoSampler,
        stopped: threading.Event,
        progress: Callable[[float, float], None] | None = None,
        choice: ChannelChoice = ChannelChoice.MIX,
    ) -> None:
        """`name` is for the log; `progress(done, total)` hears call seconds, total may be 0.

        Where several are heard, pictures are the first one's.
        """
        self._choice = choice
        self._name = name
        self._participant = participant
        self._intake = intake
        self._sampler = sampler
        self._stopped = stopped
        self._progress = progress
        self._timeline = Timeline()
        self._sound: _Sound | None = None
        self._participants: tuple[str, ...] = (participant,)
        self._announced = False
        self._damaged = 0
        self._decoded = False
        """Whether there was anything to hear or to see."""
        self._truncated = False
        self._fault = ""
        """Why the file could not be read to its end."""

    def play(self, container: InputContainer, part: Part, track: Track | None = None) -> None:
        """Hand on a recording, of its sound one track; returns early when stopped."""
        sounds = [s for s in container.streams.audio if _decodable(s)]
        number = track.number if track is not None else 0
        audio = next(iter(sounds[number:]), None)
        if len(sounds) > 1:
            self._intake.remark(f"sound track {number + 1} of {len(sounds)} was heard")
        pictures = (s for s in container.streams.video if _decodable(s) and not _is_cover(s))
        video = next(pictures, None)
        if video is not None and video.width * video.height > self._sampler.most_pixels:
            self._intake.remark("pictures are too large and not decoded (video.most_pixels)")
            video = None
        if audio is None and video is None:
            return
        if audio is not None and self._sound is None:
            voices = Voices(self._participant, self._choice, audio.codec_context.channels)
            self._sound = _Sound(voices, self._intake, self._timeline)
            self._participants = voices.participants
        if not self._announced:
            self._announced = True
            for place, participant in enumerate(self._participants):
                pictures_ = video is not None and not place
                self._intake.put_threadsafe(Tracks(participant, audio is not None, pictures_))
        streams = [s for s in (audio, video) if s is not None]
        if video is not None:
            # One decoder thread: replays run side by side with live calls.
            video.thread_type = "NONE"
            video.codec_context.options = bound(self._sampler.most_pixels)
        told = (container.duration or 0) / av.time_base
        begin, leapt = self._timeline.end, self._timeline.leapt
        origin = _origin(streams)
        self._timeline.begin(origin)
        try:
            for item in decoded(container, streams, self._sampler.arrived):
                if self._stopped.is_set():
                    return
                self._take(item)
                if self._progress is not None:
                    self._progress(self._timeline.end, max(told, begin + told))
        except av.error.FFmpegError as error:
            self._fault = cause(error)
        lasted = self._timeline.end - begin + self._timeline.leapt - leapt
        missing = (told if part.length is None else part.length) - lasted
        # Some formats state the last timestamp.
        missing -= max(0.0, origin or 0.0)
        if self._sound is not None:
            missing -= self._sound.end(self._timeline.end, missing)
        if missing > _MISSING_TAIL:
            self._cut_off(missing)
        elif self._fault:
            self._cut_off(0.0)

    def pass_over(self, number: int, error: SourceError) -> None:
        """A further recording in the file cannot be opened: how long it was nobody knows."""
        self._truncated = True
        _log.warning("recording is damaged", file=self._name, part=number, cause=error.detail)
        self._intake.remark(f"recording {number} in the file cannot be opened")

    def finish(self) -> str:
        """Return `ended` or `truncated`; raises SourceError if there was nothing."""
        if not self._announced:
            raise SourceError("no_media", f"{self._name}: no audio and no video stream")
        if not self._decoded:
            why = self._fault or ("every packet is damaged" if self._damaged else "no frames")
            raise SourceError("no_media", f"{self._name}: nothing could be decoded ({why})")
        if self._damaged:
            _log.warning("recording is damaged", file=self._name, packets=self._damaged)
        if self._sound is not None and self._sound.different:
            self._intake.remark("channels with different voices were mixed")
        return "truncated" if self._truncated else "ended"

    def _take(self, item: Decoded | Damage) -> None:
        if isinstance(item, Damage):
            self._damaged += 1
            if item.stream.type == "audio" and self._sound is not None:
                self._sound.damage(item)
            return
        self._decoded = True
        if isinstance(item.frame, av.AudioFrame):
            assert self._sound is not None
            self._sound.hear(item, item.frame)
            return
        shown = self._timeline.picture("picture", item.at)
        if self._sound is not None:
            self._sound.seen += 1
        aspect = (
            item.stream.sample_aspect_ratio if isinstance(item.stream, av.VideoStream) else None
        )
        picture = self._sampler.sample(item.frame, shown, aspect)
        if picture is not None:
            rate = self._sampler.bits_per_pixel
            seen = self._participants[0]
            self._intake.put_threadsafe(VideoFrame(seen, shown, picture, rate))

    def _cut_off(self, missing: float) -> None:
        end = self._timeline.end
        self._truncated = True
        _log.warning(
            "recording is truncated",
            file=self._name,
            media_seconds=round(end, 3),
            stated_seconds=round(end + missing, 3),
            cause=self._fault,
        )
        if missing:
            for participant in self._participants:
                gap = Gap(participant, Span(end, end + missing), LostReason.TRUNCATED)
                self._intake.put_threadsafe(gap)
            self._timeline.sound("sound", None, end + missing - self._timeline.reached("sound"))
            if self._sound is not None:
                self._sound.skip(end + missing)


class _Sound:
    """One track, handed on without a hole but those that are booked."""

    def __init__(self, voices: Voices, intake: Intake, timeline: Timeline) -> None:
        self._voices = voices
        self._intake = intake
        self._timeline = timeline
        self._heard = 0.0
        """Call seconds up to which sound or a gap was handed on."""
        self._began = False
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
        length = frame.samples / frame.sample_rate
        before = self._timeline.reached("sound")
        start = self._timeline.sound("sound", item.at, length)
        self._position, self._skipped = item.position, self._skipped + item.skipped
        if start > before:
            self._hole(start, item)
        self._began, self.seen = True, 0
        self._hand_on(self._voices.convert(frame))

    def damage(self, damage: Damage) -> None:
        """Book a packet that did not decode."""
        if damage.length:
            start = self._timeline.sound("sound", damage.at, damage.length)
            self._gap(start + damage.length, LostReason.DAMAGED)

    def end(self, end: float, missing: float) -> float:
        """A recording is over: hand on what is held back, and book what lacks until `end`.

        Of the seconds that are `missing` to what it states, return those that were damaged.
        """
        self._hand_on(self._voices.flush())
        if end - self._heard > _UNEVEN:
            self._gap(end, LostReason.ABSENT)
        damaged = (
            missing if missing > _MISSING_TAIL and self._is_damage(missing, self._skipped) else 0.0
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
        self._hand_on(self._voices.flush())
        if end > self._heard:
            for participant in self._voices.participants:
                gap = Gap(participant, Span(self._heard, end), reason)
                self._intake.put_threadsafe(gap)
            self._heard = end

    def _hand_on(self, voices: Sequence[Waveform]) -> None:
        start = self._heard
        for participant, samples in zip(self._voices.participants, voices, strict=True):
            if len(samples):
                frame = AudioFrame(participant, start, samples)
                self._intake.put_threadsafe(frame)
                self._heard = frame.end


def _origin(streams: Sequence[Stream]) -> float | None:
    """The first timestamp in seconds, if the file tells it."""
    starts = [seconds(stream.start_time, stream.time_base) for stream in streams]
    return min((start for start in starts if start is not None), default=None)


def _decodable(stream: Stream) -> bool:
    return stream.codec_context is not None


def _is_cover(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)
