"""Telephone platforms on a real server: who is let in, what is heard, how it ends."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from monitor.calls.admission import Slots
from monitor.calls.record import CallRecord
from monitor.calls.registry import Registry
from monitor.calls.stages import Stages
from monitor.delivery.fanout import Fanout
from monitor.ingest.connection.anomaly import AnomalyKind
from monitor.ingest.connection.tcp import keep_alive
from monitor.ingest.telephony.dialect import LARGEST
from monitor.metrics.sink import Metrics
from monitor.settings.telephony import Telephony
from monitor.types import LostReason
from monitor.web.api.events import EventStream
from monitor.web.auth import Gatekeeper, Grant, digest
from monitor.web.connections import Room
from monitor.web.server import Served, Server
from monitor.web.signatures import AudioHookGate, TwilioGate
from monitor.web.streams import websocket
from monitor.web.streams.audiosocket_port import AudioSocketServer
from monitor.web.streams.telephony_call import StreamOptions, Streams
from tests.fakes import MemorySink, stages

KEY, SECRET = "an-api-key", base64.b64encode(b"a client secret").decode()
BOTH = frozenset({"remote", "agent"})
REMOTE = frozenset({"remote"})
PATH = "/telephony/freeswitch?token=good"


class Rig:
    """A server with the telephony endpoints and nothing else."""

    def __init__(self, parts: Stages, options: StreamOptions, limit: int, signed: bool) -> None:
        self.sink = MemorySink()
        self.metrics = Metrics()
        self.events = EventStream()
        told = Fanout([self.sink, self.events])
        self.registry = Registry(parts, told, self.metrics, Slots(limit))
        self.streams = Streams(self.registry, options)
        grants = [
            Grant("carrier", digest("good"), frozenset({"publish"})),
            Grant("reader", digest("reads"), frozenset({"read"})),
            Grant("agent", digest("both"), frozenset({"publish", "read"})),
        ]
        hook = AudioHookGate(KEY, SECRET) if signed else None
        twilio = TwilioGate("12345") if signed else None
        app = FastAPI()
        gatekeeper = Gatekeeper(grants)
        app.include_router(websocket.router(self.streams, gatekeeper, hook, twilio, self.events))
        self.server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
        self.host = ""

    @asynccontextmanager
    async def dial(
        self, path: str, compression: str | None = "deflate", **headers: str
    ) -> AsyncIterator[ClientConnection]:
        uri = f"ws://{self.host}{path}"
        async with connect(uri, additional_headers=headers, compression=compression) as socket:
            yield socket

    async def refusal(self, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
        with pytest.raises(InvalidStatus) as caught:
            async with self.dial(path, **headers):
                pass
        response = caught.value.response
        assert response.headers["content-type"] == "application/problem+json"
        return response.status_code, json.loads(response.body or b"{}")

    async def over(self) -> CallRecord:
        """The latest call, once no call is in progress."""
        async with asyncio.timeout(120):
            while self.registry.active or not list(self.registry):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return next(iter(self.registry))


class Quiet(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.fixture(scope="module")
def parts() -> Iterator[Stages]:
    found = stages()
    yield found
    found.executor.close()


@asynccontextmanager
async def rig(
    parts: Stages,
    scored: frozenset[str] = REMOTE,
    idle: float = 30.0,
    first: float = 10.0,
    limit: int = 5,
    signed: bool = False,
    ping: float = 20.0,
) -> AsyncIterator[Rig]:
    found = Rig(parts, StreamOptions(scored, idle, first), limit, signed)
    found.server.config.ws_ping_interval = found.server.config.ws_ping_timeout = ping
    found.server.__class__ = Quiet
    serving = asyncio.create_task(found.server.serve())
    while not found.server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    found.host = "{}:{}".format(*found.server.servers[0].sockets[0].getsockname()[:2])
    try:
        yield found
    finally:
        await found.registry.close()
        found.server.should_exit = True
        await serving


def voice(seconds: float, rate: int = 8000) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    """Loud enough for the fake detector to call it fake."""
    rng = np.random.default_rng(0)
    return (rng.standard_normal(round(seconds * rate)) * 8000).clip(-32000, 32000).astype(np.int16)


def start(*tracks: str) -> str:
    media = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    body = {"callSid": "CA1", "tracks": list(tracks) or ["inbound"], "mediaFormat": media}
    return json.dumps({"event": "start", "start": body})


def media(index: int, track: str = "inbound", payload: bytes = b"\x20\xa0" * 80) -> str:
    body = {
        "track": track,
        "chunk": str(index + 1),
        "timestamp": str(index * 20),
        "payload": base64.b64encode(payload).decode(),
    }
    return json.dumps({"event": "media", "media": body})


async def play(socket: ClientConnection, seconds: float, *tracks: str) -> None:
    began = time.monotonic()
    for index in range(round(seconds * 50)):
        for track in tracks or ("inbound",):
            await socket.send(media(index, track))
        await asyncio.sleep(began + (index + 1) / 50 - time.monotonic())


def sign(host: str, path: str, nonce: str = "") -> dict[str, str]:
    """The headers of a request as Genesys signs it; an own client's, not theirs."""
    headers = {
        "audiohook-organization-id": "d7934305-0972-4844-938e-9060eef73d05",
        "audiohook-session-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
        "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
        "x-api-key": KEY,
    }
    covered = {"@request-target": path, "@authority": host} | headers
    names = " ".join(f'"{name}"' for name in covered)
    now = int(time.time())
    parameters = (
        f'({names});keyid="{KEY}";nonce="{nonce or secrets.token_urlsafe(18)}"'
        f';alg="hmac-sha256";created={now};expires={now + 30}'
    )
    base = "\n".join(f'"{name}": {value}' for name, value in covered.items())
    base += f'\n"@signature-params": {parameters}'
    mac = hmac.new(base64.b64decode(SECRET), base.encode(), hashlib.sha256).digest()
    signature = f"sig1=:{base64.b64encode(mac).decode()}:"
    return headers | {"signature-input": f"sig1={parameters}", "signature": signature}


