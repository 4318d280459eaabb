"""Live media that FFmpeg demuxes: opened, decoded in a thread of its own, and opened again."""

import asyncio
from collections.abc import Callable
from functools import partial

import av
from av.container import InputContainer

from monitor.ingest.connection.bridge import Bridge
from monitor.ingest.connection.retry import Retry, RetryOptions
from monitor.ingest.pull.demuxer import Demuxer
from monitor.runtime.blocking import run_in_own_thread
from monitor.runtime.channel import ChannelClosedError
from monitor.runtime.log import redact
from monitor.types.protocols import Intake, SourceError
from monitor.types.sampling import Sampling


class LiveSource:
    """What sources of one participant have in common; each says how to open its own."""

    ingest: str
    live = True

    def __init__(
        self,
        uri: str,
        participant: str,
        sampling: Sampling,
        video_width: int,
        retry: RetryOptions,
        jitter: Callable[[], float],
        lossy: bool = False,
    ) -> None:
        """`uri` names the source in logs and errors, where its credentials are hidden.

        `lossy`: packets may be lost on the way, and FFmpeg does not say where.
        """
        self._uri = uri
        self._shown = redact(uri)
        self._bridge = Bridge()
        self._feed = Demuxer(participant, sampling, video_width, lossy)
        self._retry = Retry(uri, retry, jitter)

    async def run(self, intake: Intake) -> str:
        """Pull until cancelled or given up; raises SourceError if it never could."""
        try:
            connect = partial(self._connect, intake)
            return await self._retry.run(intake, connect, lambda: self._bridge.until)
        finally:
            self._feed.stop()

    def _open(self) -> InputContainer:
        """Open the container; blocks. Raises SourceError."""
        raise NotImplementedError

    def _explain(self, error: Exception) -> SourceError:
        """Name the cause of what FFmpeg raised, in words that hold no credential."""
        return explain(error, self._shown)

    async def _connect(self, intake: Intake) -> None:
        try:
            work = partial(self._pull, self._bridge.over(intake))
            await run_in_own_thread(self.ingest, work)
        except ChannelClosedError:
            raise asyncio.CancelledError from None

    def _pull(self, intake: Intake) -> None:
        with self._open() as container:
            try:
                self._feed.play(container, intake)
            except SourceError as error:
                raise SourceError(error.reason, f"{self._shown}: {error.detail}") from error
            except av.error.ExitError as error:
                raise SourceError("frozen", f"{self._shown}: no packet in time") from error
            except (av.error.FFmpegError, OSError) as error:
                raise self._explain(error) from error


def explain(error: Exception, shown: str) -> SourceError:
    """Name the cause in words that hold no credential: FFmpeg's own message has the whole URL."""
    causes: list[tuple[type[BaseException], str, str]] = [
        (av.error.HTTPUnauthorizedError, "unauthorized", "user name or password refused"),
        (av.error.HTTPForbiddenError, "unauthorized", "access refused"),
        (av.error.HTTPNotFoundError, "not_found", "the server knows no such path"),
        (av.error.HTTPError, "refused", "the server answered with an error"),
        (ConnectionRefusedError, "unreachable", "connection refused"),
        (TimeoutError, "unreachable", "no answer in time"),
        (av.error.ExitError, "unreachable", "no answer in time"),
        (av.error.InvalidDataError, "unreadable", "the answer is not what it should be, or broken"),
        (av.error.EOFError, "closed", "the server closed the connection"),
    ]
    for kind, reason, words in causes:
        if isinstance(error, kind):
            return SourceError(reason, f"{shown}: {words}")
    cause = getattr(error, "strerror", None) or type(error).__name__
    return SourceError("unreachable", f"{shown}: {cause}")
