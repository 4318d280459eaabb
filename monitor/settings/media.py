"""How live media is taken in."""

from typing import Literal

from pydantic import Field, SecretStr

from monitor.sampling import Sampling
from monitor.settings.section import Section


class Video(Section):
    """How pictures are sampled."""

    fps: float = Field(5.0, gt=0, le=60)
    """Pictures looked at per second."""
    burst_fps: float = Field(15.0, gt=0, le=60)
    """Pictures per second in a burst, for what moves: lips, eyelids; at least `fps` are taken."""
    burst_seconds: float = Field(10.0, ge=0)
    """Length of a burst; 0 switches physical cues off."""
    burst_every: float = Field(30.0, gt=0)
    """Seconds from one burst to the next; not more than `burst_seconds` means always."""
    width: int = Field(1280, ge=160, le=3840)
    """Pixels; wider pictures are scaled down before faces are searched."""

    @property
    def sampling(self) -> Sampling:
        """When pictures are looked at."""
        return Sampling(self.fps, self.burst_fps, self.burst_seconds, self.burst_every)


class Rtsp(Section):
    """RTSP pulls; seconds unless said otherwise."""

    transport: Literal["tcp", "udp"] = "tcp"
    open_timeout: float = Field(5.0, gt=0)
    read_timeout: float = Field(3.0, gt=0)
    give_up_after: float = Field(300.0, ge=0)
    """Without media for this long the call ends; 0 never gives up."""


class WebRtc(Section):
    """WHIP sessions; seconds unless said otherwise."""

    connect_timeout: float = Field(30.0, gt=0)
    idle_timeout: float = Field(30.0, gt=0)
    ice_servers: tuple[str, ...] = ()
    """STUN or TURN URLs; none by default: nothing outside is contacted."""
    start_bitrate: int = Field(1500, ge=0)
    """kb/s of video that a browser is asked to begin with; 0 leaves it to the browser."""
    min_bitrate: int = Field(300, ge=0)
    """kb/s below which a browser does not go, congested or not; 0 leaves it to the browser."""
    max_bitrate: int = Field(2500, ge=0)
    """kb/s above which a browser does not go; 0 leaves it to the browser."""
    jitter_wait: float = Field(0.08, ge=0, le=1)
    """For how long a late audio packet holds back those after it."""


class RtspPull(Section):
    """A camera that is pulled for as long as the service runs."""

    uri: SecretStr
    """An rtsp:// or rtsps:// URL; may hold credentials."""
    participant: str = "remote"
    label: str = ""
    transport: Literal["tcp", "udp"] | None = None
