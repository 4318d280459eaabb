"""A participant whose RTP is sent here, as a session description says: by Janus, by an MCU."""

import io
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

import av
from av.container import InputContainer

from monitor.ingest.live import LiveSource
from monitor.ingest.retry import RetryOptions
from monitor.ingest.sdp import Description
from monitor.protocols import Intake, SourceError
from monitor.sampling import Sampling


@dataclass(frozen=True, slots=True)
class RtpOptions:
    """Seconds unless said otherwise."""

    host: str = "127.0.0.1"
    """Address to receive at."""
    open_timeout: float = 5.0
    read_timeout: float = 3.0
    """No packet for this long means the sender is gone."""
    retry: RetryOptions = RetryOptions(at_once=True)


class RtpSource(LiveSource):
    """One description's streams as one participant; owns its UDP ports and one decode thread."""

    ingest = "rtp"
    # There is no connection that could have been lost.
    _silent = "no_media"

    def __init__(
        self,
        description: Description,
        participant: str,
        sampling: Sampling,
        video_width: int,
        options: RtpOptions,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._description = description
        self._options = options
        host = f"[{options.host}]" if ":" in options.host else options.host
        uri = f"rtp://{host}:{description.ports[0]}"
        # A sender that describes comfort noise leaves pauses out of any length.
        lossy = not description.comfort_noise
        super().__init__(uri, participant, sampling, video_width, options.retry, jitter, lossy)

    async def run(self, intake: Intake) -> str:
        """Receive until cancelled or given up; raises SourceError if that can never be."""
        self._check_ports()
        return await super().run(intake)

    def _check_ports(self) -> None:
        """Raise SourceError if another holds a port: FFmpeg would not say so."""
        host = self._options.host
        family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET
        for port in (p + i for p in self._description.ports for i in range(2)):
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind((host, port))
                except OSError as error:
                    raise SourceError(
                        "in_use", f"{self._shown}: UDP port {port}: {error.strerror}"
                    ) from error

    def _open(self) -> InputContainer:
        options = self._options
        try:
            return av.open(
                io.BytesIO(self._description.text.encode()),
                "r",
                format="sdp",
                options={
                    # No files: the description lies in memory.
                    "protocol_whitelist": "rtp,udp",
                    "localaddr": options.host,
                    "analyzeduration": "1000000",
                },
                timeout=(options.open_timeout, options.read_timeout),
            )
        except av.error.ExitError as error:
            raise SourceError("no_media", f"{self._shown}: no packet in time") from error
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise self._explain(error) from error
