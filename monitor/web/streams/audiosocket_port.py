"""The TCP port that Asterisk's AudioSocket connects to. The protocol knows no authentication."""

import asyncio
import ipaddress
from collections.abc import Sequence

from monitor.calls.admission import CapacityError
from monitor.ingest.connection.tcp import TcpListener
from monitor.ingest.telephony.audiosocket import HEADER, AudioSocketParser, length
from monitor.runtime import log
from monitor.web.streams.telephony_call import Streams

_log = log.get(__name__)


class AudioSocketServer:
    """Listens; each connection is one call."""

    def __init__(self, streams: Streams, host: str, port: int, peers: Sequence[str]) -> None:
        """`peers` are networks that may connect; raises ValueError for what is none."""
        self._streams = streams
        self._host = host
        self._port = port
        networks = [ipaddress.ip_network(peer) for peer in peers]
        self._listener = TcpListener(
            self._serve, networks, "audiosocket", "telephony.audiosocket.peers"
        )

    async def start(self) -> int:
        """Listen, and return the port; raises OSError."""
        port = await self._listener.start(self._host, self._port)
        _log.info("audiosocket listening", host=self._host, port=port)
        return port

    async def close(self) -> None:
        """Stop listening and drop what is connected."""
        await self._listener.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str
    ) -> None:
        async def receive() -> bytes | None:
            try:
                header = await reader.readexactly(HEADER)
                return header + await reader.readexactly(length(header))
            except (asyncio.IncompleteReadError, ConnectionError):
                return None

        async def send(text: str) -> None:
            """Nothing is ever sent to a channel that is only monitored."""

        try:
            with self._streams.open(
                "audiosocket", AudioSocketParser(), owner=f"peer {address}"
            ) as stream:
                await stream.run(receive, send)
        except CapacityError as error:
            _log.warning("audiosocket refused", field="limits.calls", detail=str(error))
