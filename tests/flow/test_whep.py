"""A participant is pulled by WHEP from a server that behaves, misbehaves and goes away."""

import asyncio
import io
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aiortc import MediaStreamTrack

from monitor.ingest.connection.retry import RetryOptions
from monitor.ingest.connection.trust import Trust
from monitor.ingest.webrtc.whep_source import WhepOptions, WhepSource
from monitor.ingest.webrtc.whip_source import WebRtcOptions
from monitor.runtime import log
from monitor.types import LostReason, Tracks
from monitor.types.protocols import SourceError
from monitor.types.sampling import Sampling
from tests.certificates import Issuer, certificate
from tests.flow.webrtc import Camera, MemoryIntake, Speech, loopback_only
from tests.flow.whep import Answer, Request, WhepServer

__all__ = ["loopback_only"]

pytestmark = pytest.mark.usefixtures("loopback_only")

TOKEN = "top-secret-bearer"
OPTIONS = WhepOptions(
    request_timeout=10,
    retry=RetryOptions(first=0.2, limit=0.5, give_up_after=20),
    webrtc=WebRtcOptions(connect_timeout=10, idle_timeout=5),
)


def both() -> list[MediaStreamTrack]:
    return [Speech(), Camera()]


def source(port: int, options: WhepOptions = OPTIONS, scheme: str = "whep+http") -> WhepSource:
    url = f"{scheme}://127.0.0.1:{port}/whep/room"
    return WhepSource(url, TOKEN, "remote", Sampling.steady(25), 640, options)


async def pulled(
    whep: WhepSource, intake: MemoryIntake, during: Callable[[], Awaitable[object]]
) -> None:
    """Run the source for as long as `during` takes, then stop it as a call would."""
    running = asyncio.create_task(whep.run(intake))
    watching = asyncio.ensure_future(during())
    await asyncio.wait({running, watching}, return_when="FIRST_COMPLETED")
    if running.done():
        watching.cancel()
        running.result()
        raise AssertionError("the source ended on its own account")
    running.cancel()
    await asyncio.wait({running})
    await watching


async def until(look: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def failure(
    port: int, options: WhepOptions = OPTIONS, scheme: str = "whep+http"
) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await source(port, options, scheme).run(MemoryIntake())
    assert TOKEN not in caught.value.detail
    return caught.value


async def test_sound_and_picture_are_pulled_and_the_session_is_deleted() -> None:
    intake = MemoryIntake()
    async with WhepServer(both, TOKEN).running() as server:
        await pulled(source(server.port), intake, lambda: until(
            lambda: intake.heard_seconds > 2 and len(intake.video) > 20))  # fmt: skip
        assert not server.connections
        post, delete = server.requests
    assert (post.method, delete.method, delete.path) == ("POST", "DELETE", "/session/1")
    assert post.headers["content-type"] == "application/sdp"
    assert post.body.count("a=recvonly") == 2
    assert delete.headers["authorization"] == f"Bearer {TOKEN}"
    assert intake.media[0] == Tracks("remote", True, True)
    assert sum(gap.span.duration for gap in intake.gaps) < 0.1


@pytest.mark.parametrize("kind", ["audio", "video"])
async def test_what_the_server_rejects_is_not_asked_for_again(kind: str) -> None:
    track: Callable[[], MediaStreamTrack] = Speech if kind == "audio" else Camera
    intake = MemoryIntake()
    async with WhepServer(lambda: [track()]).running() as server:
        await pulled(source(server.port), intake, lambda: until(
            lambda: intake.heard_seconds > 1 or len(intake.video) > 20))  # fmt: skip
        assert [r.method for r in server.requests] == ["POST", "DELETE", "POST", "DELETE"]
    assert intake.media[0] == Tracks("remote", kind == "audio", kind == "video")
    assert bool(intake.audio) is (kind == "audio")


async def test_a_server_that_goes_away_is_pulled_again_and_the_time_between_is_lost() -> None:
    intake = MemoryIntake()
    refusals = 2

    def override(request: Request) -> Answer | None:
        nonlocal refusals
        if request.method == "POST" and len(server.requests) > 1 and refusals:
            refusals -= 1
            return Answer(503)
        return None

    server = WhepServer(both, TOKEN, override)

    async def during() -> None:
        await until(lambda: intake.heard_seconds > 2)
        await server.drop()
        heard = intake.heard_seconds
        await until(lambda: intake.heard_seconds > heard + 2)

    async with server.running():
        await pulled(source(server.port), intake, during)
    assert refusals == 0
    assert [m for m in intake.media if isinstance(m, Tracks)] == [Tracks("remote", True, True)]
    lost = [g for g in intake.gaps if g.reason is LostReason.RECONNECT]
    assert sum(g.span.duration for g in lost) > 0.2
    spans = [(f.start, f.end) for f in intake.audio]
    spans += [(g.span.start, g.span.end) for g in intake.gaps]
    spans.sort()
    for (_, end), (start, _) in zip(spans, spans[1:], strict=False):
        assert start == pytest.approx(end, abs=0.15)


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (Answer(401), "unauthorized", "HTTP 401"),
        (Answer(403), "unauthorized", "HTTP 403"),
        (Answer(404), "not_found", "HTTP 404"),
        (Answer(406), "refused", "make the offer itself"),
        (Answer(422), "refused", "HTTP 422"),
        (Answer(503, {"Retry-After": "3"}), "unavailable", "HTTP 503"),
        (Answer(200, {"Content-Type": "text/html"}, "<html>"), "refused", "HTTP 200"),
        (Answer(201, {"Content-Type": "text/html"}, "<html>"), "unreadable", "application/sdp"),
        (Answer(201, {"Content-Type": "application/sdp"}, "v=nonsense"), "unreadable", "parsed"),
        (Answer(201, {"Content-Type": "application/sdp"}, "v=0\r\n"), "no_media", "no audio"),
        (Answer(201, {"Content-Type": "application/sdp"}, "v" * 300_000), "unreadable", "bytes"),
        (Answer(201, {"Content-Encoding": "gzip"}, "v=0"), "unreadable", "compressed"),
        (Answer(401, {"Content-Encoding": "br"}, "x"), "unauthorized", "HTTP 401"),
        (Answer(307, {"Location": "ftp://127.0.0.1/"}), "refused", "away from HTTPS"),
        (Answer(307, {"Location": "/whep/room"}), "refused", "3 redirects"),
    ],
)
async def test_refusals_name_their_cause(answer: Answer, reason: str, words: str) -> None:
    def override(request: Request) -> Answer:
        return answer

    async with WhepServer(both, override=override).running() as server:
        error = await failure(server.port)
    assert error.reason == reason
    assert words in error.detail


