"""A recording client for tests: it says what it is told to, and sends noise as RTP."""

import asyncio
import re
import secrets
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_network

import numpy as np
from aiosipua import SipMessage, SipRequest, SipResponse

from monitor.calls.admission import Slots
from monitor.calls.record import CallRecord
from monitor.calls.registry import Registry
from monitor.calls.stages import Stages
from monitor.ingest.siprec.siprec_source import SiprecOptions
from monitor.metrics.sink import Metrics
from monitor.sip.digest import Digest
from monitor.sip.recorder import Recorder
from monitor.sip.server import SipOptions, SipServer
from tests.fakes import MemorySink

LOOPBACK = (ip_network("127.0.0.0/8"),)
PARTIES = {"1": ("p1", "sip:+15550100@carrier.example"), "2": ("p2", "sip:agent7@desk.example")}


def sdp(
    *labels: str, direction: str = "sendonly", profile: str = "RTP/AVP", more: str = "", pt: int = 0
) -> str:
    """An offer of one PCMU stream for each label."""
    text = "v=0\r\no=SRC 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    for place, label in enumerate(labels or ("1", "2")):
        text += f"m=audio {6000 + 2 * place} {profile} {pt}\r\n{more}"
        text += f"a=label:{label}\r\na={direction}\r\n"
    return text


def metadata(mode: str = "complete", **parties: tuple[str, str]) -> str:
    """Who is heard in which stream: `id, address` by `label_N`."""
    found = {k.removeprefix("label_"): v for k, v in parties.items()} or PARTIES
    text = f'<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>{mode}</datamode>'
    text += '<session session_id="s1"><sipSessionID>abc</sipSessionID></session>'
    for label, (party, address) in found.items():
        text += f'<participant participant_id="{party}"><nameID aor="{address}"/></participant>'
        text += f'<stream stream_id="s{label}" session_id="s1"><label>{label}</label></stream>'
        text += f'<participantstreamassoc participant_id="{party}"><send>s{label}</send>'
        text += "</participantstreamassoc>"
    return text + "</recording>"


def multipart(*bodies: tuple[str, str]) -> str:
    """Bodies with their types, between boundaries."""
    parts = "".join(f"--part\r\nContent-Type: {kind}\r\n\r\n{body}\r\n" for kind, body in bodies)
    return f"{parts}--part--\r\n"


