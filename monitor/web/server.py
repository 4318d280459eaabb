"""The HTTP server around an application: uvicorn, with what it does not do by itself."""

import asyncio
import signal
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

import uvicorn
from fastapi import FastAPI

from monitor.ingest.telephony.dialect import LARGEST
from monitor.runtime.memory import returned, set_apart
from monitor.runtime.tasks import Workers, overhear
from monitor.runtime.threads import share_lock
from monitor.web.connections import Room, bounded


class Served(Protocol):
    """What is served."""

    @property
    def app(self) -> FastAPI:
        """The application."""

    @property
    def workers(self) -> Workers:
        """What lasts as long as it."""

    def close_streams(self) -> None:
        """End every reader's event stream; for when it is about to stop."""


class Server(uvicorn.Server):
    """Tells where it listens as soon as it does, and ends event streams before it stops.

    Runs the application's lifespan itself: behind the ASGI protocol, what stops the service from
    starting would end in a traceback instead of here.
    """

    def __init__(
        self,
        service: Served,
        host: str,
        port: int,
        room: Room,
        heard: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`heard` is told the URL, without a slash at its end."""
        super().__init__(
            uvicorn.Config(
                service.app,
                host=host,
                port=port,
                http=bounded(room),
                lifespan="off",
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=15,
                # Bytes of a WebSocket message; telephony refuses larger ones too.
                ws_max_size=LARGEST,
                # Who does not answer within this is gone; who is silent is on hold.
                ws_ping_interval=20.0,
                ws_ping_timeout=20.0,
            )
        )
        self._service = service
        self._heard = heard
        self._running = AsyncExitStack()

    async def startup(self, sockets: Any = None) -> None:
        """Start, then tell where; raises SettingsError."""
        overhear(asyncio.get_running_loop())
        self._hang_up_is_the_end()
        app = self._service.app
        await self._running.enter_async_context(app.router.lifespan_context(app))
        try:
            await super().startup(sockets)
        except BaseException:
            await self._running.aclose()
            raise
        if self.should_exit:
            return
        set_apart()
        share_lock()
        await self._running.enter_async_context(returned(self._service.workers))
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        self._heard(f"http://{f'[{host}]' if ':' in host else host}:{port}")

    def _hang_up_is_the_end(self) -> None:
        """End at SIGHUP as at SIGTERM; by itself it kills, and calls would have no end."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, lambda: setattr(self, "should_exit", True))

    async def shutdown(self, sockets: Any = None) -> None:
        """Stop; readers of the event stream would otherwise keep their connections open."""
        self._service.close_streams()
        await super().shutdown(sockets)
        # Who asks twice does not want to wait.
        if not self.force_exit:
            await self._running.aclose()
