"""A real WebRTC sender and a bad network before the source."""

import asyncio
import time
from collections.abc import Callable

import aioice.ice
import av
import numpy as np
import pytest
from aioice import stun
from aiortc import RTCPeerConnection

from monitor.ingest.webrtc.whip_source import WebRtcSource
from monitor.types import AudioFrame, VideoFrame
from tests.flow.webrtc import (
    Camera,
    MemoryIntake,
    Network,
    Speech,
    loopback_only,
    publish,
)

__all__ = ["loopback_only"]

pytestmark = pytest.mark.usefixtures("loopback_only")

START = 6
"""Packets that may arrive before the handshake ends, when nobody can read them."""


async def seconds(n: float) -> None:
    await asyncio.sleep(n)


async def heard_through(network: Network, length: float) -> tuple[MemoryIntake, Network]:
    intake = MemoryIntake()
    await publish([Speech()], intake, lambda source, client: seconds(length), network)
    return intake, network


@pytest.mark.alone
async def test_audio_that_arrives_is_heard_and_what_is_lost_is_marked() -> None:
    networks = [
        Network(),
        Network(loss=0.01),
        Network(loss=0.02, reorder=0.05),
        Network(loss=0.05, jitter=0.06),
        Network(loss=0.10),
        Network(loss=0.05, burst=3),
    ]
    for intake, network in await asyncio.gather(*(heard_through(n, 10) for n in networks)):
        arrived, sent = network.audio_passed * 0.02, network.audio_sent * 0.02
        assert arrived > 5
        assert intake.heard_seconds >= 0.99 * (arrived - START * 0.02), network
        lost = sum(gap.span.duration for gap in intake.gaps)
        assert lost == pytest.approx(sent - arrived, abs=START * 0.02 + 0.01 * sent), network
        # No second is there twice, none is unaccounted for.
        media = [m.span if hasattr(m, "span") else m for m in intake.audio + intake.gaps]
        media.sort(key=lambda m: m.start)
        for before, after in zip(media, media[1:], strict=False):
            assert after.start == pytest.approx(before.end, abs=0.003)


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(120):
        while not look():  # noqa: ASYNC110 - what is looked at cannot wake anybody
            await asyncio.sleep(0.05)


@pytest.mark.alone
async def test_closing_with_a_full_queue_does_not_hold_up_other_calls() -> None:
    intake = MemoryIntake(slow=0.25)
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - before)

    async def during(source: WebRtcSource, client: RTCPeerConnection) -> None:
        await asyncio.sleep(4)
        assert source.receiver.sight is not None
        # How many come in four seconds depends on how busy the machine is.
        assert len(source.receiver.sight._queue) >= 6
        task = asyncio.create_task(watch())
        task.add_done_callback(lambda _: None)
        await asyncio.sleep(0.1)

    began = time.monotonic()
    assert await publish([Camera()], intake, during) == "ended"
    # Six pictures and more waited, a quarter of a second each.
    assert longest < 0.25
    assert time.monotonic() - began < 4 + 2


async def test_a_frozen_picture_comes_back_by_a_key_frame() -> None:
    # Retransmissions never arrive, so the jitter buffer waits for what does not come.
    network = Network(kinds=frozenset({"video"}), types_lost={98, 100, 102})
    intake = MemoryIntake()

    async def during(source: WebRtcSource, client: RTCPeerConnection) -> None:
        await until(lambda: len(intake.video) > 30)
        network.blocked = True
        await asyncio.sleep(0.3)
        network.blocked = False
        seen = len(intake.video)
        await until(lambda: len(intake.video) > seen + 30)
        assert source.receiver.sight is not None
        # One for the hole, and again while none comes: not one for each picture.
        assert 1 <= source.receiver.sight.counts.key_frames_asked <= 10

    await publish([Camera()], intake, during, network)
    times = [frame.time for frame in intake.video]
    pauses = np.diff(times)
    # Unasked, the sender makes none for two minutes.
    assert max(pauses) < 20
    assert times[-1] > times[0] + 1


@pytest.mark.alone
async def test_sound_and_picture_of_one_moment_have_one_time() -> None:
    # The picture's way is longer: by arrival it would be 400 ms late, less the 250 that sound may
    # wait for its block to be complete.
    network = Network(delay={"video": 0.4})
    intake = MemoryIntake()
    await publish([Speech(), Camera()], intake, lambda source, client: seconds(9), network)
    times = [frame.time for frame in intake.video]
    assert times == sorted(times)
    claps: list[tuple[float, float]] = []
    flashes: list[tuple[float, float]] = []
    for media, arrival in zip(intake.media, intake.arrivals, strict=True):
        if isinstance(media, AudioFrame):
            loud = np.flatnonzero(np.abs(media.samples) > 0.15)
            if len(loud):
                claps.append((media.start + loud[0] / 16_000, arrival))
        elif isinstance(media, VideoFrame) and media.image.mean() > 200:
            flashes.append((media.time, arrival))
    claps, flashes = onsets(claps), onsets(flashes)
    pairs = [(f, min(claps, key=lambda c: abs(c[0] - f[0]))) for f in flashes[-3:]]
    late = np.array(pairs)[:, 0] - np.array(pairs)[:, 1]
    # By the sender's clock together, though handed over apart.
    assert abs(np.median(late[:, 0])) < 0.02, late
    assert np.median(late[:, 1]) > 0.1, late


def onsets(moments: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The first of each run of moments, by their call time."""
    before = [-1.0, *(time for time, _ in moments)]
    return [m for b, m in zip(before, moments, strict=False) if m[0] - b > 0.5]


async def test_stun_checks_without_priority_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    build = aioice.ice.Connection.build_request

    def without(self: aioice.ice.Connection, *args: object, **more: object) -> stun.Message:
        message = build(self, *args, **more)  # type: ignore[arg-type]
        if self.ice_controlling:
            message.attributes.pop("PRIORITY", None)
        return message

    monkeypatch.setattr(aioice.ice.Connection, "build_request", without)
    intake, network = await heard_through(Network(), 2)
    assert intake.heard_seconds > 1


class Jumping(Speech):
    """Timestamps jump far after two seconds, the sequence numbers do not."""

    async def recv(self) -> "av.Packet[av.stream.Stream]":
        packet = await super().recv()
        if self._n > 100 and packet.pts is not None:
            packet.pts += 7_000_000
        return packet


async def test_timestamps_that_jump_do_not_move_call_time() -> None:
    intake = MemoryIntake()
    await publish([Jumping()], intake, lambda source, client: seconds(4))
    assert intake.heard_seconds > 3
    assert intake.audio[-1].end < 4.5


async def test_on_a_full_machine_key_frames_are_asked_for_and_nothing_else_decoded() -> None:
    intake = MemoryIntake()

    async def during(source: WebRtcSource, client: RTCPeerConnection) -> None:
        sight = source.receiver.sight
        assert sight is not None
        intake.key_frames = 0.5
        await asyncio.sleep(1)
        began = time.monotonic()
        decoded, asked = sight.counts.decoded, sight.counts.key_frames_asked
        await until(lambda: sight.counts.decoded - decoded >= 5)
        # Two a second of 25; two more that were under way.
        most = 2 * (time.monotonic() - began) + 3
        assert sight.counts.decoded - decoded <= most
        assert 3 <= sight.counts.key_frames_asked - asked <= most
        intake.key_frames = None
        await until(lambda: sight.counts.decoded - decoded > 40)
        assert sight.counts.undecodable == 0

    await publish([Speech(), Camera()], intake, during)
    assert intake.heard_seconds > 2
