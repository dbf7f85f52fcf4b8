"""Resampling of problems, the unit that was drawn from a population.

Completions alone are never resampled: that answers how the same problems would come out again, and covers
42 % where 95 % is meant (p ~ Beta(.5, 1), 50 problems, 16 completions).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from itscale.estimators.coverage import coverage
from itscale.outcomes import FloatArray, IntArray

__all__ = [
    "Resamples",
    "cluster_sums",
    "design_effect",
    "intraclass_correlation",
    "resample",
    "resample_two_level",
    "simplex_weights",
]

CHUNK = 1 << 22
"""Resampling weights held at a time."""

SAME = 1e-9
"""Values that differ by less agree: what is left of rounding."""


@dataclass(frozen=True)
class Resamples:
    """Column means of per-problem values, and the same of every resample.

    Attributes
    ----------
    mean, error
        Mean of each column and its standard error over problems (or clusters), shape (m,).
    means, errors
        The same of each resample, shape (resamples, m); NaN where it holds no value.
    values
        Value of each problem (mean of each cluster), NaN where it has none, shape (units, m).
    residuals
        Each problem's deviation from its column's mean, 0 where it has no value; of clusters in proportion to
        their size, so that they sum to 0; shape (units, m).
    units
        Problems (or clusters) with a value in each column, shape (m,).
    agree
        Whether all values of a column are the same: resampling then says nothing of their spread, shape (m,).
    """

    mean: FloatArray
    error: FloatArray
    means: FloatArray
    errors: FloatArray
    values: FloatArray
    residuals: FloatArray
    units: IntArray
    agree: npt.NDArray[np.bool_]


def resample(
    values: FloatArray, resamples: int, rng: np.random.Generator, clusters: npt.ArrayLike | None = None
) -> Resamples:
    """Resample rows (problems), or clusters of them, and return column means with their standard errors.

    Means of clusters are ratios (sum of values over number of values), their errors linearised.

    Parameters
    ----------
    values
        One row per problem, one column per k, shape (problems, m); a NaN is left out of its column.
    resamples
        Number of resamples, >= 1. Every column sees the same problems.
    clusters
        Label of the cluster of each row, shape (problems,): rows of one cluster stay together. It must be the
        highest level that rows share: the problem, where rows are its runs, seeds or models.

    Raises
    ------
    ValueError
        If the labels are not one per row.
    """
    sums, sizes = cluster_sums(values, clusters)
    total = sizes.sum(axis=0)
    units = (sizes > 0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, each = sums.sum(axis=0) / total, sums / sizes
        residuals = sums - np.nan_to_num(mean) * sizes
        spread = units / (units - 1)
        error = np.sqrt(spread * (residuals**2).sum(axis=0)) / total
        means, errors = [], []
        for weights in _weights(len(sums), resamples, rng):
            drawn = _count(weights, sizes)
            shift = (weights @ residuals) / drawn
            squares = weights @ residuals**2
            if np.all(sizes == 1):
                squares = squares - shift**2 * drawn
            else:
                squares = (
                    squares - 2 * shift * (weights @ (residuals * sizes)) + shift**2 * (weights @ sizes**2)
                )
            means.append(mean + shift)
            errors.append(np.sqrt(spread * np.maximum(squares, 0.0)) / drawn)
    return Resamples(
        mean=np.asarray(mean),
        error=np.nan_to_num(error),
        means=np.concatenate(means),
        errors=np.concatenate(errors),
        values=np.asarray(each),
        residuals=residuals * (np.maximum(units, 1) / np.maximum(total, 1)),
        units=units,
        agree=_agree(values),
    )


def resample_two_level(
    sampled: IntArray, correct: IntArray, budgets: IntArray, resamples: int, rng: np.random.Generator
) -> Resamples:
    """Resample problems and, within each, its n completions with replacement; return coverage.

    Only counts are needed: c of n completions drawn with replacement are Binomial(n, c/n). What resampling
    problems alone already holds of this variation is counted twice, so the interval is a little wide.

    Parameters
    ----------
    sampled, correct
        Completions of each problem and how many are correct, shape (problems,).
    budgets
        k of each column, shape (m,).
    resamples
        Number of resamples, >= 1.
    """
    sampled, correct = np.asarray(sampled), np.asarray(correct)
    sizes = np.unique(sampled)
    # coverage of every count a problem of each size can have, one below the other
    table = np.concatenate([coverage(np.full(n + 1, n), np.arange(n + 1), budgets) for n in sizes])
    first = np.concatenate([[0], np.cumsum(sizes[:-1] + 1)])[np.searchsorted(sizes, sampled)]
    present = (~np.isnan(table)).astype(np.float64)
    values = np.nan_to_num(table)
    means, errors = [], []
    for _ in range(resamples):
        chosen = rng.integers(len(sampled), size=len(sampled))
        drawn = rng.binomial(sampled[chosen], correct[chosen] / sampled[chosen])
        weights = np.bincount(first[chosen] + drawn, minlength=len(table)).astype(np.float64)
        number = weights @ present
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (weights @ values) / number
            variance = (weights @ values**2) / number - mean**2
            errors.append(np.sqrt(np.maximum(variance, 0.0) / (number - 1)))
        means.append(mean)
    observed = coverage(sampled, correct, budgets)
    single = resample(observed, 1, rng)
    return Resamples(
        mean=single.mean,
        error=single.error,
        means=np.array(means),
        errors=np.array(errors),
        values=single.values,
        residuals=single.residuals,
        units=single.units,
        agree=single.agree,
    )


def design_effect(size: float, correlation: float) -> float:
    """Return by how much clusters inflate a variance: `1 + (size - 1) correlation` (Kish 1965).

    n rows in clusters of `size` that correlate this much say as much as n / design_effect separate ones.
    """
    return 1 + (size - 1) * correlation


def intraclass_correlation(values: FloatArray, clusters: npt.ArrayLike) -> float:
    """Return how much rows of one cluster are alike: the share of variance between clusters, from ANOVA.

    Parameters
    ----------
    values
        Shape (rows,), no NaN.
    clusters
        Label of each row's cluster, shape (rows,); sizes may differ.

    Raises
    ------
    ValueError
        If there are fewer than two clusters, or none with two rows.
    """
    members = _members(clusters, len(values))
    sizes = np.array([len(rows) for rows in members])
    rows, groups = len(values), len(members)
    if groups < 2 or rows == groups:
        raise ValueError(f"clusters: found {groups} in {rows} rows, expected two, and one with two rows")
    means = np.array([values[at].mean() for at in members])
    between = (sizes * (means - values.mean()) ** 2).sum() / (groups - 1)
    within = sum(((values[at] - values[at].mean()) ** 2).sum() for at in members) / (rows - groups)
    size = (rows - (sizes**2).sum() / rows) / (groups - 1)
    spread = between + (size - 1) * within
    return float((between - within) / spread) if spread > 0 else 0.0


def cluster_sums(values: FloatArray, clusters: npt.ArrayLike | None) -> tuple[FloatArray, FloatArray]:
    """Return the sum and the number of values of each cluster and column."""
    present = (~np.isnan(values)).astype(np.float64)
    filled = np.nan_to_num(values)
    if clusters is None:
        return filled, present
    members = _members(clusters, len(values))
    sums = np.array([filled[rows].sum(axis=0) for rows in members])
    return sums, np.array([present[rows].sum(axis=0) for rows in members])


def _members(clusters: npt.ArrayLike, rows: int) -> list[IntArray]:
    """Return the rows of each cluster, in the order of their labels."""
    labels = np.asarray(clusters)
    if labels.shape != (rows,):
        raise ValueError(f"clusters: found shape {labels.shape}, expected a label for each of {rows} rows")
    _, cluster = np.unique(labels, return_inverse=True)
    order = np.argsort(cluster, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(cluster[order])) + 1)


def _agree(values: FloatArray) -> npt.NDArray[np.bool_]:
    low, high = np.where(np.isnan(values), np.inf, values), np.where(np.isnan(values), -np.inf, values)
    return np.asarray(high.max(axis=0) - low.min(axis=0) <= SAME)


def _count(weights: FloatArray, sizes: FloatArray) -> FloatArray:
    if np.all(sizes == 1):
        return np.asarray(weights.sum(axis=1, keepdims=True))
    return weights @ sizes


def simplex_weights(units: int, draws: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Yield weights of units that are uniform on the simplex up to a factor, a few draws at a time."""
    for size in _pieces(units, draws):
        yield rng.standard_exponential((size, units))


def _weights(units: int, resamples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Yield how often each problem is in each resample, a few resamples at a time."""
    for size in _pieces(units, resamples):
        yield rng.multinomial(units, np.full(units, 1 / units), size=size).astype(np.float64)


def _pieces(units: int, resamples: int) -> Iterator[int]:
    at_a_time = max(1, CHUNK // max(units, 1))
    for start in range(0, resamples, at_a_time):
        yield min(at_a_time, resamples - start)
