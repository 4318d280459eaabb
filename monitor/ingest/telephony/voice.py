"""One participant's way from a platform's chunks of samples to frames on the call's clock."""

from collections.abc import Callable, Iterator
from functools import partial

import av
import numpy as np

from monitor.ingest.clock.audio_track import AudioTrack, Heard, Sounding
from monitor.ingest.clock.speed import of_formats
from monitor.ingest.codecs.g711 import Codec
from monitor.ingest.telephony.dialect import Chunk, TelephonyError, Wire
from monitor.ingest.telephony.reorder import Reorder
from monitor.types.packet import EncodedPacket, Encoding, PacketTarget

_MISREAD = 4.0
"""Seconds for which samples may come at another format's rate before the stream ends."""
_ENCODED = {Codec.MULAW: "pcm_mulaw", Codec.ALAW: "pcm_alaw", Codec.L16: "pcm_s16le"}


class Voice:
    """One participant's way from chunks to frames."""

    def __init__(
        self, participant: str, since: Callable[[float], float], keep: PacketTarget | None
    ) -> None:
        """`keep` takes what arrived, as it arrived."""
        self._participant = participant
        self._keep = keep
        self._since = since
        self._reorder = Reorder()
        self._rate = 0
        self._misread: float | None = None
        """Monotonic seconds since which samples come at another rate than was agreed."""
        self.forget()

    def forget(self) -> None:
        """Begin anew where the next chunk arrives."""
        self._track = AudioTrack(self._participant, self._since)

    def push(self, chunk: Chunk, arrived: float) -> Iterator[Heard]:
        """Yield what is ready; raises TelephonyError if it has another rate than was agreed."""
        for ordered, at in self._reorder.push(chunk, arrived):
            yield from self._hear(ordered, at)
        self._check(arrived)

    def pop(self, now: float) -> Iterator[Heard]:
        """Yield what waits no longer at monotonic second `now`."""
        yield from self._track.pop(now)

    def flush(self) -> Iterator[Heard]:
        """Yield what is left."""
        for ordered, at in self._reorder.flush():
            yield from self._hear(ordered, at)
        yield from self._track.flush()

    def _hear(self, chunk: Chunk, arrived: float) -> Iterator[Heard]:
        self._rate = chunk.rate
        samples = np.ascontiguousarray(chunk.samples)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = chunk.rate
        wire, keep = chunk.wire, None
        if self._keep is not None and wire is not None:
            keep = partial(self._kept, self._keep, wire, chunk.rate)
        yield from self._track.push(Sounding([frame], keep), arrived, chunk.time, lost=chunk.lost)

    def _kept(self, keep: PacketTarget, wire: Wire, rate: int, at: float, length: float) -> None:
        encoding = Encoding("audio", _ENCODED[wire.codec], rate, 1)
        keep(EncodedPacket(self._participant, encoding, wire.own(), at, length, True))

    def _check(self, now: float) -> None:
        speed = self._track.clock.speed
        # No ratio of two formats: a sender ahead of its time. Its sound is lost, and that is all.
        wrong = speed != 1.0 and of_formats(speed, self._rate)
        self._misread = (now if self._misread is None else self._misread) if wrong else None
        if self._misread is not None and now - self._misread > _MISREAD:
            come = round(speed * self._rate, -2)
            raise TelephonyError(
                "rate",
                f"{self._rate} samples a second and channel were agreed on, {come:.0f} come",
                TelephonyError.UNSUPPORTED,
            )
