"""One telephony stream from its first message to the end of its call."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from monitor.calls.admission import CapacityError
from monitor.calls.call import Call
from monitor.calls.place import Place
from monitor.calls.registry import Registry
from monitor.ingest.connection.anomaly import Anomalies, Anomaly, AnomalyKind
from monitor.ingest.connection.room import MOST
from monitor.ingest.telephony.dialect import (
    LARGEST,
    REMOTE,
    Begin,
    Early,
    Ended,
    Message,
    Parser,
    Reply,
    TelephonyError,
)
from monitor.ingest.telephony.participant import Looking
from monitor.ingest.telephony.stream_source import Everybody, TelephonySource
from monitor.ingest.telephony.toll import Toll
from monitor.runtime import failures, log
from monitor.runtime.pace import FloodError
from monitor.runtime.refusals import refused
from monitor.runtime.tasks import awaited
from monitor.web.streams.telling import Telling

_log = log.get(__name__)

Send = Callable[[str], Awaitable[None]]

_UNSCORED = 5.0
"""Seconds of sound of others after which it is said that nobody who is scored is heard."""
_EARLY_BYTES = 2 * LARGEST
"""Of sound that waits for its description: ten seconds of any platform's."""


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What all telephony streams share; seconds."""

    participants: frozenset[str]
    """Who is scored: remote, or remote and agent."""
    idle_timeout: float = 3600.0
    """Without media, or while paused without any message, after which the call ends. A connection
    whose other end has gone is found sooner, by WebSocket pings or by TCP."""
    first_timeout: float = 10.0
    """From the connection to the message that begins the stream."""
    looking: Looking = Looking()
    """How pictures are looked at, where a platform sends some."""


@dataclass(frozen=True, slots=True)
class Close:
    """How the conversation ends on this side: a WebSocket close code and why."""

    code: int
    reason: str


class Streams:
    """Opens streams for as long as there are free call slots."""

    def __init__(self, registry: Registry, options: StreamOptions) -> None:
        self.registry = registry
        self.options = options

    @contextmanager
    def open(
        self,
        ingest: str,
        parser: Parser,
        label: str = "",
        owner: str = "",
        telling: Telling | None = None,
    ) -> Iterator["Stream"]:
        """Give a stream that is to be run; raises CapacityError if no slot is free.

        `owner`: the token or the peer that sends it; `telling` hears of its call.
        """
        # Before its call begins it takes up a slot, too.
        with self.registry.keep_place(ingest, owner) as place:
            yield Stream(ingest, parser, self, label, owner, place, telling)


class Stream:
    """What a platform says, fed into a call of its own."""

    def __init__(
        self,
        ingest: str,
        parser: Parser,
        streams: Streams,
        label: str,
        owner: str,
        place: Place,
        telling: Telling | None = None,
    ) -> None:
        self._ingest = ingest
        self._parser = parser
        self._streams = streams
        self._registry = streams.registry
        self._options = streams.options
        self._label = label
        self._owner = owner
        self._place = place
        self._telling = telling
        self._toll = Toll()
        self._receiving: asyncio.Task[tuple[Close, str]] | None = None
        self._source: TelephonySource | None = None
        self._call: Call | None = None
        self._over = False
        self._anomalies = Anomalies(ingest, streams.registry.anomaly)
        self._told = False
        self._early: deque[tuple[float, str | bytes]] = deque()
        """Messages that wait for what describes them, with monotonic seconds of arrival."""
        self._early_bytes = 0

    async def run(self, receive: Callable[[], Awaitable[str | bytes | None]], send: Send) -> Close:
        """Converse until the stream or its call ends; `receive` gives None once disconnected."""
        receiving = awaited("telephony", self._converse(receive, send))
        self._receiving = receiving
        close = Close(1001, "the service stops")
        reason = "disconnected"
        try:
            close, reason = await receiving
        except asyncio.CancelledError:
            receiving.cancel()
            if not self._over:
                raise
            close = Close(1000, "monitoring was stopped")
            await self._farewell(send, None)
        except Exception as error:  # noqa: BLE001
            # The platform is told, the call ends as what it is, and other streams go on.
            failures.heard("telephony", error, call=self._call.id if self._call else "")
            close, reason = Close(1011, "internal error"), "fault"
        finally:
            if self._source is not None:
                self._source.hang_up(reason)
        if self._call is not None:
            await self._registry.wait(self._call)
        if self._telling is not None:
            await self._telling.end()
        return close

    async def _converse(
        self, receive: Callable[[], Awaitable[str | bytes | None]], send: Send
    ) -> tuple[Close, str]:
        first = asyncio.get_running_loop().time() + self._options.first_timeout
        try:
            await self._take(list(self._parser.opening()), "", send)
            while True:
                deadline = first if self._source is None else self._deadline(self._source)
                try:
                    async with asyncio.timeout_at(deadline):
                        data = await receive()
                except TimeoutError:
                    return await self._silence(send)
                if data is None:
                    return Close(1000, ""), "disconnected"
                messages = self._read(data)
                # At least a turn of the loop, even if the next message is there already.
                await asyncio.sleep(self._toll.pay(len(data), messages))
                if await self._take(messages, data, send):
                    return Close(1000, "the stream has ended"), "ended"
        except FloodError as error:
            refused("media", ingest=self._ingest, call=self._id, detail=str(error))
            await self._farewell(send, str(error))
            return Close(1008, f"media: faster than anybody speaks, {error}"), "flood"
        except TelephonyError as error:
            _log.warning(
                "telephony stream refused",
                ingest=self._ingest,
                call=self._id,
                field=error.field,
                detail=error.detail,
            )
            await self._farewell(send, str(error))
            return Close(error.code, str(error)), "malformed"
        except CapacityError as error:
            await self._farewell(send, str(error))
            return Close(1013, str(error)), "capacity"

    def _read(self, data: str | bytes) -> list[Message]:
        if len(data) > LARGEST:
            raise TelephonyError(
                "message", f"larger than {LARGEST} bytes", TelephonyError.TOO_LARGE
            )
        read = self._parser.text(data) if isinstance(data, str) else self._parser.binary(data)
        return list(read)

    async def _take(
        self,
        messages: list[Message],
        data: str | bytes,
        send: Send,
        arrived: float | None = None,
    ) -> bool:
        """Do what a message says; return whether that ends the stream."""
        for message in messages:
            if isinstance(message, Ended):
                return True
            if isinstance(message, Reply):
                await send(message.text)
            elif isinstance(message, Begin):
                self._begin(message)
                while self._early:
                    came, kept = self._early.popleft()
                    await self._take(self._read(kept), kept, send, came)
            elif isinstance(message, Anomaly):
                self._anomalies.note(message, self._id)
            elif isinstance(message, Early):
                self._keep(data)
            elif self._source is not None:
                await self._source.feed(message, arrived)
                self._look(self._source)
        return False

    def _look(self, source: TelephonySource) -> None:
        """Say so if nobody who is scored is heard, while others are."""
        if source.unscored > _UNSCORED and not source.received and not self._told:
            self._told = True
            detail = "only parties are heard that are not scored (telephony.score)"
            self._anomalies.note(Anomaly(AnomalyKind.TRACK, "tracks", detail), self._id)

    def _keep(self, data: str | bytes) -> None:
        """Let a message wait for its description."""
        detail = "sound before its description; it is kept until that comes"
        self._anomalies.note(Anomaly(AnomalyKind.EARLY, "media", detail))
        self._early.append((time.monotonic(), data))
        self._early_bytes += len(data)
        while self._early_bytes > _EARLY_BYTES:
            self._early_bytes -= len(self._early.popleft()[1])

    def _begin(self, begin: Begin) -> None:
        label = self._label or "".join(c for c in begin.call if c.isprintable())[:80]
        if begin.meeting:
            looking = self._options.looking
            source = TelephonySource(self._ingest, begin.participants, Everybody(), looking=looking)
            self._toll = Toll(MOST)
            first = begin.participants[0] if begin.participants else ""
        else:
            source, first = self._telephone(begin)
        self._place.release()
        self._call = self._registry.start(source, first, label, self._ended, owner=self._owner)
        self._source = source
        if self._telling is not None:
            self._telling.begin(self._call.id)
        _log.info("telephony stream", ingest=self._ingest, call=self._call.id, label=label)

    def _telephone(self, begin: Begin) -> tuple[TelephonySource, str]:
        """Return the source of a call of two parties, and whom it is about."""
        wanted = self._options.participants
        scored = tuple(p for p in begin.participants if p in wanted)
        if begin.participants and not scored:
            raise TelephonyError(
                "tracks",
                f"only {', '.join(begin.participants)}, who is not scored (telephony.score)",
                TelephonyError.VIOLATION,
            )
        source = TelephonySource(self._ingest, scored, wanted - set(scored))
        return source, scored[0] if scored else REMOTE

    @property
    def _id(self) -> str:
        return self._call.id if self._call is not None else ""

    def _deadline(self, source: TelephonySource) -> float:
        # The loop's clock is the monotonic one that the source uses.
        if source.paused:
            return asyncio.get_running_loop().time() + self._options.idle_timeout
        return source.latest + self._options.idle_timeout

    async def _silence(self, send: Send) -> tuple[Close, str]:
        if self._source is None:
            what, reason = "no stream began", "no_media"
        else:
            what, reason = "no media", "idle" if self._source.received else "no_media"
        _log.warning("telephony stream silent", ingest=self._ingest, field="media", detail=what)
        await self._farewell(send, what)
        return Close(1008, f"media: {what} in time"), reason

    async def _farewell(self, send: Send, error: str | None) -> None:
        words = self._parser.farewell(error)
        if words is not None:
            await send(words)

    def _ended(self, call: Call) -> None:
        self._over = True
        if self._receiving is not None:
            self._receiving.cancel()
