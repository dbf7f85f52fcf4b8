"""Success probabilities are Beta distributed; what is fitted are shares of problems in bins of c/n."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import Field
from scipy.special import betainc, betaincc

from itscale.laws import FitFailure, FitWarning, LawData
from itscale.plugins import LawEntry, Options
from itscale.selection import FloatArray, IntArray
from itscale_builtin.laws._counts import Counts, beta_start, maximise, pooled, warn_of_bounds
from itscale_builtin.laws.beta_binomial import COLD_STARTS, beta_coverage

__all__ = ["DiscretisedBeta", "DiscretisedBetaOptions", "bin_edges", "entry"]

SMALLEST, LARGEST = 1e-4, 1e5
TINY = 1e-300
HALF = 0.5
STEP = 1e-5
SCORING_STEPS = 60
RISE, SMALLEST_STEP = 1e-6, 1e-4
"""Scoring ends where log L rises by less, or steps of this share of a full one do not raise it."""


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

        bounds = [(np.log(SMALLEST), np.log(LARGEST))] * 2
        logs = maximise(lambda logs: _negative(logs, edges, problems), starts(), bounds)
        warn_of_bounds(self.parameters, np.exp(logs), SMALLEST, LARGEST)
        if np.sum(problems > 0) < 3:
            warnings.warn("c/n fall into 2 bins: alpha and beta are not determined", FitWarning, stacklevel=2)
        return np.asarray(np.exp(logs))

    def fit_resamples(self, resamples: Sequence[LawData], start: FloatArray) -> FloatArray:
        """Return alpha and beta of each resample, by scoring from the estimate."""
        smallest = min(int(data.sampled.min()) for data in resamples)
        edges = bin_edges(smallest, self.options.per_decade)
        found = np.full((len(resamples), 2), np.nan)
        known = np.array([_says_something(data, smallest) for data in resamples])
        if not known.any():
            return found
        problems = np.array(
            [_problems(pooled(data), edges) for data, yes in zip(resamples, known, strict=True) if yes]
        )
        found[known] = np.exp(_climb_all(np.log(start), edges, problems))
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

    Of parameters of shape (2,) or (2, sets, 1): shape (bins,) or (sets, bins).
    """
    alpha, beta = parameters
    share = betainc(alpha, beta, edges)
    upper = share > HALF  # where its complement is needed; elsewhere it would cost as much and say no more
    alphas, betas = np.broadcast_to(alpha, share.shape), np.broadcast_to(beta, share.shape)
    rest = 1 - share
    rest[upper] = betaincc(alphas[upper], betas[upper], np.broadcast_to(edges, share.shape)[upper])
    below, above = np.diff(share), -np.diff(rest)
    return np.asarray(np.log(np.maximum(np.maximum(below, above), TINY)))


def _climb_all(start: FloatArray, edges: FloatArray, problems: FloatArray) -> FloatArray:
    """Return where log L of each set ends by Fisher's scoring, shape (sets, 2).

    Parameters
    ----------
    start
        (log alpha, log beta), shape (2,).
    problems
        Problems in each bin, shape (sets, bins).
    """
    sets = len(problems)
    logs, heights = np.tile(start, (sets, 1)), np.full(sets, -np.inf)
    left, size = np.arange(sets), np.ones(sets)
    low, high = np.log([SMALLEST, LARGEST])
    moves = STEP * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    tried = logs
    slopes = np.empty((2, sets, problems.shape[1]))
    masses = np.empty(problems.shape)
    for _ in range(SCORING_STEPS):
        around = np.exp(tried[None] + moves[:, None])
        log_masses, *near = (_log_masses(at.T[:, :, None], edges) for at in around)
        found = (problems[left] * log_masses).sum(axis=1)
        better = found > heights[left]
        rise = found - heights[left]
        kept = left[better]
        logs[kept], heights[kept] = tried[better], found[better]
        masses[kept] = np.exp(log_masses[better])
        slopes[0, kept] = (near[0] - near[1])[better] / (2 * STEP)
        slopes[1, kept] = (near[2] - near[3])[better] / (2 * STEP)
        size[left] = np.where(better, np.minimum(2 * size[left], 1.0), size[left] / 4)
        left = left[np.where(better, rise > RISE, size[left] > SMALLEST_STEP)]
        if len(left) == 0:
            break
        gradient = np.einsum("psb,sb->sp", slopes[:, left], problems[left])
        whole = problems[left].sum(axis=1)[:, None]
        information = np.einsum("psb,qsb,sb->spq", slopes[:, left], slopes[:, left], whole * masses[left])
        step = np.linalg.solve(information + 1e-9 * np.eye(2), gradient[:, :, None])[:, :, 0]
        tried = np.clip(logs[left] + size[left, None] * np.clip(step, -2, 2), low, high)
    return logs


def _negative(logs: FloatArray, edges: FloatArray, problems: FloatArray) -> tuple[float, FloatArray]:
    """Return -log L and its gradient, by central differences: there is none of the incomplete Beta."""
    around = logs + STEP * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    value, *near = (-float(problems @ _log_masses(np.exp(at), edges)) for at in around)
    return value, np.array([near[0] - near[1], near[2] - near[3]]) / (2 * STEP)


entry = LawEntry(
    name="discretised_beta",
    factory=DiscretisedBeta,
    options=DiscretisedBetaOptions,
    revision=2,
    takes="counts",
    summary="Success probabilities Beta(alpha, beta), fitted to binned success rates.",
    reference="Schaeffer et al. 2025, arXiv:2502.17578 (discretised maximum likelihood)",
)
