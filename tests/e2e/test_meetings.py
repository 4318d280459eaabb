"""Meetings with real speech: who is synthetic alerts, whoever else speaks does not.

Zoom's part is played by tests/zoom.py, which its own SDK has joined (tests/flow/test_zoom_sdk.py).
"""

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import HUMAN, SYNTHETIC
from tests.e2e.rig.process import wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.rig.sound import read_wav, resampled
from tests.e2e.service import Service
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
        every = spent["scored"] + spent["abstained"] + spent["lost"]
        assert every == pytest.approx(SECONDS, abs=1.0)
    assert {a["participant"] for a in call["alerts"] if a["tier"] == "alert"} == {"Eve"}