async def test_an_answer_to_another_offer_is_no_fault_of_ours() -> None:
    def override(request: Request) -> Answer | None:
        body = (
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
            "m=video 9 UDP/TLS/RTP/SAVPF 97\r\nc=IN IP4 0.0.0.0\r\na=mid:7\r\na=sendonly\r\n"
            "a=rtpmap:97 VP8/90000\r\n"
            "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:8\r\na=sendonly\r\n"
            "a=rtpmap:96 opus/48000/2\r\n"
        )
        return Answer(201, {"Content-Type": "application/sdp"}, body)

    async with WhepServer(both, override=override).running() as server:
        error = await failure(server.port)
    assert error.reason == "unreadable"


async def test_redirects_keep_the_offer_and_lose_the_token_elsewhere() -> None:
    async with WhepServer(both).running() as node:
        there = f"http://127.0.0.1:{node.port}/node?token=in-the-url"

        def override(request: Request) -> Answer:
            return Answer(307, {"Location": there})

        async with WhepServer(both, override=override).running() as gateway:
            intake = MemoryIntake()
            await pulled(source(gateway.port), intake, lambda: until(
                lambda: intake.heard_seconds > 0.5))  # fmt: skip
        posted, deleted = node.requests
        assert posted.body == gateway.requests[0].body
        assert gateway.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
        assert "authorization" not in posted.headers
        assert deleted.method == "DELETE"


async def test_credentials_of_the_url_are_sent_and_never_shown() -> None:
    async with WhepServer(both, "x").running() as server:
        url = f"whep+http://bob:p%40ss@127.0.0.1:{server.port}/whep"
        whep = WhepSource(url, "", "remote", Sampling.steady(5), 640, OPTIONS)
        with pytest.raises(SourceError) as caught:
            await whep.run(MemoryIntake())
        sent = server.requests[0]
    assert sent.headers["authorization"] == "Basic Ym9iOnBAc3M="
    assert caught.value.reason == "unauthorized"
    assert "bob" not in caught.value.detail


async def test_silence_and_nobody_end_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    error = await failure(port, replace(OPTIONS, request_timeout=0.5))
    assert (error.reason, "no answer in time" in error.detail) == ("unreachable", True)
    listener.close()
    assert (await failure(port)).reason == "unreachable"


async def test_certificates_are_verified(tmp_path: Path) -> None:
    ours, other = Issuer.new(tmp_path, "ours"), Issuer.new(tmp_path, "other")
    trust = Trust(ca_file=ours.path, setting="whep")
    options = replace(OPTIONS, trust=trust)
    right = certificate(tmp_path, "127.0.0.1", issuer=ours)
    cases = {
        certificate(tmp_path, "sfu.example", issuer=ours): "not for 127.0.0.1 (whep.tls_verify)",
        certificate(tmp_path, "127.0.0.1", issuer=ours, expired=True): "expired (whep.tls_verify)",
        certificate(tmp_path, "127.0.0.9", issuer=other): "not trusted (whep.tls_ca_file)",
    }
    for file, words in cases.items():
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(file)
        async with WhepServer(both).running(tls) as server:
            error = await failure(server.port, options, "whep+https")
        assert error.reason == "untrusted"
        assert words in error.detail
        assert not server.requests
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(right)
    intake = MemoryIntake()
    async with WhepServer(both).running(tls) as server:
        await pulled(source(server.port, options, "whep+https"), intake, lambda: until(
            lambda: intake.heard_seconds > 0.5))  # fmt: skip


async def test_the_log_holds_no_credential() -> None:
    intake, said = MemoryIntake(), io.StringIO()
    before = logging.getLogger().handlers[:]
    try:
        log.configure("info", said)
        async with WhepServer(both, TOKEN).running() as server:
            url = f"whep+http://127.0.0.1:{server.port}/whep?jwt=query-secret"
            whep = WhepSource(url, TOKEN, "remote", Sampling.steady(5), 640, OPTIONS)
            await pulled(whep, intake, lambda: until(lambda: intake.heard_seconds > 0.3))
    finally:
        logging.getLogger().handlers[:] = before
    assert "whep connected" in said.getvalue()
    assert TOKEN not in said.getvalue()
    assert "query-secret" not in said.getvalue()
