"""One track of pictures by RTP: packets → order → pictures as they were sent. Pure.

packets    1 2 3M  4 5 6M  7 · 9M  10 11M        M: marker, the last of its picture
pictures   ─────►  ─────►  given up  ────►       a picture that is not whole is no picture
"""

from collections.abc import Callable, Mapping

from monitor.ingest.codecs.video_codec import begins_key_frame, is_key_frame
from monitor.ingest.codecs.video_payload import PictureFormat
from monitor.ingest.rtp.aiortc_adapter import EncodedFrame
from monitor.ingest.rtp.jitter_buffer import Delivery, JitterBuffer, RtpPacket

_LARGEST = 8 << 20
"""Bytes of one picture."""


class Assembly:
    """Puts pictures together; the caller asks again at `deadline`."""

    def __init__(
        self,
        formats: Mapping[int, PictureFormat],
        wait: float,
        sink: Callable[[EncodedFrame], None],
        broken: Callable[[], None],
    ) -> None:
        """`formats` by payload type; `wait`: seconds that a late packet holds back those after it.

        `sink` takes what is whole, `broken` hears that a picture was given up.
        """
        self.buffer = JitterBuffer(wait)
        self.unreadable = 0
        """Packets that could not be read."""
        self._formats = formats
        self._sink = sink
        self._broken = broken
        self._parts: list[bytes] = []
        self._first: RtpPacket | None = None
        """Of the picture that is put together."""
        self._size = 0
        """Bytes of it."""
        self._given_up = False
        """Whether something of it is missing."""

    @property
    def deadline(self) -> float | None:
        """Monotonic seconds at which `pop` has something to do; None while it has not."""
        return self.buffer.deadline

    def push(self, packet: RtpPacket) -> None:
        """Take a packet in."""
        for delivery in self.buffer.push(packet):
            self._take(delivery)

    def pop(self, now: float) -> None:
        """Go on without what was waited for until monotonic second `now`."""
        for delivery in self.buffer.pop(now):
            self._take(delivery)

    def _take(self, delivery: Delivery) -> None:
        packet = delivery.packet
        format_ = self._formats.get(packet.payload_type)
        first = self._first
        if first is not None and (delivery.restarted or _apart(first, packet)):
            # Its marker did not come, or is not sent.
            self._complete(packet.arrived if not delivery.missing else None)
        if delivery.missing:
            self._give_up()
        if format_ is None or not packet.payload:
            return
        try:
            part = format_.depayload(packet.payload)
        except ValueError:
            self.unreadable += 1
            part = b""
            self._give_up()
        if self._first is None:
            self._first = packet
            # Whatever was missing, a key frame needs nothing that was before it.
            self._given_up = self._given_up and not begins_key_frame(format_.codec, part)
        self._parts.append(part)
        self._size += len(part)
        if self._size > _LARGEST:
            self._give_up()
        if packet.marker:
            self._complete(packet.arrived)

    def _give_up(self) -> None:
        self._given_up = True
        self._parts.clear()
        self._size = 0
        self._broken()

    def _complete(self, arrived: float | None) -> None:
        """A picture ends; with None, it is not known whether all of it came."""
        first, data, whole = self._first, b"".join(self._parts), not self._given_up
        self._first, self._given_up = None, False
        self._parts.clear()
        self._size = 0
        if first is None or not whole or not data:
            return
        if arrived is None:
            self._broken()
            return
        format_ = self._formats[first.payload_type]
        if format_.sets and is_key_frame(format_.codec, data):
            data = format_.sets + data
        self._sink(EncodedFrame(format_.codec, data, first.timestamp, first.ssrc, arrived))


def _apart(first: RtpPacket, packet: RtpPacket) -> bool:
    """Whether two packets belong to different pictures."""
    return (first.timestamp, first.ssrc) != (packet.timestamp, packet.ssrc)
