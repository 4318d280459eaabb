"""A UDP port that one stream of RTP comes to, in clear or encrypted (RFC 3550, RFC 3711)."""

import asyncio
import random
import socket
import time
from collections.abc import Callable

import pylibsrtp

from monitor.ingest.connection.networks import Networks, within
from monitor.ingest.rtp.aiortc_adapter import SenderReport
from monitor.ingest.rtp.jitter_buffer import RtpPacket
from monitor.ingest.rtp.srtp import Crypto
from monitor.runtime import log
from monitor.runtime.refusals import refused
from monitor.types.protocols import SourceError

_log = log.get(__name__)

TAKE_OVER = 0.5
"""Seconds for which a source must be silent before another takes its place."""
_PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
_HEADER = 12
"""Bytes of an RTP header without what may follow."""
_RTCP = range(192, 224)
"""Second bytes that say RTCP where both come to one port (RFC 5761)."""
_LEAST_RTCP = 8
"""Bytes of the shortest RTCP that says anything."""
_SENDER_REPORT, _REPORT = 200, 28
"""Packet type, and bytes, of a sender report without blocks about others."""


def read_packet(data: bytes, arrived: float) -> RtpPacket | None:
    """Read one packet; None for what is not RTP. `arrived`: monotonic seconds."""
    if len(data) < _HEADER or data[0] >> 6 != 2 or data[1] in _RTCP:
        return None
    start = _HEADER + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        if len(data) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = len(data)
    if data[0] & 0x20:
        end -= data[-1]
    if start > end:
        return None
    return RtpPacket(
        ssrc=int.from_bytes(data[8:12], "big"),
        sequence=int.from_bytes(data[2:4], "big"),
        timestamp=int.from_bytes(data[4:8], "big"),
        payload_type=data[1] & 0x7F,
        payload=data[start:end],
        arrived=arrived,
        marker=bool(data[1] & 0x80),
    )


def read_report(data: bytes) -> SenderReport | None:
    """Return the sender report of a compound RTCP packet, None if it holds none."""
    while len(data) >= _REPORT and data[0] >> 6 == 2:
        length = 4 + 4 * int.from_bytes(data[2:4], "big")
        if data[1] == _SENDER_REPORT and length >= _REPORT:
            ssrc, ntp = int.from_bytes(data[4:8], "big"), int.from_bytes(data[8:16], "big")
            return SenderReport(ssrc, ntp / 2**32, int.from_bytes(data[16:20], "big"))
        data = data[length:]
    return None


