"""Decoded media of a recording → a call's media, with what is missing booked."""

import threading
from collections.abc import Callable, Sequence

import av
from av.container import InputContainer
from av.stream import Stream

from monitor.ingest.codecs.convert import VideoSampler, seconds
from monitor.ingest.codecs.video_codec import bound
from monitor.ingest.recording.container import Damage, Decoded, cause, decoded
from monitor.ingest.recording.header import Part
from monitor.ingest.recording.recorded_audio import MISSING_TAIL, RecordedSound
from monitor.ingest.recording.timeline import Timeline
from monitor.ingest.recording.voices import Track, Voices
from monitor.runtime import log
from monitor.types import (
    ChannelChoice,
    Gap,
    LostReason,
    Span,
    Tracks,
    VideoFrame,
)
from monitor.types.protocols import Intake, SourceError

_log = log.get(__name__)


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
        self._sound: RecordedSound | None = None
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
            self._sound = RecordedSound(voices, self._intake, self._timeline)
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
        if missing > MISSING_TAIL:
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


def _origin(streams: Sequence[Stream]) -> float | None:
    """The first timestamp in seconds, if the file tells it."""
    starts = [seconds(stream.start_time, stream.time_base) for stream in streams]
    return min((start for start in starts if start is not None), default=None)


def _decodable(stream: Stream) -> bool:
    return stream.codec_context is not None


def _is_cover(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)
