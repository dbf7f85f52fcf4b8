"""Resampling until an imperfect verifier passes, or K attempts are spent (Stroebl et al. 2024)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from itscale.estimators.coverage import log_failure
from itscale.estimators.design import require_fixed
from itscale.outcomes import Design, FloatArray, IntArray

__all__ = ["TaskTypes", "UntilAccepted", "pass_given_base", "soundness", "two_types", "until_accepted"]

MOST_ATTEMPTS = 100_000
"""Attempts among which `TaskTypes.best_attempts` looks for the best."""

ROUNDING = 1e-13


@dataclass(frozen=True)
class UntilAccepted:
    """What resampling until the verifier passes comes to with at most K attempts; each of shape (m,).

    Attributes
    ----------
    correct, wrong, abstained
        Chance of returning a correct completion, a wrong one (a false positive), none; they sum to 1.
    attempts
        Mean number of completions drawn.
    """

    correct: FloatArray
    wrong: FloatArray
    abstained: FloatArray
    attempts: FloatArray

    def value(self, cost: float) -> FloatArray:
        """Return the mean value where a correct answer is worth 1, a wrong one -cost and none 0."""
        return self.correct - cost * self.wrong


def until_accepted(
    passed: npt.NDArray[np.bool_],
    correct: npt.NDArray[np.bool_],
    budgets: IntArray,
    *,
    design: Design = "fixed",
) -> UntilAccepted:
    """Return what stopping at the first pass comes to at each K, over all orders of n recorded completions.

    With F of n that fail, K attempts all fail with chance `C(F, K) / C(n, K)`; else the first pass is any of
    the passing ones alike. The mean number of attempts is the sum over j < K of the chance that j fail,
    `(n + 1 - (n - K + 1) C(F, K) / C(n, K)) / (n - F + 1)`. No order is drawn at random.

    Parameters
    ----------
    passed, correct
        Whether the verifier passes each completion, and whether it is correct, bool, shape (n,).
    budgets
        1 <= K <= n, shape (m,).
    design
        How n came about.

    Raises
    ------
    ValueError
        If the shapes differ, there is no completion, or a K is out of range.
    DesignError
        If n was not fixed beforehand.
    """
    require_fixed(design, "until_accepted")
    passed, correct = np.asarray(passed, dtype=bool), np.asarray(correct, dtype=bool)
    n = len(passed)
    if passed.shape != correct.shape or n == 0:
        raise ValueError(
            f"expected as many verdicts as passes, at least one: {passed.shape}, {correct.shape}"
        )
    if np.any(budgets > n):
        raise ValueError(f"k: found {int(np.max(budgets))}, expected at most the {n} completions")
    passing = int(passed.sum())
    abstained = np.exp(log_failure(n, passing, budgets))
    precision = float((passed & correct).sum()) / passing if passing else 0.0
    return UntilAccepted(
        correct=(1 - abstained) * precision,
        wrong=(1 - abstained) * (1 - precision if passing else 0.0),
        abstained=abstained,
        attempts=(n + 1 - (n - np.asarray(budgets) + 1) * abstained) / (passing + 1),
    )


@dataclass(frozen=True)
class TaskTypes:
    """Task types that differ in difficulty, under one verifier: the model of Stroebl et al.

    Attributes
    ----------
    rates
        Chance that an attempt is correct, in [0, 1], shape (types,).
    shares
        Share of each type among tasks, summing to 1, shape (types,).
    soundness
        Chance that the verifier fails a wrong attempt, in [0, 1].
    completeness
        Chance that it passes a correct one; 1 for unit tests.
    """

    rates: FloatArray
    shares: FloatArray
    soundness: float
    completeness: float = 1.0

    @property
    def accept_correct(self) -> FloatArray:
        """Chance that an attempt is correct and passes, shape (types,)."""
        return self.completeness * self.rates

    @property
    def accept_wrong(self) -> FloatArray:
        """Chance that an attempt is wrong and passes: a false positive, shape (types,)."""
        return (1 - self.rates) * (1 - self.soundness)

    @property
    def reject(self) -> FloatArray:
        """Chance that an attempt fails, shape (types,)."""
        return 1 - self.accept_correct - self.accept_wrong

    @property
    def ceiling(self) -> FloatArray:
        """P(correct | pass) of each type: no number of attempts gets above; NaN where nothing passes."""
        with np.errstate(invalid="ignore"):
            return self.accept_correct / (self.accept_correct + self.accept_wrong)

    def accuracy(self, attempts: npt.ArrayLike) -> FloatArray:
        """Return the chance of a correct answer within K attempts, over types, shape of `attempts`."""
        return self._sum(self.accept_correct, attempts)

    def abstention(self, attempts: npt.ArrayLike) -> FloatArray:
        """Return the chance that all of K attempts fail."""
        return np.asarray(self.reject ** np.asarray(attempts, dtype=np.float64)[..., None] @ self.shares)

    def value(self, attempts: npt.ArrayLike, cost: float) -> FloatArray:
        """Return the mean value of at most K attempts: 1 if correct, -cost if wrong, 0 if none passes."""
        return self._sum(self.accept_correct - cost * self.accept_wrong, attempts)

    def marginal_value(self, attempt: npt.ArrayLike, cost: float) -> FloatArray:
        """Return what allowing the k-th attempt adds to the value, k >= 1."""
        gain = self.shares * (self.accept_correct - cost * self.accept_wrong)
        return np.asarray(self.reject ** (np.asarray(attempt, dtype=np.float64)[..., None] - 1) @ gain)

    def best_attempts(self, cost: float) -> float:
        """Return the K of highest value: 0 if every attempt loses, infinity if more are always better.

        Types that are all alike give 0 or infinity and nothing between. Looks at K up to `MOST_ATTEMPTS`.
        """
        values = self.value(np.arange(MOST_ATTEMPTS + 1), cost)
        best = int(np.argmax(values))
        limit = float(self.value(np.inf, cost))
        if values[best] <= 0 and limit <= 0:
            return 0.0
        # where more is always better, late values equal the limit up to rounding
        return np.inf if limit >= values[best] - ROUNDING else float(best)

    def _sum(self, gain: FloatArray, attempts: npt.ArrayLike) -> FloatArray:
        """Sum a gain per attempt over types and attempts, each made if all before it failed."""
        reject = self.reject
        stopped = np.where(reject < 1, 1 - reject, 1.0)  # a type that is never accepted gains nothing
        survived = reject ** np.asarray(attempts, dtype=np.float64)[..., None]
        return np.asarray((1 - survived) / stopped @ (self.shares * gain))


def soundness(base: float, plus: float, plus_given_base: float) -> float:
    """Return P(fail | wrong) of a weak test, from pass rates of the weak (base) and the strong (plus) one.

    `(1 - base - plus + base P(plus | base)) / (1 - plus)`, correct being what the strong test passes.

    Raises
    ------
    ValueError
        If every attempt is correct: then nothing shows how wrong ones fare.
    """
    if plus >= 1:
        raise ValueError("plus: found 1, expected attempts that are wrong")
    return (1 - base - plus + base * plus_given_base) / (1 - plus)


def two_types(rates: npt.ArrayLike, soundness: float) -> TaskTypes:
    """Split tasks at a success rate of 1/2 into a hard and an easy type, each of its mean rate.

    Parameters
    ----------
    rates
        Success rate of each task by the strong test, shape (tasks,), at least one.
    soundness
        P(fail | wrong) of the weak test.
    """
    rates = np.asarray(rates, dtype=np.float64)
    if rates.size == 0:
        raise ValueError("rates: found none, expected at least one task")
    parts = [part for part in (rates[rates >= 0.5], rates[rates < 0.5]) if part.size]
    return TaskTypes(
        rates=np.array([part.mean() for part in parts]),
        shares=np.array([part.size / rates.size for part in parts]),
        soundness=soundness,
    )


def pass_given_base(
    both: npt.ArrayLike, base: npt.ArrayLike, never: Literal["drop", "worst", "best"] = "drop"
) -> float:
    """Return the ceiling of a model: P(plus | base), averaged over tasks.

    Parameters
    ----------
    both, base
        Completions of each task that pass both tests, and the weak one, shape (tasks,).
    never
        What a task counts that never passes the weak test, where the ratio is undefined: it is left out, or
        counts 0, or 1. Report all three: they bound what is not known.

    Returns
    -------
    float
        In [0, 1]; NaN if all tasks are left out.
    """
    both, base = np.asarray(both, dtype=np.float64), np.asarray(base, dtype=np.float64)
    if np.any(both > base) or np.any(both < 0):
        raise ValueError("both: expected 0 <= both <= base")
    known = base > 0
    ratios = np.full(len(base), {"drop": np.nan, "worst": 0.0, "best": 1.0}[never])
    ratios[known] = both[known] / base[known]
    ratios = ratios[~np.isnan(ratios)]
    return float(ratios.mean()) if ratios.size else np.nan