async def test_nobody_is_let_in_without_a_token(parts: Stages) -> None:
    async with rig(parts) as found:
        for dialect in ("twilio", "telnyx", "vonage", "plivo", "jambonz", "freeswitch", "asterisk"):
            for path in (f"/telephony/{dialect}", f"/telephony/{dialect}?token=bad"):
                status, problem = await found.refusal(path)
                assert status == 401, problem
        status, problem = await found.refusal("/telephony/twilio?token=reads")
        assert (status, "publish" in problem["detail"]) == (403, True)
        status, problem = await found.refusal("/telephony/fax?token=good")
        assert (status, "vonage" in problem["detail"]) == (404, True)
        status, problem = await found.refusal("/telephony/audiohook?token=good")
        assert (status, "telephony.audiohook" in problem["detail"]) == (404, True)
        status, problem = await found.refusal("/telephony/freeswitch?token=good&rate=7")
        assert (status, problem["field"]) == (422, "?rate")


async def test_a_token_may_come_in_every_place_a_platform_has(parts: Stages) -> None:
    basic = base64.b64encode(b"anybody:good").decode()
    async with rig(parts) as found:
        for path, headers in [
            ("/telephony/vonage", {"Authorization": "Bearer good"}),
            ("/telephony/freeswitch", {"Authorization": f"Basic {basic}"}),
            ("/telephony/telnyx", {"x-telnyx-streaming-auth-token": "good"}),
            ("/telephony/plivo?token=good", {}),
        ]:
            async with found.dial(path, **headers):
                pass


async def test_twilio_may_sign_instead(parts: Stages) -> None:
    async with rig(parts, signed=True) as found:
        url = f"wss://{found.host}/telephony/twilio"
        mac = hmac.new(b"12345", url.encode(), hashlib.sha1).digest()
        signature = base64.b64encode(mac).decode()
        async with found.dial("/telephony/twilio", **{"X-Twilio-Signature": signature}):
            pass
        status, _ = await found.refusal("/telephony/twilio?token=good")
        assert status == 401


@pytest.mark.alone
async def test_both_voices_are_two_participants(parts: Stages) -> None:
    async with rig(parts, BOTH) as found, found.dial("/telephony/twilio?token=good") as socket:
        await socket.send('{"event": "connected", "protocol": "Call", "version": "1.0.0"}')
        await socket.send(start("inbound", "outbound"))
        await play(socket, 3.2, "inbound", "outbound")
        await socket.send('{"event": "stop"}')
        with pytest.raises(ConnectionClosed) as caught:
            await socket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1000
        call = await found.over()
        assert (call.ingest, call.ended, call.label) == ("twilio", "ended", "CA1")
        assert [t.participant for t, _ in call.participants] == ["remote", "agent"]
        for _, verdict in call.participants:
            assert verdict is not None
            seconds = verdict.seconds
            assert seconds.scored + seconds.unmonitored == pytest.approx(3.2, abs=0.15)
            assert not seconds.lost


