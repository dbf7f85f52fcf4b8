"""The density of success probabilities is free but smooth; below what data show it is a power law."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import lru_cache

import numpy as np
from pydantic import Field
from scipy.special import betainc, betaln

from itscale.outcomes import FloatArray, IntArray
from itscale.plugins import LawEntry, Options
from itscale.plugins.laws import LawData
from itscale_builtin.laws._counts import Counts, pooled, pooled_resamples

__all__ = ["SmoothMixture", "SmoothMixtureOptions", "entry"]

LEAST = 1e-12
"""No success probability is smaller: of a billion completions of 1,000 such problems, one is correct."""
CELLS = 340
KNOTS = 17
"""Of the cubic B-splines, evenly in log p: four for three decades."""
NEGLIGIBLE = 1e-6
"""Of the penalty: it holds what nothing else does, the level of a density that is normalised."""
ITERATIONS = 100
CONVERGED, CONVERGED_REFIT = 1e-8, 1e-4
"""Rise of the penalised log-likelihood at which steps end; a refit's band needs no more."""

_EDGES = np.linspace(np.log(LEAST), 0.0, CELLS + 1)
_STEP = float(_EDGES[1] - _EDGES[0])
_U = (_EDGES[:-1] + _EDGES[1:]) / 2
_LOG_Q = np.log1p(-np.exp(_U))
_SPACING = -float(_EDGES[0]) / (KNOTS - 1)


class SmoothMixtureOptions(Options):
    """Options of the smooth mixture."""

    smoothness: float = Field(default=50.0, gt=0)
    """Weight of the integral of the squared second derivative of log density over log p, halved."""


class SmoothMixture:
    """`log f(log p)` is a cubic spline; the likelihood of counts is penalised by its bends.

    No bend, no penalty: where the counts say nothing, below 1/n, log density is a straight line in log p.
    So the left tail is `f(p) ~ p^(b - 1)` with b from the data, and failure falls as k^-b (Schaeffer et al.
    2025, theorem 1), while the body has any shape. Laws of two parameters get their tail from the body
    instead: a few easy problems decide what they say of the hard ones.

    p lies in cells even in log p, in which the density is constant: then the likelihood of a count is a sum
    of differences of incomplete Beta functions, however narrow its peak is.
    """

    parameters = tuple(f"w{number}" for number in range(KNOTS + 2))
    estimand = "asymptotic"

    def __init__(self, options: SmoothMixtureOptions) -> None:
        self.options = options

    def fit(self, data: LawData, start: FloatArray | None = None) -> FloatArray:
        """Return the weights of the splines; FitFailure where the counts say nothing about a spread."""
        counts = pooled(data)
        likelihood = _Likelihood(counts, self.options.smoothness)
        found = likelihood.climb(_bump() if start is None else start, start is not None)
        return np.asarray(found - found.mean())  # any level is the same density

    def fit_resamples(self, resamples: Sequence[LawData], start: FloatArray) -> FloatArray:
        """Return the weights of each resample; the kernel of their counts is made once."""
        counts, times = pooled_resamples(resamples)
        likelihood = _Likelihood(counts, self.options.smoothness)
        found = np.full((len(resamples), len(self.parameters)), np.nan)
        for row, own in enumerate(times):
            if own.any():
                found[row] = likelihood.of(own).climb(start, True)
        return np.asarray(found - found.mean(axis=1, keepdims=True))

    def predict(self, parameters: FloatArray, budgets: FloatArray) -> FloatArray:
        """Return coverage at each k."""
        k = np.asarray(budgets, dtype=np.float64)
        return np.asarray(np.clip(-np.expm1(np.outer(k, _LOG_Q)) @ _density(parameters), 0.0, 1.0))

    def asymptotic_exponent(self, parameters: FloatArray) -> float:
        """Return b, the slope of log density in log p at the lower end; NaN where it does not rise."""
        slope = float(parameters[2] - parameters[0]) / (2 * _SPACING)
        return slope if slope > 0 else float("nan")

    def log_likelihood(self, parameters: FloatArray, data: LawData) -> float:
        """Return log L of the counts, binomial constant included, without the penalty."""
        counts = pooled(data)
        chances = _kernel(counts) @ _density(parameters)
        return float(counts.times @ (np.log(chances) + _log_scales(counts) + counts.log_choose()))

    def effective_parameters(self, parameters: FloatArray, data: LawData) -> float:
        """Return how many parameters the data decide: trace of (I + S)^-1 I, S the penalty."""
        likelihood = _Likelihood(pooled(data), self.options.smoothness)
        information = likelihood.information(parameters)
        return float(np.trace(np.linalg.solve(information + likelihood.penalty, information)))

    def predict_problems(
        self, parameters: FloatArray, sampled: IntArray, correct: IntArray, budgets: FloatArray
    ) -> FloatArray:
        """Return the posterior mean of 1 - (1 - p_i)^k for each problem."""
        own = np.asarray(correct, dtype=np.float64)
        posterior = _kernel(Counts(own, np.asarray(sampled) - own, np.ones(len(own)))) * _density(parameters)
        posterior /= posterior.sum(axis=1, keepdims=True)
        solved = -np.expm1(np.outer(_LOG_Q, np.asarray(budgets, dtype=np.float64)))
        return np.asarray(np.clip(posterior @ solved, 0.0, 1.0))


