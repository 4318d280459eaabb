"""What a director needs of the database."""

from collections.abc import Mapping
from typing import Protocol

from monitor.store.nodes import Interrupted, NodeRow
from monitor.store.sources import Account, SourceRow


class NodeLedger(Protocol):
    """Where nodes are kept; every method raises StoreError."""

    async def join(self, node: NodeRow) -> None:
        """Keep a node."""

    async def all(self) -> list[NodeRow]:
        """Every node."""

    async def drain(self, instance: str, draining: bool) -> None:
        """Note whether it takes nothing new."""

    async def lose(self, instance: str) -> Interrupted:
        """Close the calls of a node that is gone, and count them."""

    async def orphans(self) -> list[str]:
        """Lost nodes that still owe deliveries."""


class SourceLedger(Protocol):
    """Where sources and their leases are kept; every method raises StoreError."""

    async def all(self) -> list[SourceRow]:
        """Every source."""

    async def want(self, source: SourceRow) -> None:
        """Keep a source."""

    async def forget(self, source: str) -> None:
        """Keep it no longer."""

    async def accounts(self) -> Mapping[str, Account]:
        """What is known of each source's gaps."""

    async def account(self, source: str, account: Account) -> None:
        """Keep what is known by now."""

    async def move(self, source: str, epoch: int, holder: str | None, account: Account) -> bool:
        """Give a lease to another holder; False if somebody else did before."""

    async def end(self, source: str, reason: str, account: Account) -> None:
        """Note that it is pulled no more."""

    async def idle(self, source: str) -> float:
        """Seconds since its lease was renewed in the database."""

    async def unseen(self, call: str) -> float:
        """Seconds since anything was kept of the call it was pulled as; infinite for nothing."""


class TotalLedger(Protocol):
    """Where totals are kept."""

    async def all(self) -> Mapping[str, float]:
        """Those that were ever counted; raises StoreError."""
