"""What a live container holds, decoded into a call."""

import threading

import av
from av.container import InputContainer
from av.stream import Stream

from monitor.clock import MediaClock
from monitor.ingest.convert import AudioConverter, VideoSampler, seconds
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
        # One clock for both tracks: FFmpeg has aligned them by their RTCP sender reports.
        clock = MediaClock(intake.now)
        self._thinned = False
        converter, sampler = AudioConverter(), VideoSampler(self._sampling, self._video_width)
        heard: float | None = None
        keep = intake.encoded
        tape = Tape(self._participant, keep, streams) if keep is not None else None
        if video is not None:
            # One decoder thread: this thread is already the stream's own.
            video.thread_type = "NONE"
        for packet in container.demux(streams):
            if self._stopped.is_set():
                return
            if tape is not None and packet.size:
                shown = seconds(packet.pts, packet.time_base)
                if shown is not None:
                    tape.packet(packet, clock.time(shown))
            thinned = packet.stream is video and self._only_key_frames(packet, intake)
            if thinned and not packet.is_keyframe:
                shown = seconds(packet.pts, packet.time_base)
                if shown is not None:
                    sampler.arrived(packet.size, clock.time(shown))
                continue
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
                # Pictures that were pushed out have no time base of their own.
                at = seconds(frame.pts, frame.time_base or packet.time_base)
                if at is None:
                    continue
                at = clock.time(at)
                if isinstance(frame, av.AudioFrame):
                    samples = converter.convert(frame)
                    if heard is not None and abs(at - heard) < _HOLE:
                        at = heard
                    if len(samples):
                        sound = AudioFrame(self._participant, at, samples)
                        intake.put_threadsafe(sound)
                        if tape is not None:
                            tape.frame(sound)
                        heard = at + len(samples) / SAMPLE_RATE
                else:
                    sampler.arrived(packet.size, at)
                    image = sampler.sample(frame, at)
                    if image is not None:
                        picture = VideoFrame(self._participant, at, image, sampler.bits_per_pixel)
                        intake.put_threadsafe(picture)
                        if tape is not None:
                            tape.frame(picture)

    def _only_key_frames(self, packet: "av.Packet[Stream]", intake: Intake) -> bool:
        """Whether only key frames are decoded: they are all that is wanted, or can be used."""
        wanted = intake.key_frames is not None
        self._thinned = wanted or (self._thinned and not packet.is_keyframe)
        return self._thinned