async def test_what_cannot_be_monitored_is_refused_by_name_and_disturbs_nobody(
    parts: Stages,
) -> None:
    cases: list[tuple[str, list[str | bytes], int, str]] = [
        ("twilio", [start().replace("mulaw", "opus")], 1003, "start.mediaFormat.encoding"),
        ("twilio", [start("outbound")], 1008, "tracks"),
        ("twilio", [" " * (LARGEST + 1)], 1009, "message"),
        ("asterisk", ["MEDIA_START format:g729"], 1003, "format"),
        ("vonage", ['{"event": "websocket:connected", "content-type": "x"}'], 1003, "content-type"),
    ]
    async with rig(parts) as found, found.dial("/telephony/twilio?token=good") as healthy:
        await healthy.send(start())
        for dialect, messages, code, field in cases:
            async with found.dial(f"/telephony/{dialect}?token=good") as socket:
                for message in messages:
                    with suppress(ConnectionClosed):
                        await socket.send(message)
                await socket.wait_closed()
                assert socket.close_code == code, (dialect, messages[-1][:40])
                assert (socket.close_reason or "").startswith(field)
        assert not found.registry._held.total()
        await play(healthy, 3.0)
        await healthy.send('{"event": "stop"}')
        call = await found.over()
        assert call.ended == "ended"
        (_, verdict), *_ = call.participants
        assert verdict is not None
        assert verdict.seconds.scored == pytest.approx(3.0, abs=0.6)


@pytest.mark.alone
@pytest.mark.parametrize(
    ("dialect", "nonsense", "kinds"),
    [
        (
            "twilio",
            ["{", "[" * 60_000, "", '{"event": "hologram"}', '{"event": 7}', start(), b"\x00",
             '{"event": "media"}', '{"event": "media", "media": {"payload": "%"}}'] * 8,
            {"event", "message", "media", "order"},
        ),
        ("jambonz", ["?", '{"event": "ping"}', "[]"] * 8, {"message", "event"}),
        ("vonage", ["?", '{"event": "websocket:new"}'] * 30, {"message", "event"}),
        (
            "asterisk",
            ["NEWS of:all", "MEDIA_START channel:again"] * 30,
            {"event", "order", "format"},
        ),
    ],
)  # fmt: skip
async def test_a_stream_outlives_what_it_does_not_understand(
    parts: Stages, dialect: str, nonsense: list[str | bytes], kinds: set[str]
) -> None:
    """Platforms do not connect again after a close: such messages are passed over, and counted."""
    opening = {
        "twilio": start(),
        "jambonz": '{"callSid": "c", "sampleRate": 8000, "mixType": "mono"}',
        "vonage": '{"event": "websocket:connected", "content-type": "audio/l16;rate=8000"}',
        "asterisk": "MEDIA_START channel:c format:slin",
    }[dialect]
    async with rig(parts) as found, found.dial(f"/telephony/{dialect}?token=good") as socket:
        await socket.send(nonsense[0])
        await socket.send(opening)
        sound = voice(3.0).tobytes()
        began = time.monotonic()
        for index in range(150):
            if nonsense and index % 2 == 0:
                await socket.send(nonsense.pop())
            piece = media(index) if dialect == "twilio" else sound[index * 320 : index * 320 + 320]
            await socket.send(piece)
            await asyncio.sleep(began + (index + 1) / 50 - time.monotonic())
        took = time.monotonic() - began
        await socket.close()
        call = await found.over()
        assert call.ended == "disconnected"
        (_, verdict), *_ = call.participants
        assert verdict is not None
        spent = verdict.seconds.scored + verdict.seconds.unmonitored
        assert spent == pytest.approx(took, abs=0.5)
        assert verdict.seconds.scored > 2
        counted = {
            kind for kind in AnomalyKind
            if found.metrics.registry.get_sample_value(
                "monitor_anomalies_total", {"ingest": dialect, "kind": kind}
            )
        }  # fmt: skip
        assert counted == kinds


