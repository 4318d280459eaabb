"""All that the monitor uses of aiortc's and aioice's private parts, for 1.16.

tests/unit/ingest/rtp/test_aiortc_adapter.py checks each name and signature, so that an upgrade that
changes one fails there and not in a call.

aiortc's own way is  packets → jitter buffer → decoder thread → unbounded queue → track.recv().
A `Tap` ends it at the jitter buffer: aiortc keeps ICE, DTLS, SRTP, RTX, NACK, REMB and receiver
reports; ordering audio, decoding and queues are ours. aiortc's decoder thread, which its `stop`
would join on the event loop, ends before it gets any work.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import aioice.ice
from aioice import stun
from aiortc import RTCRtpTransceiver, rtcrtpreceiver
from aiortc.codecs import CODECS, depayload
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtcdtlstransport import RTCCertificate, SRTPProtectionProfile
from aiortc.rtcpeerconnection import find_common_codecs
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket
from aiortc.sdp import SessionDescription
from OpenSSL import SSL

from monitor.ingest.codecs.layers import LAYERED, kept, picture
from monitor.ingest.rtp.jitter_buffer import RtpPacket

CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:"
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305:"
    b"ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA"
)
"""aiortc's list, which has no RSA, and the same with it: GStreamer's certificates are RSA."""

_VIDEO_CAPACITY = 512
"""Packets; aiortc's own figure for video."""
_PRFLX_PRIORITY = (110 << 24) + (65535 << 8) + 255
"""RFC 8445, section 5.1.2.2: a peer-reflexive candidate of component 1."""


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What an RTCP sender report says about time."""

    ssrc: int
    sender: float
    """Seconds of the sender's clock."""
    timestamp: int
    """The RTP timestamp of that moment, 32 bits."""


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """A picture as it was sent."""

    codec: str
    """Lower-case encoding name."""
    data: bytes
    timestamp: int
    """RTP timestamp, 32 bits."""
    ssrc: int
    arrived: float
    """Monotonic seconds of its last packet."""


class Tap:
    """Takes the packets of one receiving track away from aiortc; must be set before it connects."""

    def __init__(
        self,
        transceiver: RTCRtpTransceiver,
        on_report: Callable[[SenderReport], None],
    ) -> None:
        # Any: the private names below are none that a type checker would know.
        receiver: Any = transceiver.receiver
        self.kind: str = transceiver.kind
        self.codecs: dict[int, str] = {
            codec.payloadType or 0: codec.name.lower()
            for codec in transceiver._codecs
            if codec.name.lower() != "rtx"
        }
        """Encoding name by payload type."""
        self._receiver = receiver
        self._receive = receiver.receive
        self._rtcp = receiver._handle_rtcp_packet
        self._on_report = on_report
        receiver.receive = self._receive_without_thread
        receiver._handle_rtcp_packet = self._handle_rtcp

    def take_packets(self, sink: Callable[[RtpPacket], None]) -> None:
        """Give every packet to `sink` as it comes."""
        self._receiver._RTCRtpReceiver__jitter_buffer = _PacketSink(sink)

    def take_frames(self, sink: Callable[[EncodedFrame], None], broken: Callable[[], None]) -> None:
        """Give every complete picture to `sink`; `broken` hears that one was given up."""
        self._receiver._RTCRtpReceiver__jitter_buffer = FrameSink(self.codecs, sink, broken)

    @property
    def frames(self) -> "FrameSink":
        """What `take_frames` installed."""
        found = self._receiver._RTCRtpReceiver__jitter_buffer
        assert isinstance(found, FrameSink)
        return found

    async def request_key_frame(self, ssrc: int) -> None:
        """Send an RTCP picture loss indication."""
        await self._receiver._send_rtcp_pli(ssrc)

    async def _receive_without_thread(self, parameters: RTCRtpReceiveParameters) -> None:
        await self._receive(parameters)
        # The thread is idle, so this returns at once. From here on aiortc has none to join.
        self._receiver._RTCRtpReceiver__stop_decoder()

    async def _handle_rtcp(self, packet: AnyRtcpPacket) -> None:
        await self._rtcp(packet)
        if isinstance(packet, RtcpSrPacket):
            info = packet.sender_info
            seconds = info.ntp_timestamp / 2**32
            self._on_report(SenderReport(packet.ssrc, seconds, info.rtp_timestamp))


class _PacketSink:
    """Stands in for aiortc's jitter buffer and keeps nothing."""

    def __init__(self, sink: Callable[[RtpPacket], None]) -> None:
        self._sink = sink

    def add(self, packet: Any) -> tuple[bool, JitterFrame | None]:
        self._sink(
            RtpPacket(
                packet.ssrc,
                packet.sequence_number,
                packet.timestamp,
                packet.payload_type,
                packet._data,
                time.monotonic(),
            )
        )
        return False, None


