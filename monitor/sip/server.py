"""The ports that recording clients call."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from monitor.ingest.connection.networks import Networks
from monitor.runtime import log
from monitor.sip.recorder import Recorder
from monitor.sip.transport import StreamListener, UdpListener

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class SipOptions:
    """Where SIP is spoken."""

    host: str
    port: int
    """UDP and TCP; 0 for none."""
    tls_port: int
    """0 for none."""
    peers: Networks
    """Networks that may call."""
    context: ssl.SSLContext | None = None
    """Our certificate, and whose a client must show."""


class SipServer:
    """Listens for as long as the service runs."""

    def __init__(self, recorder: Recorder, options: SipOptions) -> None:
        self._recorder = recorder
        self._options = options
        self._listeners: list[UdpListener | StreamListener] = []

    async def start(self) -> None:
        """Listen; raises OSError if a port cannot be had."""
        options, recorder = self._options, self._recorder
        received = recorder.transactions.received
        wanted: list[tuple[str, int, UdpListener | StreamListener]] = []
        if options.port:
            wanted.append(("UDP", options.port, UdpListener(options.peers, received)))
            wanted.append(("TCP", options.port, StreamListener(options.peers, received)))
        if options.tls_port:
            secure = StreamListener(options.peers, received, options.context)
            wanted.append(("TLS", options.tls_port, secure))
        for kind, port, listener in wanted:
            recorder.ports[kind] = await listener.start(options.host, port)
            self._listeners.append(listener)
        _log.info("siprec listening", host=options.host, **recorder.ports)

    async def close(self) -> None:
        """End all sessions, then stop listening."""
        await self._recorder.close()
        for listener in self._listeners:
            await listener.close()


def server_context(certificate: Path, key: Path | None, client_ca: Path | None) -> ssl.SSLContext:
    """Read our certificate, and the issuer of clients'; raises OSError and ssl.SSLError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
