"""A new call whose source may turn out to be of no use."""

import asyncio

from monitor.calls.call import Call
from monitor.calls.registry import Registry
from monitor.runtime.tasks import awaited
from monitor.web.problems import Problem

FIRST_MEDIA_SECONDS = 15.0
"""How long a request for a new call waits to be able to say that it works."""


async def begun(registry: Registry, call: Call, status: int, title: str, field: str) -> None:
    """Return when media flows, or after a while.

    Raises Problem with `status` and `title`, naming the `field`, if the call ended without any.
    """
    waits = {
        awaited("begin", _seen(call)),
        awaited("begin", registry.wait(call)),
    }
    await asyncio.wait(waits, timeout=FIRST_MEDIA_SECONDS, return_when="FIRST_COMPLETED")
    for wait in waits:
        wait.cancel()
    if call.ended is not None and not call.media_seen.is_set():
        detail = f"{field}: {call.detail or call.ended}"
        raise Problem(status, title, detail, field=field, reason=call.ended, call=call.id)


async def _seen(call: Call) -> None:
    await call.media_seen.wait()