class FrameSink:
    """Stands in for aiortc's jitter buffer, joins packets to pictures and keeps those."""

    def __init__(
        self,
        codecs: dict[int, str],
        sink: Callable[[EncodedFrame], None],
        broken: Callable[[], None],
    ) -> None:
        self._codecs = codecs
        self._sink = sink
        self._broken = broken
        self._buffer = JitterBuffer(capacity=_VIDEO_CAPACITY, is_video=True)
        self.ssrc: int | None = None
        self.arrived: float | None = None
        """Monotonic seconds of the latest packet."""

    def reset(self) -> None:
        """Forget what waits for a packet that does not come."""
        self._buffer = JitterBuffer(capacity=_VIDEO_CAPACITY, is_video=True)

    def add(self, packet: Any) -> tuple[bool, JitterFrame | None]:
        """Take an aiortc packet; what it returns tells aiortc to do nothing more."""
        if packet.ssrc != self.ssrc:
            if self.ssrc is not None:
                self.reset()
            self.ssrc = packet.ssrc
        self.arrived = time.monotonic()
        given_up, frame = self._buffer.add(packet)
        if given_up:
            self._broken()
        # aiortc takes one picture out per packet; after a late packet several are complete.
        while frame is not None:
            if frame.data:
                self._complete(self._codecs[packet.payload_type], frame, packet.ssrc)
            frame = self._buffer._remove_frame(packet.sequence_number)
        return False, None

    def _complete(self, codec: str, frame: JitterFrame, ssrc: int) -> None:
        assert self.arrived is not None
        data: bytes = frame.data
        if codec in LAYERED:
            try:
                data = picture(codec, data)
            except ValueError:
                self._broken()
                return
        if data:
            self._sink(EncodedFrame(codec, data, frame.timestamp, ssrc, self.arrived))


def _depayload(codec: Any, payload: bytes) -> bytes:
    """What aiortc does, and VP9 and AV1, of which it knows nothing."""
    return kept(payload) if codec.name.lower() in LAYERED else depayload(codec, payload)


def _know_more_codecs() -> None:
    """Let aiortc negotiate VP9 and AV1; whoever prefers others still gets those."""
    # Any: a name that it imports and does not export.
    receiving: Any = rtcrtpreceiver
    receiving.depayload = _depayload
    number = max(codec.payloadType or 0 for codec in CODECS["video"])
    like = CODECS["video"][0]
    for name in ("VP9", "AV1"):
        number += 2
        media = RTCRtpCodecParameters(
            mimeType=f"video/{name}",
            clockRate=like.clockRate,
            payloadType=number - 1,
            rtcpFeedback=like.rtcpFeedback,
        )
        again = RTCRtpCodecParameters(
            mimeType="video/rtx",
            clockRate=like.clockRate,
            payloadType=number,
            parameters={"apt": number - 1},
        )
        CODECS["video"] += [media, again]


_know_more_codecs()


def receivable_video(sdp: str) -> bool:
    """Whether aiortc takes the last section of a description as it is.

    It compares profiles of H.264 to the letter; what it decodes has nothing to do with them.
    """
    media = SessionDescription.parse(sdp).media[-1]
    return bool(find_common_codecs(CODECS["video"], media.rtp.codecs))


def offer_loopback() -> None:
    """Let ICE use 127.0.0.1 too, for a browser on the machine that the service runs on.

    aioice leaves loopback out and has no option for it.
    """
    original = aioice.ice.get_host_addresses

    def with_loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return [*original(use_ipv4, use_ipv6), *(["127.0.0.1"] if use_ipv4 else [])]

    aioice.ice.get_host_addresses = with_loopback


def accept_more_senders() -> None:
    """Take what standards allow and aiortc or aioice refuses; a second call changes nothing.

    DTLS certificates with RSA keys (GStreamer), and STUN checks without PRIORITY (FFmpeg 8.0):
    aioice reads the attribute unasked and the connection never comes up.
    """
    if getattr(RTCCertificate._create_ssl_context, "widened", False):
        return
    create = RTCCertificate._create_ssl_context
    check = aioice.ice.Connection.check_incoming

    @wraps(create)
    def create_ssl_context(
        self: RTCCertificate, srtp_profiles: list[SRTPProtectionProfile]
    ) -> SSL.Context:
        context = create(self, srtp_profiles)
        context.set_cipher_list(CIPHERS)
        return context

    @wraps(check)
    def check_incoming(
        self: aioice.ice.Connection,
        message: stun.Message,
        addr: tuple[str, int],
        protocol: aioice.ice.StunProtocol,
    ) -> None:
        message.attributes.setdefault("PRIORITY", _PRFLX_PRIORITY)
        check(self, message, addr, protocol)

    create_ssl_context.widened = True  # type: ignore[attr-defined]
    RTCCertificate._create_ssl_context = create_ssl_context  # type: ignore[method-assign]
    aioice.ice.Connection.check_incoming = check_incoming  # type: ignore[method-assign]
