"""Success probabilities are Beta distributed; what is fitted are shares of problems in bins of c/n."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from pydantic import Field
from scipy.special import betainc, betaincc

from itscale.laws import FitWarning, LawData
from itscale.plugins import LawEntry, Options
from itscale.selection import FloatArray, IntArray
from itscale_builtin.laws._counts import beta_start, maximise, pooled, warn_of_bounds
from itscale_builtin.laws.beta_binomial import COLD_STARTS, beta_coverage

__all__ = ["DiscretisedBeta", "DiscretisedBetaOptions", "bin_edges", "entry"]

SMALLEST, LARGEST = 1e-4, 1e5
TINY = 1e-300
STEP = 1e-5


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
        rates = counts.correct / counts.sampled
        # rates at the last edge belong to the last bin
        at = np.clip(np.searchsorted(edges, rates * (1 + 1e-12), side="right") - 1, 0, len(edges) - 2)
        problems = np.bincount(at, counts.times, len(edges) - 1).astype(np.float64)

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


def _log_masses(parameters: FloatArray, edges: FloatArray) -> FloatArray:
    """Return the log of the Beta's mass between edges, of whichever tail is the smaller."""
    alpha, beta = parameters
    below, above = np.diff(betainc(alpha, beta, edges)), -np.diff(betaincc(alpha, beta, edges))
    return np.asarray(np.log(np.maximum(np.maximum(below, above), TINY)))


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
