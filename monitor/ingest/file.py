"""A recording replayed through the pipeline as fast as it is judged."""

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream

from monitor import log
from monitor.channel import ChannelClosedError
from monitor.ingest.convert import AudioConverter, VideoSampler, seconds
from monitor.ingest.thread import run_in_own_thread
from monitor.protocols import Intake, SourceError
from monitor.sampling import Sampling
from monitor.types import SAMPLE_RATE, AudioFrame, Gap, LostReason, Span, Tracks, VideoFrame

_log = log.get(__name__)

_MISSING_TAIL = 1.0
"""Seconds by which a container's stated duration may exceed its media before it counts as
truncated: containers round, and encoders pad."""


class FileSource:
    """Any container PyAV opens; the first audio and the first video stream are one participant."""

    ingest = "file"
    live = False

    def __init__(
        self,
        path: Path,
        participant: str,
        sampling: Sampling,
        video_width: int,
        progress: Callable[[float, float], None] | None = None,
    ) -> None:
        """`progress(done, total)` hears call seconds, from the decode thread; total may be 0."""
        self._path = path
        self._participant = participant
        self._sampling = sampling
        self._video_width = video_width
        self._progress = progress
        self._stop = threading.Event()

    async def run(self, intake: Intake) -> str:
        """Replay the file; return `ended` or `truncated`."""
        try:
            return await run_in_own_thread("file", partial(self._replay, intake))
        finally:
            self._stop.set()

    def _replay(self, intake: Intake) -> str:
        name = self._path.name
        try:
            container = av.open(str(self._path))
        except FileNotFoundError as error:
            raise SourceError("not_found", f"{name}: no such file") from error
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise SourceError(
                "unreadable", f"{name}: not a media file that can be opened ({_cause(error)})"
            ) from error
        with container:
            try:
                return self._play(container, intake)
            except ChannelClosedError:
                return "stopped"

    def _play(self, container: InputContainer, intake: Intake) -> str:
        audio = next(iter(container.streams.audio), None)
        video = next((s for s in container.streams.video if not _is_cover(s)), None)
        if audio is None and video is None:
            raise SourceError("no_media", f"{self._path.name}: no audio and no video stream")
        intake.put_threadsafe(Tracks(self._participant, audio is not None, video is not None))
        start = (container.start_time or 0) / av.time_base
        stated = (container.duration or 0) / av.time_base
        converter, sampler = AudioConverter(), VideoSampler(self._sampling, self._video_width)
        heard = seen = 0.0
        cause = ""
        streams = [s for s in (audio, video) if s is not None]
        if video is not None:
            # One decoder thread: replays run side by side with live calls.
            video.thread_type = "NONE"
        try:
            for frame in _decoded(container, streams, sampler):
                if self._stop.is_set():
                    return "stopped"
                if not isinstance(frame, av.AudioFrame | av.VideoFrame):
                    continue
                at = seconds(frame.pts, frame.time_base)
                if isinstance(frame, av.AudioFrame):
                    at = heard if at is None else max(0.0, at - start)
                    samples = converter.convert(frame)
                    # The resampler holds back a little: what it returns starts where the last
                    # return ended, unless the file itself has a hole.
                    at = heard if abs(at - heard) < 0.1 else at
                    if len(samples):
                        intake.put_threadsafe(AudioFrame(self._participant, at, samples))
                        heard = at + len(samples) / SAMPLE_RATE
                else:
                    seen = seen if at is None else max(0.0, at - start)
                    picture = sampler.sample(frame, seen)
                    if picture is not None:
                        rate = sampler.bits_per_pixel
                        intake.put_threadsafe(VideoFrame(self._participant, seen, picture, rate))
                if self._progress is not None:
                    self._progress(max(heard, seen), stated)
        except av.error.FFmpegError as error:
            cause = _cause(error)
        if heard and len(tail := converter.flush()):
            intake.put_threadsafe(AudioFrame(self._participant, heard, tail))
            heard += len(tail) / SAMPLE_RATE
        if not heard and not seen:
            raise SourceError(
                "no_media", f"{self._path.name}: nothing could be decoded ({cause or 'no frames'})"
            )
        return self._ending(intake, heard if audio is not None else seen, stated, cause)

    def _ending(self, intake: Intake, end: float, stated: float, cause: str) -> str:
        if not cause and stated - end <= _MISSING_TAIL:
            return "ended"
        _log.warning(
            "recording is truncated",
            file=self._path.name,
            media_seconds=round(end, 3),
            stated_seconds=round(stated, 3),
            cause=cause,
        )
        if stated > end:
            gap = Gap(self._participant, Span(end, stated), LostReason.TRUNCATED)
            intake.put_threadsafe(gap)
        return "truncated"


def _decoded(
    container: InputContainer, streams: Sequence[Stream], sampler: VideoSampler
) -> Iterator[object]:
    """Yield decoded frames and tell the sampler how large pictures were."""
    for packet in container.demux(streams):
        if packet.stream.type == "video" and packet.size:
            time = seconds(packet.dts, packet.time_base)
            sampler.arrived(packet.size, time or 0.0)
        yield from packet.decode()


def _is_cover(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _cause(error: BaseException) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