class RtpPort(asyncio.DatagramProtocol):
    """Open from `open` or `bind` to `close`. Of RTCP, to the next port, only times are read."""

    def __init__(
        self,
        number: int,
        peers: Networks,
        crypto: Crypto | None,
        sink: Callable[[RtpPacket], None],
        report: Callable[[SenderReport], None] | None = None,
    ) -> None:
        self.number = number
        self._report = report
        self.foreign = 0
        """Datagrams from addresses that may not send."""
        self.unreadable = 0
        """Datagrams that are no RTP, or not encrypted with the key that was agreed on."""
        self.strangers = 0
        """Packets of another source than the one that speaks."""
        self.changes = 0
        """How often another source was taken, once the one before was silent."""
        self._latest = float("-inf")
        self._speaker: str | None = None
        """Address of the latest packet that was taken."""
        self._peers = peers
        self._sink = sink
        self._transports: list[asyncio.DatagramTransport] = []
        self._allowed: dict[str, bool] = {}
        self._srtp: pylibsrtp.Session | None = None
        self.rekey(crypto)

    @classmethod
    async def open(
        cls,
        host: str,
        ports: tuple[int, int],
        peers: Networks,
        crypto: Crypto | None,
        sink: Callable[[RtpPacket], None],
    ) -> "RtpPort":
        """Open a free even port and the next one; raises SourceError if there is none.

        `ports`: first and last that may be used; `peers`: networks that packets may come from.
        """
        even = range(ports[0] + ports[0] % 2, ports[1], 2)
        for number in random.sample(even, len(even)):
            try:
                pair = _bound(host, number)
            except OSError:
                continue
            port = cls(number, peers, crypto, sink)
            await port._listen(*pair)
            return port
        raise SourceError("in_use", f"no free pair of UDP ports from {ports[0]} to {ports[1]}")

    @classmethod
    async def bind(
        cls,
        host: str,
        number: int,
        peers: Networks,
        sink: Callable[[RtpPacket], None],
        report: Callable[[SenderReport], None],
    ) -> "RtpPort":
        """Open this port and the next one, without encryption; raises SourceError if one is taken.

        `report` hears what the sender says about its time.
        """
        try:
            pair = _bound(host, number)
        except OSError as error:
            raise SourceError(
                "in_use", f"UDP port {number} or the next: {error.strerror}"
            ) from error
        port = cls(number, peers, None, sink, report)
        await port._listen(*pair)
        return port

    async def _listen(self, rtp: socket.socket, rtcp: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        made, _ = await loop.create_datagram_endpoint(lambda: self, sock=rtp)
        self._transports.append(made)
        beside, _ = await loop.create_datagram_endpoint(lambda: _Reports(self), sock=rtcp)
        self._transports.append(beside)

    def rekey(self, crypto: Crypto | None) -> None:
        """From now on packets are encrypted so."""
        self._srtp = None
        if crypto is not None:
            policy = pylibsrtp.Policy(
                key=crypto.key,
                ssrc_type=pylibsrtp.Policy.SSRC_ANY_INBOUND,
                srtp_profile=_PROFILES[crypto.suite],
            )
            self._srtp = pylibsrtp.Session(policy)

    def close(self) -> None:
        """Give the ports back."""
        for transport in self._transports:
            transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take what came."""
        if not self.may_send(addr[0]):
            if not self.foreign:
                _log.warning("rtp refused", field="telephony.siprec.peers", peer=addr[0])
            self.foreign += 1
            return
        if self._srtp is not None:
            try:
                data = self._srtp.unprotect(data)
            except (pylibsrtp.Error, TypeError):
                # TypeError: longer than any packet may be.
                self.unreadable += 1
                return
        packet = read_packet(data, time.monotonic())
        if packet is not None:
            if self._srtp is not None or self._speaks(packet, addr):
                self._sink(packet)
        elif not self.reported(data):
            self.unreadable += 1

    def _speaks(self, packet: RtpPacket, addr: tuple[str, int]) -> bool:
        """Whether a packet is of the source that speaks, or of one that takes over.

        Port and SSRC of one host may change at any time (a restart, a translator). Another host
        could be anybody, and is taken when the one before has been silent, as after a transfer.
        With SRTP the key says who speaks.
        """
        before, silent = self._speaker, packet.arrived - self._latest > TAKE_OVER
        if before is not None and addr[0] != before:
            if not silent:
                self.strangers += 1
                refused("rtp_source", peer=addr[0])
                return False
            self.changes += 1
            _log.warning("rtp source changed", port=self.number, peer=addr[0])
        self._speaker, self._latest = addr[0], packet.arrived
        return True

    def reported(self, data: bytes) -> bool:
        """Take RTCP; return whether it is some."""
        if len(data) < _LEAST_RTCP or data[0] >> 6 != 2 or data[1] not in _RTCP:
            return False
        report = read_report(data) if self._report is not None else None
        if report is not None and self._report is not None:
            self._report(report)
        return True

    def may_send(self, address: str) -> bool:
        """Whether packets from there are taken."""
        allowed = self._allowed.get(address)
        if allowed is None:
            allowed = any(within(address, network) for network in self._peers)
            if len(self._allowed) < 100:
                self._allowed[address] = allowed
        return allowed


class _Reports(asyncio.DatagramProtocol):
    """The port beside."""

    def __init__(self, port: RtpPort) -> None:
        self._port = port

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._port.may_send(addr[0]):
            self._port.reported(data)


def _bound(host: str, number: int) -> tuple[socket.socket, socket.socket]:
    """Two sockets; raises OSError if either port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made: list[socket.socket] = []
    try:
        for each in (number, number + 1):
            sock = socket.socket(family, socket.SOCK_DGRAM)
            made.append(sock)
            sock.setblocking(False)
            sock.bind((host, each))
    except OSError:
        for one in made:
            one.close()
        raise
    return made[0], made[1]
