"""cluster: make this machine part of a Ray cluster, or free it."""

import os
import sys
import time
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import typer

from monitor.cluster import engine
from monitor.commands.options import fail

_LOOK = 1.0


def start(
    context: typer.Context,
    head: Annotated[
        bool, typer.Option("--head", help="Be the head: where director and gateway run.")
    ] = False,
    join: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="The head to join, as a media node.")
    ] = "",
    ip: Annotated[str, typer.Option(help="This machine's address, as others reach it.")] = "",
    port: Annotated[int, typer.Option(help="The head's TCP port.")] = 6379,
    nodes: Annotated[
        int | None, typer.Option(min=0, help="Media nodes here, one for each group of cores.")
    ] = None,
) -> None:
    """Run Ray here until stopped: authenticated, without dashboard, reporting to nobody.

    A head has no media node unless asked for. Further arguments go to `ray start`.
    """
    if head == bool(join):
        fail("give either --head or --join HOST:PORT")
    try:
        engine.require_authentication()
    except engine.EngineError as error:
        fail(str(error))
    wanted = nodes if nodes is not None else 0 if head else 1
    command = engine.start_command(head, join, ip, port, wanted)
    # What the environment says already, wins: an operator may know better.
    environment = engine.DEFAULTS | dict(os.environ)
    sys.stdout.flush()
    try:
        os.execvpe(command[0], [*command, *context.args], environment)
    except OSError as error:
        fail(f"Ray cannot be started: {error.strerror}")


def drain(
    node: Annotated[str, typer.Argument(help="The node's instance, or its address.")],
    gateway: Annotated[str, typer.Option(help="The gateway's URL.")] = "http://127.0.0.1:8080",
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for the end of its calls.")
    ] = 3600.0,
    back: Annotated[bool, typer.Option("--back", help="Use the node again instead.")] = False,
) -> None:
    """Give a node no new call and wait until it has none; MONITOR_TOKEN needs read and control.

    Ends with 1 if calls are left when the time is over.
    """
    headers = {"Authorization": f"Bearer {os.environ.get('MONITOR_TOKEN', '')}"}
    with httpx.Client(base_url=gateway, headers=headers, trust_env=False, timeout=15.0) as http:
        try:
            found = _find(http, node)
            where = f"/api/v1/nodes/{found['instance']}/drain"
            (http.delete(where) if back else http.put(where)).raise_for_status()
            until = time.monotonic() + wait
            while not back and found["state"] not in ("drained", "lost"):
                if time.monotonic() > until:
                    typer.echo(f"{found['calls']} calls are left", err=True)
                    raise typer.Exit(1)
                time.sleep(_LOOK)
                found = _find(http, found["instance"])
        except httpx.HTTPError as error:
            fail(f"{gateway}: {error}")


def _find(http: httpx.Client, node: str) -> dict[str, Any]:
    answer = http.get("/api/v1/nodes")
    answer.raise_for_status()
    for found in answer.json()["nodes"]:
        if node in (found["instance"], urlsplit(found["inner_url"]).hostname):
            return dict(found)
    fail(f"{node}: no such node, or it is lost already")
