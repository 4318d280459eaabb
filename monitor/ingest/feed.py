"""What a live container holds, decoded into a call."""

import threading
from collections.abc import Callable, Sequence

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from monitor.clock import MediaClock
from monitor.ingest.convert import AudioConverter, VideoSampler, ends_block, seconds
from monitor.ingest.tape import Tape
from monitor.protocols import Intake, SourceError
from monitor.sampling import Sampling
from monitor.types import SAMPLE_RATE, AudioFrame, Tracks, VideoFrame

_HOLE = 0.1
"""Seconds; what timestamps differ by less is rounding."""


class Feed:
    """One participant; belongs to the decode thread of whatever connection there is."""

    def __init__(self, participant: str, sampling: Sampling, video_width: int) -> None:
        self._participant = participant
        self._sampling = sampling
        self._video_width = video_width
        self._stopped = threading.Event()
        self._thinned = False
        """Whether the decoder lacks pictures that those to come may refer to."""

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
        self._thinned = False
        keep = intake.encoded
        tape = Tape(self._participant, keep, streams) if keep is not None else None
        if video is not None:
            # One decoder thread: this thread is already the stream's own.
            video.thread_type = "NONE"

        def hand_over(frame: AudioFrame | VideoFrame) -> None:
            intake.put_threadsafe(frame)
            if tape is not None:
                tape.frame(frame)

        sound = _Sound(self._participant, hand_over)
        try:
            self._deliver(container, streams, intake, tape, sound, hand_over)
        finally:
            sound.flush()

    def _deliver(
        self,
        container: InputContainer,
        streams: Sequence[AudioStream | VideoStream],
        intake: Intake,
        tape: Tape | None,
        sound: "_Sound",
        hand_over: Callable[[VideoFrame], None],
    ) -> None:
        # One clock for both tracks: FFmpeg has aligned them by their RTCP sender reports.
        clock = MediaClock(intake.now)
        sampler = VideoSampler(self._sampling, self._video_width)
        # A packet makes its time base anew each time it is asked for it.
        bases = {stream.index: stream.time_base for stream in streams}
        for packet in container.demux(streams):
            if self._stopped.is_set():
                return
            base = bases[packet.stream_index]
            shown = seconds(packet.pts, base) if packet.size else None
            if shown is not None:
                shown = clock.time(shown)
                if tape is not None:
                    tape.packet(packet, shown)
            video = packet.stream if isinstance(packet.stream, VideoStream) else None
            if video is not None and shown is not None:
                sampler.arrived(packet.size, shown)
            thinned = video is not None and self._only_key_frames(packet, intake)
            if thinned and not packet.is_keyframe:
                continue
            if video is not None:
                # What is not looked at must be decoded only where other pictures refer to it.
                spared = shown is not None and not sampler.wanted(shown)
                video.codec_context.skip_frame = "NONREF" if spared else "DEFAULT"
            try:
                frames = packet.decode()
                if thinned and video is not None:
                    # Nothing follows that would push it out.
                    frames += video.codec_context.decode(None)
                    video.codec_context.flush_buffers()
            except av.error.InvalidDataError:
                # A damaged or incomplete picture; the next key frame repairs it.
                continue
            for frame in frames:
                if not isinstance(frame, av.AudioFrame | av.VideoFrame):
                    continue
                at = seconds(frame.pts, base)
                if at is None:
                    continue
                at = clock.time(at)
                if isinstance(frame, av.AudioFrame):
                    sound.push(frame, at)
                    continue
                picture = sampler.sample(frame, at)
                if picture is not None:
                    rate = sampler.bits_per_pixel
                    hand_over(VideoFrame(self._participant, at, picture, rate))

    def _only_key_frames(self, packet: "av.Packet[Stream]", intake: Intake) -> bool:
        """Whether only key frames are decoded: they are all that is wanted, or can be used."""
        wanted = intake.key_frames is not None
        self._thinned = wanted or (self._thinned and not packet.is_keyframe)
        return self._thinned


class _Sound:
    """Decoded audio, handed over in blocks."""

    def __init__(self, participant: str, hand_over: Callable[[AudioFrame], None]) -> None:
        self._participant = participant
        self._hand_over = hand_over
        self._converter = AudioConverter()
        self._frames: list[av.AudioFrame] = []
        """Not converted yet; alike, and without a hole."""
        self._at = 0.0
        """Call seconds at which they begin."""
        self._end = 0.0
        """Call seconds at which they end."""
        self._heard: float | None = None
        """Call seconds up to which sound was handed over."""

    def push(self, frame: av.AudioFrame, at: float) -> None:
        """Take a frame that begins at call second `at`."""
        last = self._frames[-1] if self._frames else None
        if last is not None and (abs(at - self._end) >= _HOLE or not _alike(last, frame)):
            self.flush()
        if not self._frames:
            self._at = self._end = at
        begin, self._end = self._end, self._end + frame.samples / frame.sample_rate
        self._frames.append(frame)
        if ends_block(begin, self._end):
            self.flush()

    def flush(self) -> None:
        """Hand over what waits for its block to be complete."""
        if not self._frames:
            return
        frames, self._frames = self._frames, []
        samples = self._converter.convert(*frames)
        at = self._at
        if self._heard is not None and abs(at - self._heard) < _HOLE:
            at = self._heard
        if len(samples):
            self._heard = at + len(samples) / SAMPLE_RATE
            self._hand_over(AudioFrame(self._participant, at, samples))


def _alike(one: av.AudioFrame, other: av.AudioFrame) -> bool:
    return (one.sample_rate, one.format.name, one.layout.name) == (
        other.sample_rate,
        other.format.name,
        other.layout.name,
    )
