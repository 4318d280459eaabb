"""Clients that send nothing, little by little, or far too much; over real sockets."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI, Request, WebSocket
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from monitor.metrics.refusals import REFUSALS
from monitor.web import problems
from monitor.web.connections import PatientHttp, Room
from monitor.web.limits import BodyLimit


class Quick(PatientHttp):
    head_seconds = 1.0


class Crowded(PatientHttp):
    """Nobody is given up for being late: only room is short."""

    head_seconds = 60.0
    read_seconds = 1.0
    room = Room(most=8, each=4)


def counted(reason: str) -> float:
    return float(REFUSALS.labels(reason)._value.get())


class Text(BaseModel):
    text: str


def application() -> FastAPI:
    app = FastAPI()
    problems.install(app)

    @app.post("/json")
    async def json(body: Text) -> int:
        return len(body.text)

    @app.post("/stream")
    async def stream(request: Request) -> int:
        return sum([len(part) async for part in request.stream()])

    @app.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(2.5)
        return "done"

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield bytes(100_000)
                    # What is sent to who has gone waits for nothing.
                    await asyncio.sleep(0)
            finally:
                app.state.ended.set()

        app.state.ended = asyncio.Event()
        return StreamingResponse(parts())

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())

    app.add_middleware(BodyLimit, exempt=("/stream",), most_bytes=100_000, seconds=1.5)
    return app


@asynccontextmanager
async def served(
    http: type[PatientHttp] = Quick, host: str = "127.0.0.1", app: FastAPI | None = None
) -> AsyncIterator[int]:
    config = uvicorn.Config(
        app or application(), host, port=0, http=http, log_config=None, lifespan="off"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def closed_after(port: int, *parts: bytes, every: float = 0.3) -> tuple[float, bytes]:
    """Send the parts, one after another; seconds until the server closed, and what it said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.monotonic()

    async def send() -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(every)

    sending = asyncio.create_task(send())
    try:
        said = await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        said = b""
    sending.cancel()
    await asyncio.wait({sending})
    writer.close()
    return time.monotonic() - began, said


def post(path: str, length: int) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


async def test_a_head_that_does_not_come_is_not_awaited_for_ever() -> None:
    dribble = [b"GET / HTTP/1.1\r\n", *(b"X-%d: 1\r\n" % n for n in range(100))]
    again = [b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n", *dribble]
    async with served() as port:
        for parts in ([], dribble, again):
            seconds, _ = await closed_after(port, *parts)
            assert 0.9 < seconds < 3


async def test_a_head_that_is_too_long_is_refused() -> None:
    async with served() as port:
        seconds, said = await closed_after(port, b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000)
        # What it no longer reads may make the network swallow the words.
        assert said[:12] in (b"HTTP/1.1 400", b"")
        assert seconds < Quick.head_seconds


async def test_bodies_that_are_too_long_or_too_slow_are_refused() -> None:
    async with served() as port:
        seconds, said = await closed_after(port, post("/json", 10**9), b"x" * 200_000)
        assert said.startswith(b"HTTP/1.1 413")
        assert b"body: at most 100000 bytes" in said
        chunked = post("/json", 1).replace(b"Content-Length: 1", b"Transfer-Encoding: chunked")
        _, said = await closed_after(port, chunked, b"30d40\r\n" + b"x" * 200_000)
        assert said.startswith(b"HTTP/1.1 413")
        seconds, said = await closed_after(port, post("/json", 1000), *[b"x"] * 100)
        assert said.startswith(b"HTTP/1.1 408")
        assert 1.4 < seconds < 5


async def test_what_is_within_the_limits_passes() -> None:
    async with served() as port:
        body = b'{"text": "' + b"x" * 90_000 + b'"}'
        _, said = await closed_after(port, post("/json", len(body)), body)
        assert said.startswith(b"HTTP/1.1 200")
        assert said.endswith(b"90000")
        _, said = await closed_after(port, post("/stream", 300_000), *[b"x" * 50_000] * 6)
        assert said.endswith(b"300000")
        # The answer may take its time.
        _, said = await closed_after(port, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert said.endswith(b'"done"')


async def test_a_websocket_may_be_silent() -> None:
    upgrade = (
        b"GET /socket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(upgrade)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        await asyncio.sleep(2)
        writer.write(b"\x81\x82\0\0\0\0hi")
        assert await asyncio.wait_for(reader.readexactly(4), 5) == b"\x81\x02hi"
        writer.close()


@pytest.fixture
def many_files() -> Iterator[None]:
    """Both ends of the connections are in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def memory() -> int:
    """Bytes that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.usefixtures("many_files")
async def test_a_thousand_idle_sockets_cost_little_and_are_let_go() -> None:
    async with served() as port:
        before = memory()
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(1000)]
        _, said = await closed_after(port, b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 404")
        async with asyncio.timeout(120):
            assert await asyncio.gather(*(reader.read() for reader, _ in clients)) == [b""] * 1000
        assert memory() - before < 100 * 2**20
        for _, writer in clients:
            writer.close()


GET = b"GET /absent HTTP/1.1\r\nHost: x\r\n\r\n"


async def answered(port: int, address: str = "127.0.0.1") -> bytes:
    """The first line that a request of this address is answered with; empty if it is hung up on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        writer.write(GET)
        return await asyncio.wait_for(reader.readline(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_connections_that_ask_for_nothing_give_way_the_longest_first() -> None:
    before = counted("idle_connections")
    async with served(Crowded) as port:
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        for _ in range(2):
            assert b"404" in await answered(port)
        # Of the address that has too many, the one that waited longest.
        assert await asyncio.wait_for(idle[0][0].read(), 5) == b""
        assert not idle[3][0].at_eof()
        others = [
            await asyncio.open_connection("127.0.0.1", port, local_addr=(f"127.0.0.{n}", 0))
            for n in (2, 2, 2, 2, 3, 3, 3, 3, 4, 4)
        ]
        assert b"404" in await answered(port, "127.0.0.9")
        assert counted("idle_connections") > before
        for _, writer in (*idle, *others):
            writer.close()


async def test_connections_at_work_stay_and_new_ones_are_told() -> None:
    slow = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
    async with served(Crowded) as port:
        working = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        for _, writer in working:
            writer.write(slow)
        # Each has been taken in before a further one comes.
        assert b"404" in await answered(port, "127.0.0.9")
        before = counted("connections")
        assert b"503" in await answered(port) or counted("connections") > before
        assert counted("connections") > before
        assert b"404" in await answered(port, "127.0.0.9")
        for reader, writer in working:
            assert b"200" in await asyncio.wait_for(reader.readline(), 10)
            writer.close()


async def test_who_never_reads_is_let_go() -> None:
    app, before = application(), counted("unread")
    async with served(Crowded, app=app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" in await reader.readline()
        async with asyncio.timeout(20):
            await app.state.ended.wait()
        assert counted("unread") == before + 1
        writer.close()


def test_one_address_has_room_for_the_calls_it_sends() -> None:
    room = Room.beside(500, most=400)
    assert (room.most, room.each) == (400, 564)
    assert Room.beside(4, most=1000).each == 500
    assert Room.beside(4).most >= 68
