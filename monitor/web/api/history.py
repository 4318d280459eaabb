"""What happened in calls lately, so that a page opened late shows the past minutes, too."""

from collections import deque

from fastapi import APIRouter, Depends

from monitor.delivery.logged import NullSink
from monitor.schema import wire
from monitor.schema.records import VerdictRecord, WindowRecord
from monitor.types import Outcome, Verdict
from monitor.web.auth import Gatekeeper
from monitor.web.description import DescribedRoute

EVENTS = 1500
"""Outcomes and verdicts kept of a call: some twelve minutes of a voice alone."""
ENDED = 20
"""Ended calls whose history is kept; what the store keeps has no statistic."""


class History(NullSink):
    """Remembers values as they came; they are written out only for who asks."""

    def __init__(self) -> None:
        self._calls: dict[str, deque[Outcome | Verdict]] = {}
        self._ended: deque[str] = deque()

    def call_started(self, call: str, ingest: str, participant: str) -> None:
        """Begin."""
        self._calls[call] = deque(maxlen=EVENTS)

    def window(self, call: str, outcome: Outcome) -> None:
        """Remember it."""
        if (events := self._calls.get(call)) is not None:
            events.append(outcome)

    def verdict(self, call: str, verdict: Verdict) -> None:
        """Remember it."""
        if (events := self._calls.get(call)) is not None:
            events.append(verdict)

    def call_ended(self, call: str, reason: str) -> None:
        """Forget the call that ended longest ago, if there are too many."""
        self._ended.append(call)
        while len(self._ended) > ENDED:
            self._calls.pop(self._ended.popleft(), None)

    def of(self, call: str) -> list[WindowRecord | VerdictRecord]:
        """Return the records of a call as the event stream had them, oldest first."""
        return [
            wire.verdict(value) if isinstance(value, Verdict) else wire.window(value)
            for value in self._calls.get(call, ())
        ]


def router(gatekeeper: Gatekeeper, history: History) -> APIRouter:
    """Return the route."""
    routes = APIRouter(prefix="/api/v1", tags=["calls"], route_class=DescribedRoute)

    @routes.get("/calls/{call_id}/history", dependencies=[Depends(gatekeeper.require("read"))])
    async def get_history(call_id: str) -> list[WindowRecord | VerdictRecord]:
        """Recent `window` and `verdict` events; none of a call that is long over or unknown."""
        return history.of(call_id)

    return routes
