"""Where sound is placed, beside GStreamer's `rtpjitterbuffer`: `python -m benchmarks.clock_peer`.

The same packets of one minute, 20 ms each, go through GStreamer in real time (all calls side by
side, so it takes a minute) and through the service's jitter buffer and clock in virtual time. For
each packet the moment at which its sound begins is held against the moment at which it was spoken;
a constant distance is no error, and is taken out by the first five seconds' median. `cut`: seconds
of packets that came and were not handed on, or were laid over others by 40 ms and more. `put in`:
such seconds between packets that follow each other without a break in what was said. `delay`: from
a packet's arrival to its being handed on, p95; what players add after the buffer is not counted.

Needs Debian's gstreamer1.0-plugins-good, gir1.2-gstreamer-1.0 and python3-gi.
"""

import json
import random
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from monitor.ingest.clock.audio_clock import AudioClock
from monitor.ingest.clock.piece import Piece, Placed
from monitor.ingest.rtp.jitter_buffer import Delivery, JitterBuffer, RtpPacket

SECONDS, LENGTH, RATE = 60.0, 0.02, 48_000
_EVENED_OUT = 0.04
"""Seconds by which a buffer may be away without its being moved: GStreamer's sinks do so."""
_PEER = Path(__file__).with_name("gstreamer_clock.py")


@dataclass(frozen=True)
class Packet:
    """One that arrives."""

    at: float
    number: int
    stamp: int
    ssrc: int
    spoken: float


def late(spoken: float) -> float:
    """No delay that matters."""
    return spoken


