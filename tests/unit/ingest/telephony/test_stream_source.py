"""From a stream's messages to frames and gaps of its participants."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext

from monitor.ingest.codecs.g711 import Codec
from monitor.ingest.telephony.dialect import Begin, Chunk, Ended, Message, Paused, Resumed
from monitor.ingest.telephony.interleave import Interleave
from monitor.ingest.telephony.json_media import DIALECTS, JsonParser
from monitor.ingest.telephony.stream_source import TelephonySource
from monitor.types import AudioFrame, Gap, LostReason, Tracks, Waveform
from monitor.types.packet import EncodedPacket, PacketTarget
from monitor.types.protocols import Media


class ListIntake:
    """Remembers what it was given; its clock is moved by hand."""

    encoded: PacketTarget | None = None
    key_frames: float | None = None

    def __init__(self) -> None:
        self.media: list[Media] = []
        self.at = 100.0
        """Monotonic seconds."""
        self.began: float | None = None
        self.gap = asyncio.Event()

    def now(self) -> float:
        return self.at - self.since(self.at)

    def since(self, at: float) -> float:
        self.began = at if self.began is None else self.began
        return self.began

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
    intake = ListIntake()
    source = TelephonySource("twilio", participants or ("remote",), clock=lambda: intake.at)
    task = asyncio.create_task(source.run(intake))
    yield source, intake
    source.hang_up("ended")
    assert await task == "ended"


def coded(name: str, seconds: float) -> list[bytes]:
    """Packets of 20 ms as by RTP; of AMR-WB, that no wheel encodes, whatever its bits say."""
    if name.startswith("AMR"):
        chance = np.random.default_rng(4)
        bits = ["".join(map(str, chance.integers(0, 2, 253))) for _ in range(round(seconds * 50))]
        # Code mode request, last frame of type 2, good; aligned to bytes or not.
        head = "1111000000010100" if name.endswith("+") else "1111000101"
        texts = [(head + each).ljust(-(-len(head + each) // 8) * 8, "0") for each in bits]
        return [int(text, 2).to_bytes(len(text) // 8, "big") for text in texts]
    codec, rate = {"OPUS": ("libopus", 48_000), "G722": ("g722", 16_000)}[name]
    encoder = cast(AudioCodecContext, av.CodecContext.create(codec, "w"))
    encoder.sample_rate, encoder.format, encoder.layout = rate, "s16", "mono"
    sound, out = tone(seconds, rate), []
    for at in range(0, len(sound), rate // 50):
        frame = av.AudioFrame.from_ndarray(sound[None, at : at + rate // 50].copy(), "s16", "mono")
        frame.sample_rate, frame.pts = rate, at
        out += [bytes(packet) for packet in encoder.encode(frame)]
    return out


@pytest.mark.parametrize("stamped", [True, False])
@pytest.mark.parametrize("name", ["OPUS", "G722", "AMR-WB", "AMR-WB+"])
async def test_packets_of_other_codecs_are_heard(name: str, stamped: bool) -> None:
    parser = JsonParser(DIALECTS["telnyx"])
    format_ = {"encoding": name.rstrip("+"), "sample_rate": 16000, "channels": 1}
    start = {"event": "start", "start": {"call_control_id": "v3:x", "media_format": format_}}
    assert list(parser.text(json.dumps(start))) == [Begin("v3:x", ())]
    async with running("remote") as (source, intake):
        for number, payload in enumerate(coded(name, 3.0)):
            media = {"track": "inbound", "chunk": str(2 * number)}
            media["payload"] = base64.b64encode(payload).decode()
            if stamped:
                media["timestamp"] = str(20 * number)
            intake.at += 0.02
            for message in parser.text(json.dumps({"event": "media", "media": media})):
                await source.feed(message)
    assert sum(len(frame.samples) for frame in intake.frames()) / 16_000 == pytest.approx(
        3, abs=0.1
    )
    assert intake.gaps() == []
    assert max(np.abs(frame.samples).max() for frame in intake.frames()) > 0.1


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
        intake.at = 100 + (index + 1) / 50
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
    assert sorted((p.participant, p.payload) for p in kept) == [
        ("agent", stereo[::2]),
        ("remote", stereo[1::2]),
    ]
    assert {(p.encoding.codec, p.encoding.rate, p.duration) for p in kept} == {
        ("pcm_mulaw", 8000, 0.02)
    }


async def test_each_track_is_placed_where_it_arrived() -> None:
    async with running("remote", "agent") as (source, intake):
        await source.feed(Chunk("remote", tone(0.1, 8000), 8000, 100.0))
        intake.at += 0.3
        await source.feed(Chunk("agent", tone(0.1, 8000), 8000, 0.0))
    assert intake.frames("remote")[0].start == 0
    assert abs(intake.frames("agent")[0].start - 0.3) < 1e-6


async def test_time_that_passed_is_silence_and_swapped_chunks_are_put_right() -> None:
    """Over TCP nothing is lost: what was not sent was a pause."""
    async with running() as (source, intake):
        for index in (0, 2, 1, 3, 4, *range(20, 40)):
            intake.at = max(intake.at, 100 + index / 50)
            samples = tone(0.02, 8000, index / 50)
            await source.feed(Chunk("remote", samples, 8000, index / 50, number=index))
    assert not intake.gaps()
    wave = joined(intake.frames())
    assert abs(len(wave) - 0.8 * 16_000) <= 330
    wanted = np.sin(2 * np.pi * 440 * np.arange(len(wave)) / 16_000) * 8000 / 32768
    assert np.abs(wave - wanted)[200:1500].max() < 0.005
    assert np.abs(wave[1700:6000]).max() < 0.005


async def test_a_pause_is_booked_while_it_lasts_and_ends_where_media_goes_on() -> None:
    async with running() as (source, intake):
        await speak(source, intake, 0, 1)
        await source.feed(Paused())
        assert source.paused
        intake.at = 105.0
        async with asyncio.timeout(120):
            await intake.gap.wait()
        await source.feed(Chunk("remote", tone(0.02, 8000), 8000, 1.0))
        intake.at = 109.0
        await source.feed(Resumed())
        intake.at = 109.02
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
        for index in range(64):
            # Now and then the connection holds everything up, and lets it go.
            intake.at = max(intake.at, 100 + index / 50 + (0.4 if index % 20 == 5 else 0.0))
            await source.feed(Chunk("remote", tone(0.02, 8000, index / 50), 8000, None))
    assert abs(len(joined(intake.frames())) - 64 * 320) <= 2


async def test_the_first_reason_counts_and_nothing_fed_is_needed() -> None:
    source, intake = TelephonySource("plivo", ("remote",)), ListIntake()
    task = asyncio.create_task(source.run(intake))
    source.hang_up("disconnected")
    source.hang_up("ended")
    assert await task == "disconnected"
    messages: list[Message] = [Paused(), Resumed()]
    for message in messages:
        await source.feed(message)
