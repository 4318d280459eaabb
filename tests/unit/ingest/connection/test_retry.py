"""What goes away is connected again, later each time, and given up in time."""

import asyncio
from collections.abc import Iterator

import pytest

from monitor.ingest.connection.retry import Retry, RetryOptions
from monitor.types.packet import PacketTarget
from monitor.types.protocols import Media, SourceError


class Clock:
    """Call time that passes only while the retry sleeps."""

    encoded: PacketTarget | None = None
    key_frames: float | None = None

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = 0.0
        self.pauses: list[float] = []
        monkeypatch.setattr("monitor.ingest.connection.retry.asyncio.sleep", self.sleep)

    def now(self) -> float:
        return self.at

    def since(self, at: float) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.at += seconds

    async def put(self, media: Media) -> None: ...

    def remark(self, text: str) -> None: ...

    def put_threadsafe(self, media: Media) -> None: ...


class Server:
    """Delivers a second of media for each True, fails for each False."""

    def __init__(self, clock: Clock, fates: list[bool]) -> None:
        self.until: float | None = None
        self._clock = clock
        self._fates: Iterator[bool] = iter(fates)

    async def connect(self) -> None:
        fate = next(self._fates, None)
        if fate is None:
            raise asyncio.CancelledError
        if not fate:
            raise SourceError("unreachable", "nobody there")
        self._clock.at += 1
        self.until = self._clock.at


async def run(clock: Clock, server: Server, options: RetryOptions) -> str:
    retry = Retry("rtsp://x/", options, jitter=lambda: 0.5)
    return await retry.run(clock, server.connect, lambda: server.until)


async def test_pauses_double_up_to_a_limit_and_start_anew_after_media(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    server = Server(clock, [True, False, False, False, False, True, False])
    with pytest.raises(asyncio.CancelledError):
        await run(clock, server, RetryOptions(first=1, limit=4, give_up_after=0))
    assert clock.pauses == [1, 2, 4, 4, 4, 1, 2]


async def test_a_first_connection_that_fails_is_final_unless_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    with pytest.raises(SourceError, match="nobody there"):
        await run(clock, Server(clock, [False, True]), RetryOptions())
    assert clock.pauses == []
    with pytest.raises(asyncio.CancelledError):
        await run(clock, Server(clock, [False, True]), RetryOptions(at_once=True))
    assert len(clock.pauses) == 2


async def test_media_that_stays_away_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    server = Server(clock, [True, *[False] * 20])
    assert await run(clock, server, RetryOptions(limit=4, give_up_after=10)) == "gone"
    assert 10 < clock.at - 1 < 10 + 4
    clock = Clock(monkeypatch)
    with pytest.raises(SourceError, match="nobody there"):
        await run(clock, Server(clock, [False] * 20), RetryOptions(give_up_after=10, at_once=True))
