"""Where SIP comes in: UDP, TCP and TLS (RFC 3261, section 18), from known addresses only."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol

from aiosipua import SipRequest, SipResponse

from monitor.ingest.connection.networks import Networks, within
from monitor.ingest.connection.tcp import TcpListener
from monitor.runtime import log
from monitor.runtime.refusals import refused
from monitor.sip.message import LARGEST_BODY, LARGEST_HEAD, MalformedError, read, top
from monitor.sip.share import Shares

_log = log.get(__name__)

MOST_CONNECTIONS = 200
"""TCP and TLS connections at once; a border controller holds a few."""
MESSAGE_SECONDS = 10.0
"""From the first byte of a message over TCP to its last."""
_TURN = 0.05
"""Seconds for which a connection is not read that sends more than its share."""
_PING, _PONG = b"\r\n\r\n", b"\r\n"
"""RFC 5626, section 3.5.1."""


class Peer(Protocol):
    """The other end, as the latest message from it shows."""

    kind: str
    """UDP, TCP or TLS."""
    reliable: bool
    """Whether what is sent arrives, or the connection ends."""
    address: str
    """Of its host."""

    @property
    def reachable(self) -> bool:
        """Whether anything can be sent; who closed its connection may well come back."""

    def send(self, data: bytes, request: SipRequest | None = None) -> None:
        """Send; an answer to `request` goes where that says (RFC 3581)."""


Received = Callable[[SipRequest | SipResponse, Peer], None]


class _UdpPeer:
    kind = "UDP"
    reliable = False

    def __init__(self, transport: asyncio.DatagramTransport, address: tuple[str, int]) -> None:
        self._transport = transport
        self._address = address
        self.address = address[0]

    @property
    def reachable(self) -> bool:
        return not self._transport.is_closing()

    def send(self, data: bytes, request: SipRequest | None = None) -> None:
        port = self._address[1]
        if request is not None:
            via = top(request)
            if "rport" not in via.params:
                port = via.port or 5060
        if not self._transport.is_closing() and 0 < port < 65_536:
            self._transport.sendto(data, (self._address[0], port, *self._address[2:]))


class UdpListener(asyncio.DatagramProtocol):
    """A datagram is a message."""

    def __init__(self, peers: Networks, received: Received) -> None:
        self._peers = peers
        self._received = received
        self._shares = Shares()
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port; raises OSError."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        self._transport = transport
        found: int = transport.get_extra_info("sockname")[1]
        return found

    async def close(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take what came. Strangers get no answer: their address may be somebody else's."""
        if self._transport is None or not data.strip(b"\r\n\0"):
            return
        if not any(within(addr[0], network) for network in self._peers):
            refused("sip_stranger", field="telephony.siprec.peers", peer=addr[0])
            return
        if not self._shares.allow(addr[0]):
            refused("sip_rate", peer=addr[0])
            return
        try:
            message = read(data)
        except MalformedError as error:
            _log.warning("sip message unreadable", peer=addr[0], detail=str(error))
            return
        self._received(message, _UdpPeer(self._transport, addr))


class _StreamPeer:
    reliable = True

    def __init__(self, writer: asyncio.StreamWriter, kind: str, address: str) -> None:
        self.kind = kind
        self.address = address
        self._writer = writer

    @property
    def reachable(self) -> bool:
        return not self._writer.is_closing()

    def send(self, data: bytes, request: SipRequest | None = None) -> None:
        # Whoever does not read what it is sent is cut off, before it fills the memory.
        if self._writer.transport.get_write_buffer_size() > LARGEST_BODY:
            self._writer.transport.abort()
        elif not self._writer.is_closing():
            self._writer.write(data)


class StreamListener:
    """TCP, or TLS with a context; messages are as long as their Content-Length says."""

    def __init__(
        self, peers: Networks, received: Received, context: ssl.SSLContext | None = None
    ) -> None:
        self._received = received
        self._shares = Shares()
        self._kind = "TLS" if context is not None else "TCP"
        self._listener = TcpListener(
            self._serve, peers, "sip", "telephony.siprec.peers", context, MOST_CONNECTIONS
        )

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port; raises OSError."""
        return await self._listener.start(host, port, LARGEST_HEAD)

    async def close(self) -> None:
        """Stop listening and drop what is connected."""
        await self._listener.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str
    ) -> None:
        try:
            await self._converse(reader, _StreamPeer(writer, self._kind, address))
        except MalformedError as error:
            _log.warning("sip message unreadable", peer=address, detail=str(error))
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError, ssl.SSLError) as error:
            _log.info("sip connection lost", peer=address, detail=type(error).__name__)

    async def _converse(self, reader: asyncio.StreamReader, peer: Peer) -> None:
        while (first := await _first(reader, peer)) is not None:
            async with asyncio.timeout(MESSAGE_SECONDS):
                try:
                    head = first + await reader.readuntil(b"\r\n\r\n")
                except asyncio.LimitOverrunError:
                    raise MalformedError("a head that is too large") from None
                body = await reader.readexactly(_length(head))
            # At least a turn of the loop, even if the next message is there already.
            await asyncio.sleep(0)
            while not self._shares.allow(peer.address):  # noqa: ASYNC110 - it waits its turn
                await asyncio.sleep(_TURN)
            try:
                message = read(head + body)
            except MalformedError as error:
                if b"SIP/2.0" not in head.partition(b"\r\n")[0]:
                    raise
                # One message: the connection may carry every call of a border controller.
                _log.warning("sip message unreadable", peer=peer.address, detail=str(error))
                continue
            self._received(message, peer)


async def _first(reader: asyncio.StreamReader, peer: Peer) -> bytes | None:
    """Return the first byte of the next message, None at the end; answers pings between them."""
    breaks = b""
    while True:
        byte = await reader.read(1)
        if not byte:
            return None
        if byte not in b"\r\n":
            return byte
        breaks += byte
        if breaks == _PING:
            peer.send(_PONG)
            breaks = b""
        breaks = breaks[-3:]


def _length(head: bytes) -> int:
    """Bytes of the body that follows a head; none if it does not say. Raises MalformedError."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() in (b"content-length", b"l"):
            text = value.strip()
            if not text.isdigit() or len(text) > 9 or int(text) > LARGEST_BODY:
                raise MalformedError(f"Content-Length: at most {LARGEST_BODY}")
            return int(text)
    return 0
