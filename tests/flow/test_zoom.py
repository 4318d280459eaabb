"""Zoom meetings: a webhook in, two or three WebSockets out, named voices and faces in a call.

Zoom's part is played by tests/zoom.py; test_zoom_sdk.py holds that against Zoom's own SDK.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from typing import Any, cast

import av
import httpx
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext
from fastapi import FastAPI
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from monitor.calls.admission import Slots
from monitor.calls.record import CallRecord
from monitor.calls.registry import Registry
from monitor.calls.stages import Stages
from monitor.ingest.connection.hosts import Hosts
from monitor.ingest.connection.retry import RetryOptions
from monitor.ingest.meetings.rtms import RtmsOptions, RtmsSource
from monitor.ingest.meetings.rtms_link import LARGEST
from monitor.ingest.meetings.rtms_messages import Credentials, Stream, Wanted
from monitor.metrics.sink import Metrics
from monitor.types import LostReason
from monitor.web import problems
from monitor.web.streams import zoom_webhook
from monitor.web.streams.zoom_webhook import MAX_AGE, ZoomGate
from tests.fakes import MemorySink, stages
from tests.flow.conftest import portrait
from tests.zoom import (
    BOB,
    CLIENT,
    EVE,
    SECRET,
    STREAM,
    TOKEN,
    UUID,
    FakeZoom,
    audio,
    fake_zoom,
    keep_alive,
    people,
    session_state,
    started,
    stream_state,
    until,
    video,
    webhook,
)

OPTIONS = RtmsOptions(
    Credentials(CLIENT, SECRET),
    Hosts(("127.0.0.1",)),
    retry=RetryOptions(first=0.05, limit=0.4, give_up_after=60.0, at_once=True),
)
CLOCK = 1_700_000_000.0
"""Zoom's clock at the call's beginning: seconds since 1970."""


class Rig:
    """The webhook's endpoint with calls behind it, and nothing else."""

    def __init__(self, parts: Stages, options: RtmsOptions, limit: int) -> None:
        self.sink, self.metrics = MemorySink(), Metrics()
        self.registry = Registry(parts, self.sink, self.metrics, Slots(limit))
        self.now = time.time
        self.options = options
        gate = ZoomGate(TOKEN, lambda: self.now())
        app = FastAPI()
        problems.install(app)
        app.include_router(zoom_webhook.router(self.registry, gate, self.open))
        transport = httpx.ASGITransport(app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://monitor.example")

    def open(self, stream: Stream) -> RtmsSource:
        return RtmsSource(stream, self.options, self.registry.anomaly, jitter=lambda: 0.0)

    async def post(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        return await self.http.post("/zoom/webhook", content=body, headers=headers)

    async def tell(self, event: str, payload: dict[str, Any], **how: Any) -> httpx.Response:
        return await self.post(*webhook(event, payload, **how))

    async def begin(self, found: FakeZoom) -> None:
        """Begin a call and wait until media may flow."""
        answer = await self.tell("meeting.rtms_started", started(found.url))
        assert answer.status_code == 200, answer.text
        async with asyncio.timeout(60):
            await found.ready.wait()

    async def over(self) -> CallRecord:
        """The latest call, once none is in progress."""
        await until(lambda: not self.registry.active and bool(list(self.registry)))
        return next(iter(self.registry))

    def anomalies(self, kind: str) -> float:
        found = self.metrics.registry.get_sample_value(
            "monitor_anomalies_total", {"ingest": "zoom", "kind": kind}
        )
        return found or 0.0


@pytest.fixture(scope="module")
def parts() -> Iterator[Stages]:
    found = stages()
    yield found
    found.executor.close()


@asynccontextmanager
async def rig(parts: Stages, limit: int = 5, **options: Any) -> AsyncIterator[Rig]:
    found = Rig(parts, replace(OPTIONS, **options), limit)
    async with found.http:
        try:
            yield found
        finally:
            await found.registry.close()


def noise(seconds: float, rate: int, level: float = 8000) -> np.ndarray[Any, np.dtype[np.int16]]:
    """At its loud level the fake detector calls it fake."""
    rng = np.random.default_rng(0)
    return (rng.standard_normal(round(seconds * rate)) * level).clip(-32000, 32000).astype("<i2")


def pieces(samples: np.ndarray[Any, np.dtype[np.int16]], rate: int) -> list[bytes]:
    size = rate // 50
    return [samples[i : i + size].tobytes() for i in range(0, len(samples) - size + 1, size)]


async def play(found: FakeZoom, began: float, **voices: tuple[int, list[bytes]]) -> None:
    """Send everybody's packets, 20 ms each, when they are due; `began`: monotonic seconds."""
    length = max(len(packets) for _, packets in voices.values())
    since = time.monotonic()
    for index in range(length):
        await asyncio.sleep(max(0.0, since + index / 50 - time.monotonic()))
        at = CLOCK + (since - began) + index / 50
        for name, (user, packets) in voices.items():
            if index < len(packets):
                await found.play(audio(user, packets[index], at, name))


async def stop(rig: Rig) -> CallRecord:
    answer = await rig.tell("meeting.rtms_stopped", {"rtms_stream_id": STREAM, "stop_reason": 6})
    assert answer.status_code == 200
    return await rig.over()


def seconds(call: CallRecord, name: str) -> Any:
    (found,) = (v.seconds for t, v in call.participants if t.participant == name and v is not None)
    return found


async def test_everybody_in_a_meeting_is_a_participant_by_name(parts: Stages) -> None:
    loud, low = pieces(noise(4, 16_000), 16_000), pieces(noise(4, 16_000, 600), 16_000)
    async with fake_zoom() as found, rig(parts) as monitor:
        await monitor.begin(found)
        await found.tell(people(3, (BOB, "Bob"), (EVE, "Eve")))
        await found.tell(keep_alive(7))
        await found.play(keep_alive(8))
        await play(found, time.monotonic(), Bob=(BOB, loud), Eve=(EVE, low))
        await until(lambda: len(found.of(13)) == 2)
        call = await stop(monitor)
        assert (call.ingest, call.ended, call.label, call.detail) == ("zoom", "ended", UUID, "")
        assert {t.participant for t, _ in call.participants} == {"Bob", "Eve"}
        for name in ("Bob", "Eve"):
            spent = seconds(call, name)
            assert spent.scored + spent.unmonitored - sum(spent.lost.values()) > 3.2
        scores = {o.participant: o for o in monitor.sink.outcomes if hasattr(o, "value")}
        assert scores["Bob"].value > 0 > scores["Eve"].value
        assert sorted(message["sequence"] for message in found.of(13)) == [7, 8]
        (asked,) = found.of(3)
        assert asked["media_type"] == 1
        assert asked["media_params"]["audio"] == {
            "content_type": 2, "sample_rate": 1, "channel": 1, "codec": 1, "data_opt": 2,
            "send_rate": 20,
        }  # fmt: skip
        assert not monitor.anomalies("event")


def encoded(codec: str, rate: int, samples: np.ndarray[Any, np.dtype[np.int16]]) -> list[bytes]:
    """20 ms packets of FFmpeg's encoders."""
    encoder = cast(AudioCodecContext, av.CodecContext.create(codec, "w"))
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "s16"
    packets: list[bytes] = []
    for index in range(len(samples) * 50 // rate):
        piece = samples[None, index * rate // 50 : (index + 1) * rate // 50]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece), "s16", "mono")
        frame.sample_rate, frame.pts = rate, index * rate // 50
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


@pytest.mark.parametrize(
    ("name", "encoder", "rate"),
    [("opus", "libopus", 48_000), ("g722", "g722", 16_000), ("g711", "pcm_mulaw", 8_000)],
)
async def test_sound_comes_in_every_codec_that_zoom_has(
    parts: Stages, name: str, encoder: str, rate: int
) -> None:
    packets = encoded(encoder, rate, noise(4, rate))
    async with fake_zoom() as found, rig(parts, wanted=Wanted(name)) as monitor:
        await monitor.begin(found)
        await play(found, time.monotonic(), Bob=(BOB, packets))
        call = await stop(monitor)
        spent = seconds(call, "Bob")
        assert spent.scored > 0
        assert spent.scored + spent.unmonitored - sum(spent.lost.values()) > 3.2
        assert not monitor.anomalies("media")


async def test_what_zoom_chose_otherwise_is_what_is_read(parts: Stages) -> None:
    params = {"audio": {"codec": 1, "sample_rate": 3, "channel": 1}}
    async with fake_zoom(media_params=params) as found, rig(parts) as monitor:
        await monitor.begin(found)
        await play(found, time.monotonic(), Bob=(BOB, pieces(noise(4, 48_000), 48_000)))
        spent = seconds(await stop(monitor), "Bob")
        assert spent.scored + spent.unmonitored - sum(spent.lost.values()) > 3.2
    async with fake_zoom(media_params={"audio": {"codec": 9}}) as found, rig(parts) as monitor:
        await monitor.tell("meeting.rtms_started", started(found.url))
        call = await monitor.over()
        assert call.ended == "unreadable"
        assert "media_params.audio.codec: 9 is none of l16" in call.detail


def pictures(codec: str, count: int) -> list[bytes]:
    """A real face, as FFmpeg's encoders send it."""
    encoder = av.CodecContext.create({"jpeg": "mjpeg", "h264": "libx264"}[codec], "w")
    encoder = cast(av.VideoCodecContext, encoder)
    encoder.width, encoder.height, encoder.time_base = 640, 480, Fraction(1, 5)
    encoder.pix_fmt = "yuvj420p" if codec == "jpeg" else "yuv420p"
    if codec == "h264":
        encoder.options = {"tune": "zerolatency", "g": "10"}
    image, made = portrait(), list[bytes]()
    for index in range(count):
        frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=encoder.pix_fmt)
        frame.pts, frame.time_base = index, Fraction(1, 5)
        made += [bytes(packet) for packet in encoder.encode(frame)]
    return made


@pytest.mark.parametrize("codec", ["jpeg", "h264"])
async def test_the_picture_of_who_speaks_goes_the_way_of_faces(parts: Stages, codec: str) -> None:
    wanted = Wanted(pictures=codec)
    async with fake_zoom() as found, rig(parts, wanted=wanted) as monitor:
        await monitor.begin(found)
        assert [m["media_type"] for m in found.of(3)] == [1, 2]
        video_asked = found.of(3)[1]["media_params"]["video"]
        assert (video_asked["codec"], video_asked["fps"]) == ({"jpeg": 5, "h264": 7}[codec], 5)
        for index, picture in enumerate(pictures(codec, 40)):
            await found.play(video(BOB, picture, CLOCK + index / 5, "Bob"))
            await asyncio.sleep(0.1)
            if any(found_ for _, found_ in monitor.sink.faces):
                break
        # Half a picture, and no picture at all, are passed over.
        await found.play(video(BOB, pictures("jpeg", 1)[0][:3000], CLOCK + 60, "Bob"))
        await found.play(video(BOB, b"\xff\xd8 no picture", CLOCK + 61, "Bob"))
        await play(found, time.monotonic(), Bob=(BOB, pieces(noise(2, 16_000), 16_000)))
        await until(lambda: any(found_ for _, found_ in monitor.sink.faces))
        call = await stop(monitor)
        ((tracks, _),) = call.participants
        assert (tracks.participant, tracks.audio, tracks.video) == ("Bob", True, True)
        assert call.ended == "ended"


async def test_a_lost_connection_is_dialled_again_and_the_time_without_is_lost(
    parts: Stages,
) -> None:
    packets = pieces(noise(4, 16_000), 16_000)
    async with fake_zoom() as found, rig(parts) as monitor:
        await monitor.begin(found)
        began = time.monotonic()
        await play(found, began, Bob=(BOB, packets))
        found.ready.clear()
        await found.media[1].close(1011)
        async with asyncio.timeout(60):
            await found.ready.wait()
        await asyncio.sleep(1.0)
        await play(found, began, Bob=(BOB, packets))
        call = await stop(monitor)
        spent = seconds(call, "Bob")
        assert found.connections == 2
        assert spent.lost[LostReason.RECONNECT] > 0.9
        assert spent.scored + spent.unmonitored > 8.5
        assert [t.participant for t, _ in call.participants] == ["Bob"]


async def test_pauses_and_interruptions_are_booked_as_what_they_are(parts: Stages) -> None:
    packets = pieces(noise(3.5, 16_000), 16_000)
    async with fake_zoom() as found, rig(parts) as monitor:
        await monitor.begin(found)
        await found.tell(session_state(2))
        began = time.monotonic()
        await play(found, began, Bob=(BOB, packets))
        await found.tell(session_state(3))
        await asyncio.sleep(1.5)
        await found.tell(session_state(4))
        await play(found, began, Bob=(BOB, packets))
        await found.tell(stream_state(2, 14))
        await asyncio.sleep(1.5)
        await found.tell(stream_state(1))
        await play(found, began, Bob=(BOB, packets))
        await found.tell(stream_state(4, 6))
        call = await monitor.over()
        lost = seconds(call, "Bob").lost
        assert call.ended == "ended"
        assert lost[LostReason.PAUSED] > 1.2
        assert lost[LostReason.RECONNECT] > 1.2


async def test_voices_that_come_as_one_are_nobody_by_name(parts: Stages) -> None:
    packets = pieces(noise(3.5, 16_000), 16_000)
    async with fake_zoom() as found, rig(parts) as monitor:
        await monitor.begin(found)
        await found.tell(people(3, (BOB, "Bob")))
        await play(found, time.monotonic(), **{"Zoom Room": (-1, packets)})
        call = await stop(monitor)
        assert [t.participant for t, _ in call.participants] == ["unnamed"]
        assert "AUDIO_MULTI_STREAMS" in call.detail
        assert monitor.anomalies("track") == len(packets)


async def test_people_of_one_name_are_told_apart_and_may_come_back(parts: Stages) -> None:
    packets = pieces(noise(1, 16_000), 16_000)
    async with fake_zoom() as found, rig(parts) as monitor:
        await monitor.begin(found)
        await found.tell(people(3, (BOB, "Ann"), (EVE, "Ann")))
        began = time.monotonic()
        await play(found, began, Ann=(BOB, packets))
        # Who has an id as text, and a name only by the event.
        await play(found, began, **{"": (cast(int, str(EVE)), packets)})
        await found.tell(people(4, (BOB, "Ann")))
        await until(lambda: any(not t.audio for c in monitor.registry for t, _ in c.participants))
        await play(found, began, Ann=(BOB, packets))
        call = await stop(monitor)
        assert {t.participant for t, _ in call.participants} == {"Ann", "Ann 2"}
        assert all(t.audio for t, _ in call.participants)


async def test_only_what_zoom_signed_lately_is_heard_and_only_once(parts: Stages) -> None:
    async with fake_zoom() as found, rig(parts) as monitor:
        payload = started(found.url)
        body, headers = webhook("meeting.rtms_started", payload)
        old = webhook("meeting.rtms_started", payload, time.time() - MAX_AGE - 5)
        future = webhook("meeting.rtms_started", payload, time.time() + MAX_AGE + 5)
        other = webhook("meeting.rtms_started", payload, token="not the token")
        bare = {"content-type": "application/json"}
        stamped = bare | {"x-zm-request-timestamp": headers["x-zm-request-timestamp"]}
        for sent, given, field in [
            (body, bare, "x-zm-request-timestamp"),
            (body, stamped, "x-zm-signature"),
            (body + b" ", headers, "x-zm-signature"),
            (*other, "x-zm-signature"),
            (*old, "x-zm-request-timestamp"),
            (*future, "x-zm-request-timestamp"),
        ]:
            answer = await monitor.post(sent, given)
            assert (answer.status_code, answer.json()["field"]) == (401, field)
        assert not list(monitor.registry)
        assert (await monitor.post(body, headers)).status_code == 200
        await until(lambda: found.connections == 1)
        # Zoom repeats what it thinks was not heard: another message about the same stream.
        again = await monitor.tell("meeting.rtms_started", payload, stamp=time.time() + 1)
        assert again.status_code == 200
        await stop(monitor)
        # Whoever saw the first message sends it again.
        assert (await monitor.post(body, headers)).status_code == 200
        assert monitor.registry.active == 0
        assert found.connections == 1


async def test_zoom_may_check_the_address_but_nobody_can_have_things_signed(parts: Stages) -> None:
    async with rig(parts) as monitor:
        validation = "endpoint.url_validation"
        answer = await monitor.tell(validation, {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"})
        proof = ZoomGate(TOKEN).answer("qgg8vlvZRS6UYooatFL8Aw")
        assert answer.json() == proof
        unsigned, headers = webhook(validation, {"plainToken": "abc"}, token="guessed")
        assert (await monitor.post(unsigned, headers)).status_code == 401
        for forged in (f'v0:{int(time.time())}:{{"event":"meeting.rtms_started"}}', "", 7, None):
            answer = await monitor.tell(validation, {"plainToken": forged})
            assert (answer.status_code, answer.json()["field"]) == (422, "payload.plainToken")


@pytest.mark.parametrize(
    "url",
    [
        "wss://zoom.us.evil.example/x",
        "wss://evil.example/?zoom.us",
        "wss://rtms.zoom.us@evil.example/",
        "wss://evil.example\\.zoom.us/",
        "ws://rtms.zoom.us/clear",
        "https://rtms.zoom.us/",
        "wss://evil.example/\n.zoom.us",
        "wss://[::1/",
        "",
    ],
)
async def test_only_zooms_hosts_are_dialled(parts: Stages, url: str) -> None:
    async with rig(parts, hosts=Hosts(("*.zoom.us",))) as monitor:
        answer = await monitor.tell("meeting.rtms_started", started(url))
        assert answer.status_code in (403, 422)
        assert answer.json()["field"] == "payload.server_urls"
        assert not list(monitor.registry)


def test_hosts_are_zooms_own_by_pattern() -> None:
    hosts = Hosts(("*.zoom.us",))
    for good in ("wss://rtms-sjc1.zoom.us/a?b", "wss://RTMS.Zoom.us:8443/x", "wss://a.zoom.us./"):
        assert hosts.check(good) == good
    assert Hosts(("127.0.0.1",)).check("ws://127.0.0.1:9/x")


async def test_media_of_another_host_is_refused_by_name(parts: Stages) -> None:
    async with fake_zoom(media_host="localhost:1") as found, rig(parts) as monitor:
        await monitor.tell("meeting.rtms_started", started(found.url))
        call = await monitor.over()
        assert call.ended == "refused"
        assert "localhost is none of the hosts that may be dialled (zoom.hosts)" in call.detail


async def test_a_redirect_to_another_host_is_not_followed(parts: Stages) -> None:
    reached: list[str] = []

    async def trap(connection: ServerConnection) -> None:
        reached.append("trapped")

    def away(connection: ServerConnection, request: Request) -> Response:
        answer = connection.respond(302, "")
        answer.headers["Location"] = f"ws://localhost:{trap_port}/"
        return answer

    quick = RetryOptions(first=0.05, limit=0.1, give_up_after=0.5, at_once=True)
    async with (
        serve(trap, "localhost", 0) as other,
        serve(trap, "127.0.0.1", 0, process_request=away) as server,
        rig(parts, retry=quick) as monitor,
    ):
        trap_port = other.sockets[0].getsockname()[1]
        port = server.sockets[0].getsockname()[1]
        await monitor.tell("meeting.rtms_started", started(f"ws://127.0.0.1:{port}/"))
        call = await monitor.over()
        assert call.ended == "unreachable"
        assert not reached


async def test_who_refuses_is_silent_or_storms_ends_with_its_reason_and_others_go_on(
    parts: Stages,
) -> None:
    packets = pieces(noise(3.5, 16_000), 16_000)
    quick = RetryOptions(first=0.05, limit=0.4, give_up_after=2.0, at_once=True)
    dialled: list[float] = []

    async def storm(connection: ServerConnection) -> None:
        dialled.append(time.monotonic())

    async with (
        fake_zoom() as well,
        fake_zoom(status=13) as refusing,
        fake_zoom(mute=True) as silent,
        serve(storm, "127.0.0.1", 0) as storming,
        rig(parts, retry=quick, open_timeout=0.5) as monitor,
    ):
        await monitor.begin(well)
        port = storming.sockets[0].getsockname()[1]
        urls = (refusing.url, silent.url, f"ws://127.0.0.1:{port}/")
        for number, url in enumerate(urls):
            await monitor.tell("meeting.rtms_started", started(url, f"other{number}"))
        await play(well, time.monotonic(), Bob=(BOB, packets))
        await until(lambda: monitor.registry.active == 1)
        ended = {call.ended: call.detail for call in monitor.registry if call.ended}
        assert set(ended) == {"refused", "unreachable", "unavailable"}
        assert "status 13" in ended["refused"]
        # Each time a little later: 0.05, 0.1, 0.2, 0.4 s and so on.
        assert 3 <= len(dialled) <= 15
        spent = seconds(await stop(monitor), "Bob")
        assert spent.scored > 0
        assert not {LostReason.RECONNECT, LostReason.FAULT} & set(spent.lost)


async def test_a_message_that_is_too_large_costs_a_connection_not_the_call(parts: Stages) -> None:
    async with fake_zoom() as found, rig(parts) as monitor:
        await monitor.begin(found)
        found.ready.clear()
        await found.play(audio(BOB, bytes(LARGEST), CLOCK))
        async with asyncio.timeout(60):
            await found.ready.wait()
        assert found.connections == 2
        assert monitor.registry.active == 1


async def test_what_cannot_be_read_is_passed_over_and_counted(parts: Stages) -> None:
    odd: list[dict[str, Any]] = [
        {"msg_type": 14},
        {"msg_type": 14, "content": []},
        {"msg_type": 14, "content": {"user_id": BOB, "data": "no base64!", "timestamp": 1}},
        {"msg_type": 14, "content": {"user_id": {}, "data": "AAAA"}},
        {"msg_type": 6, "event": {"event_type": 3, "participants": [7, {"user_id": []}]}},
        {"msg_type": 9, "rtms_session_id": [], "state": 3},
        {"msg_type": [], "content": {}},
        {"msg_type": 8, "state": {}},
    ]
    async with fake_zoom() as found, rig(parts) as monitor:
        await monitor.begin(found)
        for message in odd:
            await found.tell(message)
        assert found.signalling is not None
        for raw in ("[]", "{", b"\xff\xfe", "[" * 100_000):
            await found.signalling.send(raw)
        await play(found, time.monotonic(), Bob=(BOB, pieces(noise(3.5, 16_000), 16_000)))
        spent = seconds(await stop(monitor), "Bob")
        assert spent.scored > 0
        assert found.connections == 1
        assert monitor.anomalies("message") >= 7
        assert monitor.anomalies("event") == 1


async def test_a_full_machine_says_so_and_takes_the_same_message_later(parts: Stages) -> None:
    async with fake_zoom() as found, rig(parts, limit=1) as monitor:
        await monitor.begin(found)
        body, headers = webhook("webinar.rtms_started", started(found.url, "second"))
        answer = await monitor.post(body, headers)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        await stop(monitor)
        assert (await monitor.post(body, headers)).status_code == 200
        assert monitor.registry.active == 1


@pytest.mark.parametrize(
    ("event", "key"),
    [
        ("meeting.rtms_started", "meeting_uuid"),
        ("webinar.rtms_started", "webinar_uuid"),
        ("session.rtms_started", "session_id"),
        ("contact_center.voice_rtms_started", "engagement_id"),
    ],
)
async def test_each_product_names_its_meetings_otherwise(
    parts: Stages, event: str, key: str
) -> None:
    async with fake_zoom() as found, rig(parts) as monitor:
        payload = {key: "an id", "rtms_stream_id": STREAM, "server_urls": found.url}
        assert (await monitor.tell(event, {"object": payload})).status_code == 200
        async with asyncio.timeout(60):
            await found.ready.wait()
        assert found.of(1)[0]["meeting_uuid"] == "an id"
        assert (await monitor.tell(event, {"rtms_stream_id": "x"})).status_code == 422
        assert (await monitor.tell("meeting.ended", {})).status_code == 200


async def test_zoom_may_move_a_stream_to_another_server(parts: Stages) -> None:
    async with fake_zoom() as found, fake_zoom() as other, rig(parts) as monitor:
        await monitor.begin(found)
        evil = {"rtms_stream_id": STREAM, "server_urls": "wss://evil.example/"}
        assert (await monitor.tell("meeting.rtms_interrupted", evil)).status_code == 403
        moved = {"rtms_stream_id": STREAM, "server_urls": other.url}
        assert (await monitor.tell("meeting.rtms_interrupted", moved)).status_code == 200
        assert found.signalling is not None
        await found.signalling.close()
        async with asyncio.timeout(60):
            await other.ready.wait()
        assert (found.connections, other.connections) == (1, 1)


async def test_a_connection_without_any_message_is_dead_but_a_silent_meeting_is_not(
    parts: Stages,
) -> None:
    async with fake_zoom() as found, rig(parts, quiet_timeout=2.0) as monitor:
        await monitor.begin(found)

        async def alive(until_: Callable[[], bool]) -> None:
            sequence = 0
            while not until_():
                await found.tell(keep_alive(sequence := sequence + 1))
                await asyncio.sleep(0.2)

        since = time.monotonic()
        # Asked on one connection only, for longer than either may be silent.
        await alive(lambda: time.monotonic() - since > 5)
        assert found.connections == 1
        await until(lambda: found.connections == 2)
        assert monitor.registry.active == 1


async def test_who_sends_faster_than_anybody_speaks_is_cut_off_and_the_call_goes_on(
    parts: Stages,
) -> None:
    half = noise(0.5, 16_000).tobytes()
    async with fake_zoom() as found, rig(parts) as monitor:
        await monitor.begin(found)
        found.ready.clear()
        with suppress(ConnectionClosed):
            for index in range(200):
                await found.play(audio(BOB, half, CLOCK + index / 2, "Bob"))
        async with asyncio.timeout(60):
            await found.ready.wait()
        assert found.connections == 2
        assert monitor.registry.active == 1
        await play(found, time.monotonic(), Bob=(BOB, pieces(noise(3.5, 16_000), 16_000)))
        assert seconds(await stop(monitor), "Bob").scored > 0
