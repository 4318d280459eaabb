"""Packets of one track → sound on the call's clock, nothing twice and nothing unaccounted for."""

from dataclasses import replace

import av
import numpy as np
import pytest

from monitor.ingest.clock.audio_track import Heard
from monitor.ingest.codecs.audio_payload import sound_format
from monitor.ingest.rtp.aiortc_adapter import SenderReport
from monitor.ingest.rtp.audio_receiver import AudioReceiver
from monitor.ingest.rtp.jitter_buffer import RtpPacket
from monitor.types import AudioFrame, Gap, LostReason
from monitor.types.packet import EncodedPacket

OPUS = {96: "opus"}


def opus(count: int) -> list[bytes]:
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.format, encoder.layout = 48_000, "s16", "mono"
    encoder.bit_rate = 24_000
    out: list[bytes] = []
    for i in range(count):
        tone = 0.3 * np.sin(2 * np.pi * 300 * (np.arange(960) + i * 960) / 48_000)
        frame = av.AudioFrame.from_ndarray((tone * 32767).astype("<i2")[None], "s16", "mono")
        frame.sample_rate, frame.pts = 48_000, i * 960
        out += [bytes(packet) for packet in encoder.encode(frame)]
    return out


SOUND = opus(40)


def rtp(
    number: int, at: float, payload: bytes | None = None, stamp: int | None = None, pt: int = 96
) -> RtpPacket:
    payload = SOUND[number % len(SOUND)] if payload is None else payload
    return RtpPacket(1, number, number * 960 if stamp is None else stamp, pt, payload, at)


def hearing_of(codecs: dict[int, str]) -> AudioReceiver:
    """One whose call begins with the first sound."""
    began: list[float] = []

    def since(at: float) -> float:
        began.append(at)
        return began[0]

    named = {number: sound_format(name) for number, name in codecs.items()}
    formats = {number: each for number, each in named.items() if each is not None}
    assert len(formats) == len(codecs)
    return AudioReceiver("remote", formats, 0.08, since)


def play(hearing: AudioReceiver, packets: list[RtpPacket]) -> list[AudioFrame | Gap]:
    out: list[Heard] = []
    for packet in packets:
        out += hearing.pop(packet.arrived)
        out += hearing.push(packet)
    out += hearing.flush()
    return [media for media in out if isinstance(media, AudioFrame | Gap)]


def sounding(media: list[AudioFrame | Gap]) -> float:
    return sum(m.end - m.start for m in media if isinstance(m, AudioFrame))


def lost(media: list[AudioFrame | Gap]) -> list[Gap]:
    return [m for m in media if isinstance(m, Gap)]


def test_one_lost_packet_is_a_gap_of_its_own_length() -> None:
    packets = [rtp(n, n * 0.02) for n in range(30) if n != 10]
    media = play(hearing_of(OPUS), packets)
    (gap,) = lost(media)
    assert gap.reason is LostReason.NETWORK
    assert gap.span.duration == pytest.approx(0.02, abs=0.002)
    assert sounding(media) == pytest.approx(29 * 0.02, abs=0.002)


def test_silence_that_was_not_sent_is_not_lost() -> None:
    pause = bytes([SOUND[0][0] & 0xFC, 0])
    packets = [rtp(n, n * 0.02) for n in range(10)]
    packets += [rtp(10, 0.2, pause), rtp(11, 0.6, pause, 30 * 960)]
    packets += [rtp(12 + n, 1.0 + n * 0.02, None, (50 + n) * 960) for n in range(10)]
    media = play(hearing_of(OPUS), packets)
    assert lost(media) == []
    assert sounding(media) == pytest.approx(1.2, abs=0.005)


def test_a_packet_lost_in_a_pause_costs_one_packet_and_not_the_pause() -> None:
    pause = bytes([SOUND[0][0] & 0xFC, 0])
    packets = [rtp(n, n * 0.02) for n in range(10)]
    packets += [rtp(10, 0.2, pause), rtp(12, 1.0, pause, 50 * 960)]
    media = play(hearing_of(OPUS), packets)
    (gap,) = lost(media)
    assert gap.span.duration == pytest.approx(0.02, abs=0.005)
    assert sounding(media) + gap.span.duration == pytest.approx(1.02, abs=0.005)


