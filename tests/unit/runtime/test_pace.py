"""A burst is taken, a flood is not, and whoever catches up after a stall is never ahead."""

import pytest

from monitor.ingest.codecs.g711 import Codec, decode
from monitor.ingest.telephony.dialect import Chunk, Message
from monitor.ingest.telephony.toll import Toll
from monitor.runtime.pace import BURST, LEAD, RATE, Bucket, FloodError, Pace
from monitor.sip.share import Shares


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_real_time_never_waits() -> None:
    clock = Clock()
    pace = Pace(clock)
    for _ in range(10_000):
        clock.now += 0.02
        assert pace.spend(0.02) == 0.0


@pytest.mark.parametrize("stall", [5.0, 60.0])
def test_what_gathered_in_a_stall_is_taken_at_once(stall: float) -> None:
    clock = Clock()
    pace = Pace(clock)
    clock.now += stall
    for _ in range(round(stall / 0.02)):
        assert pace.spend(0.02) == 0.0


def test_a_long_silence_is_no_credit_for_a_flood() -> None:
    clock = Clock()
    pace = Pace(clock)
    clock.now += 3600
    taken = 0.0

    def pour() -> None:
        nonlocal taken
        while True:
            clock.now += pace.spend(0.02)
            taken += 0.02

    with pytest.raises(FloodError):
        pour()
    assert taken < 80


def test_a_flood_is_held_back_and_then_refused() -> None:
    clock, began = Clock(), Clock.now
    pace = Pace(clock)
    taken = 0.0

    def pour() -> None:
        nonlocal taken
        while True:
            clock.now += pace.spend(0.02)
            taken += 0.02

    with pytest.raises(FloodError, match="by 10 s"):
        pour()
    passed = clock.now - began
    assert taken == pytest.approx(BURST + RATE * passed, abs=0.1)
    assert taken - passed == pytest.approx(LEAD, abs=0.5)


def test_what_is_dropped_is_dropped_only_for_as_long_as_it_floods() -> None:
    clock = Clock()
    bucket = Bucket(clock, burst=10, rate=5)
    assert sum(bucket.take() for _ in range(100)) == 10
    clock.now += 1
    assert sum(bucket.take() for _ in range(100)) == 5


def test_one_address_has_no_more_than_its_share_of_sip() -> None:
    clock = Clock()
    shares = Shares(clock)
    assert sum(shares.allow("192.0.2.1") for _ in range(6000)) == 200
    assert shares.allow("192.0.2.2")
    clock.now += 1
    assert sum(shares.allow("192.0.2.1") for _ in range(6000)) == 50


def chunk(participant: str, seconds: float) -> Chunk:
    return Chunk(participant, decode(Codec.MULAW, bytes(round(seconds * 8000))), 8000, None)


def test_two_tracks_in_real_time_are_no_flood() -> None:
    clock = Clock()
    toll = Toll(clock=clock)
    for _ in range(5_000):
        clock.now += 0.01
        for who in ("remote", "agent"):
            assert toll.pay(160, [chunk(who, 0.01)]) == 0.0


@pytest.mark.parametrize("messages", [[], [chunk("remote", 0.00125)]])
def test_messages_with_next_to_nothing_in_them_are_a_flood(messages: list[Message]) -> None:
    clock = Clock()
    toll = Toll(clock=clock)

    def pour() -> None:
        while True:
            clock.now += toll.pay(20, messages)

    with pytest.raises(FloodError):
        pour()
    assert 1 < clock.now - Clock.now < 30
