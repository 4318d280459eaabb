"""What of a participant's pictures was not seen, and why."""

from collections.abc import Iterator

from monitor.types import Gap, LostReason, Span


class Absences:
    """Pauses of one participant that are not accounted for yet."""

    def __init__(self, participant: str) -> None:
        self._participant = participant
        self._pauses: list[Span] = []

    def pause(self, span: Span, seen_until: float) -> None:
        """Take in that monitoring was paused in `span`; pauses come in order.

        What was seen, up to call second `seen_until`, was not paused.
        """
        start = self._pauses[-1].end if self._pauses else seen_until
        self._pauses.append(Span(max(start, span.start), span.end))

    def take(self, fresh: Span, away: bool) -> tuple[Gap, ...]:
        """Gaps in `fresh`: pauses, and all the rest if the video was `away`.

        Spans asked for rise; what lies before the end of one is forgotten.
        """
        gaps = tuple(self._gaps(fresh, away))
        self._pauses = [pause for pause in self._pauses if pause.end > fresh.end]
        return gaps

    def _gaps(self, fresh: Span, away: bool) -> Iterator[Gap]:
        at = fresh.start
        for pause in self._pauses:
            start, end = max(pause.start, at), min(pause.end, fresh.end)
            if end <= start:
                continue
            if away and start > at:
                yield Gap(self._participant, Span(at, start), LostReason.IDLE)
            yield Gap(self._participant, Span(start, end), LostReason.PAUSED)
            at = end
        if away and fresh.end > at:
            # The video was away, not the face.
            yield Gap(self._participant, Span(at, fresh.end), LostReason.IDLE)