class _Likelihood:
    """The penalised log-likelihood of distinct counts, climbed by scoring."""

    def __init__(self, counts: Counts, smoothness: float) -> None:
        self.times = counts.times
        self.kernel = _kernel(counts)
        self.penalty = smoothness * _bends()

    def of(self, times: FloatArray) -> _Likelihood:
        """Return the one of data that have these counts so many times, shape (distinct,)."""
        other = copy(self)
        other.times, other.kernel = times[times > 0], self.kernel[times > 0]
        return other

    def climb(self, weights: FloatArray, again: bool) -> FloatArray:
        """Return where the sum is largest: it rises with every step, damped where it would not."""
        height, density, chances = self._height(weights)
        damping = 1e-3
        for _ in range(ITERATIONS):
            scores = self._scores(density, chances)
            gradient = self.times @ scores - self.penalty @ weights
            curvature = (scores * self.times[:, None]).T @ scores + self.penalty
            while damping < 1e8:
                step = np.linalg.solve(curvature + damping * np.eye(len(weights)), gradient)
                higher, density, chances = self._height(weights + step)
                if higher >= height:
                    break
                damping *= 10
            else:
                return weights
            rise, weights, height, damping = higher - height, weights + step, higher, damping / 3
            if rise < (CONVERGED_REFIT if again else CONVERGED):
                break
        return weights

    def information(self, weights: FloatArray) -> FloatArray:
        """Return the empirical Fisher information, shape (splines, splines)."""
        _, density, chances = self._height(weights)
        scores = self._scores(density, chances)
        return np.asarray((scores * self.times[:, None]).T @ scores)

    def _height(self, weights: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        density = _density(weights)
        chances = np.maximum(self.kernel @ density, 1e-300)
        bent = weights @ self.penalty @ weights / 2
        return float(self.times @ np.log(chances) - bent), density, chances

    def _scores(self, density: FloatArray, chances: FloatArray) -> FloatArray:
        """Return the slope of each count's log-likelihood: posterior less prior mean of the splines."""
        return np.asarray((self.kernel * density / chances[:, None] - density) @ _splines().T)


def _density(weights: FloatArray) -> FloatArray:
    """Return the mass of each cell, shape (cells,)."""
    logs = weights @ _splines()
    mass = np.exp(logs - logs.max())
    return np.asarray(mass / mass.sum())


@lru_cache(maxsize=1)
def _splines() -> FloatArray:
    """Return cubic B-splines at the middles of the cells, shape (splines, cells)."""
    away = np.abs(_U - (_EDGES[0] + _SPACING * np.arange(-1, KNOTS + 1))[:, None]) / _SPACING
    inner, outer = 2 / 3 - away**2 + away**3 / 2, (2 - away) ** 3 / 6
    return np.where(away < 1, inner, np.where(away < 2, outer, 0.0))


@lru_cache(maxsize=1)
def _bends() -> FloatArray:
    """Return S: w'Sw is the integral of the squared second derivative of the spline (differences of w)."""
    second = np.diff(np.eye(KNOTS + 2), 2, axis=0) / _SPACING**2
    return np.asarray(_SPACING * second.T @ second + NEGLIGIBLE * np.eye(KNOTS + 2))


def _bump() -> FloatArray:
    """Return a start: log p is about normal, with a mean of -5 and a deviation of 3."""
    places = _EDGES[0] + _SPACING * np.arange(-1, KNOTS + 1)
    return np.asarray(-(((places + 5) / 3) ** 2) / 2)


def _kernel(counts: Counts) -> FloatArray:
    """Return P(c | n, p) averaged over each cell, up to a factor per count, shape (distinct, cells)."""
    return np.array([_row(int(c), int(w)) for c, w in zip(counts.correct, counts.wrong, strict=True)])


@lru_cache(maxsize=8192)
def _row(correct: int, wrong: int) -> FloatArray:
    """Return the mean of p^c (1 - p)^w over the cells, relative to the largest of them."""
    if correct == 0:
        return np.asarray(np.exp(wrong * (_LOG_Q - _LOG_Q[0])))
    shares = np.diff(betainc(correct, wrong + 1, np.exp(_EDGES)))
    return np.asarray(shares / shares.max())


def _log_scales(counts: Counts) -> FloatArray:
    """Return the log of the factor of each row of the kernel."""
    factors = counts.wrong * _LOG_Q[0]
    for at in np.flatnonzero(counts.correct > 0):
        correct, wrong = counts.correct[at], counts.wrong[at]
        largest = np.diff(betainc(correct, wrong + 1, np.exp(_EDGES))).max()
        factors[at] = np.log(largest / _STEP) + betaln(correct, wrong + 1)
    return np.asarray(factors)


entry = LawEntry(
    name="smooth_mixture",
    factory=SmoothMixture,
    options=SmoothMixtureOptions,
    takes="counts",
    ensemble="near",
    summary="Success probabilities of any smooth density, a power law as left tail; penalised likelihood.",
    reference="Schaeffer et al. 2025, arXiv:2502.17578 (the tail); Eilers and Marx 1996 (the penalty)",
)