@pytest.mark.alone
@pytest.mark.parametrize("early", [5, 75, 150])
async def test_sound_before_its_description_is_heard(parts: Stages, early: int) -> None:
    """Asterisk 22, chan_websocket: by report in 10 to 15 % of calls some frames, and once more than
    a second, come before MEDIA_START. The call begins with the first of them."""
    line = "MEDIA_START connection_id:m1 channel:WebSocket/m1/0x51 format:ulaw ptime:20"
    async with (
        rig(parts) as found,
        found.dial("/telephony/asterisk?token=good&call=early") as socket,
    ):
        began = time.monotonic()
        for index in range(200):
            if index == early:
                await socket.send(line)
            await socket.send(b"\x20\xa0" * 80)
            await asyncio.sleep(began + (index + 1) / 50 - time.monotonic())
        took = time.monotonic() - began
        await socket.close()
        call = await found.over()
        (_, verdict), *_ = call.participants
        assert verdict is not None
        spent = verdict.seconds.scored + verdict.seconds.unmonitored
        assert spent == pytest.approx(took, abs=0.5)
        assert verdict.seconds.scored > 3


@pytest.mark.alone
@pytest.mark.parametrize("tracks", [("inbound", "outbound"), ("outbound",), ("inbound",)])
async def test_telnyx_names_no_tracks_and_whoever_is_heard_is_judged(
    parts: Stages, tracks: tuple[str, ...]
) -> None:
    """Telnyx' documentation of media streaming, 2026: its `start` has no list of tracks."""
    names = {"inbound": "remote", "outbound": "agent"}
    begin = {"call_control_id": "v3:c", "media_format": {"encoding": "PCMU", "sample_rate": 8000}}
    async with rig(parts, BOTH) as found, found.dial("/telephony/telnyx?token=good") as socket:
        await socket.send('{"event": "connected", "version": "1.0.0"}')
        await socket.send(json.dumps({"event": "start", "start": begin}))
        began = time.monotonic()
        await play(socket, 3.0, *tracks)
        took = time.monotonic() - began
        await socket.send('{"event": "stop"}')
        call = await found.over()
        assert (call.ended, call.label) == ("ended", "v3:c")
        assert [t.participant for t, _ in call.participants] == [names[t] for t in tracks]
        for _, verdict in call.participants:
            assert verdict is not None
            seconds = verdict.seconds
            assert seconds.scored + seconds.unmonitored == pytest.approx(took, abs=0.5)
            assert seconds.scored > 2


async def test_of_tracks_that_were_not_announced_the_scored_ones_are_heard(parts: Stages) -> None:
    async with rig(parts) as found, found.dial("/telephony/telnyx?token=good") as socket:
        await socket.send(json.dumps({"event": "start", "start": {}}))
        await play(socket, 1.0, "inbound", "outbound")
        await socket.send('{"event": "stop"}')
        call = await found.over()
        assert [t.participant for t, _ in call.participants] == ["remote"]


async def test_it_is_said_if_only_those_are_heard_who_are_not_scored(parts: Stages) -> None:
    """Telnyx with `outbound_track`, and `telephony.score = "remote"`."""
    labels = {"ingest": "telnyx", "kind": "track"}
    async with rig(parts) as found, found.dial("/telephony/telnyx?token=good") as socket:
        await socket.send(json.dumps({"event": "start", "start": {"media_format": {}}}))
        for index in range(300):
            await socket.send(media(index, "outbound"))
        async with asyncio.timeout(20):
            while not found.metrics.registry.get_sample_value(  # noqa: ASYNC110
                "monitor_anomalies_total", labels
            ):
                await asyncio.sleep(0.05)
        assert found.registry.active == 1


@pytest.mark.alone
async def test_a_burst_in_one_message_does_not_end_the_stream(parts: Stages) -> None:
    """mod_audio_fork sends what gathered in a stall as one message: up to 2 s by default, 5 s at
    most (its README), 320,000 bytes in stereo at 16 kHz."""
    path = "/telephony/freeswitch?token=good&rate=16000&mix=stereo&call=burst"
    second = np.repeat(voice(1.0, 16_000), 2).tobytes()
    async with rig(parts, BOTH) as found, found.dial(path, compression=None) as socket:

        async def pieces(seconds: float) -> None:
            began = time.monotonic()
            for index in range(round(seconds * 50)):
                at = index % 50 * 1280
                await socket.send(second[at : at + 1280])
                await asyncio.sleep(began + (index + 1) / 50 - time.monotonic())

        began = time.monotonic()
        await pieces(2)
        await asyncio.sleep(5)
        await socket.send(second * 5)
        await pieces(3)
        took = time.monotonic() - began
        await socket.close()
        call = await found.over()
        assert call.ended == "disconnected"
        assert len(call.participants) == 2
        for _, verdict in call.participants:
            assert verdict is not None
            spent = verdict.seconds.scored + verdict.seconds.unmonitored
            # At most 1.5 s of what gathered is ahead of the call.
            assert took - 0.5 < spent < took + 2
            assert spent - sum(verdict.seconds.lost.values()) > 4


