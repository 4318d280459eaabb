"""What a live container holds, decoded into a call."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from monitor.ingest.clock.audio_track import AudioTrack, Heard, Sounding
from monitor.ingest.clock.video_clock import VideoClock
from monitor.ingest.codecs.convert import VideoSampler, seconds
from monitor.ingest.codecs.video_codec import bound
from monitor.ingest.pull.packet_tap import PacketTap
from monitor.ingest.recording.container import own_decoder
from monitor.runtime import log
from monitor.types import AudioFrame, LostReason, Tracks, VideoFrame
from monitor.types.protocols import Intake, SourceError
from monitor.types.sampling import Sampling

_log = log.get(__name__)

_ALIGNING = 15.0
"""Seconds after which the two tracks' stamps are no longer compared: their clocks drift apart."""
_APART = 0.4
"""Seconds that a camera's pictures may come after their sound; more, and FFmpeg was misled."""
_WAITED = 0.005
"""Seconds: what took so long to read has only just arrived."""
_HOPELESS = 50
"""Packets of sound, the first ones, that cannot be decoded: none will."""
_EARLY = 2_000
"""Packets that may have been read before."""


class Demuxer:
    """One participant; belongs to the decode thread of whatever connection there is."""

    def __init__(
        self,
        participant: str,
        sampling: Sampling,
        video_width: int,
        lossy: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`lossy`: packets may be lost, which then only the stamps tell."""
        self._participant = participant
        self.sampling = sampling
        self._video_width = video_width
        self._lossy = lossy
        self._clock = clock
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let `play` return after the packet it is at."""
        self._stopped.set()

    def play(self, container: InputContainer, intake: Intake) -> None:
        """Deliver until the container ends.

        Raises SourceError if it holds nothing to monitor, av.error.FFmpegError and OSError if it
        cannot be read on, ChannelClosedError when the call is over.
        """
        audio = next(iter(container.streams.audio), None)
        video = next(iter(container.streams.video), None)
        streams = [s for s in (audio, video) if s is not None]
        if not streams:
            raise SourceError("no_media", "no audio and no video stream")
        intake.put_threadsafe(Tracks(self._participant, audio is not None, video is not None))
        if video is not None:
            # One decoder thread: this thread is already the stream's own.
            video.thread_type = "NONE"
            video.codec_context.options = bound(self.sampling.most_pixels)
        sampler = VideoSampler(self.sampling, self._video_width)
        connection = _Connection(
            self._participant, streams, intake, sampler, self._clock(), self._lossy
        )
        packets = container.demux(streams)
        try:
            connection.take(*self._read_at_once(packets))
            for packet in packets:
                if self._stopped.is_set():
                    return
                connection.take((packet, self._clock()))
        finally:
            connection.end()

    def _read_at_once(
        self, packets: Iterator["av.Packet[Stream]"]
    ) -> list[tuple["av.Packet[Stream]", float]]:
        """What came while the stream was opened, and the packet after, as if all came now."""
        found: list[av.Packet[Stream]] = []
        before = self._clock()
        for packet in packets:
            found.append(packet)
            waited, before = self._clock() - before, self._clock()
            if waited > _WAITED or len(found) >= _EARLY:
                break
        return [(packet, before) for packet in found]


class _Connection:
    """Decodes the packets of one opened container."""

    def __init__(
        self,
        participant: str,
        streams: Sequence[AudioStream | VideoStream],
        intake: Intake,
        sampler: VideoSampler,
        began: float,
        lossy: bool,
    ) -> None:
        """`began`: monotonic seconds."""
        self._participant = participant
        self._intake = intake
        self._sound = AudioTrack(participant, self._since, lossy)
        self._sampler = sampler
        self._aligning = began + _ALIGNING
        self._pictures = VideoClock(_APART)
        # A packet makes its time base anew each time it is asked for it.
        self._bases = {stream.index: stream.time_base for stream in streams}
        keep = intake.encoded
        self._tape = PacketTap(participant, keep, streams) if keep is not None else None
        self._decoder = own_decoder(next((s for s in streams if s.type == "audio"), None))
        self._heard = False
        """Whether any sound could be decoded."""
        self._unseen: list[tuple[av.Packet[Stream], float]] = []
        """Pictures that wait until it is known when the call began, each with the seconds that
        stamps have leapt since."""
        self._missing = 0
        """Packets of sound that could not be decoded since the latest that could."""
        self._seen = float("-inf")
        """Monotonic seconds of the latest picture."""
        self._thinned = False
        """Whether the decoder lacks pictures that those to come may refer to."""

    def take(self, *found: tuple["av.Packet[Stream]", float]) -> None:
        """Decode what was read at once, with its arrival in monotonic seconds, and hand it over."""
        for packet, arrived in found:
            if _is_video(packet):
                self._note(packet, arrived)
                self._unseen.append((packet, 0.0))
                self.hand_over(*self._sound.pop(arrived))
            else:
                self._hear(packet, arrived)
        if self._sound.clock.begins is None:
            self._see_all()

    def end(self) -> None:
        """Hand over what waits: nothing more will come."""
        self.hand_over(*self._sound.flush())
        self._see_all()

    def _since(self, at: float) -> float:
        """Monotonic second of the call's second 0: the first of what was heard and seen.

        A server that catches up shows only then when that was, so pictures wait for the sound.
        """
        earliest = self._pictures.earliest
        return self._intake.since(at if earliest is None else min(at, earliest))

    def _see_all(self) -> None:
        unseen, self._unseen = self._unseen, []
        for packet, leapt in unseen:
            self._see(packet, leapt)

    def hand_over(self, *media: Heard | VideoFrame) -> None:
        """Give media to the call, and to whoever keeps evidence."""
        for each in media:
            self._intake.put_threadsafe(each)
            if self._tape is not None and isinstance(each, AudioFrame | VideoFrame):
                self._tape.frame(each)

    def _hear(self, packet: "av.Packet[Stream]", arrived: float) -> None:
        try:
            frames = self._decode(packet)
        except av.error.FFmpegError:
            self._missing += packet.size > 0
            if not self._heard and self._missing == _HOPELESS:
                self._give_up(packet.stream.codec_context.name)
            return
        if not frames:
            return
        self._heard = True
        missing, self._missing = self._missing, 0
        why = LostReason.DAMAGED if missing else LostReason.NETWORK
        stamp = seconds(frames[0].pts, self._bases[packet.stream.index])
        for frame in frames:
            # Call time comes from the clock; the resampler needs no timestamps.
            frame.pts = None
        keep = partial(self._tape.packet, packet) if self._tape is not None else None
        sounding = Sounding(frames, keep, missing=why)
        self.hand_over(*self._sound.push(sounding, arrived, stamp, missing))

    def _decode(self, packet: "av.Packet[Stream]") -> list[av.AudioFrame]:
        """Return what a packet of sound holds; raises av.error.FFmpegError for what is none."""
        if self._decoder is None:
            found: Sequence[object] = packet.decode()
        else:
            found = self._decoder.decode(packet) if packet.size else []
        return [f for f in found if isinstance(f, av.AudioFrame) and f.samples]

    def _give_up(self, codec: str) -> None:
        """Say that there will be no sound; raises SourceError where there is nothing else."""
        hint = " (AMR by RTSP needs octet-align=1)" if codec.startswith("amr") else ""
        detail = f"its sound, {codec}, cannot be decoded{hint}"
        if len(self._bases) < 2:
            raise SourceError("unreadable", detail)
        _log.warning("no sound", participant=self._participant, detail=detail)
        self._intake.remark(detail)

    def _note(self, packet: "av.Packet[Stream]", arrived: float) -> None:
        """Let the clock know of a picture."""
        stamp = self._stamp(packet)
        if stamp is not None:
            clock = self._sound.clock
            # FFmpeg has aligned both tracks' stamps by their sender reports, at the beginning.
            comparable = arrived < self._aligning and clock.steady
            leapt = self._pictures.take(stamp, arrived, clock.offset if comparable else None)
            if leapt:
                self._unseen = [(waiting, before + leapt) for waiting, before in self._unseen]

    def _stamp(self, packet: "av.Packet[Stream]") -> float | None:
        return seconds(packet.pts, self._bases[packet.stream.index]) if packet.size else None

    def _see(self, packet: "av.Packet[Stream]", leapt: float) -> None:
        base, stamp = self._bases[packet.stream.index], self._stamp(packet)
        shown = None
        if stamp is not None:
            at = self._pictures.time(stamp + leapt)
            shown = max(0.0, at - self._since(at))
            if self._tape is not None:
                self._tape.packet(packet, shown, seconds(packet.duration, base) or 0.0)
            self._sampler.arrived(packet.size, shown)
        thinned = self._only_key_frames(packet)
        if thinned and not packet.is_keyframe:
            return
        stream = packet.stream
        assert isinstance(stream, VideoStream)
        # What is not looked at must be decoded only where other pictures refer to it.
        spared = shown is not None and not self._sampler.wanted(shown)
        stream.codec_context.skip_frame = "NONREF" if spared else "DEFAULT"
        try:
            frames = packet.decode()
            if thinned:
                # Nothing follows that would push it out.
                frames += stream.codec_context.decode(None)
                stream.codec_context.flush_buffers()
        except av.error.FFmpegError:
            # A damaged or incomplete picture; the next key frame repairs it.
            return
        for frame in frames:
            if not isinstance(frame, av.VideoFrame):
                continue
            stamp = seconds(frame.pts, base)
            if stamp is not None:
                self._show(frame, stamp + leapt, stream.sample_aspect_ratio)

    def _show(self, frame: av.VideoFrame, stamp: float, aspect: Fraction | None) -> None:
        # Time never runs backwards.
        self._seen = max(self._seen, self._pictures.time(stamp))
        at = max(0.0, self._seen - self._since(self._seen))
        picture = self._sampler.sample(frame, at, aspect)
        if picture is not None:
            rate = self._sampler.bits_per_pixel
            self.hand_over(VideoFrame(self._participant, at, picture, rate))

    def _only_key_frames(self, packet: "av.Packet[Stream]") -> bool:
        """Whether only key frames are decoded: they are all that is wanted, or can be used."""
        wanted = self._intake.key_frames is not None
        self._thinned = wanted or (self._thinned and not packet.is_keyframe)
        return self._thinned


def _is_video(packet: "av.Packet[Stream]") -> bool:
    return isinstance(packet.stream, VideoStream)
