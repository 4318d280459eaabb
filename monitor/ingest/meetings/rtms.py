"""A Zoom meeting by Realtime Media Streams: Zoom tells where, and this service dials twice.

webhook ─► Stream ─► signalling ── handshake ──► where media is; states; people; keep-alive
                        └────────► media ─────── handshake ──► sound and pictures; keep-alive
                                     RtmsReader ─► TelephonySource ─► call

A connection that is lost is dialled again; what was spoken meanwhile is booked as lost.
"""

import asyncio
import random
import ssl
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from monitor.ingest.connection.anomaly import Anomalies, Anomaly
from monitor.ingest.connection.hosts import Hosts
from monitor.ingest.connection.retry import Retry, RetryOptions
from monitor.ingest.connection.room import MOST
from monitor.ingest.connection.trust import Trust
from monitor.ingest.meetings.rtms_link import Link, dialled
from monitor.ingest.meetings.rtms_media import RtmsReader
from monitor.ingest.meetings.rtms_messages import (
    Credentials,
    Kind,
    Stream,
    Wanted,
    kept_alive,
    media_request,
    ready,
    signalling_request,
    subscribe,
)
from monitor.ingest.telephony.dialect import Ended, Paused, TelephonyError
from monitor.ingest.telephony.participant import Looking
from monitor.ingest.telephony.stream_source import Everybody, TelephonySource
from monitor.ingest.telephony.toll import Toll
from monitor.runtime import log
from monitor.runtime.log import redact
from monitor.runtime.pace import FloodError
from monitor.runtime.refusals import refused
from monitor.runtime.tasks import awaited, ended
from monitor.types import LostReason
from monitor.types.protocols import Intake, SourceError

_log = log.get(__name__)

_FINAL = frozenset({"refused", "untrusted", "unreadable"})
"""Reasons for which a stream that never flowed is not dialled again."""
_STEADY = 10.0
"""Seconds that a connection must last before its keep-alives count as being there."""


@dataclass(frozen=True, slots=True)
class RtmsOptions:
    """How Zoom is dialled; seconds."""

    credentials: Credentials
    hosts: Hosts
    wanted: Wanted = Wanted()
    trust: Trust = Trust(setting="zoom")
    open_timeout: float = 10.0
    """For a connection and for each handshake."""
    quiet_timeout: float = 60.0
    """Without any message, not even a keep-alive, after which a connection is dead."""
    retry: RetryOptions = field(
        default_factory=lambda: RetryOptions(limit=8.0, give_up_after=60.0, at_once=True)
    )
    """Zoom keeps a stream for 30 to 60 s after a connection was lost."""