async def test_silence_ends_a_stream(parts: Stages) -> None:
    async with rig(parts, idle=0.3, first=0.2) as found:
        for said, ended, words in [
            ([], "", "no stream began"),
            ([start()], "no_media", "no media"),
            ([start(), media(0)], "idle", "no media"),
        ]:
            async with found.dial("/telephony/twilio?token=good") as socket:
                for message in said:
                    await socket.send(message)
                with pytest.raises(ConnectionClosed) as caught:
                    await socket.recv()
                assert caught.value.rcvd is not None
                assert caught.value.rcvd.code == 1008
                assert words in caught.value.rcvd.reason
            if ended:
                assert (await found.over()).ended == ended
        assert not found.registry._held.total()


async def test_who_is_silent_is_on_hold_and_who_answers_no_ping_is_gone(parts: Stages) -> None:
    """A channel on hold gets no frames, so FreeSWITCH forks none: its connection lives all the
    same. A machine that has died sends nothing either, and does not answer."""
    async with rig(parts, ping=2.0) as found, found.dial(PATH + "&rate=8000") as socket:
        await socket.send(voice(1.0).tobytes())
        host, _, port = found.host.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"GET {PATH}&call=dead HTTP/1.1\r\nHost: {found.host}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert b" 101 " in await reader.readline()
        async with asyncio.timeout(10):
            while "dead" not in [c.label for c in found.registry if c.ended]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        writer.close()
        assert found.registry.active == 1
        # Several pings later: it is one call, and the hold is booked.
        await asyncio.sleep(5)
        await socket.send(voice(1.0).tobytes())
        await socket.close()
        calls = [await found.over(), *found.registry]
        assert {c.label: c.ended for c in calls} == {"": "disconnected", "dead": "disconnected"}
        (held,) = {c.id: c for c in calls if not c.label}.values()
        (_, verdict), *_ = held.participants
        assert verdict is not None
        assert verdict.seconds.lost[LostReason.IDLE] > 3


