"""What the parts of a call promise each other."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from monitor.types import (
    AbstentionReason,
    Alert,
    AudioFrame,
    AudioWindow,
    CueWindow,
    FaceLook,
    FaceWindow,
    Gap,
    LookRule,
    Outcome,
    Preview,
    Reading,
    Timing,
    Tracks,
    Verdict,
    VideoFrame,
)
from monitor.types.packet import PacketTarget

Media = Tracks | AudioFrame | VideoFrame | Gap | Timing

W_contra = TypeVar("W_contra", contravariant=True)


class Intake(Protocol):
    """Where a source puts its media; live sources never wait here, replays do."""

    def now(self) -> float:
        """Call seconds by the monotonic clock; a call that has not begun begins now."""

    def since(self, at: float) -> float:
        """Monotonic second of the call's second 0; one that has not begun begins at `at`.

        So that a call begins where its first sound did, though that was sent, or read, later.
        """

    @property
    def encoded(self) -> PacketTarget | None:
        """Where a source hands over what it decodes, too; None when nobody keeps evidence."""

    @property
    def key_frames(self) -> float | None:
        """Seconds between pictures while only key frames are to be decoded; None decodes them all.

        For a machine that is full: most pictures refer to others, so leaving some out spares
        nothing, and leaving out all but key frames spares most of it. Live sources look again and
        again. A WebRTC sender is asked for a key frame about that often; cameras cannot be asked
        and have a period of their own. Evidence keeps every picture. Sound is not touched, nor are
        replays.
        """

    async def put(self, media: Media) -> None:
        """Hand media over from the event loop."""

    def put_threadsafe(self, media: Media) -> None:
        """Hand media over from a decode thread; blocks that thread while a replay waits."""

    def remark(self, text: str) -> None:
        """Say something about the source that people should know; from any thread."""


class Source(Protocol):
    """A call's media until it ends."""

    ingest: str
    """How media arrives: `whip`, `rtsp`, `file`; a metric label, so from a small closed set."""
    live: bool
    """Live media is dropped when the monitor cannot keep up; replayed media waits."""

    async def run(self, intake: Intake) -> str:
        """Feed the intake until the media ends; return why it ended in one word.

        Raises SourceError when no media can be had. Cancelling it releases everything.
        """


class SourceError(Exception):
    """A source cannot deliver media; the message names the cause and never a credential."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        """One word for logs and metrics, such as `unauthorized` or `unreachable`."""
        self.detail = detail


class SecondLook(Protocol):
    """A slower network beside a voice's detector, for some windows; keeps nothing between them."""

    rule: LookRule
    """Which windows, and what becomes of both logits."""

    def logit(self, window: AudioWindow) -> float:
        """Return this look's own logit, which the rule fuses with the first one's; slow."""


class Detector(Protocol[W_contra]):
    """Judges windows; shared by all calls, keeps nothing between them."""

    name: str
    model: str
    """First hexadecimal digits of the model files' SHA-256, or `none`."""
    second: SecondLook | None
    """What looks again where it pays; None where nothing does."""

    def judge(self, windows: Sequence[W_contra]) -> Sequence[float | AbstentionReason]:
        """Return a raw logit (higher = more likely fake) or a reason, one per window."""


class FaceJudge(Protocol):
    """Looks at faces as they come, and judges windows of what it saw."""

    name: str
    model: str
    """First hexadecimal digits of the model file's SHA-256, or `none`."""

    def look(self, crops: NDArray[np.uint8]) -> Sequence[FaceLook]:
        """Judge upright crops, shape (faces, 3, side, side), RGB; nothing without a model."""

    def judge(self, window: FaceWindow) -> Reading:
        """Return the window's logit (higher = more likely fake), or why it has none."""


class Cue(Protocol):
    """Measures one physical cue; shared by all calls, keeps nothing between windows."""

    name: str
    model: str
    """First hexadecimal digits of a model file's SHA-256, or `none` for a cue without one."""

    def measure(self, window: CueWindow) -> Reading:
        """Return what this window shows, or why it shows nothing."""


class Listener(Protocol):
    """Measures the sound of one participant beside the voice's detector, and never decides.

    Shared by all calls, keeps nothing between windows.
    """

    name: str
    model: str
    """First hexadecimal digits of a model file's SHA-256, or `none` for one without a model."""

    def measure(self, window: AudioWindow) -> Reading:
        """Return what this window shows, or why it shows nothing."""


class Sink(Protocol):
    """Hears what happens in calls; must return at once and queue what takes time."""

    def call_started(self, call: str, ingest: str, participant: str) -> None:
        """A call began."""

    def window(self, call: str, outcome: Outcome) -> None:
        """A detector scored a window or abstained."""

    def face(self, call: str, participant: str, time: float, found: bool) -> None:
        """A face track began (`found`) or was lost at `time` call seconds."""

    def preview(self, call: str, preview: Preview) -> None:
        """Something to look at, made only while somebody looks; never to be stored or logged."""

    def verdict(self, call: str, verdict: Verdict) -> None:
        """A participant's standing after a window."""

    def compared(self, call: str, verdict: Verdict, challenger: Verdict) -> None:
        """What the challenger made of the same window; only with a challenger configured."""

    def paused(self, call: str, participant: str, time: float, reason: str | None) -> None:
        """Monitoring was paused at `time` call seconds, or goes on (`reason` None)."""

    def alert(self, alert: Alert) -> None:
        """An alarm state changed."""

    def call_ended(self, call: str, reason: str) -> None:
        """A call is over."""
