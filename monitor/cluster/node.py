"""What a node does beside its calls: renews its leases, pulls what it is told to, and stops alone.

A renewal goes to the director. When that cannot be reached, the database says whether the leases
still hold, so that a cluster without a head goes on pulling. A node that reaches neither for as
long as a lease lasts stops, because another may have begun.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from monitor.calls.admission import CapacityError
from monitor.cluster.lease import Ended, Fence, Lease, Orders, Report
from monitor.runtime import log
from monitor.runtime.tasks import begin
from monitor.schema.messages import StoreError

_log = log.get(__name__)

EVERY = 0.5
"""Seconds between two renewals."""
_ANSWER = 1.5
"""Seconds that an answer may take: of the director, and again of the database."""
FENCED = "fenced"
"""Why a pull ended that was stopped because this node was alone."""


class UnreachableError(Exception):
    """The director did not answer."""


class Host(Protocol):
    """The service that runs here."""

    instance: str

    @property
    def free(self) -> int:
        """Further calls that can be taken."""

    @property
    def calls(self) -> int:
        """In progress."""

    def pull(self, lease: Lease) -> None:
        """Begin to pull a source; raises CapacityError, and ValueError for what names none."""

    async def drop(self, call: str) -> None:
        """End a pulled call; its media ends at once."""

    def flowing(self, call: str) -> bool:
        """Whether the call's media has arrived."""

    def over(self, call: str) -> str | None:
        """Why a pulled call ended, in one word; None while it goes on."""

    def drain(self, draining: bool) -> None:
        """Take no new call, or again."""

    async def inherit(self, instances: Sequence[str]) -> None:
        """Send what lost nodes still owe; raises StoreError."""

    async def renew(self, epochs: Mapping[str, int]) -> frozenset[str]:
        """Ask the database which leases still hold; raises StoreError."""


class NodeLeases:
    """The leases of one node."""

    def __init__(
        self,
        host: Host,
        ask: Callable[[Report], Awaitable[Orders | None]],
        lease_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        """`ask` sends a report to the director; raises UnreachableError.

        `clock` gives monotonic seconds.
        """
        self._host = host
        self._ask = ask
        self._clock = clock
        self._fence = Fence(lease_seconds, clock())
        self._held: dict[str, Lease] = {}
        self._ended: list[tuple[float, Ended]] = []
        """With when they ended, until the director has heard of them."""
        self._over: dict[str, int] = {}
        """The latest epoch of a source that came to its end here: not to be begun again."""
        self._dropping: set[asyncio.Task[None]] = set()
        self._known = False

    async def run(self) -> None:
        """Renew until the director says that this node has been given up.

        Raises ExceptionGroup if a part of it died: unwatched, its pulls might outlast their leases.
        """
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self.guard())
            while await self.renew():  # noqa: ASYNC110 - it renews, it does not look
                await asyncio.sleep(EVERY)
            watch.cancel()

    async def renew(self) -> bool:
        """Renew once; False if this node has been given up."""
        self._notice()
        sent = self._clock()
        report = self._report()
        try:
            async with asyncio.timeout(_ANSWER):
                orders = await self._ask(report)
        except (UnreachableError, TimeoutError):
            await self._renew_alone()
            return True
        if orders is None and not self._known:
            # The director hears of a new node a moment later than the node of the director.
            return True
        if orders is None:
            _log.error("node given up", node=self._host.instance)
            self._stop_all()
            return False
        self._known = True
        self._fence.renewed(sent)
        self._ended = self._ended[len(report.ended) :]
        self._host.drain(orders.draining)
        self._obey(orders.leases)
        if orders.inherit:
            try:
                await self._host.inherit(orders.inherit)
            except StoreError as error:
                _log.warning("deliveries not inherited yet", cause=error.reason)
        return True

    async def guard(self) -> None:
        """Stop every pull as soon as no lease can hold, until cancelled."""
        while True:
            left = self._fence.left(self._clock())
            if left <= 0 and self._held:
                _log.error("node is alone", node=self._host.instance, sources=len(self._held))
                for lease in self._held.values():
                    self._end(lease, FENCED)
                self._stop_all()
            await asyncio.sleep(max(left, 0.1))

    async def _renew_alone(self) -> None:
        sent = self._clock()
        if not self._held:
            return
        try:
            async with asyncio.timeout(_ANSWER):
                epochs = {source: lease.epoch for source, lease in self._held.items()}
                kept = await self._host.renew(epochs)
        except (StoreError, TimeoutError):
            _log.warning("leases not renewed", node=self._host.instance)
            return
        self._fence.renewed(sent)
        self._obey([lease for source, lease in self._held.items() if source in kept])

    def _report(self) -> Report:
        host = self._host
        flowing = frozenset(s for s, lease in self._held.items() if host.flowing(lease.call))
        held = {source: lease.epoch for source, lease in self._held.items()}
        now = self._clock()
        ended = tuple(replace(e, ago=now - at) for at, e in self._ended)
        return Report(host.instance, host.free, host.calls, held, flowing, ended)

    def _notice(self) -> None:
        """Find pulls that ended by themselves."""
        for source, lease in list(self._held.items()):
            reason = self._host.over(lease.call)
            if reason is not None:
                del self._held[source]
                self._end(lease, reason)

    def _obey(self, leases: Sequence[Lease]) -> None:
        wanted = {lease.source: lease for lease in leases}
        for source, lease in list(self._held.items()):
            if wanted.get(source) != lease:
                del self._held[source]
                self._drop(lease)
        for source, lease in wanted.items():
            if source not in self._held and lease.epoch > self._over.get(source, 0):
                self._begin(lease)

    def _begin(self, lease: Lease) -> None:
        try:
            self._host.pull(lease)
        except CapacityError as error:
            _log.warning("source not taken", source=lease.source, cause=str(error))
            self._end(lease, "capacity")
        except ValueError as error:
            _log.error("source not usable", source=lease.source, cause=str(error))
            self._end(lease, "unusable")
        else:
            self._held[lease.source] = lease

    def _end(self, lease: Lease, reason: str) -> None:
        self._over[lease.source] = lease.epoch
        self._ended.append((self._clock(), Ended(lease.source, lease.epoch, reason)))

    def _stop_all(self) -> None:
        for lease in self._held.values():
            self._drop(lease)
        self._held.clear()

    def _drop(self, lease: Lease) -> None:
        # Its last verdict takes a while, for which a renewal must not wait.
        task = begin("drop", self._host.drop(lease.call))
        self._dropping.add(task)
        task.add_done_callback(self._dropping.discard)
