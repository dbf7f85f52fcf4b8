"""Bounds where no problem was solved, and where all were."""

from __future__ import annotations

import numpy as np
from scipy.special import lambertw

from itscale.outcomes import FloatArray

__all__ = ["even_chances", "limited_by_problems", "solved_bound", "unsolved_bound"]

SILVER = np.sqrt(2.0)
"""Irrational steps: r times it, modulo 1, is spread evenly over [0, 1) for any number of refits."""


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


def solved_bound(problems: int, ratios: FloatArray, chances: FloatArray) -> FloatArray:
    """Return the most that failure can be at k = ratio n if all N problems were solved in n completions.

    With q_i = (1 - p_i)^n the chance of that is the product of (1 - q_i), and failure at k is the mean of
    q_i^ratio. With h_i = -log(1 - q_i), whose sum is at most -log(chance), it is the mean of
    f(h) = (1 - e^-h)^ratio, convex up to some h and concave beyond: no mean exceeds the least concave
    function above f: a line from 0 to where `ratio h = e^h - 1` (or the largest h there can be), then f.
    At ratio 1 that is the exact binomial bound, `1 - chance^(1/N)`.

    Parameters
    ----------
    problems
        N, >= 1.
    ratios
        k / n, >= 1, shape (m,).
    chances
        Of seeing all N problems solved: 1 - confidence, in (0, 1), shape (c,).

    Returns
    -------
    FloatArray
        Shape (c, m); in [0, 1], falling along both.
    """
    ratio = np.asarray(ratios, dtype=np.float64)
    total = -np.log(np.asarray(chances, dtype=np.float64))[:, None]
    # e^h - 1 = ratio h, solved by Lambert's W; rounding may leave the ratio 1 a little off its h of 0
    touching = -1 / ratio - np.nan_to_num(lambertw(-np.exp(-1 / ratio) / ratio, k=-1).real, nan=-1.0)
    touching = np.minimum(np.where(ratio > 1, np.maximum(touching, 0.0), 0.0), total)
    each = total / problems
    end = np.maximum(touching, each)
    return np.asarray(each / end * (-np.expm1(-end)) ** ratio)


def limited_by_problems(refits: FloatArray, problems: int) -> FloatArray:
    """Return refits, shape (refits, m), none better than N problems, all solved, say of others like them.

    If a share q of problems can be solved, N of N are with chance at most q^N: the r-th refit is at most
    u^(1/N), u spread evenly over (0, 1), so that its quantiles are the exact binomial bounds.
    """
    return np.minimum(refits, even_chances(len(refits))[:, None] ** (1 / problems))


def even_chances(count: int) -> FloatArray:
    """Return numbers spread evenly over (0, 1), shape (count,), in no order."""
    return np.asarray((np.arange(count) * SILVER + 0.5) % 1.0)
