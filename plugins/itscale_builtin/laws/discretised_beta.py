"""Success probabilities are Beta distributed; what is fitted are shares of problems in bins of c/n."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from pydantic import Field
from scipy.special import betainc, betaincc

from itscale.outcomes import FloatArray, IntArray
from itscale.plugins import LawEntry, Options
from itscale.plugins.laws import FitFailure, FitWarning, LawData
from itscale_builtin.laws._ascents import climb_all
from itscale_builtin.laws._counts import (
    Counts,
    beta_start,
    maximise,
    negative_of,
    pooled,
    warn_of_bounds,
)
from itscale_builtin.laws.beta_binomial import COLD_STARTS, beta_coverage

__all__ = ["DiscretisedBeta", "DiscretisedBetaOptions", "bin_edges", "entry"]

SMALLEST, LARGEST = 1e-4, 1e5
TINY = 1e-300
HALF = 0.5
STEP = 1e-5
BOUNDS = [(float(np.log(SMALLEST)), float(np.log(LARGEST)))] * 2


class DiscretisedBetaOptions(Options):
    """Options of the discretised Beta law."""

    per_decade: int = Field(default=10, ge=1, le=1_000)
    """Bins of c/n per factor of ten."""


class DiscretisedBeta:
    """`p_i ~ Beta(alpha, beta)`, fitted to how many problems have c_i/n_i in each of a few bins.

    Multinomial likelihood of the bins {0} and [1/n, 1] in even steps of log c/n, n the smallest n_i. A
    problem that was never solved only says p_i < 1/n: the distribution's mass there is the share of such
    problems, however it is spread inside. Within the other bins c/n stands for p, which is noise where few
    are correct. Kazdan et al. 2025 find it too low at large k; beside `beta_binomial` it shows what binning
    costs. It gives no likelihood of counts: that of bins compares with nothing else.
    """

    parameters = ("alpha", "beta")
    estimand = "asymptotic"

    def __init__(self, options: DiscretisedBetaOptions) -> None:
        self.options = options

    def fit(self, data: LawData, start: FloatArray | None = None) -> FloatArray:
        """Return alpha and beta; FitFailure where the counts say nothing about a spread."""
        counts = pooled(data)
        edges = bin_edges(int(counts.sampled.min()), self.options.per_decade)
        problems = _problems(counts, edges)

        def starts() -> Iterator[FloatArray]:
            if start is not None:
                yield np.log(start)
            yield np.log(beta_start(counts))
            yield from map(np.log, COLD_STARTS)

        logs = maximise(negative_of(partial(_log_likelihood, edges), problems), starts(), BOUNDS)
        warn_of_bounds(self.parameters, np.exp(logs), SMALLEST, LARGEST)
        if np.sum(problems > 0) < 3:
            warnings.warn("c/n fall into 2 bins: alpha and beta are not determined", FitWarning, stacklevel=2)
        return np.asarray(np.exp(logs))

    def fit_resamples(self, resamples: Sequence[LawData], start: FloatArray) -> FloatArray:
        """Return alpha and beta of each resample; NaN where the climb from the estimate does not settle."""
        smallest = min(int(data.sampled.min()) for data in resamples)
        edges = bin_edges(smallest, self.options.per_decade)
        found = np.full((len(resamples), 2), np.nan)
        known = np.array([_says_something(data, smallest) for data in resamples])
        if not known.any():
            return found
        problems = np.array(
            [_problems(pooled(data), edges) for data, yes in zip(resamples, known, strict=True) if yes]
        )
        found[known] = np.exp(climb_all(partial(_log_likelihood, edges), problems, np.log(start), BOUNDS))
        return found

    def predict(self, parameters: FloatArray, budgets: FloatArray) -> FloatArray:
        """Return coverage at each k."""
        return beta_coverage(parameters[0], parameters[1], budgets)

    def asymptotic_exponent(self, parameters: FloatArray) -> float:
        """Return alpha."""
        return float(parameters[0])

    def predict_problems(
        self, parameters: FloatArray, sampled: IntArray, correct: IntArray, budgets: FloatArray
    ) -> FloatArray:
        """Return the mean of 1 - (1 - p_i)^k under p_i ~ Beta(alpha + c_i, beta + n_i - c_i)."""
        alpha, beta = parameters
        return beta_coverage(
            (alpha + correct)[:, None], (beta + sampled - correct)[:, None], np.asarray(budgets)[None, :]
        )


def bin_edges(n: int, per_decade: int) -> FloatArray:
    """Return 0, then 1/n to 1 in even steps of the logarithm."""
    steps = max(int(np.ceil(per_decade * np.log10(n))), 1)
    return np.concatenate([[0.0], np.geomspace(min(1 / n, 0.5), 1.0, steps + 1)])


def _problems(counts: Counts, edges: FloatArray) -> FloatArray:
    """Return how many problems have their c/n in each bin, shape (bins,)."""
    rates = counts.correct / counts.sampled
    # rates at the last edge belong to the last bin
    at = np.clip(np.searchsorted(edges, rates * (1 + 1e-12), side="right") - 1, 0, len(edges) - 2)
    return np.bincount(at, counts.times, len(edges) - 1).astype(np.float64)


def _says_something(data: LawData, smallest: int) -> bool:
    """Return whether counts say something about a spread, in the bins of this smallest n."""
    try:
        return int(pooled(data).sampled.min()) == smallest
    except FitFailure:
        return False


def _log_masses(parameters: FloatArray, edges: FloatArray) -> FloatArray:
    """Return the log of the Beta's mass between edges, of whichever tail is the smaller.

    Of parameters of shape (2, sets, 1): shape (sets, bins).
    """
    alpha, beta = parameters
    share = betainc(alpha, beta, edges)
    upper = share > HALF  # where its complement is needed; elsewhere it would cost as much and say no more
    alphas, betas = np.broadcast_to(alpha, share.shape), np.broadcast_to(beta, share.shape)
    rest = 1 - share
    rest[upper] = betaincc(alphas[upper], betas[upper], np.broadcast_to(edges, share.shape)[upper])
    below, above = np.diff(share), -np.diff(rest)
    return np.asarray(np.log(np.maximum(np.maximum(below, above), TINY)))


def _log_likelihood(
    edges: FloatArray, logs: FloatArray, problems: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return log L of each set, and its gradient, by central differences: the incomplete Beta has none.

    See `LogLikelihood`; what occurs so often in each set is a bin, shape (sets, bins).
    """
    moves = STEP * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    around = np.exp(logs + moves[:, None])
    value, *near = ((problems * _log_masses(at.T[:, :, None], edges)).sum(axis=1) for at in around)
    return value, np.column_stack([near[0] - near[1], near[2] - near[3]]) / (2 * STEP)


entry = LawEntry(
    name="discretised_beta",
    aliases=("discretized_beta",),
    factory=DiscretisedBeta,
    options=DiscretisedBetaOptions,
    revision=3,
    takes="counts",
    summary="Success probabilities Beta(alpha, beta), fitted to binned success rates.",
    reference="Schaeffer et al. 2025, arXiv:2502.17578 (discretised maximum likelihood)",
)
