"""The laws of counts whose likelihood is a quadrature: one fitter, a density each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from itscale.outcomes import FloatArray, IntArray
from itscale.plugins.laws import LawData
from itscale_builtin.laws._ascents import LogLikelihood, climb_all
from itscale_builtin.laws._counts import (
    Counts,
    beta_start,
    maximise,
    negative_of,
    pooled,
    pooled_resamples,
    warn_of_bounds,
)
from itscale_builtin.laws._quadrature import (
    Family,
    binomial,
    grid,
    mixture_coverage,
    mixture_log_likelihood,
    mixture_posterior,
)

__all__ = ["Mixture", "largest_chance"]

SMALLEST, LARGEST_ALPHA, LARGEST_BETA = 1e-4, 100.0, 1e6
BOUNDS = [(np.log(SMALLEST), np.log(LARGEST_ALPHA)), (np.log(SMALLEST), np.log(LARGEST_BETA))]


class Mixture:
    """Success probabilities `p_i = scale u_i`, u_i of a density on (0, 1) with parameters alpha and beta.

    The density behaves like u^(alpha - 1) at 0 and (1 - u)^(beta - 1) at 1. `scale` is not fitted: it is 1,
    or what `largest_chance` says (Schaeffer et al. 2025, released code).
    """

    estimand = "asymptotic"

    def __init__(self, family: Family, *, scaled: bool) -> None:
        self.family = family
        self.scaled = scaled
        self.parameters: tuple[str, ...] = ("alpha", "beta", "scale") if scaled else ("alpha", "beta")

    def fit(self, data: LawData, start: FloatArray | None = None) -> FloatArray:
        """Return alpha, beta (and the scale); FitFailure where the counts say nothing about a spread."""
        counts = pooled(data)
        scale = largest_chance(counts) if self.scaled else 1.0
        log_likelihood = self._log_likelihood(counts, scale)
        logs = np.full(2, np.nan)
        if start is not None:
            (logs,) = climb_all(log_likelihood, counts.times[None], np.log(start[:2]), BOUNDS)
        if np.isnan(logs).any():
            logs = maximise(negative_of(log_likelihood, counts.times), self._starts(counts, start), BOUNDS)
        alpha, beta = np.exp(logs)
        warn_of_bounds(("alpha",), np.array([alpha]), SMALLEST, LARGEST_ALPHA)
        warn_of_bounds(("beta",), np.array([beta]), SMALLEST, LARGEST_BETA)
        return np.array([alpha, beta, scale] if self.scaled else [alpha, beta])

    def fit_resamples(self, resamples: Sequence[LawData], start: FloatArray) -> FloatArray:
        """Return the parameters of each resample, those of one scale at once; NaN where a climb fails."""
        counts, times = pooled_resamples(resamples)
        found = np.full((len(resamples), len(self.parameters)), np.nan)
        known = times.any(axis=1)
        scales = np.ones(len(times))
        if self.scaled:
            scales[known] = [
                largest_chance(Counts(counts.correct[own > 0], counts.wrong[own > 0], own[own > 0]))
                for own in times[known]
            ]
        for scale in np.unique(scales[known]).tolist():
            those = known & (scales == scale)
            log_likelihood = self._log_likelihood(counts, scale)
            found[those, :2] = np.exp(climb_all(log_likelihood, times[those], np.log(start[:2]), BOUNDS))
            found[those, 2:] = scale
        return found

    def _log_likelihood(self, counts: Counts, scale: float) -> LogLikelihood:
        nodes = grid(float(counts.sampled.max()), scale)
        return partial(mixture_log_likelihood, self.family, nodes, binomial(nodes, counts))

    def _scale(self, parameters: FloatArray) -> float:
        return float(parameters[2]) if self.scaled else 1.0

    def _starts(self, counts: Counts, start: FloatArray | None) -> Iterator[FloatArray]:
        if start is not None:
            yield np.log(start[:2])
        alpha, beta = beta_start(counts)  # of p, not of p / scale: near enough
        yield np.log([alpha, beta])
        yield from np.log([(0.35, 3.5), (1.0, 1.0), (0.1, 100.0)])

    def predict(self, parameters: FloatArray, budgets: FloatArray) -> FloatArray:
        """Return coverage at each k."""
        return mixture_coverage(self.family, parameters[:2], budgets, self._scale(parameters))

    def asymptotic_exponent(self, parameters: FloatArray) -> float:
        """Return alpha."""
        return float(parameters[0])

    def log_likelihood(self, parameters: FloatArray, data: LawData) -> float:
        """Return log L of the counts, binomial constant included."""
        counts = pooled(data)
        log_likelihood = self._log_likelihood(counts, self._scale(parameters))
        heights, _ = log_likelihood(np.log(parameters[None, :2]), counts.times[None])
        return float(heights[0])

    def predict_problems(
        self, parameters: FloatArray, sampled: IntArray, correct: IntArray, budgets: FloatArray
    ) -> FloatArray:
        """Return the posterior mean of 1 - (1 - p_i)^k for each problem."""
        own = np.asarray(correct, dtype=np.float64)
        counts = Counts(own, np.asarray(sampled) - own, np.ones(len(own)))
        return mixture_posterior(self.family, parameters[:2], counts, budgets, self._scale(parameters))


def largest_chance(counts: Counts) -> float:
    """Return min(1, (N + 1) / N max c/n) for N problems: where a uniform density would end."""
    problems = counts.times.sum()
    return float(min(1.0, (problems + 1) / problems * np.max(counts.correct / counts.sampled)))
