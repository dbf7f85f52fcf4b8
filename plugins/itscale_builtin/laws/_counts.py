"""Common parts of the laws of counts: pooled counts, refusals, a maximum that two starts agree on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from scipy.special import gammaln

from itscale.messages.numbers import counted
from itscale.outcomes import FloatArray, IntArray
from itscale.plugins.laws import FitFailure, FitWarning, LawData
from itscale_builtin.laws._ascents import LogLikelihood

__all__ = [
    "AGREEMENT",
    "Counts",
    "beta_start",
    "maximise",
    "negative_of",
    "pooled",
    "pooled_resamples",
    "warn_of_bounds",
]

AGREEMENT = 1e-6
"""Starts agree when their log-likelihoods differ by less, relative to their size."""


@dataclass(frozen=True)
class Counts:
    """Distinct counts: equal ones have equal likelihoods, so cost grows with what is distinct.

    Attributes
    ----------
    correct, wrong
        The distinct counts, shape (distinct,).
    times
        How many problems have them, shape (distinct,).
    """

    correct: FloatArray
    wrong: FloatArray
    times: FloatArray

    @property
    def sampled(self) -> FloatArray:
        """Completions of each, shape (distinct,)."""
        return self.correct + self.wrong

    def log_choose(self) -> FloatArray:
        """Return log C(n, c) of each, shape (distinct,)."""
        found = gammaln(self.sampled + 1) - gammaln(self.correct + 1) - gammaln(self.wrong + 1)
        return np.asarray(found)


def pooled(data: LawData) -> Counts:
    """Return the distinct counts, in an order that does not depend on that of the problems.

    Raises
    ------
    FitFailure
        If the counts say nothing about a spread of success probabilities.
    """
    if (reason := _refusal(data)) is not None:
        raise FitFailure(reason)
    base = int(data.sampled.max()) + 1
    keys, times = np.unique(data.sampled.astype(np.int64) * base + data.correct, return_counts=True)
    sampled, correct = np.divmod(keys, base)
    return _counts(sampled, correct, times)


def pooled_resamples(resamples: Sequence[LawData]) -> tuple[Counts, FloatArray]:
    """Return the distinct counts of all resamples, and how often each has them, shape (resamples, distinct).

    A resample that says nothing about a spread (see `pooled`) has none.
    """
    base = max(int(data.sampled.max()) for data in resamples) + 1
    keys = [data.sampled.astype(np.int64) * base + data.correct for data in resamples]
    distinct = np.unique(np.concatenate(keys))
    times = np.zeros((len(resamples), len(distinct)))
    for row, (data, own) in enumerate(zip(resamples, keys, strict=True)):
        if _refusal(data) is None:
            times[row] = np.bincount(np.searchsorted(distinct, own), minlength=len(distinct))
    sampled, correct = np.divmod(distinct, base)
    return _counts(sampled, correct, times.sum(axis=0)), times


def _counts(sampled: IntArray, correct: IntArray, times: IntArray | FloatArray) -> Counts:
    return Counts(
        correct.astype(np.float64), (sampled - correct).astype(np.float64), times.astype(np.float64)
    )


def _refusal(data: LawData) -> str | None:
    """Return why counts say nothing about a spread of success probabilities, if they do not."""
    if len(data.sampled) < 2:
        return f"counts of {counted(len(data.sampled), 'problem')}, expected at least 2"
    if data.sampled.max() < 2:
        return (
            "one completion of each problem: only the mean success probability is identified (of a Beta "
            "distribution alpha / (alpha + beta)), not its spread, on which every k > 1 depends"
        )
    if not np.any(data.correct > 0):
        return "no completion is correct: every alpha near 0 fits as well"
    if np.all(data.correct == data.sampled):
        return "every completion is correct: every beta near 0 fits as well"
    return None


def beta_start(counts: Counts) -> tuple[float, float]:
    """Return the (alpha, beta) with the mean and variance of the success rates, where there is one."""
    rates = (counts.correct + 0.1) / (counts.sampled + 0.2)
    problems = counts.times.sum()
    mean = counts.times @ rates / problems
    variance = max(counts.times @ (rates - mean) ** 2 / problems, 1e-6)
    strength = max(mean * (1 - mean) / variance - 1, 0.1)
    return mean * strength, (1 - mean) * strength


def negative_of(
    log_likelihood: LogLikelihood, times: FloatArray
) -> Callable[[FloatArray], tuple[float, FloatArray]]:
    """Return -log L and its gradient as a function of one point, for counts that occur so many times."""

    def negative(point: FloatArray) -> tuple[float, FloatArray]:
        (height,), (gradient,) = log_likelihood(point[None], times[None])
        return -float(height), -gradient

    return negative


def maximise(
    negative: Callable[[FloatArray], tuple[float, FloatArray]],
    starts: Iterable[FloatArray],
    bounds: Sequence[tuple[float, float]],
) -> FloatArray:
    """Return where -log L is least; of several starts, two must end at the same height or that is said.

    Parameters
    ----------
    negative
        -log L and its gradient: a sum over problems, never a mean, or default tolerances stop too early.
    starts
        Tried in order until two agree.
    bounds
        Of each parameter.
    """
    results: list[OptimizeResult] = []
    low, high = np.transpose(bounds)
    for start in starts:
        result = minimize(
            negative,
            np.clip(start, low, high),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"ftol": 1e-13, "gtol": 1e-7, "maxiter": 500},
        )
        results.append(result)
        best = min(results, key=lambda candidate: float(candidate.fun))
        if sum(r.fun - best.fun <= AGREEMENT * max(abs(best.fun), 1.0) for r in results) >= 2:
            break
    else:
        warnings.warn(f"not converged: no two of {len(results)} starts agree", FitWarning, stacklevel=3)
    return np.asarray(best.x)


def warn_of_bounds(names: Sequence[str], values: FloatArray, low: float, high: float) -> None:
    """Say which parameters, each between `low` and `high`, are at a bound."""
    for name, value in zip(names, values, strict=True):
        if value <= 1.001 * low or value >= 0.999 * high:
            warnings.warn(f"{name} is at its bound {value:.3g}", FitWarning, stacklevel=3)
