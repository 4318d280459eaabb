"""One track of RTP: packets → order → decoded sound → frames on the call's clock."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import cast

import av
from av.audio.codeccontext import AudioCodecContext

from monitor.ingest.aiortc_adapter import SenderReport
from monitor.ingest.jitter import Delivery, JitterBuffer, RtpPacket, unwrapped
from monitor.ingest.pictureclock import Reports
from monitor.ingest.soundtrack import LONGEST_PAUSE, Heard, Sounding, Soundtrack
from monitor.packet import EncodedPacket, Encoding, PacketTarget

_DTX_BYTES = 2
"""An Opus packet this short says: silence from here on."""
_G729_FRAME, _G729_SILENCE = 10, 2
"""Bytes of 10 ms of sound, and of what says at a packet's end that silence follows (Annex B)."""


@dataclass(frozen=True, slots=True)
class _Codec:
    decoder: str
    rate: int
    """Hertz of the decoded sound."""
    clock: int
    """Hertz of the RTP timestamps; for G.722 not the rate (RFC 3551)."""
    encoding: Encoding
    """How evidence names it; RFC 7587 has every Opus stream called stereo."""


_CODECS = {
    "opus": _Codec("libopus", 48_000, 48_000, Encoding("audio", "opus", 48_000, 2)),
    "g722": _Codec("g722", 16_000, 8_000, Encoding("audio", "g722", 16_000, 1)),
    "g729": _Codec("g729", 8_000, 8_000, Encoding("audio", "g729", 8_000, 1)),
    "pcmu": _Codec("pcm_mulaw", 8_000, 8_000, Encoding("audio", "pcm_mulaw", 8_000, 1)),
    "pcma": _Codec("pcm_alaw", 8_000, 8_000, Encoding("audio", "pcm_alaw", 8_000, 1)),
}


class Hearing:
    """Turns one track's packets into audio on the call's clock; decodes where it is called."""

    def __init__(
        self,
        participant: str,
        codecs: dict[int, str],
        wait: float,
        since: Callable[[float], float],
    ) -> None:
        """`codecs`: encoding name by payload type; `wait`: the jitter buffer's, in seconds.

        `since` gives the monotonic second of the call's second 0, as `Intake.since` does.
        """
        self.buffer = JitterBuffer(wait)
        self.reports = Reports()
        self.undecodable = 0
        """Packets whose content was no sound."""
        self.keep: PacketTarget | None = None
        """Where packets go once they have their place; None when nobody keeps evidence."""
        self.ssrc: int | None = None
        self.timestamp = 0
        """Of the latest packet, without wrap-around."""
        self._participant = participant
        self._codecs = codecs
        self._codec = _CODECS[next(iter(codecs.values()))]
        self._decoder: AudioCodecContext | None = None
        self._track = Soundtrack(participant, since)
        self._due = 0
        """Timestamp just after the latest packet's sound."""
        self._last = b""
        self._missing = 0
        """Packets that did not come, or were no sound, since the latest that was."""
        self._restarted = False
        """Whether another stream has begun, of which nothing was heard yet."""

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds at which `pop` has something to do; None while it has not."""
        times = (self.buffer.deadline, self._track.clock.deadline)
        return min((each for each in times if each is not None), default=None)

    def push(self, packet: RtpPacket) -> Iterator[Heard]:
        """Take a packet in."""
        for delivery in self.buffer.push(packet):
            yield from self._hear(delivery)

    def pop(self, now: float) -> Iterator[Heard]:
        """Yield what waits no longer at monotonic second `now`."""
        for delivery in self.buffer.pop(now):
            yield from self._hear(delivery)
        yield from self._track.pop(now)

    def flush(self) -> Iterator[Heard]:
        """Yield all that waits: nothing more will come."""
        for delivery in self.buffer.flush():
            yield from self._hear(delivery)
        yield from self._track.flush()

    def report(self, report: SenderReport) -> None:
        """Take in what the sender says about this track's time."""
        if report.ssrc == self.ssrc:
            media = unwrapped(report.timestamp, self.timestamp) / self._codec.clock
            self.reports.add(media, report.sender)

    @property
    def sender(self) -> float | None:
        """Monotonic seconds at second 0 of the sender's clock; None without its reports."""
        media, sender = self._track.clock.offset, self.reports.offset
        return None if media is None or sender is None else media - sender

    def _hear(self, delivery: Delivery) -> Iterator[Heard]:
        packet = delivery.packet
        name = self._codecs.get(packet.payload_type)
        payload = without_silence(packet.payload) if name == "g729" else packet.payload
        self._restarted = self._restarted or delivery.restarted
        self._missing = 0 if delivery.restarted else self._missing + delivery.missing
        if name is None or not payload:
            # Nothing to hear; an empty packet would also end FFmpeg's decoder.
            return
        if self._restarted or _CODECS[name] is not self._codec or self._decoder is None:
            self._restart(_CODECS[name])
        self.ssrc, self.timestamp = packet.ssrc, delivery.timestamp
        noise = [] if self._restarted else self._noise(delivery.timestamp - self._due)
        frames = self._decode(payload)
        if not frames:
            self.undecodable += 1
            self._missing += 1
            return
        self._restarted = False
        keep = partial(self._keep, self.keep, payload) if self.keep is not None else None
        length = sum(f.samples for f in frames) * self._codec.clock // self._codec.rate
        self._last, self._due = payload, delivery.timestamp + length
        missing, self._missing = self._missing, 0
        stamp = delivery.timestamp / self._codec.clock
        yield from self._track.push(Sounding(frames, keep, noise), packet.arrived, stamp, missing)

    def _keep(self, keep: PacketTarget, payload: bytes, at: float, length: float) -> None:
        keep(EncodedPacket(self._participant, self._codec.encoding, payload, at, length, True))

    def _restart(self, codec: _Codec) -> None:
        """Begin anew: another stream, whose timestamps have another origin."""
        self._track.clock.restart()
        self.reports.clear()
        self._codec = codec
        decoder = cast(AudioCodecContext, av.CodecContext.create(codec.decoder, "r"))
        decoder.format = "s16"
        decoder.layout = "mono"
        decoder.sample_rate = codec.rate
        self._decoder = decoder

    def _decode(self, payload: bytes) -> list[av.AudioFrame]:
        """Return what a packet holds; nothing if it is no sound."""
        assert self._decoder is not None
        try:
            frames = self._decoder.decode(av.Packet(payload))
        except av.error.FFmpegError:
            return []
        for frame in frames:
            # Call time comes from the clock; the resampler needs no timestamps.
            frame.pts = None
        return frames

    def _noise(self, units: int) -> list[av.AudioFrame]:
        """What a pause of so many units of the timestamp sounds like, if the sender described it.

        A frame without data makes libopus go on with the noise of the pause. Not so for lost
        packets: what it would make up there is no voice that anybody spoke.
        """
        if self._codec is not _CODECS["opus"] or not 0 < len(self._last) <= _DTX_BYTES:
            return []
        empty, made = bytes([self._last[0] & 0xFC]), list[av.AudioFrame]()
        left = units if units <= LONGEST_PAUSE * self._codec.clock else 0
        while left > 0 and (frames := self._decode(empty)):
            made += frames
            left -= sum(frame.samples for frame in frames)
        return made


def without_silence(payload: bytes) -> bytes:
    """A G.729 packet without the description of silence at its end, which FFmpeg cannot decode."""
    described = len(payload) % _G729_FRAME == _G729_SILENCE
    return payload[:-_G729_SILENCE] if described else payload
