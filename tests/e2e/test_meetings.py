"""Meetings with real speech: who is synthetic alerts, whoever else speaks does not.

Each platform's part is played by a client of our own: Attendee's, Recall.ai's, Azure's, Jitsi's and
LiveKit's messages after public source or documentation.
Zoom's part is played by tests/zoom.py, which its own SDK has joined (tests/flow/test_zoom_sdk.py).
"""

import asyncio
import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import av
import httpx
import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.e2e.conftest import HUMAN, SYNTHETIC
from tests.e2e.rig.process import wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.rig.sound import read_wav, resampled
from tests.e2e.service import TOKEN as TOKEN_OF_THE_API
from tests.e2e.service import Service, is_all
from tests.zoom import (
    BOB,
    CLIENT,
    EVE,
    SECRET,
    TOKEN,
    FakeZoom,
    audio,
    fake_zoom,
    keep_alive,
    people,
    started,
    stream_state,
    until,
    webhook,
)

SECONDS = 40.0
ZOOM = f"""
[zoom]
client_id = "{CLIENT}"
client_secret = "{SECRET}"
secret_token = "{TOKEN}"
hosts = ["127.0.0.1"]
"""


def packets(recordings: Recordings, name: str, rate: int) -> list[bytes]:
    """20 ms each of somebody's voice, as L16."""
    sound, whole = read_wav(recordings.voice(name).wav16)
    samples = resampled(sound[: round(SECONDS * whole)], whole, rate)
    data = (samples * 32767).clip(-32768, 32767).astype("<i2").tobytes()
    size = rate // 50 * 2
    return [data[i : i + size] for i in range(0, len(data) - size + 1, size)]


async def meet(
    service: Service, zoom: FakeZoom, voices: dict[str, tuple[int, list[bytes]]]
) -> None:
    body, headers = webhook("meeting.rtms_started", started(zoom.url))
    async with httpx.AsyncClient(base_url=service.url, trust_env=False) as http:
        refused = await http.post(
            "/zoom/webhook", content=body, headers=headers | {"x-zm-signature": "v0=00"}
        )
        assert refused.status_code == 401
        assert (await http.post("/zoom/webhook", content=body, headers=headers)).status_code == 200
        await until(zoom.ready.is_set)
        await zoom.tell(people(3, *((user, name) for name, (user, _) in voices.items())))
        began = time.monotonic()
        for index in range(min(len(each) for _, each in voices.values())):
            await asyncio.sleep(max(0.0, began + index / 50 - time.monotonic()))
            for name, (user, each) in voices.items():
                await zoom.play(audio(user, each[index], 1_700_000_000 + index / 50, name))
            if index % 250 == 0:
                await zoom.tell(keep_alive(index))
        await zoom.tell(stream_state(4, 6))


