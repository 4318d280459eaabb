"""A camera or media server pulled over RTSP, and pulled again when it goes away."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal
from urllib.parse import urlsplit

import av

from monitor import log
from monitor.channel import ChannelClosedError
from monitor.ingest.feed import Feed
from monitor.ingest.retry import Retry, RetryOptions
from monitor.ingest.thread import run_in_own_thread
from monitor.ingest.trust import Trust
from monitor.log import redact
from monitor.protocols import Intake, SourceError
from monitor.sampling import Sampling

_log = log.get(__name__)

_PORTS = {"rtsp": 554, "rtsps": 322}


@dataclass(frozen=True, slots=True)
class RtspOptions:
    """Deadlines and transport; seconds unless said otherwise."""

    transport: Literal["tcp", "udp"] = "tcp"
    """How media comes; with rtsps:// always inside of TLS."""
    open_timeout: float = 5.0
    read_timeout: float = 3.0
    """No packet for this long means the server is frozen."""
    trust: Trust = Trust(setting="rtsp")
    retry: RetryOptions = RetryOptions()


class RtspSource:
    """One RTSP URL as one participant; owns one decode thread while it is connected."""

    ingest = "rtsp"
    live = True

    def __init__(
        self,
        url: str,
        participant: str,
        sampling: Sampling,
        video_width: int,
        options: RtspOptions,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        if urlsplit(url).scheme not in _PORTS:
            raise ValueError("uri: an RTSP source needs an rtsp:// or rtsps:// URL")
        self._url = url
        self._options = options
        self._feed = Feed(participant, sampling, video_width)
        self._retry = Retry(url, options.retry, jitter)

    async def run(self, intake: Intake) -> str:
        """Pull until cancelled or given up; raises SourceError if it never could."""
        try:
            return await self._retry.run(
                intake, partial(self._connect, intake), lambda: self._feed.until
            )
        finally:
            self._feed.stop()

    async def _connect(self, intake: Intake) -> None:
        try:
            await run_in_own_thread("rtsp", partial(self._pull, intake))
        except ChannelClosedError:
            raise asyncio.CancelledError from None

    def _pull(self, intake: Intake) -> None:
        shown = redact(self._url)
        secure = urlsplit(self._url).scheme == "rtsps"
        try:
            trust = self._options.trust.options() if secure else {}
        except ValueError as error:
            raise SourceError("untrusted", f"{shown}: {error}") from error
        try:
            container = av.open(
                self._url,
                format="rtsp",
                options={
                    "rtsp_transport": self._options.transport,
                    "allowed_media_types": "audio+video",
                    # Microseconds. FFmpeg 5 and later; the older `stimeout` is ignored silently.
                    "timeout": str(round(self._options.open_timeout * 1e6)),
                    # Codec parameters come from the SDP: long probing only delays the start. What
                    # is probed is then delivered at once; "nobuffer" would throw it away.
                    "analyzeduration": "1000000",
                    **trust,
                },
                timeout=(self._options.open_timeout, self._options.read_timeout),
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise (self._distrust(shown) if secure else None) or _explain(error, shown) from error
        with container:
            _log.info("rtsp connected", uri=self._url)
            try:
                self._feed.play(container, intake)
            except SourceError as error:
                raise SourceError(error.reason, f"{shown}: {error.detail}") from error
            except av.error.ExitError as error:
                raise SourceError("frozen", f"{shown}: no packet in time") from error
            except (av.error.FFmpegError, OSError) as error:
                raise _explain(error, shown) from error

    def _distrust(self, shown: str) -> SourceError | None:
        """Return what is wrong with the server's TLS, if anything is."""
        parts = urlsplit(self._url)
        port = parts.port or _PORTS[parts.scheme]
        timeout = self._options.open_timeout
        fault = self._options.trust.fault(parts.hostname or "", port, timeout)
        return SourceError("untrusted", f"{shown}: {fault}") if fault else None


def _explain(error: Exception, shown: str) -> SourceError:
    """Name the cause in words that hold no credential: FFmpeg's own message has the whole URL."""
    causes: list[tuple[type[BaseException], str, str]] = [
        (av.error.HTTPUnauthorizedError, "unauthorized", "user name or password refused"),
        (av.error.HTTPForbiddenError, "unauthorized", "access refused"),
        (av.error.HTTPNotFoundError, "not_found", "the server knows no such path"),
        (av.error.HTTPError, "refused", "the server answered with an error"),
        (ConnectionRefusedError, "unreachable", "connection refused"),
        (TimeoutError, "unreachable", "no answer in time"),
        (av.error.ExitError, "unreachable", "no answer in time"),
        (av.error.InvalidDataError, "unreadable", "the answer is not RTSP or not decodable"),
        (av.error.EOFError, "closed", "the server closed the connection"),
    ]
    for kind, reason, words in causes:
        if isinstance(error, kind):
            return SourceError(reason, f"{shown}: {words}")
    cause = getattr(error, "strerror", None) or type(error).__name__
    return SourceError("unreachable", f"{shown}: {cause}")
