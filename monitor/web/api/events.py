"""What happens in calls, as server-sent events (WHATWG HTML, section 9.2)."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Literal, NotRequired

from typing_extensions import TypedDict

from monitor.delivery.logged import NullSink
from monitor.runtime.channel import Channel
from monitor.runtime.tasks import awaited
from monitor.schema import wire
from monitor.schema.records import AlertRecord, VerdictRecord, WindowRecord, described
from monitor.types import Alert, Outcome, Verdict
from monitor.web.quota import Quota

CAPACITY = 500
"""Events a slow reader may fall behind before it misses the oldest."""
_KEEP_ALIVE = 15.0
"""Seconds after which a comment keeps proxies from closing a quiet stream."""


class _Of(TypedDict):
    call: str


@described
class CallEvent(_Of):
    """A call began, or is over."""

    state: Literal["started", "ended"]
    ingest: NotRequired[str]
    """Only at the start, as is `participant`."""
    participant: NotRequired[str]
    reason: NotRequired[str]
    """Why it is over, in one word."""


@described
class FaceEvent(_Of):
    """A face was found or lost."""

    participant: str
    time: float
    found: bool


@described
class PauseEvent(_Of):
    """A participant is not monitored from now on, or is again."""

    participant: str
    time: float
    reason: str | None
    """Null when monitoring goes on."""


@described
class WindowEvent(WindowRecord, _Of):
    """A detector judged a window, or did not."""


@described
class VerdictEvent(VerdictRecord, _Of):
    """A participant's standing after a window."""


@described
class MissedEvent(TypedDict):
    """The reader was too slow."""

    missed: int
    """Events that it did not get, since it began to read."""


EVENTS = {
    "call": CallEvent,
    "window": WindowEvent,
    "face": FaceEvent,
    "verdict": VerdictEvent,
    "paused": PauseEvent,
    "resumed": PauseEvent,
    "alert": AlertRecord,
    "missed": MissedEvent,
}
"""What the data of each event is."""
_Data = CallEvent | FaceEvent | PauseEvent | WindowRecord | VerdictRecord | AlertRecord
KINDS = frozenset(EVENTS) - {"missed"}
"""Events that a reader may ask for."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a reader wants to hear."""

    call: str | None
    """None: of all calls."""
    kinds: frozenset[str]
    """Empty: all."""

    def grants(self, event: str, call: str) -> bool:
        return (not self.kinds or event in self.kinds) and self.call in (None, call)


@dataclass(frozen=True, slots=True)
class Event:
    """What a reader hears."""

    kind: str
    data: str
    """JSON, as `EVENTS` says."""


READERS = 50
"""Streams that one token may read at once."""


class EventStream(NullSink):
    """Fans calls' events out to readers; what nobody wants is not even written out."""

    def __init__(self) -> None:
        self._readers: dict[Channel[Event], _Wish] = {}
        self._quota = Quota("event_readers", "events: streams", READERS)

    def call_started(self, call: str, ingest: str, participant: str) -> None:
        """Tell readers that a call began."""
        begun: CallEvent = {
            "call": call,
            "state": "started",
            "ingest": ingest,
            "participant": participant,
        }
        self._publish("call", call, lambda: begun)

    def window(self, call: str, outcome: Outcome) -> None:
        """Tell readers of an outcome."""
        self._publish("window", call, lambda: wire.window(outcome))

    def face(self, call: str, participant: str, time: float, found: bool) -> None:
        """Tell readers of a face track's begin or end."""
        at = round(time, 3)
        event: FaceEvent = {"call": call, "participant": participant, "time": at, "found": found}
        self._publish("face", call, lambda: event)

    def verdict(self, call: str, verdict: Verdict) -> None:
        """Tell readers of a verdict."""
        self._publish("verdict", call, lambda: wire.verdict(verdict))

    def paused(self, call: str, participant: str, time: float, reason: str | None) -> None:
        """Tell readers that a participant is not monitored, or is again."""
        at = round(time, 3)
        event: PauseEvent = {"call": call, "participant": participant, "time": at, "reason": reason}
        self._publish("paused" if reason else "resumed", call, lambda: event)

    def alert(self, alert: Alert) -> None:
        """Tell readers of an alert."""
        self._publish("alert", alert.call, lambda: wire.alert(alert))

    def call_ended(self, call: str, reason: str) -> None:
        """Tell readers that a call is over."""
        over: CallEvent = {"call": call, "state": "ended", "reason": reason}
        self._publish("call", call, lambda: over)

    def open(self, by: str, call: str | None, kinds: frozenset[str]) -> AsyncIterator[str]:
        """The events for a token's holder, as `subscribe`; raises Problem if it reads too many."""
        self._quota.take(by)
        self._quota.release(by)
        return self._counted(by, call, kinds)

    async def _counted(
        self, by: str, call: str | None, kinds: frozenset[str]
    ) -> AsyncIterator[str]:
        with self._quota.held(by):
            async with aclosing(self.subscribe(call, kinds)) as events:
                async for event in events:
                    yield event

    async def subscribe(
        self, call: str | None, kinds: frozenset[str] = frozenset()
    ) -> AsyncGenerator[str, None]:
        """Yield events of one call, or of all, in the stream format until cancelled.

        `kinds` names the events that are wanted; none means all.
        """
        pending: asyncio.Task[Event | None] | None = None
        with self.reading(call, kinds) as channel:
            events = aiter(with_misses(channel))
            try:
                yield ": connected\n\n"
                while True:
                    pending = pending or awaited("events", _next(events))
                    done, _ = await asyncio.wait({pending}, timeout=_KEEP_ALIVE)
                    if not done:
                        yield ": keep-alive\n\n"
                        continue
                    event = pending.result()
                    if event is None:
                        return
                    yield f"event: {event.kind}\ndata: {event.data}\n\n"
                    pending = None
            finally:
                if pending is not None:
                    pending.cancel()

    @contextmanager
    def reading(
        self, call: str | None, kinds: frozenset[str] = frozenset()
    ) -> Iterator[Channel[Event]]:
        """Give what is published from now on; `call` and `kinds` as for `subscribe`."""
        channel: Channel[Event] = Channel(CAPACITY)
        self._readers[channel] = _Wish(call, kinds)
        try:
            yield channel
        finally:
            del self._readers[channel]

    def close(self) -> None:
        """End every reader's stream."""
        for channel in self._readers:
            channel.close()

    def _publish(self, event: str, call: str, record: Callable[[], _Data]) -> None:
        channels = [c for c, wish in self._readers.items() if wish.grants(event, call)]
        if not channels:
            return
        data = json.dumps({"call": call, **record()}, separators=(",", ":"), allow_nan=False)
        for channel in channels:
            channel.put(Event(event, data))


async def with_misses(channel: Channel[Event]) -> AsyncGenerator[Event, None]:
    """Yield what comes, and before it, whenever that has grown, how much was missed."""
    missed = 0
    async for event in channel:
        if channel.dropped != missed:
            missed = channel.dropped
            yield Event("missed", f'{{"missed":{missed}}}')
        yield event


async def _next(events: AsyncIterator[Event]) -> Event | None:
    """The next event; None after the last, as no task may end by StopAsyncIteration."""
    return await anext(events, None)
