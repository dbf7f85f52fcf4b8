"""Intervals by resampling problems, the unit that was drawn from a population.

Completions alone are never resampled: that answers how the same problems would come out again, and covers
42 % where 95 % is meant.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from itscale.selection import FloatArray

__all__ = ["Interval", "bca_interval", "percentile_interval", "resample_means"]

CHUNK = 1 << 22
"""Resampling weights held at a time."""


@dataclass(frozen=True)
class Interval:
    """Bounds of each mean, shape (m,)."""

    low: FloatArray
    high: FloatArray


def resample_means(values: FloatArray, resamples: int, rng: np.random.Generator) -> FloatArray:
    """Return the column means of resampled rows: every column sees the same problems.

    Parameters
    ----------
    values
        One row per problem, one column per k, shape (problems, m); a NaN is left out of its column.
    resamples
        Number of resamples, >= 1.

    Returns
    -------
    FloatArray
        Shape (resamples, m); NaN where a resample holds no problem with a value.
    """
    present = ~np.isnan(values)
    filled = np.where(present, values, 0.0)
    sums, sizes = [], []
    for weights in _weights(len(values), resamples, rng):
        sums.append(weights @ filled)
        sizes.append(weights @ present.astype(np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.concatenate(sums) / np.concatenate(sizes))


def percentile_interval(
    values: FloatArray, confidence: float, resamples: int, rng: np.random.Generator
) -> Interval:
    """Return percentile bootstrap intervals of the column means, resampling rows (problems).

    See `resample_means` for the arguments; `confidence` is the level of each interval, in (0, 1).
    """
    means = resample_means(values, resamples, rng)
    low, high = np.nanquantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return Interval(low, high)


def bca_interval(values: FloatArray, confidence: float, resamples: int, rng: np.random.Generator) -> Interval:
    """Return bias-corrected and accelerated bootstrap intervals (Efron 1987) of the column means.

    Wants at least 2,000 resamples. A column without spread has the interval [mean, mean]. Arguments as
    `percentile_interval`; no NaN.
    """
    means = resample_means(values, resamples, rng)
    estimate = values.mean(axis=0)
    below = (means < estimate).mean(axis=0) + (means == estimate).mean(axis=0) / 2
    bias = ndtri(np.clip(below, 1 / (resamples + 1), resamples / (resamples + 1)))
    # the jackknife deviations of a mean are proportional to the deviations of the values themselves
    deviation = values - estimate
    spread = (deviation**2).sum(axis=0) ** 1.5
    acceleration = np.divide(
        (deviation**3).sum(axis=0), 6 * spread, where=spread > 0, out=np.zeros_like(spread)
    )
    bounds = []
    for level in ((1 - confidence) / 2, (1 + confidence) / 2):
        shifted = bias + ndtri(level)
        adjusted = ndtr(bias + shifted / (1 - acceleration * shifted))
        bounds.append(np.array([np.quantile(column, q) for column, q in zip(means.T, adjusted, strict=True)]))
    return Interval(*bounds)


def _weights(problems: int, resamples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Yield how often each problem is in each resample, a few resamples at a time."""
    at_a_time = max(1, CHUNK // max(problems, 1))
    for start in range(0, resamples, at_a_time):
        size = min(at_a_time, resamples - start)
        yield rng.multinomial(problems, np.full(problems, 1 / problems), size=size).astype(np.float64)
