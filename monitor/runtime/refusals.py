"""What is not taken from a peer that wants more than its share: counted, and logged now and then.

A log line for each refusal would be one more thing that a flood fills.
"""

import time

from monitor.metrics.refusals import REFUSALS
from monitor.runtime import log

_log = log.get(__name__)

EVERY = 10.0
"""Seconds between two log lines of one reason."""
_logged: dict[str, tuple[float, int]] = {}
"""By reason: when it was logged last, and how often it was counted since."""


def refused(reason: str, **fields: str) -> None:
    """Count a refusal for `reason`, one of a closed set; `fields` say more in the log."""
    REFUSALS.labels(reason).inc()
    at, times = _logged.get(reason, (float("-inf"), 0))
    now = time.monotonic()
    if now - at < EVERY:
        _logged[reason] = (at, times + 1)
        return
    _log.warning("refused", reason=reason, unlogged=times, **fields)
    _logged[reason] = (now, 0)
