"""One participant's sound on its way to the monitor, and what the monitor says of it.

An agent must not suffer from being monitored: nothing here raises or waits while it listens.
"""

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

logger = logging.getLogger("deepfake_monitor")

_AHEAD = 5.0
"""Seconds of sound that wait while the network stalls; the oldest give way."""
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
"""Seconds before a broken connection is tried again: doubled each time, up to the limit."""
_BUSY = frozenset({429, 502, 503, 504})
"""Statuses that may be another ones in a while; any other refusal is final."""
_TOO_FAST = 1008
"""The close code of a stream that the monitor does not want to go on as it does."""


@dataclass(frozen=True, slots=True)
class Monitor:
    """Where the monitor is and what it is asked for."""

    url: str
    """Such as `wss://monitor.example`."""
    token: str
    """With the scopes `publish` and `read`."""
    call: str = ""
    """A label, by which people find the call in the console."""
    events: tuple[str, ...] = ("verdict", "alert")


@dataclass(frozen=True, slots=True)
class Event:
    """What the monitor says: `verdict`, `alert`, `call`, `missed`, as in its docs/api.md.

    `refused` is ours: this participant is not listened to, and `data["detail"]` says why.
    """

    kind: str
    participant: str
    data: dict[str, Any]


class ParticipantStream:
    """16-bit samples of one participant; call `feed` as they come, and `close` once."""

    def __init__(
        self,
        monitor: Monitor,
        participant: str,
        rate: int,
        channels: int,
        heard: Callable[[Event], None],
    ) -> None:
        """Begin to connect, in the running event loop.

        `channels`: 1, or 2 with the same voice; `heard` must not block.
        """
        self.rate, self.channels = rate, channels
        self.dropped = 0.0
        """Seconds of sound that the monitor never got."""
        self._participant = participant
        self._heard = heard
        self._bytes = 2 * rate * channels
        query = {"rate": rate, "mix": "mono" if channels == 1 else "joint", "call": monitor.call}
        query |= {"participant": participant, "events": ",".join(monitor.events)}
        self._url = f"{monitor.url}/meetings/pcm?{urlencode(query)}"
        self._headers = {"Authorization": f"Bearer {monitor.token}"}
        self._waiting: deque[bytes | str] = deque()
        self._held = 0
        """Bytes of sound that wait."""
        self._more = asyncio.Event()
        self._closing = False
        self._muted = False
        self._running = asyncio.create_task(self._run())

    def feed(self, samples: bytes) -> None:
        """Take little-endian samples, channels interleaved; returns at once."""
        if self._closing or self._running.done() or not samples:
            return
        self._waiting.append(samples)
        self._held += len(samples)
        while self._held > _AHEAD * self._bytes:
            oldest = self._waiting.popleft()
            if isinstance(oldest, bytes):
                self._held -= len(oldest)
                self.dropped += len(oldest) / self._bytes
        self._more.set()

    def mute(self, muted: bool) -> None:
        """Say that nothing is sent on purpose: the seconds count as paused, not as lost."""
        if muted != self._muted:
            self._muted = muted
            self._waiting.append(json.dumps({"muted": muted}))
            self._more.set()

    async def close(self, timeout: float = 10.0) -> None:
        """End the call and wait for its last events, for `timeout` seconds at most."""
        self._closing = True
        self._more.set()
        await asyncio.wait({self._running}, timeout=timeout)
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        wait = _FIRST_WAIT
        while True:
            try:
                async with connect(self._url, additional_headers=self._headers) as socket:
                    wait = _FIRST_WAIT
                    if await self._converse(socket):
                        return
            except InvalidStatus as error:
                status = error.response.status_code
                if status not in _BUSY:
                    self._refused(f"{status} {_detail(error.response.body)}")
                    return
                wait = max(wait, _retry_after(error))
            except (OSError, TimeoutError, InvalidHandshake, WebSocketException) as error:
                logger.warning("the monitor cannot be reached: %s", error)
            if self._closing:
                return
            await asyncio.sleep(wait)
            wait = min(_LONGEST_WAIT, 2 * wait)

    async def _converse(self, socket: ClientConnection) -> bool:
        """Send and hear until the connection ends; return whether that was meant."""
        if self._muted:
            await socket.send(json.dumps({"muted": True}))
        sending = asyncio.create_task(self._send(socket))
        try:
            async for text in socket:
                message = json.loads(text)
                self._tell(Event(message["event"], self._participant, message["data"]))
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        if socket.close_code == _TOO_FAST:
            self._refused(socket.close_reason or "")
            return True
        # 1000 without our asking: an operator stopped the monitoring of this call.
        return self._closing or socket.close_code == 1000

    async def _send(self, socket: ClientConnection) -> None:
        with contextlib.suppress(WebSocketException):
            while True:
                while self._waiting:
                    item = self._waiting.popleft()
                    self._held -= len(item) if isinstance(item, bytes) else 0
                    await socket.send(item)
                if self._closing:
                    await socket.send('{"event":"end"}')
                    return
                self._more.clear()
                await self._more.wait()

    def _refused(self, detail: str) -> None:
        logger.error("the monitor does not listen to %s: %s", self._participant, detail)
        self._tell(Event("refused", self._participant, {"detail": detail}))

    def _tell(self, event: Event) -> None:
        try:
            self._heard(event)
        except Exception:
            logger.exception("a handler of the monitor's events failed")


def _detail(body: bytes | bytearray | None) -> str:
    try:
        return str(json.loads(body or b"{}").get("detail", ""))
    except (ValueError, AttributeError):
        return ""


def _retry_after(error: InvalidStatus) -> float:
    try:
        return min(_LONGEST_WAIT, float(error.response.headers.get("Retry-After", 0)))
    except ValueError:
        return 0.0
