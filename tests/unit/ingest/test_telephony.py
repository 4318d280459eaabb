"""From a stream's messages to frames and gaps of its participants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np

from monitor.ingest.dialect import Chunk, Ended, Message, Paused, Resumed
from monitor.ingest.g711 import Codec
from monitor.ingest.interleave import Interleave
from monitor.ingest.telephony import TelephonySource
from monitor.packet import EncodedPacket, PacketTarget
from monitor.protocols import Media
from monitor.types import AudioFrame, Gap, LostReason, Tracks, Waveform


class ListIntake:
    """Remembers what it was given; its clock is moved by hand."""

    encoded: PacketTarget | None = None
    key_frames: float | None = None

    def __init__(self) -> None:
        self.media: list[Media] = []
        self.at = 0.0
        self.gap = asyncio.Event()

    def now(self) -> float:
        return self.at

    def begin(self, at: float) -> None: ...

    async def put(self, media: Media) -> None:
        self.media.append(media)
        if isinstance(media, Gap):
            self.gap.set()

    def remark(self, text: str) -> None: ...

    def put_threadsafe(self, media: Media) -> None:
        raise NotImplementedError

    def frames(self, participant: str = "remote") -> list[AudioFrame]:
        found = [m for m in self.media if isinstance(m, AudioFrame)]
        return [m for m in found if m.participant == participant]

    def gaps(self) -> list[Gap]:
        return [m for m in self.media if isinstance(m, Gap)]


@asynccontextmanager
async def running(*participants: str) -> AsyncIterator[tuple[TelephonySource, ListIntake]]:
    source, intake = TelephonySource("twilio", participants or ("remote",)), ListIntake()
    task = asyncio.create_task(source.run(intake))
    yield source, intake
    source.hang_up("ended")
    assert await task == "ended"


def tone(
    seconds: float, rate: int, start: float = 0.0
) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    at = start + np.arange(round(seconds * rate)) / rate
    return (8000 * np.sin(2 * np.pi * 440 * at)).astype(np.int16)


async def speak(
    source: TelephonySource, intake: ListIntake, start: float, end: float, rate: int = 8000
) -> None:
    """20 ms chunks of a tone, in time."""
    for index in range(round(start * 50), round(end * 50)):
        intake.at = index / 50
        samples = tone(0.02, rate, index / 50)
        await source.feed(Chunk("remote", samples, rate, index / 50))


def joined(frames: list[AudioFrame]) -> Waveform:
    for before, after in zip(frames, frames[1:], strict=False):
        assert abs(before.end - after.start) < 1e-6
    return np.concatenate([f.samples for f in frames])


async def test_chunks_become_one_seamless_wave_at_16_khz() -> None:
    for rate in (8000, 16000):
        async with running() as (source, intake):
            await speak(source, intake, 0, 2, rate)
            await source.feed(Ended())
        assert intake.media[0] == Tracks("remote", audio=True, video=False)
        wave = joined(intake.frames())
        assert abs(len(wave) - 32_000) <= 2
        wanted = np.sin(2 * np.pi * 440 * np.arange(len(wave)) / 16_000) * 8000 / 32768
        # A click at a seam would be far from the tone; the ends ring.
        assert np.abs(wave - wanted)[200:-200].max() < 0.005


async def test_only_those_who_are_scored_are_passed_on() -> None:
    async with running("remote") as (source, intake):
        await source.feed(Chunk("agent", tone(0.1, 8000), 8000, 0.0))
        await source.feed(Chunk("remote", tone(0.1, 8000), 8000, 0.0))
        await source.feed(Ended())
    assert not intake.frames("agent")
    assert intake.frames("remote")


async def test_what_arrives_is_kept_as_it_arrived_but_not_while_paused() -> None:
    kept: list[EncodedPacket] = []
    async with running("remote", "agent") as (source, intake):
        intake.encoded = kept.append
        stereo = bytes(range(160)) * 2
        sound = Interleave(Codec.MULAW, 8000, ("agent", "remote"))
        for message in sound.read(stereo, 0.0):
            assert isinstance(message, Chunk)
            await source.feed(message)
        await source.feed(Paused())
        for message in sound.read(stereo, 0.02):
            assert isinstance(message, Chunk)
            await source.feed(message)
        await source.feed(Ended())
    assert [(p.participant, p.payload) for p in kept] == [
        ("agent", stereo[::2]),
        ("remote", stereo[1::2]),
    ]
    assert {(p.encoding.codec, p.encoding.rate, p.duration) for p in kept} == {
        ("pcm_mulaw", 8000, 0.02)
    }


async def test_both_tracks_share_a_clock() -> None:
    async with running("remote", "agent") as (source, intake):
        await source.feed(Chunk("remote", tone(0.1, 8000), 8000, 100.0))
        intake.at = 0.3
        await source.feed(Chunk("agent", tone(0.1, 8000), 8000, 100.2))
    assert intake.frames("remote")[0].start == 0
    assert abs(intake.frames("agent")[0].start - 0.2) < 1e-6


async def test_a_lost_chunk_leaves_a_hole_and_a_swapped_one_does_not() -> None:
    async with running() as (source, intake):
        for index in (0, 2, 1, 3, 4, 9, 10, 11, 12, 13, 14, 15):
            intake.at = index / 50
            await source.feed(Chunk("remote", tone(0.02, 8000), 8000, index / 50))
    frames = intake.frames()
    holes = [
        (round(a.end, 2), round(b.start, 2))
        for a, b in zip(frames, frames[1:], strict=False)
        if b.start - a.end > 0.01
    ]
    assert holes == [(0.1, 0.18)]


async def test_a_pause_is_booked_while_it_lasts_and_ends_where_media_goes_on() -> None:
    async with running() as (source, intake):
        await speak(source, intake, 0, 1)
        await source.feed(Paused())
        assert source.paused
        intake.at = 5.0
        async with asyncio.timeout(120):
            await intake.gap.wait()
        await source.feed(Chunk("remote", tone(0.02, 8000), 8000, 1.0))
        intake.at = 9.0
        await source.feed(Resumed())
        # The stream's own clock stood still meanwhile.
        await source.feed(Chunk("remote", tone(0.02, 8000), 8000, 1.0))
        await source.feed(Ended())
    gaps = intake.gaps()
    assert {g.reason for g in gaps} == {LostReason.PAUSED}
    assert abs(gaps[0].span.start - 1.0) < 0.01
    assert [g.span.end for g in gaps][0 :: len(gaps) - 1] == [5.0, 9.0]
    assert intake.frames()[-1].end > 9.0
    assert all(not 1.01 < f.start < 9.0 for f in intake.frames())


async def test_media_without_timestamps_follows_its_samples() -> None:
    async with running() as (source, intake):
        for index in range(50):
            intake.at = index / 50 + (0.4 if index % 7 == 0 else 0.0)
            await source.feed(Chunk("remote", tone(0.02, 8000, index / 50), 8000, None))
    assert abs(len(joined(intake.frames())) - 16_000) <= 2


async def test_the_first_reason_counts_and_nothing_fed_is_needed() -> None:
    source, intake = TelephonySource("plivo", ("remote",)), ListIntake()
    task = asyncio.create_task(source.run(intake))
    source.hang_up("disconnected")
    source.hang_up("ended")
    assert await task == "disconnected"
    messages: list[Message] = [Paused(), Resumed()]
    for message in messages:
        await source.feed(message)
