"""A camera or media server pulled over RTSP, and pulled again when it goes away."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import av
from av.container import InputContainer

from monitor.ingest.codecs.video_codec import bound
from monitor.ingest.connection.location import located
from monitor.ingest.connection.retry import RetryOptions
from monitor.ingest.connection.trust import Trust
from monitor.ingest.pull.live_source import LiveSource
from monitor.runtime import log
from monitor.types.protocols import SourceError
from monitor.types.sampling import Sampling

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


class RtspSource(LiveSource):
    """One RTSP URL as one participant; owns one decode thread while it is connected."""

    ingest = "rtsp"

    def __init__(
        self,
        url: str,
        participant: str,
        sampling: Sampling,
        video_width: int,
        options: RtspOptions,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._parts = located(url)
        if self._parts.scheme not in _PORTS:
            raise ValueError("uri: an RTSP source needs an rtsp:// or rtsps:// URL")
        self._options = options
        # FFmpeg takes RTSPS:// for RTSP without TLS.
        url = f"{self._parts.scheme}:{url.partition(':')[2]}"
        lossy = options.transport == "udp"
        super().__init__(url, participant, sampling, video_width, options.retry, jitter, lossy)

    def _open(self) -> InputContainer:
        options, secure = self._options, self._parts.scheme == "rtsps"
        try:
            trust = options.trust.options() if secure else {}
        except ValueError as error:
            raise SourceError("untrusted", f"{self._shown}: {error}") from error
        try:
            container = av.open(
                self._uri,
                format="rtsp",
                options={
                    "rtsp_transport": options.transport,
                    "allowed_media_types": "audio+video",
                    # Microseconds. FFmpeg 5 and later; the older `stimeout` is ignored silently.
                    "timeout": str(round(options.open_timeout * 1e6)),
                    # Codec parameters come from the SDP: long probing only delays the start. What
                    # is probed is then delivered at once; "nobuffer" would throw it away.
                    "analyzeduration": "1000000",
                    **bound(self._feed.sampling.most_pixels),
                    **trust,
                },
                timeout=(options.open_timeout, options.read_timeout),
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise (self._distrust() if secure else None) or self._explain(error) from error
        _log.info("rtsp connected", uri=self._uri)
        return container

    def _distrust(self) -> SourceError | None:
        """Return what is wrong with the server's TLS, if anything is."""
        parts, options = self._parts, self._options
        port = parts.port or _PORTS[parts.scheme]
        fault = options.trust.fault(parts.hostname or "", port, options.open_timeout)
        return SourceError("untrusted", f"{self._shown}: {fault}") if fault else None
