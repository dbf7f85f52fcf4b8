"""Bounds of means of bounded values, whatever their distribution and where resampling says nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itscale.estimators.resampling import Resamples, simplex_weights
from itscale.outcomes import FloatArray, IntArray

__all__ = ["SHARES", "Interval", "Range", "agreement_interval", "bounded_mean_interval"]

Range = tuple[float, float]
SHARES: Range = (0.0, 1.0)
"""Between what every value lies: accuracies are shares."""


@dataclass(frozen=True)
class Interval:
    """Bounds of each mean, shape (m,)."""

    low: FloatArray
    high: FloatArray


def agreement_interval(
    value: FloatArray, problems: IntArray, confidence: float, within: Range = SHARES
) -> Interval:
    """Return exact bounds of a mean of which n problems were all seen at the same value.

    If a share q of all problems has that value, n of n have it with chance q^n, which is below
    1 - confidence unless q is at least `(1 - confidence)^(1/n)`; the rest may lie anywhere. With value 0
    this is the exact binomial bound: 0 of 100 problems solved leave up to 3.0 % at 95 %.
    """
    share = (1 - confidence) ** (1 / np.maximum(problems, 1))
    return Interval(share * value + (1 - share) * within[0], share * value + (1 - share) * within[1])


def bounded_mean_interval(
    found: Resamples, confidence: float, rng: np.random.Generator, within: Range = SHARES
) -> Interval:
    """Return bounds of the mean of values that lie between two known ones, whatever their distribution.

    Quantiles of the mean under random weights, uniform on the simplex, of the n values and of one more that
    lies at the lower or at the upper end (Gaffke 2005; Learned-Miller and Thomas 2020, arXiv 1905.06208). Of
    values 0 and 1 they are the exact binomial bounds (Clopper and Pearson 1934). That they hold at every n is
    a conjecture, shown for some families of distributions. Where all values are close together they are wide,
    by about 1/n of the range.

    Parameters
    ----------
    found
        Values of problems (or clusters); as many weights are drawn as there are resamples.
    confidence
        Level of the bounds, both sides together, in (0, 1).
    rng
        What draws the weights.
    within
        Between what every value lies.
    """
    present = (~np.isnan(found.values)).astype(np.float64)
    lower, upper = [], []
    for weights in simplex_weights(len(present) + 1, len(found.means), rng):
        one_more, weights = weights[:, :1], weights[:, 1:]
        total = weights @ present + one_more
        shift = (weights @ found.residuals) / total
        lower.append(shift + one_more / total * (within[0] - found.mean))
        upper.append(shift + one_more / total * (within[1] - found.mean))
    tail = (1 - confidence) / 2
    return Interval(
        found.mean + np.quantile(np.concatenate(lower), tail, axis=0),
        found.mean + np.quantile(np.concatenate(upper), 1 - tail, axis=0),
    )
