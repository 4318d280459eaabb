"""Settings → the endpoints for telephone platforms."""

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from monitor.calls.registry import Registry
from monitor.ingest.siprec.siprec_source import SiprecOptions
from monitor.ingest.telephony.dialect import AGENT, REMOTE
from monitor.ingest.telephony.participant import Looking
from monitor.settings import Settings, SettingsError
from monitor.sip.digest import Digest
from monitor.sip.recorder import Recorder
from monitor.sip.server import SipOptions, SipServer, server_context
from monitor.web.api.events import EventStream
from monitor.web.auth import Gatekeeper
from monitor.web.signatures import PORTS, AudioHookGate, TwilioGate
from monitor.web.streams import websocket
from monitor.web.streams.audiosocket_port import AudioSocketServer
from monitor.web.streams.telephony_call import StreamOptions, Streams


class Telephony:
    """The WebSockets and, if configured, the AudioSocket and SIPREC ports."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        gatekeeper: Gatekeeper,
        events: EventStream | None = None,
    ) -> None:
        """Raise SettingsError for what cannot be used."""
        chosen = settings.telephony
        scored = {REMOTE} if chosen.score == "remote" else {REMOTE, AGENT}
        video = settings.video
        looking = Looking(video.sampling, video.width)
        options = StreamOptions(frozenset(scored), chosen.idle_timeout, looking=looking)
        streams = Streams(registry, options)
        hook, token = chosen.audiohook, chosen.twilio.auth_token
        gate = None
        if hook.api_key is not None and hook.client_secret is not None:
            try:
                gate = AudioHookGate(
                    hook.api_key.get_secret_value(),
                    hook.client_secret.get_secret_value(),
                    hook.organizations,
                )
            except ValueError as error:
                raise SettingsError("telephony.audiohook.client_secret: not base64") from error
        twilio = None
        if token is not None:
            ports = (*PORTS, *chosen.twilio.ports)
            twilio = TwilioGate(token.get_secret_value(), ports)
        self.routes = websocket.router(streams, gatekeeper, gate, twilio, events)
        socket = chosen.audiosocket
        self._listener: AudioSocketServer | None = None
        if socket.port:
            try:
                self._listener = AudioSocketServer(streams, socket.host, socket.port, socket.peers)
            except ValueError as error:
                raise SettingsError(f"telephony.audiosocket.peers: {error}") from error
        self._sip = _sip(settings, registry) if chosen.siprec.enabled else None

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Hold the configured ports open; raises SettingsError if one cannot be had."""
        ports = {"audiosocket": self._listener, "siprec": self._sip}
        async with AsyncExitStack() as stack:
            for name, port in ports.items():
                if port is None:
                    continue
                stack.push_async_callback(port.close)
                try:
                    await port.start()
                except OSError as error:
                    raise SettingsError(f"telephony.{name}: {error.strerror}") from error
            yield


def _sip(settings: Settings, registry: Registry) -> SipServer:
    """Make the session recording server; raises SettingsError for what cannot be used."""
    chosen = settings.telephony.siprec
    context = None
    if chosen.tls_port and chosen.tls_certificate is not None:
        try:
            context = server_context(chosen.tls_certificate, chosen.tls_key, chosen.tls_client_ca)
        except (OSError, ssl.SSLError) as error:
            words = error.strerror or "not a certificate and its key"
            raise SettingsError(f"telephony.siprec.tls_certificate: {words}") from error
    digest = None
    if chosen.password is not None:
        digest = Digest(chosen.username, chosen.password.get_secret_value())
    host = str(chosen.host)
    options = SiprecOptions(
        host=host,
        ports=chosen.rtp_ports,
        peers=chosen.peers,
        agents=chosen.agents,
        both=settings.telephony.score == "both",
        jitter_wait=settings.webrtc.jitter_wait,
        idle_timeout=settings.telephony.idle_timeout,
    )
    recorder = Recorder(registry, options, str(chosen.address or host), digest)
    where = SipOptions(host, chosen.port, chosen.tls_port, chosen.peers, context)
    return SipServer(recorder, where)