class Client(asyncio.DatagramProtocol):
    """One recording client over UDP, or over a stream."""

    def __init__(self) -> None:
        self.heard: list[SipRequest | SipResponse] = []
        self.call_id = secrets.token_hex(8)
        self.from_tag = secrets.token_hex(4)
        self.to_tag = ""
        self.number = 0
        self.port = 0
        self.contact = ""
        """What Contact says beside the address."""
        self.refuses = 200
        """The status that requests of the server's are answered with."""
        self.kind = "UDP"
        self._send: Callable[[bytes], None] = lambda _: None
        self._came = asyncio.Event()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.take(data)

    def take(self, data: bytes) -> None:
        message = SipMessage.parse(data)
        self.heard.append(message)
        invited = message.cseq is not None and message.cseq.method == "INVITE"
        if isinstance(message, SipResponse) and message.status_code == 200 and invited:
            address = message.to_addr
            assert address is not None
            self.to_tag = self.to_tag or str(address.params.get("tag") or "")
        self._came.set()

    def request(
        self, method: str, *headers: str, body: str = "", branch: str = "", number: int = 0
    ) -> str:
        """Send a request; its branch."""
        if method not in ("ACK", "CANCEL"):
            self.number = number or self.number + 1
        branch = branch or f"z9hG4bK{secrets.token_hex(8)}"
        to = f";tag={self.to_tag}" if self.to_tag else ""
        here = f"127.0.0.1:{self.port}"
        lines = [
            f"{method} sip:srs@127.0.0.1 SIP/2.0",
            f"Via: SIP/2.0/{self.kind} {here};branch={branch};rport",
            f"From: <sip:src@{here}>;tag={self.from_tag}",
            f"To: <sip:srs@127.0.0.1>{to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.number} {method}",
            f"Contact: <sip:src@{here}>{self.contact}",
            *headers,
            f"Content-Length: {len(body.encode())}",
        ]
        self._send(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        return branch

    def invite(self, offer: str | None = None, who: str | None = None, *headers: str) -> str:
        """Send an INVITE, or a re-INVITE, with these bodies; its branch."""
        bodies = [("application/sdp", offer or sdp())]
        if who is None or who:
            bodies.append(("application/rs-metadata+xml", who or metadata()))
        kind = 'Content-Type: multipart/mixed; boundary="part"'
        return self.request(
            "INVITE", "Require: siprec", kind, *headers, body=multipart(*bodies)
        )  # fmt: skip

    async def answer(self, branch: str, seconds: float = 5.0) -> SipResponse:
        """Wait for the final response."""
        async with asyncio.timeout(seconds):
            while True:
                for message in self.heard:
                    final = isinstance(message, SipResponse) and message.status_code >= 200
                    if final and message.via[0].branch == branch:
                        assert isinstance(message, SipResponse)
                        return message
                self._came.clear()
                await self._came.wait()

    async def asked(self, method: str, seconds: float = 5.0) -> SipRequest:
        """Wait for a request of the server's; it is answered."""
        async with asyncio.timeout(seconds):
            while True:
                for message in self.heard:
                    if isinstance(message, SipRequest) and message.method == method:
                        self.respond(message)
                        return message
                self._came.clear()
                await self._came.wait()

    def respond(self, request: SipRequest) -> None:
        """Say yes, or what `refuses` says."""
        response = SipResponse(status_code=self.refuses, reason_phrase="OK")
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            for value in request.headers.get(name):
                response.headers.append(name, value)
        self._send(bytes(response))

    async def open(self, *arguments: str) -> tuple[int, ...]:
        """Begin a session; the ports that the answer names."""
        found = await self.answer(self.invite(*arguments))
        assert found.status_code == 200, found.serialize()
        self.request("ACK")
        return ports(found)


def ports(found: SipResponse) -> tuple[int, ...]:
    """Those of an answer's m= lines."""
    return tuple(int(port) for port in re.findall(r"^m=\w+ (\d+)", found.text, re.M))


async def listen(client: Client, reader: asyncio.StreamReader) -> None:
    """Take what comes over a stream until it ends."""
    with suppress(asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"Content-Length: *(\d+)", head)
            assert found
            client.take(head + await reader.readexactly(int(found[1])))


def packets(seconds: float, ssrc: int = 1, level: float = 0.3, first: int = 0) -> list[bytes]:
    """Noise as PCMU in packets of 20 ms."""
    rng = np.random.default_rng(ssrc)
    # Codes near the loud end of both signs: a detector that hears levels calls them fake.
    codes = rng.integers(0, 128, round(seconds * 8000), dtype=np.uint8)
    loud = (codes & 0x8F) | 0x10 if level > 0.1 else codes | 0x70
    loud = np.where(rng.integers(0, 2, len(loud)) > 0, loud | 0x80, loud).astype(np.uint8)
    return [
        struct.pack(">BBHII", 0x80, 0, (first + n) % 65536, (first + n) * 160, ssrc)
        + loud[n * 160 : (n + 1) * 160].tobytes()
        for n in range(len(loud) // 160)
    ]


async def send(port: int, media: list[bytes], pace: float = 0.02) -> None:
    """Send packets, one each 20 ms."""
    began = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for place, packet in enumerate(media):
            sock.sendto(packet, ("127.0.0.1", port))
            await asyncio.sleep(max(0.0, began + (place + 1) * pace - time.monotonic()))


@dataclass
class Rig:
    """A recorder with a fake detector behind it, and the clients that call it."""

    registry: Registry
    sink: MemorySink
    recorder: Recorder
    metrics: Metrics
    open: list[asyncio.BaseTransport] = field(default_factory=list)

    async def dial(self) -> Client:
        """A client that reaches the recorder by UDP."""
        loop = asyncio.get_running_loop()
        made, client = await loop.create_datagram_endpoint(Client, ("127.0.0.1", 0))
        self.open.append(made)
        client.port = made.get_extra_info("sockname")[1]
        client._send = lambda data: made.sendto(data, ("127.0.0.1", self.port))
        return client

    async def connect(
        self, context: ssl.SSLContext | None = None
    ) -> tuple[Client, asyncio.StreamReader, asyncio.StreamWriter]:
        """A client that reaches it by TCP or TLS; to be fed by `listen`."""
        port = self.recorder.ports["TLS" if context else "TCP"]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        self.open.append(writer.transport)
        client = Client()
        client.kind = "TLS" if context else "TCP"
        client.port = writer.get_extra_info("sockname")[1]
        client._send = writer.write
        return client, reader, writer

    async def over(self, seconds: float = 10) -> CallRecord:
        """The latest call, once none is in progress."""
        async with asyncio.timeout(seconds):
            while self.registry.active or not list(self.registry):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return next(iter(self.registry))

    @property
    def port(self) -> int:
        return self.recorder.ports["UDP"]


@dataclass
class Wanted:
    """What a test changes about the recorder."""

    agents: tuple[str, ...] = ()
    both: bool = False
    idle: float = 30.0
    limit: int = 5
    digest: Digest | None = None
    peers: tuple[str, ...] = ("127.0.0.0/8",)
    context: ssl.SSLContext | None = None
    rtp_ports: tuple[int, int] = (40_000, 40_999)


@asynccontextmanager
async def rig(parts: Stages, wanted: Wanted | None = None) -> AsyncIterator[Rig]:
    """Run a recorder on free ports."""
    wanted = wanted or Wanted()
    peers = tuple(ip_network(p) for p in wanted.peers)
    sink = MemorySink()
    metrics = Metrics()
    registry = Registry(parts, sink, metrics, Slots(wanted.limit))
    options = SiprecOptions(
        agents=wanted.agents,
        both=wanted.both,
        idle_timeout=wanted.idle,
        ports=wanted.rtp_ports,
        peers=peers,
    )
    recorder = Recorder(registry, options, "127.0.0.1", wanted.digest)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        tls = probe.getsockname()[1] if wanted.context else 0
    server = SipServer(recorder, SipOptions("127.0.0.1", port, tls, peers, wanted.context))
    await server.start()
    found = Rig(registry, sink, recorder, metrics)
    try:
        yield found
    finally:
        await server.close()
        await registry.close()
        for made in found.open:
            made.close()
        # Transports close in the next turn of the loop.
        await asyncio.sleep(0)
