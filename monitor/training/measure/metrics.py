"""Error rates of scores, and how sure one can be of them."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scores = NDArray[np.float64]


def equal_error_rate(human: ArrayLike, fake: ArrayLike) -> float:
    """Where misses and false alarms are equally frequent (their mean at the closest point)."""
    threshold = equal_error_threshold(human, fake)
    alarms, misses = error_rates(human, fake, threshold)
    return (alarms + misses) / 2


def equal_error_threshold(human: ArrayLike, fake: ArrayLike) -> float:
    """The threshold of the equal error rate; a score at or above it counts as fake."""
    genuine, synthetic = np.sort(np.asarray(human, float)), np.sort(np.asarray(fake, float))
    thresholds = np.unique(np.concatenate([genuine, synthetic]))
    thresholds = np.append(thresholds, thresholds[-1] + 1)
    alarms = 1 - np.searchsorted(genuine, thresholds, "left") / len(genuine)
    misses = np.searchsorted(synthetic, thresholds, "left") / len(synthetic)
    return float(thresholds[np.argmin(np.abs(alarms - misses))])


def error_rates(human: ArrayLike, fake: ArrayLike, threshold: float) -> tuple[float, float]:
    """(false-alarm rate, miss rate) at a threshold."""
    return (
        float(np.mean(np.asarray(human, float) >= threshold)),
        float(np.mean(np.asarray(fake, float) < threshold)),
    )


def area_under_curve(human: ArrayLike, fake: ArrayLike) -> float:
    """Probability that a fake scores above a human recording; ties count half."""
    genuine, synthetic = np.sort(np.asarray(human, float)), np.asarray(fake, float)
    below = np.searchsorted(genuine, synthetic, "left")
    upto = np.searchsorted(genuine, synthetic, "right")
    return float(np.mean(below + upto) / 2 / len(genuine))


Groups = Mapping[str, NDArray[np.float64]]
"""Scores of each speaker or each generator."""


def bootstrap(
    statistic: Callable[[Sequence[tuple[Scores, Scores]]], float],
    sources: Sequence[tuple[Groups, Groups]],
    rounds: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of a statistic over sources: speakers and generators are drawn anew.

    `sources` holds (human scores by speaker, fake scores by generator) per source. Clips of
    one speaker or one generator resemble each other, so they stay together.
    """
    rng = np.random.default_rng(seed)
    values = [
        statistic([(_draw(human, rng), _draw(fake, rng)) for human, fake in sources])
        for _ in range(rounds)
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _draw(groups: Groups, rng: np.random.Generator) -> Scores:
    names = list(groups)
    return np.concatenate([groups[names[i]] for i in rng.integers(0, len(names), len(names))])


def macro_equal_error_rate(sources: Sequence[tuple[Scores, Scores]]) -> float:
    """Mean of the sources' own equal error rates: channels are not compared with each other."""
    return float(np.mean([equal_error_rate(human, fake) for human, fake in sources]))