@pytest.fixture(scope="module")
def call(recordings: Recordings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The call once it is over, with its alerts."""
    folder: Path = tmp_path_factory.mktemp("service")

    async def run(service: Service) -> None:
        def over() -> bool:
            return not service.get("/api/v1/calls", active=True)

        async with fake_zoom() as zoom:
            voices = {
                "Bob": (BOB, packets(recordings, HUMAN, 16_000)),
                "Eve": (EVE, packets(recordings, SYNTHETIC, 16_000)),
            }
            await meet(service, zoom, voices)
            await asyncio.to_thread(wait_until, over, 60, "the end of the call")
            assert {m["sequence"] for m in zoom.of(13)} == set(range(0, 2000, 250))

    with Service(folder, ZOOM) as service:
        asyncio.run(run(service))
        (found,) = service.get("/api/v1/calls")
        found = dict(found, alerts=service.alerts(found["id"]))
        said = service.process.said()
        assert SECRET not in said
        assert TOKEN not in said
        assert service.metrics()['monitor_calls_started_total{ingest="zoom"}'] == 1
    return found


def test_zoom(call: dict[str, Any]) -> None:
    assert (call["ingest"], call["ended"]) == ("zoom", "ended")
    assert {p["name"] for p in call["participants"]} == {"Bob", "Eve"}
    for participant in call["participants"]:
        spent = participant["verdict"]["seconds"]
        assert spent["lost"] < 0.5
        assert is_all(spent, SECONDS)
    assert {a["participant"] for a in call["alerts"] if a["tier"] == "alert"} == {"Eve"}


STEPS = {"attendee": 5, "recall": 5, "livekit": 2}
"""Twenties of milliseconds in a message, if not one."""
WHO = {
    "attendee": {"bob", "eve"},
    "recall": {"eve"},
    "acs": {"bob"},
    "jitsi": {"bob", "eve"},
    "livekit": {"eve"},
}
"""Who is in each meeting: Bob is a person, Eve is not."""


def written(dialect: str, who: str, index: int, piece: bytes) -> str | bytes:
    """20 ms of somebody as the platform sends them."""
    data, number = base64.b64encode(piece).decode(), str(index)
    if dialect == "attendee":
        content = {"participant_uuid": who, "chunk": data, "sample_rate": 16_000}
        stamp = {"timestamp_ms": 1_700_000_000_000 + 20 * index}
        return json.dumps({"trigger": "realtime_audio.per_participant", "data": content | stamp})
    if dialect == "recall":
        person = {"id": ord(who[0]), "name": who}
        inner = {"buffer": data, "participant": person, "timestamp": {"relative": index / 50}}
        return json.dumps({"event": "audio_separate_raw.data", "data": {"data": inner}})
    if dialect == "acs":
        stamp_ = f"2026-11-30T10:00:{index // 50:02d}.{index % 50 * 2:02d}Z"
        inner = {"participantRawID": who, "data": data, "timestamp": stamp_}
        return json.dumps({"kind": "AudioData", "audioData": inner})
    if dialect == "jitsi":
        media = {"tag": f"{who}-7", "chunk": number, "payload": data}
        media |= {"timestamp": str(960 * index)}
        return json.dumps({"event": "media", "sequenceNumber": number, "media": media})
    return piece


def opus(recordings: Recordings, name: str) -> list[bytes]:
    """20 ms packets of somebody's voice, 48 kHz in stereo."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "stereo", "s16"
    made = []
    for index, piece in enumerate(packets(recordings, name, 48_000)):
        samples = np.repeat(np.frombuffer(piece, "<i2"), 2)[None]
        frame = av.AudioFrame.from_ndarray(samples, "s16", "stereo")
        frame.sample_rate, frame.pts = 48_000, 960 * index
        made += [bytes(packet) for packet in encoder.encode(frame)]
    return made


def messages(dialect: str, voices: dict[str, list[bytes]]) -> list[list[str | bytes]]:
    """What is sent when it is due; made before, so that a busy machine can keep the pace."""
    length, step = min(map(len, voices.values())), STEPS.get(dialect, 1)
    return [
        [
            written(dialect, who, index, b"".join(pieces[index : index + step]))
            for who, pieces in voices.items()
        ]
        for index in range(0, length - step + 1, step)
    ]


def dial(service: Service, dialect: str, every: list[list[str | bytes]]) -> None:
    """Send a meeting, what everybody says when it is due."""
    query = urlencode({"token": TOKEN_OF_THE_API, "call": dialect, "participant": "eve"})
    url = f"{service.url.replace('http', 'ws')}/meetings/{dialect}?{query}"
    step = STEPS.get(dialect, 1)
    with connect(url, proxy=None, compression=None) as socket:
        began = time.monotonic()
        for index, due in enumerate(every):
            time.sleep(max(0.0, began + step * index / 50 - time.monotonic()))
            for message in due:
                socket.send(message)


@pytest.fixture(scope="module")
def meetings(
    recordings: Recordings, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """Five meetings at once, and one that sends what nobody can read; ended calls by label."""
    human, fake = (packets(recordings, name, 16_000) for name in (HUMAN, SYNTHETIC))
    wide = [
        np.repeat(np.frombuffer(piece, "<i2"), 2).tobytes()
        for piece in packets(recordings, SYNTHETIC, 48_000)
    ]
    wanted = {
        "attendee": {"bob": human, "eve": fake},
        "recall": {"eve": fake},
        "acs": {"bob": human},
        "jitsi": {"bob": opus(recordings, HUMAN), "eve": opus(recordings, SYNTHETIC)},
        "livekit": {"eve": wide},
    }
    made = {dialect: messages(dialect, voices) for dialect, voices in wanted.items()}
    with (
        Service(tmp_path_factory.mktemp("service")) as service,
        ThreadPoolExecutor() as threads,
    ):
        running = [threads.submit(dial, service, *each) for each in made.items()]
        url = f"{service.url.replace('http', 'ws')}/meetings/attendee"
        with pytest.raises(InvalidStatus), connect(f"{url}?token=guessed", proxy=None):
            pass
        with connect(f"{url}?token={TOKEN_OF_THE_API}&call=hostile", proxy=None) as socket:
            for odd in ("{", '{"trigger": 7}', "[" * 10_000, b"\xff"):
                socket.send(odd)
        for each in running:
            each.result()
        wait_until(
            lambda: not service.get("/api/v1/calls", active=True), 60, "the end of the calls"
        )
        found = {call["label"]: dict(call) for call in service.get("/api/v1/calls")}
        for each_call in found.values():
            each_call["alerts"] = service.alerts(each_call["id"])
        assert TOKEN_OF_THE_API not in service.process.said()
    return found


@pytest.mark.parametrize("dialect", ["attendee", "recall", "acs", "jitsi", "livekit"])
def test_a_platform_that_dials_us(meetings: dict[str, dict[str, Any]], dialect: str) -> None:
    call = meetings[dialect]
    assert (call["ingest"], call["ended"]) == (dialect, "disconnected")
    assert {p["name"] for p in call["participants"]} == WHO[dialect]
    for participant in call["participants"]:
        spent = participant["verdict"]["seconds"]
        assert spent["lost"] < 0.5
        assert is_all(spent, SECONDS)
    alarmed = {a["participant"] for a in call["alerts"] if a["tier"] == "alert"}
    assert alarmed == WHO[dialect] - {"bob"}


def test_who_sends_nothing_that_can_be_read_disturbs_nobody(
    meetings: dict[str, dict[str, Any]],
) -> None:
    assert meetings["hostile"]["participants"] == []
