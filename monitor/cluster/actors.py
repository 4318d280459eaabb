"""What runs as Ray's actors, and what speaks to them."""

import asyncio
import os
import time
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import ray
from ray.exceptions import RayActorError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from monitor.cluster.director import Director, SupersededError
from monitor.cluster.engine import NAMESPACE, NODE_RESOURCE
from monitor.cluster.lease import Orders, Report, Standing
from monitor.cluster.node import Host, NodeLeases, UnreachableError
from monitor.runtime import log
from monitor.runtime.tasks import begin
from monitor.schema.messages import StoreError
from monitor.store.sources import SourceRow
from monitor.store.store import Store

_log = log.get(__name__)

_SURVEY = 0.5
"""Seconds between two looks at Ray's nodes and at what is to be settled."""
_AGAIN = 5.0
"""Seconds after which a node that did not start is tried again."""


class Started(Host, Protocol):
    """A host that runs."""

    standing: Standing


class Plan(Protocol):
    """What this program makes of its settings; travels to every machine."""

    @property
    def lease_seconds(self) -> float:
        """For how long a node may pull without a renewal."""

    def configure(self) -> None:
        """Prepare the process."""

    def store(self) -> Store:
        """Make the director's store."""

    def wanted(self) -> list[SourceRow]:
        """Sources of the settings."""

    def host(self, ray_node: str, ip: str) -> AbstractAsyncContextManager[Started]:
        """Run the service."""


class MediaNode:
    """One process with the whole service in it; Ray starts it anew where it was."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._director: Any = None
        self._starting = asyncio.Lock()
        self._standing: Standing | None = None
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self, director: Any) -> Standing:
        """Run the service, unless it runs; return who this node is. Raises what stops it.

        `director` is the actor's handle: looking it up would wait for Ray's head.
        """
        self._director = director
        async with self._starting:
            if self._standing is None:
                ready: asyncio.Future[Standing] = asyncio.get_running_loop().create_future()
                self._task = begin("node", self._run(ready))
                self._standing = await ready
            return self._standing

    async def live(self) -> None:
        """End the process once the node has been given up; raises what Ray raises if it dies."""
        await self._over.wait()
        # Whatever is left of the calls must not go on where nobody leads.
        ray.actor.exit_actor()  # type: ignore[no-untyped-call]

    async def _run(self, ready: "asyncio.Future[Standing]") -> None:
        try:
            self._plan.configure()
            node = ray.get_runtime_context().get_node_id()
            ip = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
            async with self._plan.host(node, ip) as host:
                ready.set_result(host.standing)
                tenancy = NodeLeases(host, self._ask, self._plan.lease_seconds, time.monotonic)
                await tenancy.run()
        except Exception as error:
            if not ready.done():
                _log.exception("node failed")
                # Its text alone: not every exception survives the way to the director.
                ready.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))
                return
            raise
        finally:
            if ready.done() and ready.exception() is None:
                self._over.set()

    async def _ask(self, report: Report) -> Orders | None:
        try:
            orders: Orders | None = await self._director.renew.remote(report)
        except RayError as error:
            raise UnreachableError(type(error).__name__) from error
        return orders


class DirectorActor:
    """The director with Ray's eyes: which nodes there are, and when one dies."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._opening = asyncio.Lock()
        self._director: Director | None = None
        self._followed: dict[str, asyncio.Task[None]] = {}
        self._problems: dict[str, str] = {}
        self._work: asyncio.Task[None] | None = None

    async def begin(self, plan: Plan) -> None:
        """Use these settings from now on: for nodes that start later, and for sources."""
        director = await self._open()
        self._plan = plan
        await director.configure(plan.wanted())

    async def renew(self, report: Report) -> Orders | None:
        """Answer a node."""
        return await (await self._open()).renew(report)

    async def place(self, call: str) -> Standing | None:
        """Give away a slot."""
        return (await self._open()).place(call)

    async def want(self, row: SourceRow) -> None:
        """Have a source pulled."""
        await (await self._open()).want(row)

    async def forget(self, source: str) -> bool:
        """Have it pulled no more."""
        return await (await self._open()).forget(source)

    async def drain(self, instance: str, draining: bool) -> bool:
        """Give a node nothing new, or again."""
        return await (await self._open()).drain(instance, draining)

    async def overview(self) -> dict[str, Any]:
        """Nodes, sources, tally, and by Ray node what keeps it from starting."""
        return (await self._open()).overview() | {"problems": dict(self._problems)}

    async def _open(self) -> Director:
        async with self._opening:
            if self._director is None:
                self._plan.configure()
                store = self._plan.store()
                await store.open()
                director = Director(
                    store.nodes,
                    store.sources,
                    store.totals,
                    self._plan.lease_seconds,
                    time.monotonic,
                )
                await director.load()
                self._director = director
                # Ray begins the actor anew, with what the database knows.
                self._work = begin("director", self._run(director), lambda _: os._exit(1))
            return self._director

    async def _run(self, director: Director) -> None:
        while True:
            # In a thread: it waits for an answer from Ray's head.
            alive = {n["NodeID"] for n in await asyncio.to_thread(ray.nodes) if _takes_calls(n)}
            for instance in [node.standing.instance for node in director.roster]:
                if not any(_is_on(instance, node) for node in alive):
                    director.lose(instance)
            for node in [n for n, task in self._followed.items() if task.done()]:
                del self._followed[node]
            for node in alive - self._followed.keys():
                self._followed[node] = begin("follow", self._follow(director, node))
            try:
                await director.settle()
            except StoreError as error:
                _log.warning("nothing settled", cause=error.reason)
            except SupersededError:
                _log.exception("another director is at work")
                os._exit(1)
            await asyncio.sleep(_SURVEY)

    async def _follow(self, director: Director, node: str) -> None:
        """Run the service on a machine of Ray's, and hear when it dies."""
        actor: Any = (
            ray.remote(MediaNode)
            .options(
                **SAME,
                name=f"node-{node}",
                resources={NODE_RESOURCE: 1},
                scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
            )
            .remote(self._plan)
        )
        instance = ""
        try:
            standing = await actor.start.remote(ray.get_runtime_context().current_actor)
            instance = standing.instance
            for other in [n.standing.instance for n in director.roster]:
                if other != instance and _is_on(other, node):
                    director.lose(other)
            await director.join(standing)
            self._problems.pop(node, None)
            await actor.live.remote()
        except (RayError, StoreError) as error:
            self._problems[node] = " ".join(str(error).split())[-300:]
            _log.warning("node not followed", ray_node=node, cause=type(error).__name__)
            # One that died is begun anew at once; one that refuses to start, not at every look.
            await asyncio.sleep(0.0 if isinstance(error, RayActorError) else _AGAIN)
        finally:
            director.lose(instance)


SAME: dict[str, Any] = {
    "namespace": NAMESPACE,
    "get_if_exists": True,
    "lifetime": "detached",
    "max_restarts": -1,
    "num_cpus": 0,
}
"""Of all actors: they outlive the gateway that made them, and Ray restarts their processes."""


def instance_of(ray_node: str, start: str) -> str:
    """The name of one start of the service on a node of Ray's."""
    return f"{ray_node[:_PREFIX]}-{start}"


_PREFIX = 16


def _is_on(instance: str, ray_node: str) -> bool:
    return instance.startswith(ray_node[:_PREFIX] + "-")


def _takes_calls(node: dict[str, Any]) -> bool:
    return bool(node["Alive"]) and NODE_RESOURCE in node["Resources"]
