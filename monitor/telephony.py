"""Settings → the endpoints for telephone platforms."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from monitor.calls.registry import Registry
from monitor.ingest.dialect import AGENT, REMOTE
from monitor.settings import Settings, SettingsError
from monitor.web import telephony
from monitor.web.audiosocket import AudioSocketServer
from monitor.web.auth import Gatekeeper
from monitor.web.signatures import AudioHookGate, TwilioGate
from monitor.web.stream import StreamOptions, Streams


class Telephony:
    """The WebSockets and, if configured, the AudioSocket port."""

    def __init__(self, settings: Settings, registry: Registry, gatekeeper: Gatekeeper) -> None:
        """Raise SettingsError for what cannot be used."""
        chosen = settings.telephony
        scored = {REMOTE} if chosen.score == "remote" else {REMOTE, AGENT}
        streams = Streams(registry, StreamOptions(frozenset(scored), chosen.idle_timeout))
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
        twilio = TwilioGate(token.get_secret_value()) if token is not None else None
        self.routes = telephony.router(streams, gatekeeper, gate, twilio)
        socket = chosen.audiosocket
        self._listener: AudioSocketServer | None = None
        if socket.port:
            try:
                self._listener = AudioSocketServer(streams, socket.host, socket.port, socket.peers)
            except ValueError as error:
                raise SettingsError(f"telephony.audiosocket.peers: {error}") from error

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Hold the AudioSocket port open; raises SettingsError if it cannot be had."""
        if self._listener is None:
            yield
            return
        try:
            await self._listener.start()
        except OSError as error:
            raise SettingsError(f"telephony.audiosocket: {error.strerror}") from error
        try:
            yield
        finally:
            await self._listener.close()