def test_a_long_absence_is_no_pause() -> None:
    packets = [rtp(0, 0.0), rtp(1, 20.0, None, 20 * 48_000)]
    (gap,) = lost(play(hearing_of(OPUS), packets))
    assert gap.reason is LostReason.IDLE
    assert gap.span.end == pytest.approx(20.0, abs=0.03)


@pytest.mark.parametrize(
    ("name", "pt", "size", "step"), [("pcmu", 0, 160, 160), ("pcma", 8, 160, 160),
                                     ("g722", 9, 160, 160), ("g729", 18, 20, 160)]
)  # fmt: skip
def test_telephone_codecs(name: str, pt: int, size: int, step: int) -> None:
    packets = [rtp(n, n * 0.02, bytes([n]) * size, n * step, pt) for n in range(20) if n != 5]
    media = play(hearing_of({pt: name}), packets)
    assert sounding(media) == pytest.approx(19 * 0.02, abs=0.004)
    assert sum(g.span.duration for g in lost(media)) == pytest.approx(0.02, abs=0.004)


def test_a_g729_sender_says_that_silence_follows() -> None:
    sound, silence = bytes(range(20)), b"\x2a\x80"
    packets = [rtp(n, n * 0.02, sound, n * 160, 18) for n in range(10)]
    # At the end of the last packet's sound, then again by itself as the noise changes.
    packets.append(rtp(10, 0.2, sound[:10] + silence, 1600, 18))
    packets.append(rtp(11, 0.5, silence, 4000, 18))
    packets += [rtp(12 + n, 1.0 + n * 0.02, sound, 8000 + n * 160, 18) for n in range(10)]
    hearing = hearing_of({18: "g729"})
    kept: list[EncodedPacket] = []
    hearing.keep = kept.append
    media = play(hearing, packets)
    assert (lost(media), hearing.undecodable) == ([], 0)
    assert sounding(media) == pytest.approx(1.2, abs=0.005)
    # What players cannot decode is not kept.
    assert [len(p.payload) for p in kept] == [20] * 10 + [10] + [20] * 10


def test_a_stream_that_begins_with_what_is_no_sound_begins_anew_all_the_same() -> None:
    hearing = hearing_of({18: "g729"})
    play(hearing, [rtp(n, n * 0.02, bytes(20), n * 160, 18) for n in range(10)])
    again = [RtpPacket(2, 900, 5_000_000, 18, b"\x2a\x80", 1.0)]
    again += [
        RtpPacket(2, 901 + n, 5_000_160 + n * 160, 18, bytes(20), 1.02 + n * 0.02)
        for n in range(10)
    ]
    media = play(hearing, again)
    # Nobody knows what was said between the two.
    assert [gap.reason for gap in lost(media)] == [LostReason.RECONNECT]
    assert sounding(media) + lost(media)[0].span.duration == pytest.approx(1.02, abs=0.02)
    assert sounding(media) == pytest.approx(0.2, abs=0.01)


def test_packets_are_kept_in_order_at_their_time_and_only_if_wanted() -> None:
    hearing = hearing_of(OPUS)
    kept: list[EncodedPacket] = []
    packets = [rtp(n, 1 + n * 0.02) for n in range(30) if n != 12]
    packets[3], packets[4] = packets[4], packets[3]
    play(hearing, packets[:10])
    hearing.keep = kept.append
    play(hearing, packets[10:])
    assert [p.payload for p in kept] == [SOUND[n] for n in range(10, 30) if n != 12]
    assert [p.time for p in kept] == pytest.approx([n * 0.02 for n in range(10, 30) if n != 12])
    assert {(p.encoding.codec, p.duration, p.key) for p in kept} == {("opus", 0.02, True)}


def test_garbage_is_counted_and_does_not_end_the_track() -> None:
    packets = [rtp(n, n * 0.02, b"\xff\xff\xff\0" if n == 5 else None) for n in range(20)]
    packets.insert(8, rtp(7, 0.14, b"x"))
    packets.append(rtp(20, 0.4, b""))
    hearing = hearing_of(OPUS)
    media = play(hearing, packets)
    assert sounding(media) > 18 * 0.02
    assert hearing.undecodable + len(lost(media)) >= 1


