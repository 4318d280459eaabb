"""Face windows → a logit for forged faces; no forgery model is installed yet."""

from collections.abc import Sequence

from monitor.types import AbstentionReason, FaceWindow


class FaceDetector:
    """Finds that there is, or is not, a face to judge; without a model it never judges one."""

    name = "face"
    model = "none"

    def judge(self, windows: Sequence[FaceWindow]) -> Sequence[float | AbstentionReason]:
        """Return the reason for each window's abstention."""
        return [_reason(window) for window in windows]


def _reason(window: FaceWindow) -> AbstentionReason:
    if window.frames == 0:
        return AbstentionReason.GAP
    if window.quality.get("found_share", 0.0) == 0.0:
        return AbstentionReason.NO_FACE
    if not len(window.crops):
        return AbstentionReason.FACE_TOO_SMALL
    return AbstentionReason.NO_MODEL
