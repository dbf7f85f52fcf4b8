"""Some problems are never solved, the others' success probabilities are Beta distributed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import Field
from scipy.optimize import brentq
from scipy.special import chdtri, digamma

from itscale.outcomes import FloatArray, IntArray
from itscale.plugins import LawEntry, Options
from itscale.plugins.laws import FitFailure, LawData
from itscale_builtin.laws._ascents import climb_all
from itscale_builtin.laws._counts import (
    Counts,
    beta_start,
    maximise,
    negative_of,
    pooled,
    pooled_resamples,
    warn_of_bounds,
)
from itscale_builtin.laws.beta_binomial import COLD_STARTS, beta_coverage, log_beta_binomial

__all__ = ["ZeroInflatedBetaBinomial", "ZeroInflatedOptions", "entry"]

SMALLEST, LARGEST = 1e-4, 1e6
MOST = 0.999
"""Largest share of unsolvable problems, and of certain ones among the rest."""
TINY = 1e-300


class ZeroInflatedOptions(Options):
    """Options of the zero-inflated beta-binomial law."""

    least_completions: int = Field(default=50, ge=2)
    """The largest n_i must be no less: with few completions, hard and unsolvable look alike."""
    certain: bool = False
    """Whether a share of problems is always solved, too: a point mass at p = 1."""


class ZeroInflatedBetaBinomial:
    """`p_i = 0` for a share of problems, else `p_i ~ Beta(alpha, beta)` (or, if asked for, p_i = 1).

    Coverage ends at 1 - unsolvable. The share and a small alpha explain the same unsolved problems, so that
    the counts hardly tell them apart, and refits to resamples cluster around the estimate: the share has the
    interval of its profile likelihood instead.
    """

    estimand = "asymptotic"

    def __init__(self, options: ZeroInflatedOptions) -> None:
        self.options = options
        names = ("unsolvable", "alpha", "beta")
        self.parameters: tuple[str, ...] = (*names, "certain") if options.certain else names

    def fit(self, data: LawData, start: FloatArray | None = None) -> FloatArray:
        """Return the parameters; FitFailure where n is small or counts say nothing about a spread."""
        counts = pooled(data)
        most = int(counts.sampled.max())
        if most < self.options.least_completions:
            expected = f"expected at least {self.options.least_completions} of a problem"
            raise FitFailure(f"at most {most} completions, {expected} to tell hard from unsolvable")
        likelihood = _Likelihood(counts, self.options.certain)
        inner = np.full(len(self.parameters), np.nan)
        if start is not None:
            (inner,) = climb_all(likelihood.sums, counts.times[None], _inner(start), self._bounds())
        if np.isnan(inner).any():
            inner = maximise(likelihood.negative, self._starts(counts, start), self._bounds())
        parameters = _natural(inner[None])[0]
        warn_of_bounds(("alpha", "beta"), parameters[1:3], SMALLEST, LARGEST)
        return np.asarray(parameters)

    def fit_resamples(self, resamples: Sequence[LawData], start: FloatArray) -> FloatArray:
        """Return the parameters of each resample; NaN where `fit` would refuse, or a climb fails."""
        counts, times = pooled_resamples(resamples)
        found = np.full((len(resamples), len(self.parameters)), np.nan)
        least = self.options.least_completions
        known = times.any(axis=1) & np.array([data.sampled.max() >= least for data in resamples])
        likelihood = _Likelihood(counts, self.options.certain)
        found[known] = _natural(climb_all(likelihood.sums, times[known], _inner(start), self._bounds()))
        return found

    def profile(self, data: LawData, shares: FloatArray) -> FloatArray:
        """Return log L at each share of unsolvable problems, all else refitted, shape (shares,)."""
        counts = pooled(data)
        likelihood = _Likelihood(counts, self.options.certain)
        inner = maximise(likelihood.negative, self._starts(counts, None), self._bounds())
        return np.array([self._profiled(likelihood, float(share), inner) for share in shares])

    def profile_intervals(
        self, parameters: FloatArray, data: LawData, confidence: float
    ) -> dict[str, tuple[float, float]]:
        """Return where twice log L has fallen by less than chi-squared's quantile, of `unsolvable`."""
        likelihood, inner = _Likelihood(pooled(data), self.options.certain), _inner(parameters)
        best = -likelihood.negative(inner)[0]
        fall = float(chdtri(1, 1 - confidence)) / 2

        def excess(share: float) -> float:
            return best - self._profiled(likelihood, share, inner) - fall

        share = float(parameters[0])
        low = brentq(excess, 0.0, share, xtol=1e-3) if share > 0 and excess(0.0) > 0 else 0.0
        # beyond the share that was never solved, too: of other problems like these more may be unsolvable
        high = brentq(excess, share, MOST, xtol=1e-3) if share < MOST and excess(MOST) > 0 else MOST
        return {"unsolvable": (low, high)}

    def predict(self, parameters: FloatArray, budgets: FloatArray) -> FloatArray:
        """Return coverage at each k."""
        unsolvable, certain = _shares(parameters)
        mixed = beta_coverage(parameters[1], parameters[2], budgets)
        return np.asarray(np.clip(certain + (1 - unsolvable - certain) * mixed, 0.0, 1.0))

    def asymptotic_exponent(self, parameters: FloatArray) -> float:
        """Return alpha where all problems are solvable, else NaN: coverage levels off."""
        return float(parameters[1]) if parameters[0] == 0 else float("nan")

    def log_likelihood(self, parameters: FloatArray, data: LawData) -> float:
        """Return log L of the counts, binomial constant included."""
        counts = pooled(data)
        logs = log_beta_binomial(counts, parameters[1], parameters[2])
        chances = _inflated(np.exp(logs + counts.log_choose()), counts, *_shares(parameters))
        return float(counts.times @ np.log(chances))

    def predict_problems(
        self, parameters: FloatArray, sampled: IntArray, correct: IntArray, budgets: FloatArray
    ) -> FloatArray:
        """Return posterior mean coverage; a problem never (always) solved may be unsolvable (certain)."""
        own = np.asarray(correct, dtype=np.float64)
        counts = Counts(own, np.asarray(sampled) - own, np.ones(len(own)))
        alpha, beta = parameters[1:3]
        (unsolvable, certain), k = _shares(parameters), np.asarray(budgets)[None, :]
        mixed = np.exp(log_beta_binomial(counts, alpha, beta) + counts.log_choose())
        whole = _inflated(mixed, counts, unsolvable, certain)
        spread = (1 - unsolvable - certain) * mixed / whole
        sure = certain * (counts.wrong == 0) / whole
        own_curve = beta_coverage((alpha + own)[:, None], (beta + counts.wrong)[:, None], k)
        return np.asarray(sure[:, None] + spread[:, None] * own_curve)

    def _starts(self, counts: Counts, start: FloatArray | None) -> Iterator[FloatArray]:
        more = [0.01] * self.options.certain
        if start is not None:
            yield _inner(start)
        never = float(counts.times @ (counts.correct == 0) / counts.times.sum())
        yield np.array([never / 2, *np.log(beta_start(counts)), *more])
        for beta in COLD_STARTS:
            yield np.array([0.01, *np.log(beta), *more])

    def _bounds(self) -> list[tuple[float, float]]:
        logs = (float(np.log(SMALLEST)), float(np.log(LARGEST)))
        return [(0.0, MOST), logs, logs, *[(0.0, MOST)] * self.options.certain]

    def _profiled(self, likelihood: _Likelihood, share: float, inner: FloatArray) -> float:
        """Return the largest log L where `unsolvable` is held at a share, near the optimum and from afar."""
        starts = [inner, np.array([share, *np.log(COLD_STARTS[0]), *inner[3:]])]
        held = maximise(likelihood.negative, starts, [(share, share), *self._bounds()[1:]])
        return -likelihood.negative(held)[0]


