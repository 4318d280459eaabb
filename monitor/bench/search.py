"""Largest number of calls that holds, by bisection; and what cost does on the way. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from monitor.bench.trial import Trial

_RESOLUTION = 0.06
"""Share of the limit within which it is found."""
_STRIDE = 1.3
"""Growth from a number that held to the next, at least."""
_ROOM = 0.9
"""Share of the cores up to which a first guess goes: bursts need some."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search has found."""

    limit: int
    """The largest number that held; 0 if not even one call did."""
    failing: int | None
    """The least number that did not; None if none was tried that did not."""
    trials: tuple[Trial, ...]
    """In the order in which they were made."""


def search(attempt: Callable[[int], Trial], cores: int, most: int) -> Found:
    """Find the limit up to `most` calls on `cores` cores, which callers share.

    One call first: its cost tells where to begin. Then bisection.
    """
    trials = [attempt(1)]
    if not trials[0].holds:
        # What the machine did beside it at that moment must not end the search.
        trials.append(attempt(1))
    low, high = (1, None) if trials[-1].holds else (0, 1)
    guess = min(most, max(2, _reach(trials[-1], cores)))
    while (high is None and low < most) or (high is not None and high - low > _step(low)):
        if high is not None:
            guess = (low + high) // 2
        trials.append(attempt(guess))
        if trials[-1].holds:
            low = guess
        else:
            high = guess
        guess = min(most, max(ceil(low * _STRIDE), low + 1, _reach(trials[-1], cores)))
    return Found(low, high, tuple(trials))


def _step(low: int) -> int:
    return max(1, round(low * _RESOLUTION))


def _reach(trial: Trial, cores: int) -> int:
    """As many calls as the cores would carry at this trial's cost."""
    used = trial.cores + trial.caller_cores
    return int(trial.calls * _ROOM * cores / used) if used else trial.calls * 2
