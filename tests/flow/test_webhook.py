"""Webhooks reach a real HTTP receiver: signed, with rotated keys, and never where they must not."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from monitor.delivery.http import failure
from monitor.delivery.webhook import WebhookDestination
from monitor.schema.messages import DeliveryError
from tests.alerts import alert, message
from tests.certificates import certificate
from tests.e2e.rig.receiver import Receiver

SECRET = "whsec_ZmxvdyB0ZXN0IHNlY3JldCBrZXk="
OLD_SECRET = "whsec_b2xkIGZsb3cgdGVzdCBzZWNyZXQ="
Redirects = Literal["refuse", "public", "any"]


@asynccontextmanager
async def hook(
    url: str,
    secrets: Sequence[str] = (SECRET,),
    redirects: Redirects = "refuse",
    ca_file: str | None = None,
    addresses: Sequence[str] = ("127.0.0.1",),
) -> AsyncIterator[WebhookDestination]:
    async def resolver(host: str, port: int) -> Sequence[str]:
        return addresses

    found = WebhookDestination(url, secrets, redirects, ca_file, resolver)
    yield found
    await found.close()


async def test_signed_by_every_secret() -> None:
    with Receiver() as receiver:
        async with hook(receiver.url(), [SECRET, OLD_SECRET]) as destination:
            await destination.send(message(alert(1)))
        post = receiver.posts[0]
    for secret in (SECRET, OLD_SECRET):
        event = Webhook(secret).verify(post.body, dict(post.headers))
        assert event["data"]["unmonitored_seconds"] == 2.0
        assert event["data"]["advice"] == "human_review"
        assert event["type"] == "deepfake-monitor.alert.raised.v1"
        assert event["id"] == post.headers["webhook-id"] == alert(1).idempotency_key
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(post.body.replace(b"7.5", b"0.5"), dict(post.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_c29tZWJvZHkgZWxzZQ==").verify(post.body, dict(post.headers))


async def test_a_participant_of_any_name_fits_into_the_header() -> None:
    odd = alert(1, participant="Zoë: \r\nx-evil: 1")
    with Receiver() as receiver:
        async with hook(receiver.url()) as destination:
            await destination.send(message(odd))
        post = receiver.posts[0]
    assert "x-evil" not in post.headers
    assert post.json()["data"]["participant"] == odd.participant


@pytest.mark.parametrize("status", [0, 301, 302, 307, 308, 400, 404, 500, 503])
async def test_anything_but_success_is_a_failure(status: int) -> None:
    with Receiver() as receiver:
        receiver.status = status
        receiver.answer_headers = {"Location": receiver.url("/elsewhere")}
        async with hook(receiver.url()) as destination:
            with pytest.raises(DeliveryError):
                await destination.send(message(alert(1)))
        assert len(receiver.posts) == 1


async def test_nobody_listens() -> None:
    async with hook("http://127.0.0.1:9/hook?token=hunter2") as destination:
        with pytest.raises(DeliveryError) as caught:
            await destination.send(message(alert(1)))
    assert "hunter2" not in str(caught.value)


async def redirected(redirects: Redirects, addresses: Sequence[str], status: int = 307) -> int:
    """How many posts reached the target of a redirect."""
    with Receiver() as target, Receiver() as first:
        first.status = status
        first.answer_headers = {"Location": target.url("/moved")}
        async with hook(first.url(), redirects=redirects, addresses=addresses) as destination:
            await destination.send(message(alert(1)))
        assert Webhook(SECRET).verify(target.posts[0].body, dict(target.posts[0].headers))
        return len(target.posts)


async def test_redirects_are_followed_where_allowed() -> None:
    assert await redirected("any", ["127.0.0.1"], 307) == 1
    assert await redirected("any", ["127.0.0.1"], 308) == 1
    with pytest.raises(DeliveryError, match="303"):
        await redirected("any", ["127.0.0.1"], 303)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "::1", "fe80::1%eth0", "fd00::1",
     "::ffff:10.0.0.1", "0.0.0.0", "100.64.0.1", "224.0.0.1"],
)  # fmt: skip
async def test_no_redirect_to_a_private_address(address: str) -> None:
    for addresses in ([address], ["93.184.216.34", address], []):
        with pytest.raises(DeliveryError, match="private address"):
            await redirected("public", addresses)


async def test_the_address_that_was_checked_is_the_one_that_is_used() -> None:
    moved = httpx.Response(307, headers={"Location": "http://elsewhere.example:8080/moved?x=1"})
    async with hook("http://a/", redirects="public", addresses=["93.184.216.34"]) as found:
        target = found._target(httpx.URL("http://a/"), moved)
        assert target is not None
        url, host, extensions = await found._permitted(target)
    assert str(url) == "http://93.184.216.34:8080/moved?x=1"
    assert host == "elsewhere.example:8080"
    assert extensions == {"sni_hostname": "elsewhere.example"}


async def test_a_circle_of_redirects_ends() -> None:
    with Receiver() as receiver:
        receiver.status = 308
        receiver.answer_headers = {"Location": receiver.url()}
        async with hook(receiver.url(), redirects="any") as destination:
            with pytest.raises(DeliveryError, match="too many"):
                await destination.send(message(alert(1)))


class TlsReceiver:
    """An HTTPS server with a certificate of the test's choice."""

    def __init__(self, file: Path) -> None:
        received = self.received = list[bytes]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Refused handshakes are what the tests want."""

        self._server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> "TlsReceiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


async def test_tls_with_a_trusted_certificate(tmp_path: Path) -> None:
    file = certificate(tmp_path, "127.0.0.1")
    with TlsReceiver(file) as receiver:
        async with hook(receiver.url, ca_file=str(file)) as destination:
            await destination.send(message(alert(1)))
        assert len(receiver.received) == 1


async def test_tls_that_lies_gets_nothing(tmp_path: Path) -> None:
    mine, other = certificate(tmp_path, "127.0.0.1"), certificate(tmp_path, "other.example")
    for shown, trusted in [(mine, None), (mine, other), (other, other)]:
        with TlsReceiver(shown) as receiver:
            async with hook(receiver.url, ca_file=str(trusted) if trusted else None) as found:
                with pytest.raises(DeliveryError, match="TLS"):
                    await found.send(message(alert(1)))
            assert receiver.received == []
    # plain HTTP behind an https:// URL: no fall-back to plain text
    with Receiver() as receiver:
        async with hook(receiver.url().replace("http://", "https://")) as found:
            with pytest.raises(DeliveryError, match="TLS"):
                await found.send(message(alert(1)))
        assert receiver.posts == []


async def test_an_answer_without_end_does_not_matter() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            try:
                await writer.drain()
            except ConnectionError:
                return

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(120), hook(f"http://127.0.0.1:{port}/") as destination:
        await destination.send(message(alert(1)))
    server.close()


@pytest.mark.parametrize(
    "make",
    [
        lambda: WebhookDestination("http://x/", ["whsec_not base64"]),
        lambda: WebhookDestination("http://x/", [""]),
        lambda: WebhookDestination("https://x/", [SECRET], ca_file="/nowhere.pem"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        make()


DATE = "Tue, 01 Dec 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Tue, 01 Dec 2026 12:00:09 GMT", 9.0),
        ("Tuesday, 01-Dec-26 12:00:09 GMT", 9.0),
        ("Tue Dec  1 12:00:09 2026", 9.0),
        ("Tue, 01 Dec 2026 11:00:00 GMT", 0.0),
        ("86400", 3600.0),
        ("9" * 400, 3600.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
        ("-3", 0.0),
        ("1.5", 0.0),
        ("\u00b2", 0.0),
        ("soon", 0.0),
        ("", 0.0),
    ],
)
def test_what_a_receiver_asks_for(asked: str, seconds: float) -> None:
    headers = [(b"date", DATE.encode()), (b"retry-after", asked.encode())]
    for status in (301, 429, 500, 503):
        told = failure(httpx.Response(status, headers=headers))
        assert (told.wait, told.gone) == (seconds, False)
    assert failure(httpx.Response(410)).gone


async def test_how_long_to_wait_is_by_this_clock_where_the_receiver_shows_none() -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < failure(httpx.Response(503, headers={"Retry-After": until})).wait <= 60