def test_the_service_pings_its_websockets_and_asks_silent_tcp_connections() -> None:
    app = SimpleNamespace(app=FastAPI())
    served = Server(cast(Served, app), "127.0.0.1", 0, Room.beside(1))
    assert served.config.ws_ping_interval == served.config.ws_ping_timeout == 20
    assert served.config.ws_max_size == LARGEST
    assert Telephony().idle_timeout == 3600
    with socket.socket() as sock:
        keep_alive(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 20


async def test_no_more_streams_than_slots(parts: Stages) -> None:
    async with rig(parts, limit=2) as found:
        async with (
            found.dial("/telephony/twilio?token=good") as first,
            found.dial("/telephony/twilio?token=good"),
        ):
            await first.send(start())
            status, problem = await found.refusal("/telephony/twilio?token=good")
            assert (status, problem["title"]) == (503, "No free call slot")
        assert (await found.over()).ended == "disconnected"
        async with found.dial("/telephony/twilio?token=good"):
            pass


async def test_a_stopped_call_closes_its_stream(parts: Stages) -> None:
    async with rig(parts) as found, found.dial("/telephony/jambonz?token=good") as socket:
        await socket.send('{"callSid": "c", "sampleRate": 8000, "mixType": "mono"}')
        await socket.send(voice(0.02).tobytes())
        async with asyncio.timeout(120):
            while not found.registry.active:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await found.registry.stop(next(iter(found.registry)).id)
        with pytest.raises(ConnectionClosed) as caught:
            await socket.recv()
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (
            1000,
            "monitoring was stopped",
        )
        assert (await found.over()).ended == "stopped"


async def test_audiohook_signed_paused_and_closed(parts: Stages) -> None:
    path = "/telephony/audiohook"
    async with rig(parts, signed=True) as found:
        headers = sign(found.host, path)
        status, _ = await found.refusal(path, **(headers | {"x-api-key": "wrong"}))
        assert status == 401
        async with found.dial(path, **headers) as socket:
            client = AudioHook(socket, headers["audiohook-session-id"])
            opened = await client.ask("open", client.opening(headers["audiohook-organization-id"]))
            assert opened["type"] == "opened"
            assert opened["parameters"]["media"][0]["channels"] == ["external"]
            await client.play(1.0)
            await client.say("paused")
            await asyncio.sleep(3.2)
            assert (await client.ask("ping"))["type"] == "pong"
            await client.say("resumed", {"start": "PT1S", "discarded": "PT0S"})
            await client.play(1.0)
            assert (await client.ask("close", {"reason": "end"}))["type"] == "closed"
        call = await found.over()
        assert (call.ingest, call.ended) == ("audiohook", "ended")
        (_, verdict), *_ = call.participants
        assert verdict is not None
        assert set(verdict.seconds.lost) == {LostReason.PAUSED}
        assert verdict.seconds.lost[LostReason.PAUSED] == pytest.approx(3.2, abs=0.3)
        status, problem = await found.refusal(path, **headers)
        assert (status, "used before" in problem["detail"]) == (401, True)


async def test_audiohook_hears_why_it_is_let_go(parts: Stages) -> None:
    path = "/telephony/audiohook"
    async with rig(parts, signed=True) as found:
        headers = sign(found.host, path)
        async with found.dial(path, **headers) as socket:
            client = AudioHook(socket, headers["audiohook-session-id"])
            said = await client.ask("open", client.opening("another organization"))
            assert (said["type"], said["parameters"]["reason"]) == ("disconnect", "error")
            assert "organizationId" in said["parameters"]["info"]


class AudioHook:
    """The client's side of a session, in so far as it is needed here."""

    def __init__(self, socket: ClientConnection, session: str) -> None:
        self.socket, self.session = socket, session
        self.seq = self.serverseq = 0

    def opening(self, organization: str) -> dict[str, Any]:
        offers = [["external", "internal"], ["external"]]
        return {
            "organizationId": organization,
            "conversationId": "090eaa2f-72fa-480a-83e0-8667ff89c0ec",
            "media": [
                {"type": "audio", "format": "PCMU", "channels": c, "rate": 8000} for c in offers
            ],
        }

    async def say(self, kind: str, parameters: dict[str, Any] | None = None) -> None:
        self.seq += 1
        message = {
            "version": "2",
            "id": self.session,
            "type": kind,
            "seq": self.seq,
            "serverseq": self.serverseq,
            "position": "PT0S",
            "parameters": parameters or {},
        }
        await self.socket.send(json.dumps(message))

    async def ask(self, kind: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        await self.say(kind, parameters)
        async with asyncio.timeout(120):
            answer: dict[str, Any] = json.loads(await self.socket.recv())
        self.serverseq += 1
        assert (answer["seq"], answer["clientseq"]) == (self.serverseq, self.seq)
        return answer

    async def play(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.1)):
            await self.socket.send(b"\x20\xa0" * 400)
            await asyncio.sleep(0.1)


@asynccontextmanager
async def audiosocket(found: Rig, peers: tuple[str, ...]) -> AsyncIterator[int]:
    server = AudioSocketServer(found.streams, "127.0.0.1", 0, peers)
    port = await server.start()
    try:
        yield port
    finally:
        await server.close()


@pytest.mark.alone
async def test_audiosocket_on_a_real_socket(parts: Stages) -> None:
    async with rig(parts) as found, audiosocket(found, ("127.0.0.0/8",)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x01\x00\x10" + bytes(range(16)))
        began = asyncio.get_running_loop().time()
        for _ in range(150):
            writer.write(b"\x10\x01\x40" + voice(0.02).tobytes())
            await asyncio.sleep(0.02)
        # A busy machine sends with pauses, which count too.
        took = asyncio.get_running_loop().time() - began
        writer.write(b"\x00\x00\x00")
        assert await reader.read() == b""
        writer.close()
        call = await found.over()
        assert (call.ingest, call.ended) == ("audiosocket", "ended")
        assert call.label == "00010203-0405-0607-0809-0a0b0c0d0e0f"
        (_, verdict), *_ = call.participants
        assert verdict is not None
        accounted = verdict.seconds.scored + verdict.seconds.unmonitored
        assert 2.5 < accounted < max(3.0, took) + 0.5


async def test_audiosocket_refuses_strangers_and_nonsense(parts: Stages) -> None:
    async with rig(parts) as found:
        async with audiosocket(found, ("10.0.0.0/8",)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b""
            writer.close()
        async with audiosocket(found, ("127.0.0.0/8",)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n" + bytes(30_000))
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
        assert not list(found.registry)
        assert not found.registry._held.total()
