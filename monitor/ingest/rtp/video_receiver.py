"""One WebRTC video track: encoded pictures → decoded in a thread of its own → sampled.

The thread has a short queue. When it cannot keep up, what waits is thrown away and decoding goes
on at the next key frame, which is asked for; so it is when pictures stop coming though packets do.

On a full machine only key frames are decoded (`thin`), and one is asked for as often as wanted:

    pictures   K d d d d d d d K d d d d d d d K      PLI: picture loss indication (RFC 4585)
    decoded    K               K               K
    asked            PLI ─────►      PLI ─────►
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext

from monitor.ingest.clock.video_clock import Reports, VideoClock
from monitor.ingest.codecs.convert import VideoSampler
from monitor.ingest.codecs.layers import LAYERED
from monitor.ingest.codecs.video_codec import decoder as made_for
from monitor.ingest.codecs.video_codec import is_key_frame
from monitor.ingest.rtp.aiortc_adapter import EncodedFrame, SenderReport
from monitor.ingest.rtp.jitter_buffer import unwrapped
from monitor.runtime.channel import ChannelClosedError
from monitor.types import VideoFrame
from monitor.types.packet import AS_ARRIVED, EncodedPacket, Encoding, PacketTarget
from monitor.types.protocols import Intake
from monitor.types.sampling import Sampling

RATE = 90_000
"""Hertz of every video codec's RTP timestamps."""
CAPACITY = 30
"""Pictures that may wait for the decoder: about a second."""
FREEZE = 1.0
"""Seconds without a picture, while packets come, after which a key frame is asked for."""
_DUE = 0.75
"""Share of the wanted distance after which a key frame is due: not every one comes at its time."""
_LEFT_OUT = 300
"""Pictures: more than the seconds that a bit rate is measured over bring."""
_PATIENCE = 5.0
"""Seconds for which pictures before the awaited key frame are skipped; not every sender heeds.

Of VP9 and AV1 for ever: without what they refer to they are wrong pictures, and nothing says so.
"""


@dataclass(slots=True)
class SightCounts:
    """What became of the pictures."""

    complete: int = 0
    decoded: int = 0
    dropped: int = 0
    """Thrown away because the decoder was late."""
    skipped: int = 0
    """Came while a key frame was awaited."""
    thinned: int = 0
    """Not decoded because only key frames were."""
    undecodable: int = 0
    key_frames_asked: int = 0


