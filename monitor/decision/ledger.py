"""Where every second of a participant went. Pure."""

from collections import defaultdict

from monitor.types import CORRECTED, Abstention, Outcome, Seconds


class Ledger:
    """Adds up the fresh seconds of windows: scored, abstained by reason, lost by reason."""

    def __init__(self) -> None:
        self._scored = 0.0
        self._abstained: dict[str, float] = defaultdict(float)
        self._lost: dict[str, float] = defaultdict(float)
        self._corrected = 0.0

    def record(self, outcome: Outcome) -> None:
        """Book one window's fresh seconds."""
        for gap in outcome.lost:
            self._lost[gap.reason] += gap.span.duration
        present = outcome.present_seconds
        if CORRECTED in outcome.quality:
            self._corrected += present
        if isinstance(outcome, Abstention):
            if present:
                self._abstained[outcome.reason] += present
        else:
            self._scored += present

    @property
    def scored(self) -> float:
        """Scored seconds so far."""
        return self._scored

    def seconds(self) -> Seconds:
        """Return the sums so far."""
        return Seconds(self._scored, dict(self._abstained), dict(self._lost), self._corrected)
