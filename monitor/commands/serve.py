"""serve: monitor live calls."""

import sys
from contextlib import AsyncExitStack
from typing import Annotated, Any

import typer
import uvicorn

from monitor import access, log
from monitor.app import Service
from monitor.commands.options import SettingsFile, chosen_settings, fail
from monitor.inference.catalogue import CatalogueError
from monitor.settings import SettingsError
from monitor.web.limits import PatientHttp


class Server(uvicorn.Server):
    """Says where it listens as soon as it does, and ends event streams before it stops.

    Runs the application's lifespan itself: behind the ASGI protocol, what stops the service from
    starting would end in a traceback instead of here.
    """

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        """`config` leaves the lifespan off."""
        super().__init__(config)
        self._service = service
        self._running = AsyncExitStack()

    async def startup(self, sockets: Any = None) -> None:
        """Start, then print the one line that scripts wait for; raises SettingsError."""
        app = self._service.app
        await self._running.enter_async_context(app.router.lifespan_context(app))
        try:
            await super().startup(sockets)
        except BaseException:
            await self._running.aclose()
            raise
        if self.should_exit:
            return
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        typer.echo(f"listening on http://{shown}:{port}/")
        sys.stdout.flush()

    async def shutdown(self, sockets: Any = None) -> None:
        """Stop; readers of the event stream would otherwise keep their connections open."""
        self._service.close_streams()
        await super().shutdown(sockets)
        # Who asks twice does not want to wait.
        if not self.force_exit:
            await self._running.aclose()


def serve(
    settings: SettingsFile = None,
    host: Annotated[str | None, typer.Option(help="Address to bind.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 picks a free one.")] = None,
) -> None:
    """Monitor live calls until stopped."""
    chosen = chosen_settings(settings)
    update = {k: v for k, v in (("host", host), ("port", port)) if v is not None}
    chosen = chosen.model_copy(update={"server": chosen.server.model_copy(update=update)})
    log.configure(chosen.log_level)
    try:
        chosen, token_file = access.ensure_token(chosen)
        service = Service(chosen)
    except (SettingsError, CatalogueError, FileNotFoundError) as error:
        fail(str(error))
    if token_file is not None:
        typer.echo(f"token in {token_file}")
    server = Server(
        uvicorn.Config(
            service.app,
            host=chosen.server.host,
            port=chosen.server.port,
            http=PatientHttp,
            lifespan="off",
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=15,
            # Bytes of a WebSocket message; telephony refuses larger ones too.
            ws_max_size=64 * 1024,
        ),
        service,
    )
    try:
        server.run()
    except SettingsError as error:
        fail(str(error))
    if not server.started:
        raise typer.Exit(1)