def call(
    stamp: Callable[[int, float], float] = lambda n, t: n * LENGTH,
    slow: float = 0.0,
    jitter: float = 0.01,
    loss: float = 0.0,
    silent: Callable[[float], bool] = lambda t: False,
    held: Callable[[float], float] = late,
    batch: int = 1,
    ssrc: Callable[[float], int] = lambda t: 1,
    swapped: bool = False,
) -> list[Packet]:
    """Packets in the order of arrival; `stamp` of a packet's slot, and of the so-many-th sent."""
    chance, sent, latest, out = random.Random(1), 0, 0.0, list[Packet]()
    for slot in range(round(SECONDS / (LENGTH * (1 + slow)))):
        spoken = slot * LENGTH * (1 + slow)
        if silent(spoken):
            continue
        sent += 1
        at = (slot // batch + 1) * batch * LENGTH * (1 + slow)
        # Jitter delays what comes after; what overtakes does so by `swapped`.
        latest = max(latest, held(at) + chance.random() * jitter)
        at = latest + (0.03 if swapped and not sent % 10 else 0.0)
        counted = stamp(slot, spoken)
        if chance.random() >= loss:
            out.append(Packet(at, sent, round(counted * RATE), ssrc(spoken), spoken))
    return sorted(out, key=lambda each: each.at)


def _pause(t: float) -> bool:
    return t % 4 >= 2.8


def _uncounted() -> Callable[[int, float], float]:
    counted = -1

    def stamp(slot: int, spoken: float) -> float:
        nonlocal counted
        counted += 1
        return counted * LENGTH

    return stamp


def calls() -> dict[str, list[Packet]]:
    """What is tried."""
    wall = random.Random(5)
    return {
        "as it should be": call(),
        "jitter of 60 ms": call(jitter=0.06),
        "every tenth overtaken": call(swapped=True),
        "2 % lost": call(loss=0.02),
        "pauses, counted": call(silent=_pause),
        "pauses, not counted": call(silent=_pause, stamp=_uncounted()),
        "a stall of 2 s, then a burst": call(held=lambda t: 22.0 if 20 <= t < 22 else t),
        "ten packets at once": call(batch=10),
        "clock 1 % slow": call(slow=0.01),
        "clock 3 % fast": call(slow=-0.03),
        "stamps count a third": call(stamp=lambda n, t: n * LENGTH / 3),
        "stamps by the wall, 30 ms": call(stamp=lambda n, t: t + wall.uniform(-0.03, 0.03)),
        "stamps leap a minute": call(stamp=lambda n, t: n * LENGTH + 60 * (t > 20)),
        "another SSRC after 2 s": call(
            silent=lambda t: 20 <= t < 22,
            stamp=lambda n, t: n * LENGTH + 500 * (t > 20),
            ssrc=lambda t: 1 if t < 20 else 2,
        ),
    }


@dataclass(frozen=True)
class Place:
    """Where a packet's sound begins, and for how long it was held."""

    number: int
    at: float
    length: float
    delay: float


def ours(packets: Sequence[Packet]) -> list[Place]:
    """Through the service's buffer and clock."""
    buffer, clock, out = JitterBuffer(), AudioClock[int](), list[Place]()

    def take(placed: Sequence[Placed[int]], now: float) -> None:
        for each in placed:
            if not each.cut and not each.misread:
                piece = each.piece
                out.append(Place(piece.content, each.at, each.length, now - piece.arrived))

    def hear(deliveries: Sequence[Delivery], now: float) -> None:
        for each in deliveries:
            if each.restarted:
                clock.restart(anew=True)
            packet = each.packet
            stamp = each.timestamp / RATE
            piece = Piece(packet.sequence, LENGTH, packet.arrived, stamp, each.missing)
            take(list(clock.push(piece)), now)

    for packet in packets:
        # The service looks at least as often while it waits for anything.
        due = (buffer.deadline, clock.deadline)
        for at in sorted(each for each in due if each is not None and each < packet.at):
            hear(list(buffer.pop(at)), at)
            take(list(clock.pop(at)), at)
        stamp = packet.stamp % 2**32
        rtp = RtpPacket(packet.ssrc, packet.number, stamp, 96, b"x", packet.at)
        hear(list(buffer.push(rtp)), packet.at)
    end = packets[-1].at + 1
    hear(list(buffer.flush()), end)
    take(list(clock.flush()), end)
    return out


def peers(every: Sequence[Sequence[Packet]]) -> list[list[Place]]:
    """Through GStreamer's."""
    given = [[[p.at, p.number, p.stamp, p.ssrc] for p in packets] for packets in every]
    done = subprocess.run(
        ["/usr/bin/python3", _PEER], input=json.dumps(given), capture_output=True, text=True,
        check=True, timeout=SECONDS + 60,
    )  # fmt: skip
    found = json.loads(done.stdout)
    return [[Place(n, at, LENGTH, delay) for n, at, delay in out] for out in found]


def row(packets: Sequence[Packet], places: Sequence[Place]) -> tuple[float, ...]:
    """Error of position (median, p95), seconds cut, seconds put in, delay (p95)."""
    by_number = {packet.number: packet for packet in packets}
    errors = [(place.at - by_number[place.number].spoken, place) for place in places]
    early = [error for error, place in errors if by_number[place.number].spoken < 5]
    zero = statistics.median(early)
    off = sorted(abs(error - zero) for error, _ in errors)
    cut = (len(packets) - len(places)) * LENGTH
    put_in, end = 0.0, places[0].at
    for before, after in pairwise(places):
        end += before.length
        away = after.at - end
        if abs(away) < _EVENED_OUT:
            continue
        end = after.at
        between = by_number[after.number].spoken - by_number[before.number].spoken
        cut += min(LENGTH, max(0.0, -away))
        if after.number == before.number + 1 and between < 1.5 * LENGTH:
            put_in += max(0.0, away)
    delays = sorted(place.delay for place in places)
    return (statistics.median(off), _p95(off), cut, put_in, _p95(delays))


def _p95(ordered: Sequence[float]) -> float:
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def main() -> None:
    """Print the table."""
    tried = calls()
    theirs = peers(list(tried.values()))
    print("| packets | error, median | p95 | cut | put in | delay, p95 |")
    print("|---|---|---|---|---|---|")
    for (name, packets), peer in zip(tried.items(), theirs, strict=True):
        pairs = zip(row(packets, ours(packets)), row(packets, peer), strict=True)
        cells = (f"{our:.2f} ({other:.2f})" for our, other in pairs)
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