class VideoReceiver:
    """Decodes one track; every method but `decode` belongs to the event loop."""

    def __init__(
        self,
        participant: str,
        sampling: Sampling,
        width: int,
        sender: Callable[[], float | None] = lambda: None,
    ) -> None:
        """`sampling` and `width` limit what is handed on.

        `sender`: monotonic seconds at second 0 of the sender's clock, as the sound has it.
        """
        self.clock = VideoClock()
        self.reports = Reports()
        self._sender = sender
        self.counts = SightCounts()
        self.keep: PacketTarget | None = None
        """Where pictures go as they came; None when nobody keeps evidence."""
        self.ssrc: int | None = None
        self._participant = participant
        self._sampling, self._width = sampling, width
        self._timestamp = 0
        self._latest = float("-inf")
        """Monotonic seconds of the latest picture."""
        self._queue: deque[tuple[EncodedFrame, float]] = deque()
        self._ready = threading.Condition()
        self._closed = False
        self._shown: float | None = None
        """Monotonic seconds of the latest decoded picture."""
        self._key_since: float | None = None
        """Monotonic seconds since which pictures that are no key frame are skipped."""
        self._failed = False
        self._asked = float("-inf")
        self._every: float | None = None
        """Seconds between pictures while only key frames are decoded."""
        self._key_at = float("-inf")
        """Monotonic seconds at which the latest key frame came in that was decoded."""
        self._left_out: deque[tuple[int, float]] = deque(maxlen=_LEFT_OUT)
        """Sizes and times of pictures that are not decoded, for the bit rate."""

    def thin(self, every: float | None) -> None:
        """Decode only key frames, one every so many seconds at most; None decodes all again."""
        if every is None and self._every is not None:
            # What follows refers to pictures that were not decoded.
            self.lost()
        self._every = every

    def push(self, frame: EncodedFrame, since: float) -> None:
        """Take a picture in; `since` is the monotonic second of the call's second 0."""
        self.counts.complete += 1
        at = max(0.0, self._time(frame) - since)
        if self._key_since is not None:
            waited = frame.arrived - self._key_since
            patient = waited < _PATIENCE or frame.codec in LAYERED
            if patient and not is_key_frame(frame.codec, frame.data):
                self.counts.skipped += 1
                return
            self._key_since = None
        if self.keep is not None and frame.codec in AS_ARRIVED:
            key = is_key_frame(frame.codec, frame.data)
            encoding = Encoding("video", frame.codec)
            self.keep(EncodedPacket(self._participant, encoding, frame.data, at, 0.0, key))
        if self._every is not None and not self._is_due(frame, self._every):
            self.counts.thinned += 1
            self._left_out.append((len(frame.data), at))
            # Pictures come: that they are not shown is no freeze.
            self._shown = frame.arrived
            return
        with self._ready:
            if len(self._queue) >= CAPACITY:
                self.counts.dropped += len(self._queue) + 1
                self._queue.clear()
                self._key_since = frame.arrived
                return
            self._queue.append((frame, at))
            self._ready.notify()

    def _time(self, frame: EncodedFrame) -> float:
        """Monotonic seconds of a picture; time never runs backwards."""
        if self.ssrc != frame.ssrc:
            self.ssrc, self._timestamp = frame.ssrc, frame.timestamp
            self.clock.restart()
            self.reports.clear()
        self._timestamp = unwrapped(frame.timestamp, self._timestamp)
        stamp, sender, offset = self._timestamp / RATE, self._sender(), self.reports.offset
        led = None if sender is None or offset is None else sender + offset
        self.clock.take(stamp, frame.arrived, led)
        self._latest = max(self._latest, self.clock.time(stamp))
        return self._latest

    def _is_due(self, frame: EncodedFrame, every: float) -> bool:
        """Whether a picture is decoded while only key frames are."""
        due = frame.arrived - self._key_at >= _DUE * every
        if not due or not is_key_frame(frame.codec, frame.data):
            return False
        self._key_at = frame.arrived
        return True

    def report(self, report: SenderReport) -> None:
        """Take in what the sender says about this track's time."""
        if report.ssrc == self.ssrc:
            self.reports.add(unwrapped(report.timestamp, self._timestamp) / RATE, report.sender)

    def lost(self) -> None:
        """A picture was given up: what follows refers to it."""
        if self._key_since is None:
            self._key_since = time.monotonic()

    def wants_key_frame(self, packet_at: float | None, forget: Callable[[], None]) -> bool:
        """Whether to ask the sender for one now; to be called a few times a second.

        `packet_at`: monotonic seconds of the track's latest packet. `forget` empties what
        waits for a packet that does not come.
        """
        now = time.monotonic()
        if packet_at is None:
            return False
        if self._shown is None:
            self._shown = now
        if now - self._asked < min(FREEZE, self._every or FREEZE):
            return False
        if now - packet_at < FREEZE and now - self._shown > FREEZE and not self._queue:
            forget()
            self.lost()
        elif self._every is not None:
            if now - max(self._asked, self._key_at) < self._every:
                return False
        elif self._key_since is None and not self._failed:
            return False
        self._failed = False
        self._asked = now
        self.counts.key_frames_asked += 1
        return True

    def close(self) -> None:
        """Let the thread end after the picture it is at."""
        with self._ready:
            self._closed = True
            self._queue.clear()
            self._ready.notify()

    def decode(self, intake: Intake) -> None:
        """Decode and hand on until closed; the thread's work."""
        decoder: VideoCodecContext | None = None
        # Of this call of the method, so that its threads end with it.
        sampler = VideoSampler(self._sampling, self._width)
        codec = ""
        while True:
            with self._ready:
                while not self._queue and not self._closed:
                    self._ready.wait()
                if self._closed:
                    return
                frame, at = self._queue.popleft()
            if decoder is None or frame.codec != codec:
                codec = frame.codec
                decoder = made_for(codec, self._sampling.most_pixels)
            packet = av.Packet(frame.data)
            # The decoder hands this on with the picture.
            packet.pts, packet.time_base = round(at * RATE), Fraction(1, RATE)
            while self._left_out:
                sampler.arrived(*self._left_out.popleft())
            sampler.arrived(len(frame.data), at)
            try:
                pictures = decoder.decode(packet)
            except av.error.FFmpegError:
                # The decoder keeps its state: pictures may still come before the key frame.
                self.counts.undecodable += 1
                self._failed = True
                continue
            for decoded in pictures:
                self._shown = time.monotonic()
                self.counts.decoded += 1
                shown_at = at if decoded.pts is None else decoded.pts / RATE
                picture = sampler.sample(decoded, shown_at, decoder.sample_aspect_ratio)
                if picture is None:
                    continue
                rate = sampler.bits_per_pixel
                try:
                    intake.put_threadsafe(VideoFrame(self._participant, shown_at, picture, rate))
                except (ChannelClosedError, RuntimeError):
                    # The call, or the whole event loop, has ended.
                    return
