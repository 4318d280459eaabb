"""Meeting platforms that dial us, on a real server: voices, pictures, who is refused.

Their parts are played by clients of our own, after public source or documentation: none of them can
be had here.
"""

import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from monitor.calls.stages import Stages
from monitor.types import LostReason
from tests.fakes import stages
from tests.flow.test_telephony import Rig, rig
from tests.flow.test_zoom import encoded, noise, pictures, pieces
from tests.zoom import until

CLOCK = 1_700_000_000.0


@pytest.fixture(scope="module")
def parts() -> Iterator[Stages]:
    found = stages()
    yield found
    found.executor.close()


def attendee(index: int, piece: bytes) -> str:
    data = {"participant_uuid": "ann", "sample_rate": 16000,
            "timestamp_ms": round(1000 * CLOCK + 20 * index),
            "chunk": base64.b64encode(piece).decode()}  # fmt: skip
    return json.dumps({"trigger": "realtime_audio.per_participant", "data": data})


def recall(index: int, piece: bytes) -> str:
    data = {"buffer": base64.b64encode(piece).decode(), "participant": {"id": 1, "name": "ann"},
            "timestamp": {"relative": index / 50}}  # fmt: skip
    return json.dumps({"event": "audio_separate_raw.data", "data": {"data": data}})


def acs(index: int, piece: bytes) -> str:
    stamp = f"2026-11-30T10:00:{index // 50:02d}.{index % 50 * 2:02d}Z"
    data = {"timestamp": stamp, "participantRawID": "ann", "silent": False}
    data |= {"data": base64.b64encode(piece).decode()}
    return json.dumps({"kind": "AudioData", "audioData": data})


def jitsi(index: int, piece: bytes) -> str:
    media = {"tag": "ann-77", "chunk": str(index), "timestamp": str(960 * index)}
    media |= {"payload": base64.b64encode(piece).decode()}
    return json.dumps({"event": "media", "sequenceNumber": str(index), "media": media})


def livekit(index: int, piece: bytes) -> bytes:
    return np.repeat(np.frombuffer(piece, "<i2"), 2).astype("<i2").tobytes()


def opus() -> list[bytes]:
    return encoded("libopus", 48_000, noise(4, 48_000))


@pytest.mark.parametrize(
    ("dialect", "make", "write"),
    [
        ("attendee", lambda: pieces(noise(4, 16_000), 16_000), attendee),
        ("recall", lambda: pieces(noise(4, 16_000), 16_000), recall),
        ("acs", lambda: pieces(noise(4, 16_000), 16_000), acs),
        ("jitsi", opus, jitsi),
        ("livekit", lambda: pieces(noise(4, 48_000), 48_000), livekit),
    ],
)
async def test_everybody_is_heard_by_name(
    parts: Stages,
    dialect: str,
    make: Callable[[], list[bytes]],
    write: Callable[[int, bytes], str | bytes],
) -> None:
    async with rig(parts) as found:
        path = f"/meetings/{dialect}?token=good&call=weekly&participant=ann"
        # Azure signs in with a token of its own.
        async with found.dial(path, authorization="Bearer of.azure.jwt") as socket:
            since = time.monotonic()
            for index, piece in enumerate(make()):
                await asyncio.sleep(max(0.0, since + index / 50 - time.monotonic()))
                await socket.send(write(index, piece))
        call = await found.over()
        assert (call.ingest, call.label, call.ended) == (dialect, "weekly", "disconnected")
        ((tracks, verdict),) = call.participants
        assert (tracks.participant, tracks.audio) == ("ann", True)
        assert verdict is not None
        spent = verdict.seconds
        assert spent.scored > 0
        assert 3.2 < spent.scored + spent.unmonitored - sum(spent.lost.values()) < 4.6


async def test_sixteen_who_speak_at_once_are_no_flood_and_a_flood_is_one(parts: Stages) -> None:
    async with rig(parts) as found:
        async with found.dial("/meetings/attendee?token=good") as socket:
            since = time.monotonic()
            piece = pieces(noise(0.02, 16_000), 16_000)[0]
            for index in range(150):
                await asyncio.sleep(max(0.0, since + index / 50 - time.monotonic()))
                for who in range(17):
                    await socket.send(attendee(index, piece).replace("ann", f"p{who}"))
        call = await found.over()
        assert call.ended == "disconnected"
        assert len(call.participants) == 16
        async with found.dial("/meetings/attendee?token=good") as socket:
            long = noise(0.5, 16_000).tobytes()
            with suppress(ConnectionClosed):
                for index in range(400):
                    await socket.send(attendee(25 * index, long))
            await socket.wait_closed()
            assert socket.close_code == 1008
        assert (await found.over()).ended == "flood"


