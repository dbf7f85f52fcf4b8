"""Paired differences: two curves over the same problems, at equal k or at equal compute, with a test.

Both ways end in a matrix of per-problem differences, whose column means are the difference of the curves:
`resample` and `interval_of` give its intervals, `sign_flip` its p-values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from itscale.estimators.resampling import cluster_sums
from itscale.outcomes import FloatArray, IntArray

__all__ = [
    "Arm",
    "FlipTest",
    "at_equal_budgets",
    "at_equal_cost",
    "flips_for",
    "holm",
    "least_p",
    "sign_flip",
]

FEWEST_FLIPS = 9_999
"""Random sign patterns of a test that stands alone: a p of .05 is then known to .002."""

PER_LEVEL = 40
"""How far the smallest adjusted p-value of random patterns lies below the level: a 40th of it."""

CHUNK = 1 << 22
"""Signs held at a time."""


@dataclass(frozen=True)
class Arm:
    """One of two curves, problem by problem; both arms have the same problems in the same order.

    Attributes
    ----------
    budgets
        k of each column, increasing, shape (m,).
    accuracy
        In [0, 1], shape (problems, m); NaN where a problem has no such k.
    cost
        What each problem spent at each k (tokens), > 0, same shape.
    """

    budgets: IntArray
    accuracy: FloatArray
    cost: FloatArray


@dataclass(frozen=True)
class FlipTest:
    """P-values of a curve of differences, shape (m,), and the Monte Carlo error of each.

    Attributes
    ----------
    p_value
        Of each point for itself, two-sided.
    p_curve
        Of each point, adjusted for all points of the curve (single-step max-T, Westfall and Young 1993).
    error
        Standard error of `p_value`; 0 where all sign patterns were gone through.
    least
        The smallest p-value that any differences of so many problems could have.
    """

    p_value: FloatArray
    p_curve: FloatArray
    error: FloatArray
    least: float


def at_equal_budgets(first: Arm, second: Arm) -> tuple[IntArray, FloatArray]:
    """Return the k that both arms have and each problem's difference there, shape (problems, k)."""
    budgets, one, other = np.intersect1d(first.budgets, second.budgets, return_indices=True)
    return budgets, first.accuracy[:, one] - second.accuracy[:, other]


def at_equal_cost(first: Arm, second: Arm, points: int = 20) -> tuple[FloatArray, FloatArray]:
    """Return costs that both arms reach and what each problem adds to the difference at equal cost.

    Each problem's curve is interpolated linearly in the logarithm of the mean cost. The exchange rate between
    k and cost is itself a mean over problems: a problem that costs more than others moves the curve along its
    slope, and its value carries that influence (the infinitesimal jackknife), so that its column means are
    the difference and their spread is all of its uncertainty.

    Parameters
    ----------
    first, second
        The arms; only problems that have every k of both count, the rows of others are NaN.
    points
        Number of costs, spread evenly on a log scale over the common range.

    Returns
    -------
    tuple
        Costs, shape (points,), and values, shape (problems, points). Both have no columns where the arms
        have no cost in common.
    """
    everything = np.hstack([first.accuracy, second.accuracy, first.cost, second.cost])
    whole = np.asarray(np.isfinite(everything).all(axis=1))
    kept = [_by_cost(arm, whole) for arm in (first, second)] if whole.any() else []
    empty = np.empty(0), np.empty((len(whole), 0))
    if not kept or min(len(cost) for cost, _, _ in kept) == 0:
        return empty
    low = max(cost[0] for cost, _, _ in kept)
    high = min(cost[-1] for cost, _, _ in kept)
    if not 0 < low <= high:
        return empty
    grid = np.geomspace(low, high, points) if high > low else np.array([low])
    values = np.full((len(whole), len(grid)), np.nan)
    values[whole] = _interpolated(*kept[0], grid) - _interpolated(*kept[1], grid)
    return grid, values


def flips_for(comparisons: int, level: float) -> int:
    """Return how many random sign patterns let Holm's adjustment of so many comparisons go far below a level.

    The smallest p-value of B random patterns is 1 / (B + 1), and Holm multiplies it by the comparisons: it is
    at most `level / PER_LEVEL` thereafter.
    """
    return max(FEWEST_FLIPS, math.ceil(PER_LEVEL * comparisons / level))


