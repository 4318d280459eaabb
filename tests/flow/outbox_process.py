"""A process that accepts and delivers alerts until it is killed; see test_kill.py."""

import asyncio
import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from monitor.delivery.courier import Courier, Terms
from monitor.delivery.outbox import Outbox
from monitor.delivery.webhook import WebhookDestination
from monitor.metrics.sink import Metrics
from monitor.store.store import Store
from monitor.types import Advice, Alert, Guidance
from tests.alerts import alert

SECRET = "whsec_a2lsbCB0ZXN0IHNlY3JldCBrZXk="
CALLS = 4


@dataclass(frozen=True)
class Plan:
    """What one run does."""

    folder: Path
    urls: tuple[tuple[str, str], ...]
    """Name and address of each destination."""
    first: int
    """Sequence number of the first alert."""
    alerts: int
    """How many are offered; 0 only delivers what is left and ends."""


def work(plan: Plan, begun: Connection) -> None:
    """Run until done or killed; `begun` hears when the load begins."""
    asyncio.run(_work(plan, begun))


async def _work(plan: Plan, begun: Connection) -> None:
    metrics = Metrics()
    store = Store(f"sqlite:///{plan.folder / 'monitor.db'}", metrics)
    await store.open()
    couriers = [
        Courier(
            Terms(name, frozenset({"alert"}), True, 5.0, 3600.0),
            WebhookDestination(url, [SECRET]),
            store.deliveries,
            metrics,
            # Short waits: the test is about kills, not about patience.
            jitter=lambda: -0.4,
        )
        for name, url in plan.urls
    ]
    accepted = os.open(plan.folder / "accepted", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    offered = os.open(plan.folder / "offered", os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    def raised(found: Alert) -> None:
        os.write(accepted, f"{found.idempotency_key}\n".encode())

    outbox = Outbox(store.alerts, couriers, lambda a: Guidance(Advice.STEP_UP), raised, metrics)
    works = [outbox.run(), *(courier.run() for courier in couriers)]
    workers = [asyncio.create_task(work) for work in works]
    begun.send_bytes(b"begun")
    for sequence in range(plan.first, plan.first + plan.alerts):
        found = alert(sequence, call=f"call{sequence % CALLS}")
        os.write(offered, f"{found.idempotency_key}\n".encode())
        outbox.alert(found)
        await asyncio.sleep(0.004)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if await outbox.drain(5) and not await store.deliveries.latest(1, state="pending"):
            break
        await asyncio.sleep(0.05)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    await store.close()