class RtmsSource:
    """One stream of one meeting; whoever hears webhooks says when it is over."""

    ingest = "zoom"
    live = True

    def __init__(
        self,
        stream: Stream,
        options: RtmsOptions,
        count: Callable[[str, str], None],
        looking: Looking | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`count(ingest, kind)` hears of oddities; raises ValueError for a host not allowed."""
        options.hosts.check(stream.url)
        self.stream = stream
        self._options = options
        self._reader = RtmsReader(options.wanted)
        self._media = TelephonySource("zoom", (), Everybody(), looking=looking)
        self._anomalies = Anomalies("zoom", count)
        self._jitter = jitter
        self._intake: Intake | None = None
        self._up_since = 0.0
        """Monotonic seconds at which the latest connection came up."""
        self._spoken = 0.0
        """Monotonic seconds of the latest message."""
        self._there: float | None = None
        """Call seconds at which a connection was last known to be well."""
        self._told = ""

    def move(self, url: str) -> None:
        """Dial another server from the next time on; raises ValueError for a host not allowed."""
        self._options.hosts.check(url)
        self.stream = Stream(self.stream.uuid, self.stream.id, url)

    def hang_up(self, reason: str = "ended") -> None:
        """Let `run` return."""
        self._media.hang_up(reason)

    async def run(self, intake: Intake) -> str:
        """Receive until the stream ends or stays away; raises SourceError if it never came."""
        self._intake = intake
        try:
            context = self._options.trust.context()
        except ValueError as error:
            raise SourceError("untrusted", str(error)) from error
        media = awaited("zoom", self._media.run(intake))
        retry = Retry(self.stream.url, self._options.retry, self._jitter)
        dialling = awaited("zoom", self._dial_again(retry, intake, context))
        try:
            await asyncio.wait({media, dialling}, return_when="FIRST_COMPLETED")
            if dialling.done():
                # Raises what kept it from ever being heard.
                self._media.hang_up(dialling.result())
            return await media
        finally:
            await ended(media, dialling)

    async def _dial_again(self, retry: Retry, intake: Intake, context: ssl.SSLContext) -> str:
        async def attempt() -> None:
            try:
                await self._connection(context)
            except SourceError as error:
                if error.reason in _FINAL and not self._media.received:
                    raise _RefusedError(error) from error
                raise

        try:
            return await retry.run(intake, attempt, self._reached)
        except _RefusedError as refused:
            raise refused.error from None

    def _reached(self) -> float | None:
        return self._there

    async def _connection(self, context: ssl.SSLContext) -> None:
        """Hold both connections until one of them ends; raises SourceError for a refusal."""
        options, stream = self._options, self.stream
        limit, note = options.open_timeout, self._anomalies.note
        request = signalling_request(options.credentials, stream)
        try:
            async with AsyncExitStack() as stack:
                dial = partial(dialled, trust=options.trust, context=context, timeout=limit)
                signalling = await stack.enter_async_context(dial(stream.url, note=note))
                answer = await signalling.shake(request, Kind.SIGNALLING_ANSWER, limit)
                self._reader.restart()
                links = [signalling]
                for kind in options.wanted.media:
                    where = self._allowed(_media_url(answer, kind))
                    link = await stack.enter_async_context(dial(where, note=note))
                    request = media_request(options.credentials, stream, options.wanted, kind)
                    taken = await link.shake(request, Kind.MEDIA_ANSWER, limit)
                    self._reader.take_answer(kind, taken)
                    links.append(link)
                await signalling.send(ready(stream))
                await signalling.send(subscribe())
                _log.info("zoom stream connected", uri=stream.url)
                self._spoken = self._up_since = asyncio.get_running_loop().time()
                await self._listen(links)
        except TelephonyError as error:
            raise SourceError("unreadable", f"{redact(stream.url)}: {error}") from error
        except FloodError as error:
            refused("media", ingest="zoom", detail=str(error))
            words = f"{redact(stream.url)}: media faster than anybody speaks, {error}"
            raise SourceError("flood", words) from error
        finally:
            if self._media.received:
                await self._media.feed(Paused(LostReason.RECONNECT))

    async def _listen(self, links: Sequence[Link]) -> None:
        """Read all connections until one ends."""
        tasks = [awaited("zoom", self._read(each)) for each in links]
        try:
            await asyncio.wait(tasks, return_when="FIRST_COMPLETED")
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            await ended(*tasks)

    async def _read(self, link: Link) -> None:
        limit, clock = self._options.quiet_timeout, asyncio.get_running_loop().time
        toll = Toll(MOST)
        while True:
            try:
                message = await link.receive(limit)
            except TimeoutError:
                if clock() - self._spoken < limit:
                    # The other connection is alive.
                    continue
                _log.warning("zoom connection silent", uri=self.stream.url)
                return
            if message is None:
                return
            self._spoken = clock()
            if message.get("msg_type") == Kind.KEEP_ALIVE:
                await asyncio.sleep(toll.pay(link.size, ()))
                await link.send(kept_alive(message))
                self._well()
                continue
            messages = list(self._reader.read(message))
            await asyncio.sleep(toll.pay(link.size, messages))
            for found in messages:
                if isinstance(found, Anomaly):
                    self._anomalies.note(found)
                elif isinstance(found, Ended):
                    self._media.hang_up("ended")
                else:
                    await self._media.feed(found)
            if message.get("msg_type") in (Kind.AUDIO, Kind.VIDEO):
                self._well(media=True)
            if self._reader.mixed and not self._told and self._intake is not None:
                self._told = self._reader.mixed
                self._intake.remark(self._told)

    def _well(self, media: bool = False) -> None:
        """Note that the far end is there, if it has been for long enough or sends media."""
        lasted = asyncio.get_running_loop().time() - self._up_since
        if self._intake is not None and (media or lasted >= _STEADY):
            self._there = self._intake.now()

    def _allowed(self, url: str) -> str:
        try:
            return self._options.hosts.check(url)
        except ValueError as error:
            raise SourceError("refused", f"media server: {error} (zoom.hosts)") from None


class _RefusedError(Exception):
    """There is no use in dialling again."""

    def __init__(self, error: SourceError) -> None:
        super().__init__(str(error))
        self.error = error


def _media_url(answer: dict[str, Any], kind: str) -> str:
    """Where such media is, as the answer to the first handshake says; empty if it does not."""
    server = answer.get("media_server")
    urls = server.get("server_urls") if isinstance(server, dict) else None
    if not isinstance(urls, dict):
        return ""
    for name in (kind, "all"):
        if isinstance(url := urls.get(name), str) and url:
            return url
    return ""
