"""What can be said where no completion is correct."""

from __future__ import annotations

import numpy as np

from itscale.selection import FloatArray

__all__ = ["unsolved_bound"]


def unsolved_bound(problems: int, sampled: int, budgets: FloatArray, confidence: float) -> FloatArray:
    """Return the most that coverage can be at each k if none of N problems was solved in n completions.

    With rates p_i the chance of that is the product of (1 - p_i)^n. Where it is at least d = 1 - confidence,
    the mean of 1 - (1 - p_i)^k is at most `1 - d^(k / (n N))`, which it reaches where all rates are equal: an
    exact upper bound, at k = 1 that of a binomial of n N trials (about 3 / (n N) at 95 %, the rule of three).

    Parameters
    ----------
    problems, sampled
        N and n (of unequal ones the smallest), >= 1.
    budgets
        k, shape (m,).
    confidence
        In (0, 1).
    """
    trials = float(problems) * sampled
    return np.asarray(-np.expm1(np.asarray(budgets, dtype=np.float64) / trials * np.log1p(-confidence)))
