"""The calls of this process: admission, lifecycle, and what is still remembered of ended ones."""

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator

from monitor.calls.admission import Admission, CapacityError, Level
from monitor.calls.call import Call
from monitor.calls.pause import Pause, PauseError, PauseReason
from monitor.calls.place import Place
from monitor.calls.record import CallRecord
from monitor.calls.stages import Stages
from monitor.metrics.sink import Metrics
from monitor.runtime import failures, log
from monitor.runtime.tasks import awaited
from monitor.types.packet import PacketTarget
from monitor.types.protocols import Sink, Source

_log = log.get(__name__)

REMEMBERED = 1000
"""Ended calls the API can still show."""
STOP_SECONDS = 10.0
"""How long a call may take to finish its last verdict when it is stopped."""


class Registry:
    """Starts, finds and stops calls."""

    def __init__(
        self,
        stages: Stages,
        sink: Sink,
        metrics: Metrics,
        admission: Admission,
        evidence: Callable[[str, str, str], PacketTarget | None] = lambda *_: None,
        most_unheard: int | None = None,
        most_each: int = 0,
    ) -> None:
        """`evidence(call, ingest, label)` gives where a call's encoded media is kept, if it is.

        `most_unheard`: calls without media that one owner may have at once; `most_each`: calls of
        any kind, 0 for no bound.
        """
        self._most_each = most_each
        self._most_unheard = most_unheard
        self._held: Counter[str] = Counter()
        """Places that are kept, by owner."""
        self.guests: Callable[[], Iterable[tuple[str, bool]]] = lambda: ()
        """Owners of participants beyond their call's first, and whether each has been heard: each
        takes up as much of the machine as a call."""
        self._stages = stages
        self._sink = sink
        self._metrics = metrics
        self._evidence = evidence
        self._admission = admission
        self.draining = False
        """Whether no new call is taken, so that the process can end without ending any."""
        self._tasks: dict[str, asyncio.Task[str]] = {}
        self._active: dict[str, Call] = {}
        self._ended: deque[CallRecord] = deque(maxlen=REMEMBERED)
        metrics.slots.set_function(lambda: self.free)
        metrics.governor.set_function(lambda: self.level)

    def admit(self, ingest: str, owner: str = "") -> None:
        """Raise CapacityError if no further call can be monitored, or none of this owner.

        `owner` is the token or the peer that a call is sent by; empty for what is pulled.
        """
        try:
            if self.draining:
                raise CapacityError("this node is being drained", "draining")
            self._admission.check(self._load)
            if owner and self._most_unheard is not None:
                if self._unheard(owner) >= self._most_unheard:
                    raise CapacityError(
                        f"{self._most_unheard} calls of the same sender have no media yet", "quota"
                    )
            if owner and self._most_each and self._all_of(owner) >= self._most_each:
                raise CapacityError(f"{self._most_each} calls are the same sender's", "quota")
        except CapacityError as error:
            self._metrics.calls_refused.labels(ingest, error.reason).inc()
            raise

    @property
    def _load(self) -> int:
        """Calls, participants beyond the first, and places that are kept."""
        return len(self._active) + sum(1 for _ in self.guests()) + self._held.total()

    def _all_of(self, owner: str) -> int:
        theirs = sum(call.owner == owner for call in self._active.values())
        return theirs + sum(o == owner for o, _ in self.guests()) + self._held[owner]

    def _unheard(self, owner: str) -> int:
        calls = self._active.values()
        unheard = sum(c.owner == owner and not c.media_seen.is_set() for c in calls)
        return unheard + sum(o == owner and not h for o, h in self.guests()) + self._held[owner]

    def keep_place(self, ingest: str, owner: str = "") -> Place:
        """Count a call that may begin later as one; raises CapacityError like `admit`."""
        self.admit(ingest, owner)
        self._held[owner] += 1

        def released() -> None:
            self._held[owner] -= 1

        return Place(released)

    def anomaly(self, ingest: str, kind: str) -> None:
        """Count something that a sender did not do as it should; its call goes on."""
        self._metrics.anomalies.labels(ingest, kind).inc()

    def start(
        self,
        source: Source,
        participant: str,
        label: str = "",
        ended: Callable[[Call], None] | None = None,
        call_id: str = "",
        owner: str = "",
    ) -> Call:
        """Begin monitoring a source; `ended` hears when it is over. Raises CapacityError.

        `call_id` must never have been used; left out, one is made. `owner` as for `admit`.
        """
        self.admit(source.ingest, owner)
        call_id = call_id or secrets.token_urlsafe(12)
        call = Call(
            id=call_id,
            source=source,
            stages=self._stages,
            sink=self._sink,
            metrics=self._metrics,
            participant=participant,
            label=label,
            owner=owner,
            evidence=self._evidence(call_id, source.ingest, label),
        )
        call.thin(self._admission.level)
        self._active[call.id] = call
        task = awaited("call", _monitored(call))
        self._tasks[call.id] = task

        def done(task: asyncio.Task[str]) -> None:
            self._active.pop(call.id, None)
            self._tasks.pop(call.id, None)
            # Only the record: an ended call's buffers and connection are let go.
            self._ended.append(call.record())
            if not task.cancelled() and (error := task.exception()) is not None:
                failures.heard("call", error, call=call.id)
            if ended is not None:
                ended(call)

        task.add_done_callback(done)
        return call

    def find(self, call_id: str) -> CallRecord | None:
        """Return an active or remembered call."""
        if (call := self._active.get(call_id)) is not None:
            return call.record()
        return next((record for record in self._ended if record.id == call_id), None)

    def __iter__(self) -> Iterator[CallRecord]:
        """Active calls, then ended ones, each newest first."""
        yield from (call.record() for call in reversed(self._active.values()))
        yield from reversed(self._ended)

    @property
    def active(self) -> int:
        """Number of calls in progress."""
        return len(self._active)

    @property
    def free(self) -> int:
        """Further calls that can be taken now."""
        return 0 if self.draining else self._admission.free(self._load)

    @property
    def level(self) -> Level:
        """What of live calls is looked at just now."""
        return self._admission.level

    async def stop(self, call_id: str) -> bool:
        """Stop one call and wait for its last verdict; False if it is not in progress."""
        task, call = self._tasks.get(call_id), self._active.get(call_id)
        if task is None or call is None:
            return False
        call.stop()
        _, late = await asyncio.wait({task}, timeout=STOP_SECONDS)
        if late:
            _log.error("call did not stop in time", call=call_id)
            task.cancel()
        return True

    def pause(self, call_id: str, participant: str, reason: PauseReason) -> Pause:
        """Stop monitoring a participant; raises PauseError."""
        return self._in_progress(call_id).pause(participant, reason)

    def resume(self, call_id: str, participant: str) -> None:
        """Go on monitoring a participant; raises PauseError."""
        self._in_progress(call_id).resume(participant)

    def _in_progress(self, call_id: str) -> Call:
        call = self._active.get(call_id)
        if call is None:
            raise PauseError("the call is over")
        return call

    async def close(self) -> None:
        """Stop every call."""
        await asyncio.gather(*(self.stop(call_id) for call_id in list(self._tasks)))

    async def wait(self, call: Call) -> None:
        """Return when the call has ended."""
        if (task := self._tasks.get(call.id)) is not None:
            await asyncio.wait({task})

    def govern(self, level: Level) -> None:
        """Look at no more of every live call than `level` says."""
        for call in self._active.values():
            call.thin(level)


async def _monitored(call: Call) -> str:
    # A source's own log lines name no more of it than its host.
    with log.about(call=call.id):
        return await call.run()