def test_what_came_and_was_no_sound_is_damaged_and_not_the_network() -> None:
    broken = set(range(5, 8))
    packets = [
        rtp(n, n * 0.02, b"\xff\xff\xff\0" if n in broken else None) for n in range(30) if n != 20
    ]
    hearing = hearing_of(OPUS)
    media = play(hearing, packets)
    assert hearing.undecodable == 3
    assert [(g.reason, round(g.span.duration, 2)) for g in lost(media)] == [
        (LostReason.DAMAGED, 0.06),
        (LostReason.NETWORK, 0.02),
    ]


def test_amr_is_heard_and_its_pauses_are_silence() -> None:
    encoder = av.CodecContext.create("libopencore_amrnb", "w")
    encoder.sample_rate, encoder.format, encoder.layout = 8_000, "s16", "mono"
    encoder.bit_rate = 12_200
    speech: list[bytes] = []
    for n in range(20):
        tone = 8000 * np.sin(2 * np.pi * 300 * (np.arange(160) + n * 160) / 8_000)
        frame = av.AudioFrame.from_ndarray(tone.astype("<i2")[None], "s16", "mono")
        frame.sample_rate, frame.pts = 8_000, n * 160
        speech += [bytes(packet) for packet in encoder.encode(frame)]
    format_ = sound_format("AMR", 8_000, 1, "octet-align=1")
    assert format_ is not None
    hearing = AudioReceiver("remote", {96: format_}, 0.08, lambda at: -0.02)
    kept: list[EncodedPacket] = []
    hearing.keep = kept.append
    # One frame in a packet; then silence is described every eighth frame, and speech comes back.
    packets = [rtp(n, n * 0.02, b"\xf0" + f, n * 160) for n, f in enumerate(speech)]
    packets += [
        rtp(20 + n, 0.4 + n * 0.16, b"\xf0\x44" + bytes(5), 3200 + n * 1280) for n in range(5)
    ]
    packets += [rtp(25 + n, 1.2 + n * 0.02, b"\xf0" + speech[n], 9600 + n * 160) for n in range(20)]
    media = play(hearing, packets)
    assert (lost(media), hearing.undecodable) == ([], 0)
    assert sounding(media) == pytest.approx(1.6, abs=0.02)
    # Evidence cannot hold AMR: it is encoded anew.
    assert {packet.encoding.codec for packet in kept} == {"opus"}


def test_a_new_stream_begins_where_it_arrives() -> None:
    hearing = hearing_of(OPUS)
    play(hearing, [rtp(n, n * 0.02) for n in range(10)])
    again = [
        RtpPacket(2, 900 + n, 5_000_000 + n * 960, 96, SOUND[n], 1.0 + n * 0.02) for n in range(10)
    ]
    media = play(hearing, again)
    # It is not known to have been silent meanwhile.
    (gap,) = lost(media)
    assert gap.reason is LostReason.RECONNECT
    assert gap.span.duration == pytest.approx(0.8, abs=0.01)
    assert sounding(media) == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("away", [0.4, 2.0, 3.8])
def test_time_between_two_streams_of_a_sender_is_lost(away: float) -> None:
    packets = [rtp(n, n * 0.02) for n in range(100)]
    for n in range(100):
        packet = rtp(7000 + n, 2 + away + n * 0.02, stamp=123_456 + n * 960)
        packets.append(replace(packet, ssrc=2))
    media = play(hearing_of(OPUS), packets)
    (gap,) = lost(media)
    assert gap.reason is LostReason.RECONNECT
    assert gap.span.duration == pytest.approx(away, abs=0.03)
    assert sounding(media) == pytest.approx(4.0, abs=0.02)


def test_reports_of_another_stream_say_nothing() -> None:
    hearing = hearing_of(OPUS)
    play(hearing, [rtp(0, 0.0)])
    hearing.report(SenderReport(77, 5000.0, 0))
    assert hearing.sender is None
    hearing.report(SenderReport(1, 5000.0, 0))
    # The packet of stamp 0 ends when it arrives, at monotonic second 0.
    assert hearing.sender == pytest.approx(-5000.02)
