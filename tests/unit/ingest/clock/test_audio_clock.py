"""Where sound is placed, whatever senders, networks and stamps do: calls in virtual time."""

import random
from collections.abc import Callable

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from monitor.ingest.clock.audio_clock import AudioClock
from monitor.ingest.clock.piece import Piece, Placed
from tests.unit.ingest.sender import Sender

NEAR = 0.2
"""Seconds by which sound may lie beside its moment."""
Stamp = Callable[[int, float, int], float | None]


def late(most: float) -> Stamp:
    """Stamps by the wall's clock when the sender gets to a packet."""
    draw = random.Random(5)
    table = [draw.uniform(-most, most) for _ in range(5_000)]
    return lambda slot, spoken, number: spoken + table[slot]


def uncounted(slot: int, spoken: float, number: int) -> float:
    return number * 0.02


def pauses(spoken: float) -> bool:
    return spoken % 4 >= 2.8


def errors(out: list[Placed[float]]) -> list[float]:
    """How far each piece lies beside its moment; a piece is spoken when it begins."""
    return [each.at - each.piece.content for each in out if not each.cut and not each.misread]


CASES: dict[str, Sender] = {
    "right": Sender(),
    "opus of 60 ms stamped as 20": Sender(length=0.06, stamp=lambda s, t, n: n * 0.02),
    "opus of 40 ms stamped as 20": Sender(length=0.04, stamp=lambda s, t, n: n * 0.02),
    "20 ms stamped as 60": Sender(stamp=lambda s, t, n: n * 0.06),
    "counted at a sixth": Sender(stamp=lambda s, t, n: n * 0.02 / 6),
    "counted double": Sender(stamp=lambda s, t, n: n * 0.04),
    "standing still": Sender(stamp=lambda s, t, n: 7.0),
    "no stamps": Sender(stamp=lambda s, t, n: None),
    "stamped once a second": Sender(stamp=lambda s, t, n: float(int(t))),
    "ten packets to a stamp": Sender(stamp=lambda s, t, n: n // 10 * 0.2),
    "stamped by the wall, 15 ms": Sender(stamp=late(0.015)),
    "stamped by the wall, 30 ms": Sender(stamp=late(0.03)),
    "stamped by the wall, 150 ms": Sender(stamp=late(0.15)),
    "stamps jump": Sender(stamp=lambda s, t, n: t + t // 5 * 0.4),
    "stamps step back an hour": Sender(stamp=lambda s, t, n: t - 3600 * (t > 20)),
    "stamps step on a minute": Sender(stamp=lambda s, t, n: t + 60 * (t > 20)),
    "5 % fast": Sender(slow=-0.05),
    "5 % slow": Sender(slow=0.05),
    "5 % slow, much jitter": Sender(slow=0.05, jitter=0.08),
    "1 % slow, five minutes": Sender(slow=0.01, seconds=330),
    "0.3 % fast, ten minutes": Sender(slow=-0.003, seconds=600),
    "100 ppm, an hour": Sender(slow=1e-4, seconds=3600),
    "comes ten by ten": Sender(batch=10),
    "comes 25 by 25": Sender(batch=25),
    "one second at once": Sender(length=1.0, stamp=lambda s, t, n: None),
    "a stall of two seconds": Sender(stall=(12.0, 14.0)),
    "a stall of three seconds": Sender(stall=(12.0, 15.0)),
    "a stall of three seconds, no stamps": Sender(
        stall=(12.0, 15.0), stamp=lambda s, t, n: None
    ),
    "a stall at the beginning": Sender(stall=(0.0, 1.05)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_whole_and_punctual_packets_are_heard_whole_where_they_belong(name: str) -> None:
    sender = CASES[name]
    out = sender.heard()
    assert len(out) == sender.sent
    assert not any(each.cut or each.misread or each.lost or each.silent for each in out)
    assert max(map(abs, errors(out))) < NEAR
    for before, after in zip(out, out[1:], strict=False):
        assert after.at == pytest.approx(before.at + before.length, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "factor"),
    [("opus of 60 ms stamped as 20", 1 / 3), ("20 ms stamped as 60", 3), ("counted double", 2),
     ("right", 1), ("stamped by the wall, 30 ms", 1), ("ten packets to a stamp", 1)]
)  # fmt: skip
def test_stamps_that_always_count_otherwise_have_a_factor(name: str, factor: float) -> None:
    sender = Sender(**{**vars(CASES[name]), "clock": AudioClock(), "seconds": 10.0})
    sender.heard()
    assert sender.clock.stamps.factor == pytest.approx(factor, abs=0.001)


@pytest.mark.parametrize("stamp", [uncounted, lambda s, t, n: s * 0.02, lambda s, t, n: None])
@pytest.mark.parametrize("slow", [0.0, 0.03, -0.03])
def test_a_pause_is_where_it_was_whether_stamps_count_it_or_not(stamp: Stamp, slow: float) -> None:
    out = Sender(stamp=stamp, silent=pauses, slow=slow).heard()
    assert sum(each.lost for each in out) == 0
    assert max(map(abs, errors(out))) < NEAR
    begins = [each.piece.content for each in out if each.silent > 0.5]
    assert begins == pytest.approx([4.0 * n for n in range(1, 15)], abs=0.1)


def test_small_pauses_add_up_until_they_are_one() -> None:
    out = Sender(stamp=uncounted, silent=lambda t: t % 2 >= 1.7).heard()
    assert max(map(abs, errors(out))) < 0.3
    assert sum(each.silent for each in out) == pytest.approx(0.3 * 29, abs=0.5)


def test_a_burst_that_comes_slowly_is_waited_for() -> None:
    """Three seconds that were held up come three times as fast as they were spoken."""
    clock, out = AudioClock[float](), list[Placed[float]]()
    for number in range(2000):
        spoken = number * 0.02
        at = spoken if not 12 <= spoken < 16.5 else max(spoken, 15 + (spoken - 12) / 3)
        out += clock.push(Piece(spoken, 0.02, at + 0.02, spoken))
    assert max(map(abs, errors(out))) < 0.05
    assert sum(each.silent for each in out) == 0


@pytest.mark.parametrize("share", [0.02, 0.2])
def test_what_the_numbers_miss_is_lost_and_nothing_else(share: float) -> None:
    sender = Sender(loss=share)
    out = sender.heard()
    missing = sum(each.piece.missing for each in out)
    assert sum(each.lost for each in out) == pytest.approx(missing * 0.02)
    assert max(map(abs, errors(out))) < NEAR


def test_numbers_that_jump_though_no_time_passed_cost_little() -> None:
    clock, out = AudioClock[float](), list[Placed[float]]()
    for number in range(1000):
        missing = 400 if number in (300, 600) else 0
        out += clock.push(Piece(number * 0.02, 0.02, number * 0.02, number * 0.02, missing))
    assert sum(each.lost for each in out) < 0.7
    assert abs(errors(out)[-1] - errors(out)[0]) < NEAR


def test_what_the_sender_says_it_threw_away_is_lost() -> None:
    clock, out = AudioClock[float](), list[Placed[float]]()
    for number in range(100):
        spoken = number * 0.02 + (1.5 if number >= 50 else 0.0)
        piece = Piece(spoken, 0.02, spoken, lost=1.5 if number == 50 else 0.0)
        out += clock.push(piece)
    assert sum(each.lost for each in out) == 1.5
    assert max(errors(out)) - min(errors(out)) < 0.01


def test_without_numbers_the_stamps_say_what_was_lost() -> None:
    clock, out = AudioClock[float](lossy=True), list[Placed[float]]()
    for number in [*range(200), *range(230, 400), *range(401, 600)]:
        out += clock.push(Piece(number * 0.02, 0.02, number * 0.02, number * 0.02))
    assert [each.lost for each in out if each.lost] == pytest.approx([0.6, 0.02])
    assert not any(each.silent for each in out)


@pytest.mark.parametrize("length", [0.02, 0.06])
def test_without_numbers_a_pause_that_opus_refreshes_is_silence(length: float) -> None:
    """libopus 1.5 in discontinuous transmission sends one frame of a pause in twenty."""
    clock, out = AudioClock[float](lossy=True), list[Placed[float]]()
    for number in [*range(200), *range(220, 420, 20), *range(420, 600)]:
        spoken = number * length
        out += clock.push(Piece(spoken, length, spoken + length, spoken))
    out += clock.flush()
    assert sum(each.silent for each in out) == pytest.approx(11 * 19 * length + length, abs=length)
    assert not any(each.lost for each in out)


@pytest.mark.parametrize("gain", [0.5, 44.1 / 48, 48 / 44.1, 1.5, 2.0])
def test_samples_of_another_rate_are_noticed_and_are_no_voice(gain: float) -> None:
    sender = Sender(gain=gain, stamp=lambda s, t, n: None)
    out = sender.heard()
    assert sender.clock.speed == pytest.approx(gain, rel=0.02)
    # A rate that is far off is no voice for three seconds at most, a near one for six.
    first = next(each.piece.content for each in out if each.misread)
    assert first < (4 if abs(gain - 1) > 0.3 else 6)
    assert all(each.misread for each in out if each.piece.content > 6)
    end = out[-1].at + out[-1].length
    assert end == pytest.approx(60, abs=0.3)


def test_a_sender_that_is_right_again_is_heard_again() -> None:
    clock, out = AudioClock[float](), list[Placed[float]]()
    for number in range(2000):
        length = 0.04 if 500 <= number < 1000 else 0.02
        out += clock.push(Piece(number * 0.02, length, number * 0.02))
    assert any(each.misread for each in out)
    assert not any(each.misread for each in out if each.piece.content > 25)
    assert clock.speed == 1.0


@pytest.mark.parametrize("told", [True, False], ids=["another stream", "stamps alone say so"])
@pytest.mark.parametrize("away", [0.35, 1.5, 3.9])
def test_a_sender_that_begins_again_was_away_and_not_silent(told: bool, away: float) -> None:
    clock, out = AudioClock[float](), list[Placed[float]]()
    # A pause that the stamps count, so that shorter ones are not guessed at any more.
    for number in [*range(100), *range(150, 250)]:
        out += clock.push(Piece(number * 0.02, 0.02, number * 0.02, number * 0.02))
    if told:
        clock.restart(anew=True)
    for number in range(100):
        at = 5 + away + number * 0.02
        out += clock.push(Piece(at, 0.02, at, 5e5 + number * 0.02))
    out += clock.flush()
    assert max(errors(out)) - min(errors(out)) < 0.02
    assert sum(each.away for each in out) == pytest.approx(away, abs=0.02)
    assert sum(each.silent for each in out) == pytest.approx(1.0, abs=0.02)


def test_a_stream_that_follows_at_once_leaves_nothing_between() -> None:
    clock, out = AudioClock[float](), list[Placed[float]]()
    for number in range(500):
        if number in (100, 250):
            clock.restart(anew=True)
        out += clock.push(Piece(number * 0.02, 0.02, number * 0.02, number * 0.02 % 3.1))
    assert not any(each.away or each.silent or each.lost for each in out)


@pytest.mark.parametrize("share", [0.9, 0.88, 0.77, 0.6])
@pytest.mark.parametrize("stamp", [lambda s, t, n: None, lambda s, t, n: n * 0.02])
def test_a_starved_sender_is_late_and_no_other_format(share: float, stamp: Stamp) -> None:
    """A busy machine, or a slow network: so many seconds of sound come each second."""
    sender = Sender(slow=1 / share - 1, stamp=stamp)
    out = sender.heard()
    assert len(out) == sender.sent
    assert sender.clock.speed == 1.0
    assert not any(each.misread or each.cut for each in out)
    # Once it was noticed, sound lies where it came, and at its own speed.
    later = [each for each in out if each.piece.content > 10]
    assert max(map(abs, errors(later))) < 0.6
    assert all(each.length == pytest.approx(each.piece.length) for each in later)
    filled = sum(each.filled for each in out)
    assert filled == pytest.approx((1 - share) * 60, abs=1.0)
    assert out[-1].at + out[-1].length == pytest.approx(60, abs=0.5)


def test_a_starved_sender_that_recovers_is_as_before() -> None:
    clock, out = AudioClock[float](), list[Placed[float]]()
    at = 0.0
    for number in range(3000):
        at += 0.026 if 500 <= number < 1000 else 0.02
        out += clock.push(Piece(at, 0.02, at))
    later = [each for each in out if each.piece.content > 27]
    assert max(map(abs, errors(later))) < NEAR
    assert not any(each.filled or each.misread for each in later)


def test_what_was_held_up_and_comes_faster_than_it_was_spoken_is_no_other_format() -> None:
    """Nine seconds behind a slow network, which then brings three seconds in two."""
    clock, out = AudioClock[float](), list[Placed[float]]()
    for number in range(3000):
        spoken = number * 0.02
        at = spoken if not 12 <= spoken < 39 else max(spoken, 21 + (spoken - 12) / 1.5)
        out += clock.push(Piece(spoken, 0.02, at + 0.02))
    out += clock.flush()
    assert not any(each.misread for each in out)
    assert clock.speed == 1.0
    assert sum(each.piece.length for each in out) == pytest.approx(60)


def test_a_burst_of_speech_sent_ahead_is_neither_cut_nor_squeezed() -> None:
    """A bot that sends each sentence as soon as it is made, and the next when that was said."""
    clock, out = AudioClock[float](), list[Placed[float]]()
    for number in range(500):
        sentence = number // 100
        out += clock.push(Piece(number * 0.02, 0.02, sentence * 2.0 + number % 100 * 0.001))
    out += clock.flush()
    assert not any(each.cut or each.silent for each in out)
    assert sum(each.length for each in out) == pytest.approx(10.0)


@settings(max_examples=60, phases=[Phase.generate, Phase.shrink])
@given(
    slow=st.sampled_from([0.0, 1e-4, -1e-4, 0.003, -0.01, 0.03, -0.05, 0.05]),
    length=st.sampled_from([0.01, 0.02, 0.03, 0.06]),
    stamp=st.sampled_from(["right", "factor", "wall", "uncounted", "none", "steps"]),
    pausing=st.booleans(),
    jitter=st.sampled_from([0.0, 0.01, 0.06]),
    loss=st.sampled_from([0.0, 0.01, 0.05]),
    stall=st.sampled_from([(0.0, 0.0), (10.0, 11.2), (10.5, 13.5), (20.0, 24.0)]),
    batch=st.sampled_from([1, 5, 10]),
    seed=st.integers(0, 1000),
)
def test_every_second_is_accounted_for_whatever_comes_together(
    slow: float,
    length: float,
    stamp: str,
    pausing: bool,
    jitter: float,
    loss: float,
    stall: tuple[float, float],
    batch: int,
    seed: int,
) -> None:
    stamps: dict[str, Stamp] = {
        "right": lambda s, t, n: s * length,
        "factor": lambda s, t, n: s * length / 3,
        "wall": late(0.03),
        "uncounted": lambda s, t, n: n * length,
        "none": lambda s, t, n: None,
        "steps": lambda s, t, n: s * length + 60 * (t > 15) - 30 * (t > 25),
    }
    # Who stamps by the wall and loses packets in batches gives no witness at all.
    assume(not (stamp == "wall" and loss and batch > 1))
    sender = Sender(
        40.0, length, slow, 1.0, stamps[stamp], pauses if pausing else lambda spoken: False,
        jitter, loss, stall, batch, seed
    )  # fmt: skip
    out = sender.heard()
    # Sound in is sound placed or cut.
    assert len(out) == sender.sent
    cut = sum(each.piece.length for each in out if each.cut)
    assert cut <= 0.3
    # What is placed follows without overlap, and what lies between is told.
    end = out[0].at
    for each in out:
        assert each.at - each.lost - each.silent - each.away == pytest.approx(end, abs=1e-6)
        assert each.filled <= each.silent + 1e-6
        end = each.at + each.length
    # Accounted seconds are those of the wall.
    wall = out[-1].piece.content - out[0].piece.content + length * (1 + slow)
    assert end - out[0].at == pytest.approx(wall, abs=0.3 + batch * length)
