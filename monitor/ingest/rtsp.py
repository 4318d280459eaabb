"""A camera or media server pulled over RTSP, and pulled again when it goes away."""

import asyncio
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal
from urllib.parse import urlsplit

import av
from av.container import InputContainer

from monitor import log
from monitor.channel import ChannelClosedError
from monitor.clock import MediaClock
from monitor.ingest.convert import AudioConverter, VideoSampler, seconds
from monitor.ingest.tape import Tape
from monitor.ingest.thread import run_in_own_thread
from monitor.log import redact
from monitor.protocols import Intake, SourceError
from monitor.sampling import Sampling
from monitor.types import SAMPLE_RATE, AudioFrame, Gap, LostReason, Span, Tracks, VideoFrame

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class RtspOptions:
    """Deadlines and transport; seconds unless said otherwise."""

    transport: Literal["tcp", "udp"] = "tcp"
    open_timeout: float = 5.0
    read_timeout: float = 3.0
    """No packet for this long means the server is frozen."""
    backoff_first: float = 0.5
    backoff_limit: float = 15.0
    give_up_after: float = 300.0
    """Seconds without media after which the call ends; 0 never gives up."""
    retry_first: bool = False
    """Whether a first connection that fails is tried again like a lost one."""


class RtspSource:
    """One RTSP URL as one participant; owns one decode thread while it is connected."""

    ingest = "rtsp"
    live = True

    def __init__(
        self,
        url: str,
        participant: str,
        sampling: Sampling,
        video_width: int,
        options: RtspOptions,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        if urlsplit(url).scheme not in ("rtsp", "rtsps"):
            raise ValueError("uri: an RTSP source needs an rtsp:// or rtsps:// URL")
        self._url = url
        self._participant = participant
        self._sampling = sampling
        self._video_width = video_width
        self._options = options
        self._jitter = jitter
        self._stop = threading.Event()
        self._media_until: float | None = None
        """Call seconds up to which media was handed over; None before the first frame."""
        self._announced = False

    async def run(self, intake: Intake) -> str:
        """Pull until cancelled or given up; raises SourceError if it never could."""
        delay = self._options.backoff_first
        try:
            while True:
                before = self._media_until
                error = await self._session(intake)
                if self._media_until != before:
                    delay = self._options.backoff_first
                if error is not None and self._hopeless(error):
                    raise error
                away = intake.now() - (self._media_until or 0.0)
                if self._options.give_up_after and away > self._options.give_up_after:
                    if error is not None and self._media_until is None:
                        raise error
                    return "gone"
                pause = delay * (0.5 + self._jitter())
                _log.warning(
                    "rtsp connection lost" if error is None else "rtsp connection failed",
                    uri=self._url,
                    reason="closed" if error is None else error.reason,
                    detail="" if error is None else error.detail,
                    retry_seconds=round(pause, 2),
                )
                await asyncio.sleep(pause)
                delay = min(delay * 2, self._options.backoff_limit)
        finally:
            self._stop.set()

    def _hopeless(self, error: SourceError) -> bool:
        """Whether trying again cannot help, or was not asked for."""
        if self._media_until is not None or self._options.retry_first:
            return False
        return True

    async def _session(self, intake: Intake) -> SourceError | None:
        """Connect once and deliver until the media ends; return what went wrong, if known."""
        try:
            await run_in_own_thread("rtsp", partial(self._pull, intake))
        except SourceError as error:
            return error
        except ChannelClosedError:
            raise asyncio.CancelledError from None
        return None

    def _pull(self, intake: Intake) -> None:
        shown = redact(self._url)
        try:
            container = av.open(
                self._url,
                format="rtsp",
                options={
                    "rtsp_transport": self._options.transport,
                    "allowed_media_types": "audio+video",
                    # Microseconds. FFmpeg 5 and later; the older `stimeout` is ignored silently.
                    "timeout": str(round(self._options.open_timeout * 1e6)),
                    # Codec parameters come from the SDP: long probing only delays the start. What
                    # is probed is then delivered at once; "nobuffer" would throw it away.
                    "analyzeduration": "1000000",
                },
                timeout=(self._options.open_timeout, self._options.read_timeout),
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise _explain(error, shown) from error
        with container:
            _log.info("rtsp connected", uri=self._url)
            try:
                self._deliver(container, intake)
            except av.error.ExitError as error:
                raise SourceError("frozen", f"{shown}: no packet in time") from error
            except (av.error.FFmpegError, OSError) as error:
                raise _explain(error, shown) from error

    def _deliver(self, container: InputContainer, intake: Intake) -> None:
        audio = next(iter(container.streams.audio), None)
        video = next(iter(container.streams.video), None)
        streams = [s for s in (audio, video) if s is not None]
        if not streams:
            raise SourceError("no_media", f"{redact(self._url)}: no audio and no video stream")
        if not self._announced:
            self._announced = True
            tracks = Tracks(self._participant, audio is not None, video is not None)
            intake.put_threadsafe(tracks)
        # One clock for both tracks: FFmpeg has aligned them by their RTCP sender reports.
        clock = MediaClock(intake.now)
        converter, sampler = AudioConverter(), VideoSampler(self._sampling, self._video_width)
        heard: float | None = None
        keep = intake.encoded
        tape = Tape(self._participant, keep, streams) if keep is not None else None
        if video is not None:
            # One decoder thread: this thread is already the stream's own.
            video.thread_type = "NONE"
        for packet in container.demux(streams):
            if self._stop.is_set():
                return
            if tape is not None and packet.size:
                shown = seconds(packet.pts, packet.time_base)
                if shown is not None:
                    tape.packet(packet, clock.time(shown))
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                # A damaged or incomplete picture; the next key frame repairs it.
                continue
            for frame in frames:
                if not isinstance(frame, av.AudioFrame | av.VideoFrame):
                    continue
                at = seconds(frame.pts, frame.time_base)
                if at is None:
                    continue
                at = clock.time(at)
                if self._media_until is not None and heard is None:
                    self._report_gap(intake, at)
                if isinstance(frame, av.AudioFrame):
                    samples = converter.convert(frame)
                    if heard is not None and abs(at - heard) < 0.1:
                        at = heard
                    if len(samples):
                        sound = AudioFrame(self._participant, at, samples)
                        intake.put_threadsafe(sound)
                        if tape is not None:
                            tape.frame(sound)
                        heard = at + len(samples) / SAMPLE_RATE
                        self._media_until = max(self._media_until or 0.0, heard)
                else:
                    image = sampler.sample(frame, at)
                    if image is not None:
                        picture = VideoFrame(self._participant, at, image)
                        intake.put_threadsafe(picture)
                        if tape is not None:
                            tape.frame(picture)
                    if audio is None:
                        self._media_until = max(self._media_until or 0.0, at)

    def _report_gap(self, intake: Intake, until: float) -> None:
        since = self._media_until
        if since is not None and until - since > 0.1:
            gap = Gap(self._participant, Span(since, until), LostReason.RECONNECT)
            intake.put_threadsafe(gap)
            self._media_until = until


def _explain(error: Exception, shown: str) -> SourceError:
    """Name the cause in words that hold no credential: FFmpeg's own message has the whole URL."""
    causes: list[tuple[type[BaseException], str, str]] = [
        (av.error.HTTPUnauthorizedError, "unauthorized", "user name or password refused"),
        (av.error.HTTPForbiddenError, "unauthorized", "access refused"),
        (av.error.HTTPNotFoundError, "not_found", "the server knows no such path"),
        (av.error.HTTPError, "refused", "the server answered with an error"),
        (ConnectionRefusedError, "unreachable", "connection refused"),
        (TimeoutError, "unreachable", "no answer in time"),
        (av.error.ExitError, "unreachable", "no answer in time"),
        (av.error.InvalidDataError, "unreadable", "the answer is not RTSP or not decodable"),
        (av.error.EOFError, "closed", "the server closed the connection"),
    ]
    for kind, reason, words in causes:
        if isinstance(error, kind):
            return SourceError(reason, f"{shown}: {words}")
    cause = getattr(error, "strerror", None) or type(error).__name__
    return SourceError("unreachable", f"{shown}: {cause}")
