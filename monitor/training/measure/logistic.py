"""Class-balanced logistic regression: what a linear rule can see."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Logistic:
    """A fitted rule over columns that it standardises itself."""

    mean: Matrix
    spread: Matrix
    weight: Matrix
    """One a column, and the constant last."""

    def scores(self, x: Matrix) -> Matrix:
        """Logits of rows, shape (rows,)."""
        out: Matrix = _design((x - self.mean) / self.spread) @ self.weight
        return out


def fit_logistic(x: Matrix, y: Matrix, ridge: float = 1.0) -> Logistic:
    """Fit by Newton's method: `x` (rows, columns), `y` 0 or 1 (rows,)."""
    mean, spread = x.mean(0), x.std(0) + 1e-9
    design = _design((x - mean) / spread)
    balance = np.where(y > 0, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    weight = np.zeros(design.shape[1])
    for _ in range(30):
        chance = 1 / (1 + np.exp(-np.clip(design @ weight, -30, 30)))
        gradient = design.T @ (balance * (chance - y)) + ridge * weight
        curvature = (design.T * (balance * chance * (1 - chance))) @ design
        weight = weight - np.linalg.solve(curvature + ridge * np.eye(len(weight)), gradient)
    return Logistic(mean, spread, weight)


def _design(x: Matrix) -> Matrix:
    return np.hstack([x, np.ones((len(x), 1))])
