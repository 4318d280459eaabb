"""How a gateway gets to Ray."""

import asyncio
import logging
from typing import Any

import ray
from ray.exceptions import RayError

from monitor.cluster.actors import SAME, DirectorActor, Plan
from monitor.cluster.engine import (
    HEAD_RESOURCE,
    NAMESPACE,
    EngineError,
    refuses_strangers,
    require_authentication,
)
from monitor.cluster.lease import Standing
from monitor.store.sources import SourceRow

_BEGIN = 60.0
"""Seconds that a new director may take to start."""
_ANSWER = 10.0
"""Seconds that a gateway waits for the director."""


class FleetError(Exception):
    """The director does not answer."""


class Fleet:
    """The cluster as a gateway sees it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._director: Any = (
            ray.remote(DirectorActor)
            .options(
                **SAME,
                name="director",
                # Beside Ray's own head: without that one there is no cluster either.
                resources={HEAD_RESOURCE: 1},
            )
            .remote(plan)
        )

    async def begin(self) -> None:
        """Hand the settings over; raises FleetError."""
        await self._call("begin", self._plan, timeout=_BEGIN)

    async def place(self, call: str) -> Standing | None:
        """A node with a free slot, the same for the same call; None when there is none."""
        found: Standing | None = await self._call("place", call)
        return found

    async def want(self, row: SourceRow) -> None:
        """Have a source pulled."""
        await self._call("want", row)

    async def forget(self, source: str) -> bool:
        """Have it pulled no more; False if it was not wanted."""
        return bool(await self._call("forget", source))

    async def drain(self, instance: str, draining: bool) -> bool:
        """Give a node nothing new, or again; False if there is no such node."""
        return bool(await self._call("drain", instance, draining))

    async def overview(self) -> dict[str, Any]:
        """Nodes, sources, tally and problems."""
        found: dict[str, Any] = await self._call("overview")
        return found

    async def _call(self, method: str, *arguments: Any, timeout: float = _ANSWER) -> Any:
        try:
            async with asyncio.timeout(timeout):
                return await getattr(self._director, method).remote(*arguments)
        except (RayError, TimeoutError) as error:
            detail = " ".join(str(error).split())[-300:] or "no answer"
            raise FleetError(f"the director does not answer: {detail}") from error


def connect(address: str, plan: Plan) -> Fleet:
    """Join Ray and find its director, or make it; raises EngineError.

    `address` is `HOST:PORT` of Ray's head; empty for what RAY_ADDRESS names, or this machine's.
    """
    require_authentication()
    try:
        ray.init(
            # Never one of its own making: a cluster that nobody has secured.
            address=address or "auto",
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        detail = " ".join(str(error).split())[:300]
        raise EngineError(f"cluster.address: {address or 'auto'}: {detail}") from error
    head = ray.get_runtime_context().gcs_address
    if not refuses_strangers(head):
        raise EngineError(
            f"cluster.address: {head}: this Ray takes whoever comes; start it with "
            "RAY_AUTH_MODE=token (deepfake-monitor cluster start does)"
        )
    return Fleet(plan)
