"""How the clocks of a call's participants run, told to log and metrics."""

from dataclasses import asdict, replace

from monitor.metrics.sink import Metrics
from monitor.runtime import log
from monitor.types import Corrected, Timing

_log = log.get(__name__)


class Timings:
    """The latest of each participant of one call."""

    def __init__(self) -> None:
        self._known: dict[str, Timing] = {}
        """With what was corrected since the call began."""

    def latest(self) -> dict[str, Timing]:
        """How each participant's clock runs, with the seconds corrected in all."""
        return dict(self._known)

    def take(self, timing: Timing, call: str, metrics: Metrics) -> None:
        """Take in how a participant's clock runs; say once what is wrong with it."""
        unknown = Timing(timing.participant, None, 1, 1, Corrected())
        known = self._known.get(timing.participant, unknown)
        skew = known.skew if timing.skew is None else timing.skew
        corrected = known.corrected.and_also(timing.corrected)
        self._known[timing.participant] = replace(timing, skew=skew, corrected=corrected)
        if timing.factor not in (1.0, known.factor):
            _log.warning(
                "stamps count another time than sound lasts",
                call=call,
                factor=timing.factor,
            )
        if timing.speed != 1.0 and known.speed == 1.0:
            _log.warning(
                "sound of another format",
                call=call,
                speed=round(timing.speed, 2),
                detail="so many seconds of sound come each second: another rate, or channels?",
            )
        if timing.skew is not None:
            metrics.skew.observe(timing.skew * 1e6)
        for reason, seconds in asdict(timing.corrected).items():
            metrics.corrected.labels(reason).inc(seconds)
