"""One WebRTC audio track: packets → order → sound, with what was lost and what was not sent.

packet  ████ ████      ████            ████ ████
number  7    8         10              11   12
        sound     lost: a Gap    silence that the sender did not send: comfort noise
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from monitor.ingest.aiortc_adapter import SenderReport
from monitor.ingest.alignment import TrackClock, unwrapped
from monitor.ingest.convert import AudioConverter, ends_block
from monitor.ingest.jitter import Delivery, JitterBuffer, RtpPacket
from monitor.packet import EncodedPacket, Encoding, PacketTarget
from monitor.types import SAMPLE_RATE, AudioFrame, Gap, LostReason, Span, Waveform

_SLACK = 0.01
"""Seconds by which timestamps are rounded; a lost packet is at least as long."""
_DTX_BYTES = 2
"""An Opus packet this short says: silence from here on."""
_G729_FRAME, _G729_SILENCE = 10, 2
"""Bytes of 10 ms of sound, and of what says at a packet's end that silence follows (Annex B)."""
LONGEST_PAUSE = 10.0
"""Seconds of unsent silence that are filled in; a longer pause is the source's absence."""


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

    def __init__(self, participant: str, codecs: dict[int, str], wait: float) -> None:
        """`codecs`: encoding name by payload type; `wait`: the jitter buffer's, in seconds."""
        self.buffer = JitterBuffer(wait)
        self.clock = TrackClock()
        self.undecodable = 0
        """Packets whose content was no sound."""
        self.rate = _CODECS[next(iter(codecs.values()))].clock
        self.keep: PacketTarget | None = None
        """Where packets go once their turn has come; None when nobody keeps evidence."""
        self.ssrc: int | None = None
        self.timestamp = 0
        """Of the latest packet, without wrap-around."""
        self._participant = participant
        self._codecs = codecs
        self._codec: _Codec | None = None
        self._decoder: AudioCodecContext | None = None
        self._converter = AudioConverter()
        self._heard: float | None = None
        """Call seconds up to which media was taken in."""
        self._waiting: list[av.AudioFrame] = []
        """Decoded, not converted yet; without a hole."""
        self._begin = 0.0
        """Call seconds at which they begin."""
        self._given: float | None = None
        """Call seconds up to which media was handed on."""
        self._due = 0
        """Timestamp just after the latest packet's sound."""
        self._frame = 0
        """Duration of the latest packet's sound in timestamp units."""
        self._last = b""
        self._restarted = False
        """Whether another stream has begun, of which nothing was heard yet."""

    def push(self, packet: RtpPacket, offset: float) -> Iterator[AudioFrame | Gap]:
        """Take a packet in; `offset` is call seconds minus monotonic seconds."""
        for delivery in self.buffer.push(packet):
            yield from self._hear(delivery, offset)

    def pop(self, now: float, offset: float) -> Iterator[AudioFrame | Gap]:
        """Yield what waits no longer at monotonic second `now`."""
        for delivery in self.buffer.pop(now):
            yield from self._hear(delivery, offset)

    def flush(self, offset: float) -> Iterator[AudioFrame | Gap]:
        """Yield all that waits: nothing more will come."""
        for delivery in self.buffer.flush():
            yield from self._hear(delivery, offset)
        yield from self._block()

    def report(self, report: SenderReport) -> None:
        """Take in what the sender says about this track's time."""
        if report.ssrc == self.ssrc:
            media = unwrapped(report.timestamp, self.timestamp) / self.rate
            self.clock.report(media, report.sender)

    def _hear(self, delivery: Delivery, offset: float) -> Iterator[AudioFrame | Gap]:
        packet = delivery.packet
        name = self._codecs.get(packet.payload_type)
        payload = without_silence(packet.payload) if name == "g729" else packet.payload
        self._restarted = self._restarted or delivery.restarted
        if name is None or not payload:
            # Nothing to hear; an empty packet would also end FFmpeg's decoder.
            return
        arrived = max(0.0, packet.arrived + offset)
        restarted = self._restarted or _CODECS[name] is not self._codec
        self._restarted = False
        if restarted:
            yield from self._block()
            self._restart(_CODECS[name])
        assert self._codec is not None
        fresh = self._heard is None or restarted
        silent = 0 if fresh else delivery.timestamp - self._due - delivery.missing * self._frame
        self.ssrc, self.timestamp = packet.ssrc, delivery.timestamp
        # A sender whose first timestamps run backwards would begin before the call does.
        at = max(0.0, self.clock.time(delivery.timestamp / self._codec.clock, arrived))
        silence = silent / self._codec.clock
        if silence > _SLACK and self._heard is not None and silence <= LONGEST_PAUSE:
            yield from self._pause(min(silence, at - self._heard))
        frames = self._decode(payload)
        if frames is None:
            self.undecodable += 1
            return
        length = self._frame / self._codec.clock
        if self.keep is not None:
            encoding = self._codec.encoding
            self.keep(EncodedPacket(self._participant, encoding, payload, at, length, True))
        if self._heard is not None:
            # Timestamps are rounded; only a real hole moves the time.
            if at - self._heard >= _SLACK:
                yield from self._block()
                absent = silence > LONGEST_PAUSE
                reason = LostReason.IDLE if absent else LostReason.NETWORK
                start = self._heard if self._given is None else self._given
                yield Gap(self._participant, Span(start, at), reason)
            elif at - self._heard > -_SLACK:
                at = self._heard
        self._last = payload
        self._due = delivery.timestamp + self._frame
        self._heard = max(self._heard or 0.0, at + length)
        if not self._waiting:
            self._begin = at
        self._waiting += frames
        if ends_block(at, at + length):
            yield from self._block()

    def _block(self) -> Iterator[AudioFrame]:
        """Hand on what waits for its block to be complete."""
        if not self._waiting:
            return
        samples = self._converter.convert(*self._waiting)
        self._waiting.clear()
        at = self._begin
        # The resampler holds back a little.
        if self._given is not None and abs(at - self._given) < _SLACK:
            at = self._given
        if len(samples):
            self._given = at + len(samples) / SAMPLE_RATE
            yield AudioFrame(self._participant, at, samples)

    def _restart(self, codec: _Codec) -> None:
        """Begin anew: another stream, whose timestamps have another origin."""
        self.clock.restart()
        self.rate, self._codec = codec.clock, codec
        decoder = cast(AudioCodecContext, av.CodecContext.create(codec.decoder, "r"))
        decoder.format = "s16"
        decoder.layout = "mono"
        decoder.sample_rate = codec.rate
        self._decoder = decoder
        self._converter = AudioConverter()

    def _decode(self, payload: bytes) -> list[av.AudioFrame] | None:
        assert self._codec is not None
        assert self._decoder is not None
        try:
            frames = self._decoder.decode(av.Packet(payload))
        except av.error.FFmpegError:
            return None
        if not frames:
            return None
        self._frame = sum(f.samples for f in frames) * self._codec.clock // self._codec.rate
        for frame in frames:
            # Call time comes from the packets; the resampler needs no timestamps.
            frame.pts = None
        return frames

    def _pause(self, seconds: float) -> Iterator[AudioFrame]:
        """Silence that the sender chose not to send, as its listeners hear it."""
        yield from self._block()
        start = self._given if self._given is not None else self._heard
        assert start is not None
        assert self._heard is not None
        left = round((self._heard + seconds - start) * SAMPLE_RATE)
        if left <= 0:
            return
        parts: list[Waveform] = []
        if self._codec is _CODECS["opus"] and 0 < len(self._last) <= _DTX_BYTES:
            # A frame without data makes libopus go on with the noise of the pause. Not so for
            # lost packets: what it would make up there is no voice that anybody spoke.
            empty = bytes([self._last[0] & 0xFC])
            frame = self._frame
            while left > 0 and (made := self._decode(empty)) is not None:
                sound = self._converter.convert(*made)
                if not len(sound):
                    break
                parts.append(sound[:left])
                left -= len(parts[-1])
            self._frame = frame
        parts.append(np.zeros(max(0, left), np.float32))
        samples = np.concatenate(parts)
        self._heard = self._given = start + len(samples) / SAMPLE_RATE
        yield AudioFrame(self._participant, start, samples)


def without_silence(payload: bytes) -> bytes:
    """A G.729 packet without the description of silence at its end, which FFmpeg cannot decode."""
    described = len(payload) % _G729_FRAME == _G729_SILENCE
    return payload[:-_G729_SILENCE] if described else payload