def _natural(inner: FloatArray) -> FloatArray:
    """Return parameters from (unsolvable, log alpha, log beta(, certain among the rest)), shape (sets, p)."""
    certain = (1 - inner[:, :1]) * inner[:, 3:]
    return np.hstack([inner[:, :1], np.exp(inner[:, 1:3]), certain])


def _inner(parameters: FloatArray) -> FloatArray:
    """Return the point of which `_natural` makes these parameters, shape (p,)."""
    among_rest = parameters[3:] / max(1 - parameters[0], 1 - MOST)
    return np.concatenate([parameters[:1], np.log(parameters[1:3]), among_rest])


def _shares(parameters: FloatArray) -> tuple[float, float]:
    return float(parameters[0]), float(parameters[3]) if len(parameters) > 3 else 0.0


def _inflated(mixed: FloatArray, counts: Counts, unsolvable: float, certain: float) -> FloatArray:
    """Return P(c | n) from that of the Beta-binomial part and the point masses."""
    whole = (1 - unsolvable - certain) * mixed
    return np.asarray(whole + unsolvable * (counts.correct == 0) + certain * (counts.wrong == 0))


class _Likelihood:
    """log L and its gradient, binomial constant included: without it, chances underflow at n of 1,000."""

    def __init__(self, counts: Counts, certain: bool) -> None:
        self.counts = counts
        self.certain = certain
        self.log_choose = counts.log_choose()
        self.negative = negative_of(self.sums, counts.times)

    def sums(self, inner: FloatArray, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return log L of each set at the points of `_natural`, and its gradient; see `LogLikelihood`."""
        counts, unsolvable = self.counts, inner[:, :1]
        certain = inner[:, 3:] if self.certain else 0.0
        alpha, beta = np.exp(inner[:, 1:2]), np.exp(inner[:, 2:3])
        mixed = np.exp(log_beta_binomial(counts, alpha, beta) + self.log_choose)
        none, every = counts.correct == 0, counts.wrong == 0
        rest = certain * every + (1 - certain) * mixed
        chances = np.maximum(unsolvable * none + (1 - unsolvable) * rest, TINY)
        shared = digamma(alpha + beta) - digamma(counts.sampled + alpha + beta)
        by_alpha = alpha * (digamma(counts.correct + alpha) - digamma(alpha) + shared)
        by_beta = beta * (digamma(counts.wrong + beta) - digamma(beta) + shared)
        spread = (1 - unsolvable) * (1 - certain) * mixed
        slopes = [none - rest, spread * by_alpha, spread * by_beta]
        if self.certain:
            slopes.append((1 - unsolvable) * (every - mixed))
        heights = (times * np.log(chances)).sum(axis=1)
        per_chance = times / chances
        return heights, np.column_stack([(per_chance * each).sum(axis=1) for each in slopes])


entry = LawEntry(
    name="zero_inflated_beta_binomial",
    aliases=("zero_inflated", "zibb"),
    factory=ZeroInflatedBetaBinomial,
    options=ZeroInflatedOptions,
    revision=5,
    takes="counts",
    least=lambda options: options.least_completions,
    summary="Some problems unsolvable, the others' success probabilities Beta; maximum likelihood on counts.",
    reference="Schaeffer et al. 2025, arXiv:2502.17578 (the plateau that an atom at 0 makes)",
)
