"""One track of RTP: packets → order → decoded sound → frames on the call's clock."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import cast

import av
from av.audio.codeccontext import AudioCodecContext

from monitor.ingest.clock.audio_track import LONGEST_PAUSE, AudioTrack, Heard, Sounding
from monitor.ingest.clock.video_clock import Reports
from monitor.ingest.codecs.audio_payload import SoundFormat
from monitor.ingest.codecs.lowrate import LowRateSound
from monitor.ingest.rtp.aiortc_adapter import SenderReport
from monitor.ingest.rtp.jitter_buffer import Delivery, JitterBuffer, RtpPacket, unwrapped
from monitor.types import AudioFrame, LostReason
from monitor.types.packet import AS_ARRIVED, EncodedPacket, PacketTarget

_DTX_BYTES = 2
"""An Opus packet this short says: silence from here on."""
_LAYOUTS = {1: "mono", 2: "stereo"}


class AudioReceiver:
    """Turns one track's packets into audio on the call's clock; decodes where it is called."""

    def __init__(
        self,
        participant: str,
        formats: Mapping[int, SoundFormat],
        wait: float,
        since: Callable[[float], float],
    ) -> None:
        """`formats`: what is heard, by payload type; `wait`: the jitter buffer's, in seconds.

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
        self._formats = formats
        self._format = next(iter(formats.values()))
        self._decoder: AudioCodecContext | None = None
        self._track = AudioTrack(participant, since)
        self._due = 0
        """Timestamp just after the latest packet's sound."""
        self._last = b""
        self._missing = 0
        """Packets that did not come, or were no sound, since the latest that was."""
        self._damaged = 0
        """How many of these came."""
        self._low_rate: LowRateSound | None = None
        """For evidence, of what cannot be kept as it comes."""
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
        yield from self._kept(self._track.pop(now))

    def flush(self) -> Iterator[Heard]:
        """Yield all that waits: nothing more will come."""
        for delivery in self.buffer.flush():
            yield from self._hear(delivery)
        yield from self._kept(self._track.flush())

    def report(self, report: SenderReport) -> None:
        """Take in what the sender says about this track's time."""
        if report.ssrc == self.ssrc:
            media = unwrapped(report.timestamp, self.timestamp) / self._format.clock
            self.reports.add(media, report.sender)

    @property
    def sender(self) -> float | None:
        """Monotonic seconds at second 0 of the sender's clock; None without its reports."""
        media, sender = self._track.clock.offset, self.reports.offset
        return None if media is None or sender is None else media - sender

    def _hear(self, delivery: Delivery) -> Iterator[Heard]:
        packet = delivery.packet
        format_ = self._formats.get(packet.payload_type)
        self._restarted = self._restarted or delivery.restarted
        if delivery.restarted:
            self._missing = self._damaged = 0
        self._missing += delivery.missing
        if format_ is None or not packet.payload:
            # Nothing to hear; an empty packet would also end FFmpeg's decoder.
            return
        if self._restarted or format_ != self._format or self._decoder is None:
            self._restart(format_)
        self.ssrc, self.timestamp = packet.ssrc, delivery.timestamp
        noise = [] if self._restarted else self._noise(delivery.timestamp - self._due)
        try:
            units = [unit for unit in format_.unpack(packet.payload) if unit]
        except ValueError:
            units = []
            frames: list[av.AudioFrame] = []
        else:
            if not units:
                return
            frames = [frame for unit in units for frame in self._decode(unit)]
        if not frames:
            self.undecodable += 1
            self._missing += 1
            self._damaged += 1
            return
        self._restarted = False
        keep = partial(self._keep, units) if self.keep is not None else None
        length = sum(f.samples for f in frames) * format_.clock // format_.rate
        self._last, self._due = units[-1], delivery.timestamp + length
        missing, damaged = self._missing, self._damaged
        self._missing = self._damaged = 0
        why = LostReason.DAMAGED if 2 * damaged > missing else LostReason.NETWORK
        stamp = delivery.timestamp / format_.clock
        sounding = Sounding(frames, keep, noise, why)
        yield from self._kept(self._track.push(sounding, packet.arrived, stamp, missing))

    def _keep(self, units: list[bytes], at: float, length: float) -> None:
        encoding = self._format.encoding
        if self.keep is None or encoding.codec not in AS_ARRIVED:
            return
        each = length / len(units)
        for number, unit in enumerate(units):
            start = at + number * each
            self.keep(EncodedPacket(self._participant, encoding, unit, start, each, True))

    def _kept(self, heard: Iterator[Heard]) -> Iterator[Heard]:
        """Hand on, and give evidence what it cannot have as it came."""
        for media in heard:
            if (
                self.keep is not None
                and isinstance(media, AudioFrame)
                and self._format.encoding.codec not in AS_ARRIVED
            ):
                self._low_rate = self._low_rate or LowRateSound(self.keep)
                self._low_rate.take(media)
            yield media

    def _restart(self, format_: SoundFormat) -> None:
        """Begin anew: another stream, whose timestamps have another origin."""
        self._track.clock.restart(anew=self._restarted)
        self.reports.clear()
        self._format = format_
        decoder = cast(AudioCodecContext, av.CodecContext.create(format_.decoder, "r"))
        decoder.layout = _LAYOUTS[format_.channels]
        decoder.sample_rate = format_.rate
        if format_.encoding.extradata:
            decoder.extradata = format_.encoding.extradata
        else:
            decoder.format = "s16"
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
        if self._format.name != "opus" or not 0 < len(self._last) <= _DTX_BYTES:
            return []
        empty, made = bytes([self._last[0] & 0xFC]), list[av.AudioFrame]()
        left = units if units <= LONGEST_PAUSE * self._format.clock else 0
        while left > 0 and (frames := self._decode(empty)):
            made += frames
            left -= sum(frame.samples for frame in frames)
        return made
