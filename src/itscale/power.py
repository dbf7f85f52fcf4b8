"""Power: problems and completions that a study needs, by simulation from a pilot or a stated Beta.

A plan is a number of problems and of completions of each. For each plan and k, many studies are simulated:
success rates are drawn, completions counted, coverage estimated as a study would, and either the width of its
interval or the decision of its paired test is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import betaln, expit, logit
from scipy.stats import t as student

from itscale.errors import DataError
from itscale.estimators import coverage
from itscale.outcomes import FloatArray, IntArray

__all__ = [
    "BetaRates",
    "Cell",
    "PilotRates",
    "Rates",
    "StudySize",
    "cheapest",
    "detection_power",
    "interval_widths",
    "rate_correlation",
    "shift_for",
]

POOL = 40_000
"""Problems simulated for each number of completions; the simulated studies draw theirs from them."""

STUDIES = 2_000
"""Simulated studies of each plan."""

SMALLEST = 1e-6
"""Bounds of the parameters of a Beta, stated or fitted to a pilot: this and its inverse."""


class Rates(Protocol):
    """A population of problems: what chance each has to be solved by one completion."""

    def draw(self, size: int, rng: np.random.Generator) -> FloatArray:
        """Return the success rates of new problems, in [0, 1], shape (size,)."""
        ...


@dataclass(frozen=True)
class BetaRates:
    """Success rates from Beta(alpha, beta)."""

    alpha: float
    beta: float

    def draw(self, size: int, rng: np.random.Generator) -> FloatArray:
        """Return the success rates of new problems."""
        return rng.beta(self.alpha, self.beta, size)


@dataclass(frozen=True)
class PilotRates:
    """Success rates like those of a pilot: its problems, each as uncertain as its own counts leave it.

    A problem of the pilot is drawn, then a rate from Beta(c + alpha, n - c + beta), where alpha and beta are
    fitted to all problems by maximum likelihood: no problem is taken for impossible because n completions
    all failed.

    Attributes
    ----------
    sampled, correct
        Completions of each problem of the pilot and how many are correct, shape (problems,).
    """

    sampled: IntArray
    correct: IntArray

    def draw(self, size: int, rng: np.random.Generator) -> FloatArray:
        """Return the success rates of new problems."""
        alpha, beta = self.prior()
        chosen = rng.integers(len(self.sampled), size=size)
        correct, sampled = self.correct[chosen], self.sampled[chosen]
        return rng.beta(correct + alpha, sampled - correct + beta)

    def prior(self) -> tuple[float, float]:
        """Return alpha and beta of the beta-binomial that fits the counts best."""
        correct, wrong = self.correct, self.sampled - self.correct

        def negative_log_likelihood(logs: FloatArray) -> float:
            alpha, beta = np.exp(logs)
            return -float(np.sum(betaln(correct + alpha, wrong + beta) - betaln(alpha, beta)))

        bound = (np.log(SMALLEST), -np.log(SMALLEST))
        found = minimize(
            negative_log_likelihood, np.log([0.5, 2.0]), method="L-BFGS-B", bounds=[bound, bound]
        )
        alpha, beta = np.exp(found.x)
        return float(alpha), float(beta)


@dataclass(frozen=True)
class StudySize:
    """A study of so many problems, with so many completions of each in each arm."""

    problems: int
    completions: int
    arms: int = 1

    @property
    def cost(self) -> int:
        """Completions in all."""
        return self.problems * self.completions * self.arms


@dataclass(frozen=True)
class Cell:
    """What a plan gives at one k.

    Attributes
    ----------
    plan, k
        The plan, and the k of coverage.
    value
        Expected width of the interval (a share), or power.
    error
        Its Monte Carlo error.
    """

    plan: StudySize
    k: int
    value: float
    error: float


def interval_widths(
    rates: Rates,
    budgets: Sequence[int],
    problems: Sequence[int],
    completions: Sequence[int],
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    studies: int = STUDIES,
) -> list[Cell]:
    """Return the expected width of the interval of coverage at each k, for each plan with k completions.

    The width is that of Student's interval, `2 t s / sqrt(problems)`, to which the bootstrap intervals of a
    study tend; on few problems or tiny coverage theirs are wider.
    """
    cells = []
    for n in sorted(set(completions)):
        held = [k for k in budgets if k <= n]
        values = _coverages(rates.draw(POOL, rng), n, held, rng)
        for count in problems:
            quantile = student.ppf((1 + confidence) / 2, count - 1)
            spread = np.concatenate(
                [values[chosen].std(axis=1, ddof=1) for chosen in _studies(count, studies, rng)]
            )
            widths = 2 * quantile * spread / np.sqrt(count)
            means, errors = widths.mean(axis=0), widths.std(axis=0, ddof=1) / np.sqrt(studies)
            plan = StudySize(count, n)
            cells += [Cell(plan, k, float(means[at]), float(errors[at])) for at, k in enumerate(held)]
    return cells


def detection_power(
    rates: Rates,
    difference: float,
    correlation: float,
    budgets: Sequence[int],
    problems: Sequence[int],
    completions: Sequence[int],
    rng: np.random.Generator,
    *,
    level: float = 0.05,
    studies: int = STUDIES,
) -> list[Cell]:
    """Return how often a paired test finds a difference in coverage at each k, for each plan.

    The second arm has every rate shifted on the logit scale so that coverage at k rises by `difference`. Its
    rates belong to the same problems with probability `correlation`, and to others of the population
    otherwise, which is how much they correlate but for the shift. The test is Student's, two-sided, to which
    the sign-flip test of a study is equivalent but for resampling.

    Raises
    ------
    DataError
        If coverage cannot change by so much.
    """
    cells = []
    first = rates.draw(POOL, rng)
    second = np.where(rng.random(POOL) < correlation, first, rates.draw(POOL, rng))
    for k in budgets:
        shifted = _shifted(second, shift_for(first, difference, k))
        for n in sorted({n for n in completions if n >= k}):
            gains = _coverages(shifted, n, [k], rng)[:, 0] - _coverages(first, n, [k], rng)[:, 0]
            gains += difference - gains.mean()  # which the pool has but for its own noise
            for count in problems:
                found = np.concatenate(
                    [_is_found(gains[chosen], level) for chosen in _studies(count, studies, rng)]
                )
                power = float(found.mean())
                error = float(np.sqrt(power * (1 - power) / studies))
                cells.append(Cell(StudySize(count, n, arms=2), k, power, error))
    return cells


def cheapest(
    cells: Sequence[Cell], *, least: float | None = None, most: float | None = None
) -> StudySize | None:
    """Return the plan with the fewest completions whose cells all suffice; None if no plan does.

    Parameters
    ----------
    cells
        Cells of all plans; a plan that lacks a k others have does not suffice.
    least, most
        What every cell must reach (power), or must not exceed (width).
    """
    budgets = {cell.k for cell in cells}
    good: dict[StudySize, set[int]] = {}
    for cell in cells:
        if (least is None or cell.value >= least) and (most is None or cell.value <= most):
            good.setdefault(cell.plan, set()).add(cell.k)
    enough = [plan for plan, reached in good.items() if reached == budgets]
    return min(enough, key=lambda plan: (plan.cost, plan.problems), default=None)


def rate_correlation(first: tuple[IntArray, IntArray], second: tuple[IntArray, IntArray]) -> float:
    """Return how success rates of two arms correlate over the same problems, in [0, 1].

    The noise of counting is taken out of both variances (attenuation); below 0 counts as 0.

    Parameters
    ----------
    first, second
        Completions and correct ones of each problem, n >= 2, in the same order of problems.

    Raises
    ------
    DataError
        If the rates of an arm do not differ by more than counting does.
    """
    shares = [correct / sampled for sampled, correct in (first, second)]
    spreads = []
    for share, (sampled, _) in zip(shares, (first, second), strict=True):
        noise = np.mean(share * (1 - share) / np.maximum(sampled - 1, 1))
        spreads.append(share.var(ddof=1) - noise)
    if min(spreads) <= 0:
        raise DataError(
            "pilot: the problems do not differ by more than chance, expected a correlation stated"
        )
    covariance = np.cov(shares[0], shares[1])[0, 1]
    return float(np.clip(covariance / np.sqrt(spreads[0] * spreads[1]), 0.0, 1.0))


def shift_for(rates: FloatArray, difference: float, k: int) -> float:
    """Return by how much logits of rates must rise for coverage at k to rise by `difference`.

    Raises
    ------
    DataError
        If coverage cannot change by so much.
    """
    now = float(np.mean(_true_coverage(rates, k)))

    def excess(shift: float) -> float:
        return float(np.mean(_true_coverage(_shifted(rates, shift), k))) - now - difference

    widest = 50.0
    if excess(-widest) > 0 or excess(widest) < 0:
        raise DataError(
            f"difference: found {difference:g} at k = {k}, expected between {-now:.3f} and {1 - now:.3f}: "
            f"coverage there is {now:.3f}"
        )
    return float(brentq(excess, -widest, widest, xtol=1e-6))


def _shifted(rates: FloatArray, shift: float) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.asarray(expit(logit(rates) + shift))


def _true_coverage(rates: FloatArray, k: int) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(k * np.log1p(-rates)))


def _coverages(rates: FloatArray, n: int, budgets: Sequence[int], rng: np.random.Generator) -> FloatArray:
    """Return the estimated coverage of simulated problems, shape (problems, budgets)."""
    table = coverage(np.full(n + 1, n), np.arange(n + 1), np.asarray(budgets, dtype=np.int64))
    return np.asarray(table[rng.binomial(n, rates)])


def _studies(problems: int, studies: int, rng: np.random.Generator) -> Iterator[IntArray]:
    """Yield the problems of simulated studies, a few studies at a time, shape (some, problems)."""
    at_a_time = max(1, (1 << 20) // problems)
    for start in range(0, studies, at_a_time):
        yield rng.integers(POOL, size=(min(at_a_time, studies - start), problems))


def _is_found(gains: FloatArray, level: float) -> FloatArray:
    """Return 1 for each study whose mean gain Student's test calls other than 0, shape (studies,)."""
    problems = gains.shape[1]
    error = gains.std(axis=1, ddof=1) / np.sqrt(problems)
    found = np.abs(gains.mean(axis=1)) > student.ppf(1 - level / 2, problems - 1) * error
    return np.asarray(found, dtype=np.float64)