async def test_pictures_of_a_meeting_go_the_way_of_faces(parts: Stages) -> None:
    async with rig(parts) as found:
        async with found.dial("/meetings/attendee?token=good") as socket:
            (jpeg,) = pictures("jpeg", 1)
            frame = base64.b64encode(jpeg).decode()
            half = base64.b64encode(jpeg[: len(jpeg) // 2]).decode()
            for index in range(40):
                data: dict[str, Any] = {"participant_uuid": "ann", "format": "jpeg"}
                data |= {"source": "webcam", "timestamp_ms": round(1000 * CLOCK) + 500 * index}
                data |= {"frame": half if index % 3 == 1 else frame}
                await socket.send(
                    json.dumps({"trigger": "realtime_video.per_participant", "data": data})
                )
                await asyncio.sleep(0.05)
            await until(lambda: any(seen for _, seen in found.sink.faces))
        ((tracks, _),) = (await found.over()).participants
        assert (tracks.audio, tracks.video) == (False, True)


async def test_who_is_muted_on_purpose_is_paused(parts: Stages) -> None:
    async def speak(socket: Any) -> None:
        since = time.monotonic()
        for index, piece in enumerate(pieces(noise(3.5, 48_000), 48_000)):
            await asyncio.sleep(max(0.0, since + index / 50 - time.monotonic()))
            await socket.send(piece)

    async with rig(parts) as found:
        async with found.dial("/meetings/livekit?token=good&participant=ann") as socket:
            await speak(socket)
            await socket.send('{"muted": true}')
            await asyncio.sleep(1.5)
            await socket.send('{"muted": false}')
            await speak(socket)
        ((_, verdict),) = (await found.over()).participants
        assert verdict is not None
        assert set(verdict.seconds.lost) == {LostReason.PAUSED}
        assert verdict.seconds.lost[LostReason.PAUSED] > 1.2


async def test_the_bridge_is_answered_and_ends_its_session(parts: Stages) -> None:
    async with rig(parts) as found:
        async with found.dial("/meetings/jitsi?token=good") as socket:
            await socket.send('{"event": "ping", "id": 3}')
            assert json.loads(await socket.recv()) == {"event": "pong", "id": 3}
            await socket.send(json.dumps({"event": "session-end"}))
            await socket.wait_closed()
            assert socket.close_code == 1000
        assert (await found.over()).ended == "ended"


async def refused(found: Rig, path: str) -> int:
    status, _ = await found.refusal(path)
    return status


async def test_nobody_is_let_in_without_a_token(parts: Stages) -> None:
    async with rig(parts) as found:
        for dialect in ("attendee", "recall", "acs", "jitsi", "livekit"):
            assert await refused(found, f"/meetings/{dialect}") == 401
            assert await refused(found, f"/meetings/{dialect}?token=reads") == 403
        assert await refused(found, "/meetings/teams?token=good") == 404


async def test_a_client_of_ours_hears_of_its_own_call_and_of_no_other(parts: Stages) -> None:
    async with rig(parts) as found:
        path = "/meetings/pcm?token=both&participant=ann&mix=mono&events=verdict,paused,resumed"
        async with found.dial(path) as socket, found.dial(path.replace("ann", "eve")) as other:
            since = time.monotonic()
            for index, piece in enumerate(pieces(noise(5, 16_000), 16_000)):
                await asyncio.sleep(max(0.0, since + index / 50 - time.monotonic()))
                await socket.send(piece)
            await socket.send('{"event": "end"}')
            said = [json.loads(text) async for text in socket]
            assert socket.close_code == 1000
            await other.send('{"event": "end"}')
            elsewhere = [json.loads(text) async for text in other]
        calls = {call.id: call for call in found.registry}
    begun, *between, over = said
    call = calls[begun["data"]["call"]]
    assert (begun["event"], begun["data"]["state"]) == ("call", "started")
    assert (over["event"], over["data"]["reason"]) == ("call", "ended")
    assert {x["event"] for x in between} == {"verdict"}
    assert {x["data"]["call"] for x in said} == {call.id}
    assert {x["data"]["participant"] for x in between} == {"ann"}
    ((_, verdict),) = call.participants
    assert verdict is not None
    assert between[-1]["data"]["seconds"]["scored"] == pytest.approx(
        verdict.seconds.scored, abs=1e-3
    )
    assert all(x["data"].get("participant", "eve") == "eve" for x in elsewhere[1:])
    assert {x["data"]["call"] for x in elsewhere} == set(calls) - {call.id}


async def test_who_may_not_read_is_told_nothing(parts: Stages) -> None:
    async with rig(parts) as found:
        assert await refused(found, "/meetings/pcm?token=good&events=verdict") == 403
        assert await refused(found, "/meetings/pcm?token=both&events=verdict,secrets") == 422
        # What is not asked for is not told.
        async with found.dial("/meetings/pcm?token=good&participant=ann") as socket:
            await socket.send("not JSON")
            await socket.send('{"event": "end"}')
            assert [text async for text in socket] == []
        assert (await found.over()).ended == "ended"


async def test_who_does_not_read_what_it_asked_for_is_judged_all_the_same(parts: Stages) -> None:
    async with rig(parts) as found:
        kinds = ",".join(sorted({"window", "verdict", "alert"}))
        path = f"/meetings/pcm?token=both&participant=ann&mix=mono&events={kinds}"
        async with found.dial(path) as socket:
            socket.transport.pause_reading()
            since = time.monotonic()
            for index, piece in enumerate(pieces(noise(4, 16_000), 16_000)):
                await asyncio.sleep(max(0.0, since + index / 50 - time.monotonic()))
                await socket.send(piece)
            await until(lambda: bool(found.sink.verdicts))
            socket.transport.abort()
        ((_, verdict),) = (await found.over()).participants
        assert verdict is not None
        assert verdict.seconds.scored > 0