def least_p(units: int, flips: int) -> float:
    """Return the smallest p-value that a test of so many problems (or clusters) can have.

    A pattern and its mirror image are as extreme as each other: 2 of 2^units where all are gone through.
    """
    return 2.0 ** (1 - units) if _is_exact(units, flips) else 1 / (flips + 1)


def sign_flip(
    differences: FloatArray,
    flips: int,
    rng: np.random.Generator,
    clusters: npt.ArrayLike | None = None,
) -> FlipTest:
    """Test whether a mean difference is 0, by flipping the signs of problems (or clusters of them).

    If the arms are exchangeable within each problem, its difference is as likely to have the other sign. As
    the statistic is equivalent to Student's t, the test keeps its level for many problems even where only
    the mean difference is 0 (Janssen 1999).

    Parameters
    ----------
    differences
        Shape (problems, m); NaN where a problem has none.
    flips
        Number of random sign patterns, see `flips_for`; where there are no more, all are gone through.
    clusters
        Label of each problem's cluster, shape (problems,): it flips as one.
    """
    sums, _ = cluster_sums(differences, clusters)
    spread = np.sqrt((sums**2).sum(axis=0))
    scaled = np.divide(sums, spread, where=spread > 0, out=np.zeros_like(sums))
    observed = np.abs(scaled.sum(axis=0)) - 1e-9
    exact, least = _is_exact(len(sums), flips), least_p(len(sums), flips)
    above, above_all, number = np.zeros(len(observed)), np.zeros(len(observed)), 0
    for signs in _all_signs(len(sums)) if exact else _random_signs(len(sums), flips, rng):
        statistics = np.abs(signs @ scaled)
        above += (statistics >= observed).sum(axis=0)
        above_all += (statistics.max(axis=1, initial=0.0)[:, None] >= observed).sum(axis=0)
        number += len(signs)
    if exact:
        return FlipTest(above / number, above_all / number, np.zeros(len(observed)), least)
    p_value = (above + 1) / (number + 1)  # the pattern that was observed is one of them
    error = np.sqrt(p_value * (1 - p_value) / (number + 1))
    return FlipTest(p_value, (above_all + 1) / (number + 1), error, least)


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Return p-values adjusted for several comparisons (Holm 1979), shape (comparisons,)."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def _by_cost(arm: Arm, whole: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean cost, increasing, and accuracy and relative cost of each problem, columns in that order."""
    mean = arm.cost[whole].mean(axis=0)
    increasing, order = np.unique(mean, return_index=True)
    order = order[increasing > 0]
    return mean[order], arm.accuracy[whole][:, order], arm.cost[whole][:, order] / mean[order]


def _interpolated(
    cost: FloatArray, accuracy: FloatArray, relative: FloatArray, grid: FloatArray
) -> FloatArray:
    """Return accuracy at costs within range, less what each problem's own cost moves the curve by."""
    if len(cost) == 1:
        return accuracy[:, np.zeros(len(grid), dtype=np.int64)]
    nodes, at = np.log(cost), np.log(grid)
    left = np.clip(np.searchsorted(nodes, at, side="right") - 1, 0, len(cost) - 2)
    width = nodes[left + 1] - nodes[left]
    weight = (at - nodes[left]) / width
    curve = accuracy.mean(axis=0)
    slope = (curve[left + 1] - curve[left]) / width

    def between(values: FloatArray) -> FloatArray:
        return np.asarray((1 - weight) * values[:, left] + weight * values[:, left + 1])

    return np.asarray(between(accuracy) - slope * (between(relative) - 1))


def _is_exact(units: int, flips: int) -> bool:
    return units < (flips + 2).bit_length() and 1 << units <= flips + 1


def _random_signs(units: int, flips: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    at_a_time = max(1, CHUNK // max(units, 1))
    for start in range(0, flips, at_a_time):
        size = min(at_a_time, flips - start)
        yield np.asarray(rng.integers(2, size=(size, units), dtype=np.int8) * 2.0 - 1, dtype=np.float64)


def _all_signs(units: int) -> Iterator[FloatArray]:
    at_a_time = max(1, CHUNK // max(units, 1))
    for start in range(0, 2**units, at_a_time):
        patterns = np.arange(start, min(start + at_a_time, 2**units))[:, None] >> np.arange(units)
        yield np.asarray((patterns & 1) * 2.0 - 1, dtype=np.float64)
