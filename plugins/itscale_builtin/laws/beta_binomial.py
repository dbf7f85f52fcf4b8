"""Success probabilities of problems are Beta distributed; coverage at any k follows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np
from pydantic import Field
from scipy.optimize import fsolve
from scipy.special import betaln, digamma

from itscale.outcomes import FloatArray, IntArray
from itscale.plugins import LawEntry, Options
from itscale.plugins.laws import LawData
from itscale_builtin.laws._counts import Counts, beta_start, maximise, pooled, warn_of_bounds

__all__ = ["BetaBinomial", "BetaBinomialOptions", "beta_coverage", "entry", "log_beta_binomial"]

CLOSE = 1e-6
"""Starts agree when the logs of the parameters differ by less: log L then differs by far less."""
XTOL = 1e-8
COLD_STARTS = ((0.35, 3.5), (1.0, 1.0), (0.1, 100.0))


class BetaBinomialOptions(Options):
    """Options of the beta-binomial law."""

    largest: float = Field(default=1e6, ge=1e4)
    """Bound of both parameters from above; tiny success rates need a large beta."""
    smallest: float = Field(default=1e-6, gt=0, le=1e-2)
    """Bound of both parameters from below."""


class BetaBinomial:
    """`p_i ~ Beta(alpha, beta)`, so that coverage(k) = 1 - B(alpha, beta + k) / B(alpha, beta).

    Maximum likelihood on the counts (n_i, c_i), which may differ in n and may come from a rule that looked
    at them, such as sampling until the first success: the rule is no part of the likelihood. For large k,
    1 - coverage falls as `k^-alpha`: alpha is the asymptotic exponent of the failure rate, not the slope seen
    at small k.
    """

    parameters = ("alpha", "beta")
    estimand = "asymptotic"

    def __init__(self, options: BetaBinomialOptions) -> None:
        self.options = options

    def fit(self, data: LawData, start: FloatArray | None = None) -> FloatArray:
        """Return alpha and beta; FitFailure where the counts say nothing about a spread."""
        counts = pooled(data)
        likelihood = _Likelihood(counts)
        low, high = math.log(self.options.smallest), math.log(self.options.largest)
        logs = _roots(likelihood, [*islice(self._starts(counts, start), 2)])
        if logs is None or not low < logs.min() <= logs.max() < high:
            logs = maximise(likelihood.negative, self._starts(counts, start), [(low, high)] * 2)
        parameters = np.exp(logs)
        warn_of_bounds(self.parameters, parameters, self.options.smallest, self.options.largest)
        return np.asarray(parameters)

    def _starts(self, counts: Counts, start: FloatArray | None) -> Iterator[FloatArray]:
        if start is not None:
            yield np.log(np.minimum(np.maximum(start, self.options.smallest), self.options.largest))
        yield np.log(beta_start(counts))
        yield from map(np.log, COLD_STARTS)

    def predict(self, parameters: FloatArray, budgets: FloatArray) -> FloatArray:
        """Return coverage at each k."""
        return beta_coverage(parameters[0], parameters[1], budgets)

    def asymptotic_exponent(self, parameters: FloatArray) -> float:
        """Return alpha."""
        return float(parameters[0])

    def log_likelihood(self, parameters: FloatArray, data: LawData) -> float:
        """Return log L of the counts, binomial constant included."""
        counts = pooled(data)
        terms = log_beta_binomial(counts, parameters[0], parameters[1])
        return float(counts.times @ (terms + counts.log_choose()))

    def predict_problems(
        self, parameters: FloatArray, sampled: IntArray, correct: IntArray, budgets: FloatArray
    ) -> FloatArray:
        """Return the mean of 1 - (1 - p_i)^k under p_i ~ Beta(alpha + c_i, beta + n_i - c_i)."""
        alpha, beta = parameters
        return beta_coverage(
            (alpha + correct)[:, None], (beta + sampled - correct)[:, None], np.asarray(budgets)[None, :]
        )


def beta_coverage(alpha: float | FloatArray, beta: float | FloatArray, budgets: FloatArray) -> FloatArray:
    """Return 1 - B(alpha, beta + k) / B(alpha, beta), broadcast (Schaeffer et al. 2025, section 3)."""
    k = np.asarray(budgets, dtype=np.float64)
    # where beta is huge, rounding of a difference of huge numbers must not make this rise
    return np.asarray(-np.expm1(np.minimum(betaln(alpha, beta + k) - betaln(alpha, beta), 0.0)))


def log_beta_binomial(counts: Counts, alpha: float | FloatArray, beta: float | FloatArray) -> FloatArray:
    """Return log B(c + alpha, n - c + beta) / B(alpha, beta) of each distinct count, without C(n, c)."""
    return np.asarray(betaln(counts.correct + alpha, counts.wrong + beta) - betaln(alpha, beta))


class _Likelihood:
    """The score is a weighted sum of digamma at (counts + alpha, beta or alpha + beta): one call of it."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        sampled, at = np.unique(counts.sampled, return_inverse=True)
        problems = counts.times.sum()
        self._offsets = np.concatenate([counts.correct, counts.wrong, sampled, np.zeros(3)])
        sizes = [len(counts.correct), len(counts.wrong), len(sampled), 1, 1, 1]
        self._which = np.repeat([0, 1, 2, 0, 1, 2], sizes)
        weights = np.concatenate(
            [counts.times, counts.times, -np.bincount(at, counts.times), [-problems, -problems, problems]]
        )
        self._by_parameter = weights * (self._which == np.arange(3)[:, None])

    def value(self, logs: FloatArray) -> float:
        """Return log L at (log alpha, log beta), without the binomial constant."""
        # log Beta, not log Gammas: where both parameters are huge, their differences are rounding errors
        return float(self._counts.times @ log_beta_binomial(self._counts, *np.exp(logs)))

    def score(self, logs: FloatArray) -> FloatArray:
        """Return the gradient of log L in (log alpha, log beta)."""
        alpha, beta = np.exp(logs).tolist()
        arguments = self._offsets + np.array([alpha, beta, alpha + beta])[self._which]
        by_alpha, by_beta, by_both = self._by_parameter @ digamma(arguments)
        return np.array([alpha * (by_alpha + by_both), beta * (by_beta + by_both)])

    def negative(self, logs: FloatArray) -> tuple[float, FloatArray]:
        """Return -log L and its gradient."""
        return -self.value(logs), -self.score(logs)


def _roots(likelihood: _Likelihood, starts: list[FloatArray]) -> FloatArray | None:
    """Return where the score is zero, if two starts end there; five times faster than a descent.

    The score also vanishes far out, where parameters run off to 0 or infinity: those ends do not agree.
    """
    found: list[FloatArray] = []
    with np.errstate(all="ignore"):
        for start in starts:
            logs, _, status, _ = fsolve(likelihood.score, start, xtol=XTOL, full_output=True)
            if status != 1:
                return None
            found.append(logs)
    if np.max(np.abs(found[0] - found[1])) > CLOSE:
        return None
    height = likelihood.value(found[0])
    is_maximum = height >= max(likelihood.value(start) for start in starts)
    return found[0] if is_maximum else None


entry = LawEntry(
    name="beta_binomial",
    factory=BetaBinomial,
    options=BetaBinomialOptions,
    revision=3,
    takes="counts",
    summary="Success probabilities Beta(alpha, beta), maximum likelihood on counts.",
    reference="Kazdan et al. 2025 (the estimator); Schaeffer et al. 2025, arXiv:2502.17578 (the asymptote)",
)
