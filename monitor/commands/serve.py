"""serve: monitor live calls."""

import socket
import sys
from typing import Annotated

import typer

from monitor.commands.options import PASSING, SettingsFile, chosen_settings, fail
from monitor.inference.catalogue import CatalogueError
from monitor.runtime import log
from monitor.service import access
from monitor.service.app import Service
from monitor.settings import PassingError, Settings, SettingsError
from monitor.web.connections import Room
from monitor.web.server import Served, Server


def serve(
    settings: SettingsFile = None,
    host: Annotated[str | None, typer.Option(help="Address to bind.")] = None,
    port: Annotated[
        int | None, typer.Option(help="TCP port; 0 picks a free one.", min=0, max=65535)
    ] = None,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Send calls to the nodes of a Ray cluster.")
    ] = False,
) -> None:
    """Monitor live calls until stopped."""
    chosen = chosen_settings(settings)
    update = {k: v for k, v in (("host", host), ("port", port)) if v is not None}
    chosen = chosen.model_copy(update={"server": chosen.server.model_copy(update=update)})
    log.configure(chosen.log_level)
    try:
        service = _gateway(chosen) if cluster else _service(chosen)
    except PassingError as error:
        fail(str(error), PASSING)
    except (SettingsError, CatalogueError, FileNotFoundError) as error:
        fail(str(error))
    where = chosen.server
    try:
        listening = _listen(where.host, where.port)
    except OSError as error:
        # The address, which the text repeats in brackets, is said already.
        why = (error.strerror or str(error)).partition(" (")[0]
        fail(
            f"server.host, server.port: {where.host}:{where.port}: {why}; "
            "--host and --port choose another address"
        )
    room = Room.beside(chosen.limits.calls, where.connections)
    server = Server(service, where.host, where.port, room, _heard)
    try:
        server.run([listening])
    except PassingError as error:
        fail(str(error), PASSING)
    except SettingsError as error:
        fail(str(error))
    if not server.started:
        raise typer.Exit(1)


def _listen(host: str, port: int) -> socket.socket:
    """Bind; uvicorn itself would end with a log line that names no setting. Raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(address[:2], family=family, backlog=2048)


def _service(settings: Settings) -> Served:
    settings, token_file = access.ensure_token(settings)
    service = Service(settings)
    if token_file is not None:
        typer.echo(f"token in {token_file}")
    return service


def _gateway(settings: Settings) -> Served:
    try:
        # Only here: Ray is an extra.
        from monitor.service.gateway import Gateway
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise SettingsError("--cluster needs the extra `ray`: pip install '.[ray]'") from error
    return Gateway(settings)


def _heard(url: str) -> None:
    """Print the one line that scripts wait for."""
    typer.echo(f"listening on {url}/")
    sys.stdout.flush()
