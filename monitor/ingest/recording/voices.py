"""The sound of a recording → the voice of each participant in it.

mix      the mean of the channels that carry a voice: one participant
split    a participant for each channel: call centres record one party a channel
left     the first channel alone
right    the second channel alone
"""

from dataclasses import dataclass

import av
import numpy as np

from monitor.ingest.codecs.convert import AudioConverter, Resampler
from monitor.ingest.codecs.mix import Channels
from monitor.types import ChannelChoice, Waveform

_SIDES = ("left", "right")


def named(participant: str, count: int) -> tuple[str, ...]:
    """What participants are called that a recording has on so many channels of their own."""
    if count == 1:
        return (participant,)
    sides = _SIDES if count == len(_SIDES) else [f"channel {n + 1}" for n in range(count)]
    return tuple(f"{participant} {side}" for side in sides)


class Voices:
    """One track's frames → 16 kHz mono for each of its participants, all equally long."""

    def __init__(self, participant: str, choice: ChannelChoice, channels: int) -> None:
        """`channels` that the track has at its beginning."""
        self._choice = choice
        split = choice is ChannelChoice.SPLIT
        self.participants = named(participant, max(1, channels) if split else 1)
        self._resampler = Resampler()
        self._mixed = AudioConverter()

    @property
    def different(self) -> bool:
        """Whether what was made one were channels with different voices."""
        return self._mixed.different

    def convert(self, *frames: av.AudioFrame) -> list[Waveform]:
        """Return what is ready, shape (samples,) for each participant; may be empty.

        Frames are alike and follow one another; how they are divided among calls changes nothing.
        """
        if self._choice is not ChannelChoice.MIX:
            return self._apart(self._resampler.resample(*frames))
        if frames[0].layout.nb_channels == 1:
            return [self._mixed.convert(*frames)]
        # What channels have in common is looked at piece by piece.
        return [np.concatenate([self._mixed.convert(frame) for frame in frames])]

    def flush(self) -> list[Waveform]:
        """Return what is still held; what is converted next begins anew."""
        if self._choice is ChannelChoice.MIX:
            return [self._mixed.flush()]
        return self._apart(self._resampler.flush())

    def _apart(self, pieces: list[Channels]) -> list[Waveform]:
        nothing = np.zeros(0, np.float32)
        first = 1 if self._choice is ChannelChoice.RIGHT else 0
        wanted = range(first, first + len(self.participants))
        return [
            np.concatenate([nothing, *(self._channel(piece, number) for piece in pieces)])
            for number in wanted
        ]

    def _channel(self, piece: Channels, number: int) -> Waveform:
        """One channel; of one alone, everybody who is asked for hears it."""
        if number < len(piece):
            channel: Waveform = piece[number]
            return channel
        alone = self._choice is not ChannelChoice.SPLIT
        last: Waveform = piece[-1]
        return last if alone else np.zeros(piece.shape[1], np.float32)


_AUDIBLE = 1e-6
"""Power of sound that is heard at all: -60 dBFS."""
_ENOUGH = 1.0
"""Seconds of it that make a track one that is not silent."""


@dataclass(frozen=True, slots=True)
class Track:
    """Which of a recording's sound tracks is heard."""

    number: int
    """Among those of sound, from 0."""
    of: int


def heard_track(container: "av.container.InputContainer") -> Track:
    """Choose the first sound track that is not silent; reads as far as it takes.

    Recorders of screens and of meetings write several, of which the first may be silent.
    """
    streams = [s for s in container.streams.audio if s.codec_context is not None]
    if len(streams) < 2:
        return Track(0, len(streams))
    loud = dict.fromkeys((stream.index for stream in streams), 0.0)
    resamplers = {stream.index: Resampler() for stream in streams}
    try:
        for packet in container.demux(streams):
            loud[packet.stream.index] += _loud(packet, resamplers[packet.stream.index])
            if loud[streams[0].index] >= _ENOUGH:
                break
    except av.error.FFmpegError:
        # What can be read tells.
        pass
    found = (n for n, stream in enumerate(streams) if loud[stream.index] >= _ENOUGH)
    return Track(next(found, 0), len(streams))


def _loud(packet: "av.Packet[av.stream.Stream]", resampler: Resampler) -> float:
    """Seconds of a packet that are heard."""
    try:
        frames = [f for f in packet.decode() if isinstance(f, av.AudioFrame) and f.samples]
    except av.error.FFmpegError:
        return 0.0
    seconds = 0.0
    for frame in frames:
        pieces = resampler.resample(frame)
        if any(float(np.square(piece).mean(axis=1).max()) > _AUDIBLE for piece in pieces):
            seconds += frame.samples / frame.sample_rate
    return seconds
