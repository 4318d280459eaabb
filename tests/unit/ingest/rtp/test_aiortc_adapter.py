"""What the adapter takes for granted of aiortc's and aioice's private parts.

A failure here after an upgrade names what has changed; the pin in pyproject.toml may move only
when all of this holds again.
"""

import inspect
import re
from importlib.metadata import version

import aioice.ice
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpTransceiver
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport
from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket, RtpPacket

from monitor.ingest.rtp import aiortc_adapter
from monitor.ingest.rtp.aiortc_adapter import CIPHERS, EncodedFrame, FrameSink, Tap


def parameters(function: object) -> list[str]:
    assert callable(function)
    return list(inspect.signature(function).parameters)


def test_the_version_is_the_one_that_was_read() -> None:
    assert version("aiortc").startswith("1.16.")


def test_signatures() -> None:
    receiver = RTCRtpReceiver
    assert parameters(receiver.receive) == ["self", "parameters"]
    assert parameters(receiver._handle_rtcp_packet) == ["self", "packet"]
    assert parameters(receiver._handle_rtp_packet) == ["self", "packet", "arrival_time_ms"]
    assert parameters(receiver._send_rtcp_pli) == ["self", "media_ssrc"]
    assert parameters(receiver.__dict__["_RTCRtpReceiver__stop_decoder"]) == ["self"]
    assert parameters(JitterBuffer) == ["capacity", "prefetch", "is_video"]
    assert parameters(JitterBuffer.add) == ["self", "packet"]
    assert parameters(JitterBuffer._remove_frame) == ["self", "sequence_number"]
    assert parameters(JitterFrame) == ["data", "timestamp"]
    assert parameters(aioice.ice.get_host_addresses) == ["use_ipv4", "use_ipv6"]
    assert parameters(aioice.ice.Connection.check_incoming) == [
        "self", "message", "addr", "protocol"
    ]  # fmt: skip
    assert parameters(RTCCertificate._create_ssl_context) == ["self", "srtp_profiles"]
    assert parameters(RtcpSenderInfo)[:2] == ["ntp_timestamp", "rtp_timestamp"]
    assert parameters(RtcpSrPacket)[:2] == ["ssrc", "sender_info"]


def test_the_packet_path_goes_through_the_jitter_buffer() -> None:
    source = inspect.getsource(RTCRtpReceiver._handle_rtp_packet)
    assert "pli_flag, encoded_frame = self.__jitter_buffer.add(packet)" in source
    assert source.index("packet._data = depayload") < source.index("__jitter_buffer.add")
    # Looked up on the object for each packet, so that what a Tap puts there is used.
    assert "await recipient._handle_rtcp_packet(packet)" in inspect.getsource(
        RTCDtlsTransport._handle_rtcp_data
    )
    assert "await transceiver.receiver.receive(" in inspect.getsource(RTCPeerConnection)


def test_without_a_thread_aiortc_joins_nothing() -> None:
    stop = inspect.getsource(RTCRtpReceiver.__dict__["_RTCRtpReceiver__stop_decoder"])
    assert "if self.__decoder_thread:" in stop
    assert "self.__decoder_thread = None" in stop
    assert "join" not in inspect.getsource(RTCRtpReceiver.stop)


async def test_a_receiver_has_what_a_tap_replaces() -> None:
    connection = RTCPeerConnection()
    transceiver = connection.addTransceiver("audio", direction="recvonly")
    assert isinstance(transceiver, RTCRtpTransceiver)
    assert isinstance(transceiver._codecs, list)
    assert "_RTCRtpReceiver__jitter_buffer" in vars(transceiver.receiver)
    assert "_RTCRtpReceiver__decoder_thread" in vars(transceiver.receiver)
    tap = Tap(transceiver, lambda report: None)
    seen: list[object] = []
    tap.take_packets(seen.append)
    sink = vars(transceiver.receiver)["_RTCRtpReceiver__jitter_buffer"]
    packet = RtpPacket(96, 0, 7, 960, 1, b"x")
    packet._data = b"x"  # type: ignore[attr-defined]
    assert sink.add(packet) == (False, None)
    assert len(seen) == 1
    await connection.close()


def test_the_ciphers_are_aiortcs_and_rsa() -> None:
    original = inspect.getsource(inspect.unwrap(RTCCertificate._create_ssl_context))
    (theirs,) = re.findall(r'b"(ECDHE[^"]*)"', original)
    assert set(theirs.encode().split(b":")) < set(CIPHERS.split(b":"))


def test_widening_twice_is_widening_once() -> None:
    aiortc_adapter.accept_more_senders()
    first = RTCCertificate._create_ssl_context, aioice.ice.Connection.check_incoming
    aiortc_adapter.accept_more_senders()
    assert first == (RTCCertificate._create_ssl_context, aioice.ice.Connection.check_incoming)


def video(number: int, timestamp: int, data: bytes = b"d") -> RtpPacket:
    packet = RtpPacket(97, 0, number, timestamp, 9, data)
    packet._data = data  # type: ignore[attr-defined]
    return packet


def test_a_late_packet_releases_every_complete_picture() -> None:
    frames: list[EncodedFrame] = []
    broken: list[None] = []
    sink = FrameSink({97: "vp8"}, frames.append, lambda: broken.append(None))
    for number in (1, 3, 4, 5):
        sink.add(video(number, number * 3000))
    assert frames == []
    sink.add(video(2, 6000))
    assert [frame.timestamp for frame in frames] == [3000, 6000, 9000, 12_000]
    sink.add(video(1000, 90_000))
    assert broken
    sink.reset()
    sink.add(video(2000, 100_000))
    sink.add(video(2001, 103_000))
    assert frames[-1].timestamp == 100_000
