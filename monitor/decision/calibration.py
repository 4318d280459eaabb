"""Raw logits → calibrated log-likelihood ratios. Pure.

Weighted logistic regression with equal class priors, so that its output is a log-likelihood
ratio whatever the share of fakes in the calibration set; clipped to what a set of that size can
support (the idea of empirical bounds on evidence: Vergeer et al., Science & Justice 2016).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """An affine map from logit to natural-log likelihood ratio, and its bounds."""

    slope: float
    intercept: float
    low: float
    """Least LLR a window may have."""
    high: float
    """Greatest LLR a window may have."""

    def llr(self, value: float) -> float:
        """Return the calibrated LLR of one raw logit."""
        return min(self.high, max(self.low, self.slope * value + self.intercept))


def fit(genuine: Scores, fake: Scores, cap: float = 3.0) -> Calibration:
    """Fit by Newton's method on raw logits of held-out windows.

    `cap` bounds a single window's evidence on either side; smaller sets bound it further.
    Raises ValueError with fewer than two scores of either class or a slope that is not
    positive: then the detector says nothing.
    """
    if len(genuine) < 2 or len(fake) < 2:
        raise ValueError("calibration needs at least two scores of each class")
    x = np.concatenate([genuine, fake]).astype(np.float64)
    y = np.concatenate([np.zeros(len(genuine)), np.ones(len(fake))])
    weight = np.where(y == 1, 0.5 / len(fake), 0.5 / len(genuine))
    scale = float(np.std(x)) or 1.0
    design = np.stack([x / scale, np.ones_like(x)], axis=1)
    theta = np.zeros(2)
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(design @ theta, -40, 40)))
        # A little ridge keeps separable sets finite.
        gradient = design.T @ (weight * (p - y)) + 1e-6 * theta
        hessian = (design.T * (weight * p * (1 - p))) @ design + 1e-6 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        theta -= step
        if np.abs(step).max() < 1e-10:
            break
    if theta[0] <= 0:
        raise ValueError("the detector does not separate the classes: slope is not positive")
    return Calibration(
        slope=float(theta[0] / scale),
        intercept=float(theta[1]),
        low=-min(cap, math.log(len(fake) + 1) - 1),
        high=min(cap, math.log(len(genuine) + 1) - 1),
    )


def cllr(genuine: Scores, fake: Scores) -> float:
    """Log-likelihood-ratio cost in bits (Brummer and du Preez 2006); 1 means saying nothing."""
    cost = np.logaddexp(0, genuine).mean() + np.logaddexp(0, -fake).mean()
    return float(cost / (2 * math.log(2)))


def equal_error_rate(genuine: Scores, fake: Scores) -> float:
    """Rate at which as many genuine scores lie above a threshold as fake ones below it."""
    scores = np.concatenate([genuine, fake])
    labels = np.concatenate([np.zeros(len(genuine)), np.ones(len(fake))])
    order = np.argsort(scores, kind="stable")
    miss = np.concatenate([[0.0], np.cumsum(labels[order]) / len(fake)])
    false_alarm = np.concatenate([[1.0], 1 - np.cumsum(1 - labels[order]) / len(genuine)])
    at = int(np.argmin(np.abs(miss - false_alarm)))
    return float((miss[at] + false_alarm[at]) / 2)
