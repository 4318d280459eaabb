"""Order, loss, wrap-around and restarts, on a clock that the test holds."""

import pytest

from monitor.ingest.rtp.jitter_buffer import Delivery, JitterBuffer, RtpPacket


def packet(number: int, at: float = 0.0, ssrc: int = 1, timestamp: int | None = None) -> RtpPacket:
    stamp = number * 960 if timestamp is None else timestamp
    return RtpPacket(ssrc, number % 65536, stamp % 2**32, 96, str(number).encode(), at)


def feed(buffer: JitterBuffer, *packets: RtpPacket) -> list[Delivery]:
    return [delivery for each in packets for delivery in buffer.push(each)]


def names(deliveries: list[Delivery]) -> list[str]:
    return [delivery.packet.payload.decode() for delivery in deliveries]


def test_in_order_nothing_waits() -> None:
    buffer = JitterBuffer()
    for number in range(50):
        assert names(feed(buffer, packet(number))) == [str(number)]
        assert buffer.deadline is None


def test_a_late_packet_is_awaited_and_order_restored() -> None:
    buffer = JitterBuffer(wait=0.08)
    out = feed(buffer, packet(1), packet(3, at=0.02), packet(4, at=0.04))
    assert names(out) == ["1"]
    assert buffer.deadline == pytest.approx(0.10)
    assert list(buffer.pop(0.09)) == []
    out = feed(buffer, packet(2, at=0.095))
    assert names(out) == ["2", "3", "4"]
    assert [d.missing for d in out] == [0, 0, 0]
    assert buffer.counts.lost == 0


def test_a_lost_packet_costs_itself_only() -> None:
    buffer = JitterBuffer(wait=0.08)
    feed(buffer, packet(1), packet(3, at=0.02), packet(4, at=0.04))
    out = list(buffer.pop(0.101))
    assert names(out) == ["3", "4"]
    assert [d.missing for d in out] == [1, 0]
    assert names(feed(buffer, packet(5))) == ["5"]
    assert buffer.counts.lost == 1


def test_the_wait_is_bounded_for_each_hole_on_its_own() -> None:
    buffer = JitterBuffer(wait=0.08)
    feed(buffer, packet(1), packet(3, at=0.02), packet(6, at=0.08))
    assert names(list(buffer.pop(0.10))) == ["3"]
    assert buffer.deadline == pytest.approx(0.16)
    assert [(d.packet.sequence, d.missing) for d in buffer.pop(0.16)] == [(6, 2)]


def test_duplicates_and_late_packets_are_dropped_and_counted_apart() -> None:
    buffer = JitterBuffer(wait=0.08)
    feed(buffer, packet(1), packet(1), packet(3), packet(3))
    list(buffer.pop(1.0))
    assert feed(buffer, packet(2), packet(3)) == []
    assert (buffer.counts.duplicate, buffer.counts.late) == (3, 1)
    assert buffer.counts.received == 6
    assert buffer.counts.delivered == 2


def test_numbers_and_timestamps_wrap_around() -> None:
    buffer = JitterBuffer()
    first = 65533
    stamps = [2**32 - 2 * 960 + i * 960 for i in range(6)]
    out = feed(buffer, *(packet(first + i, timestamp=s) for i, s in enumerate(stamps)))
    assert [d.timestamp for d in out] == stamps
    out = feed(buffer, packet(first + 7, at=1.0, timestamp=stamps[-1] + 1920))
    assert out == []
    (last,) = buffer.pop(2.0)
    assert (last.missing, last.timestamp) == (1, stamps[-1] + 1920)


def test_a_silence_without_missing_numbers_is_no_loss() -> None:
    buffer = JitterBuffer()
    out = feed(buffer, packet(1, timestamp=0), packet(2, timestamp=48_000 * 3))
    assert [(d.timestamp, d.missing) for d in out] == [(0, 0), (144_000, 0)]


def test_a_new_stream_is_believed_at_its_second_packet_and_loses_nothing() -> None:
    buffer = JitterBuffer()
    feed(buffer, packet(10), packet(11))
    assert feed(buffer, packet(500, ssrc=2, timestamp=7)) == []
    out = feed(buffer, packet(501, ssrc=2, timestamp=967))
    assert names(out) == ["500", "501"]
    assert [d.restarted for d in out] == [True, False]
    assert out[0].timestamp == 7
    assert buffer.counts.restarts == 1


def test_a_stray_packet_changes_nothing() -> None:
    buffer = JitterBuffer()
    feed(buffer, packet(10), packet(11))
    assert feed(buffer, packet(30_000), packet(9_000, ssrc=5)) == []
    assert names(feed(buffer, packet(12))) == ["12"]
    assert buffer.counts.restarts == 0


def test_what_waits_is_delivered_before_a_new_stream() -> None:
    buffer = JitterBuffer()
    feed(buffer, packet(1), packet(3))
    out = feed(buffer, packet(40_000), packet(40_001))
    assert names(out) == ["3", "40000", "40001"]
    assert [d.restarted for d in out] == [False, True, False]


def test_flush_leaves_nothing() -> None:
    buffer = JitterBuffer()
    feed(buffer, packet(1), packet(4), packet(6))
    assert [(d.packet.sequence, d.missing) for d in buffer.flush()] == [(4, 2), (6, 1)]
    assert buffer.deadline is None
