"""Majority vote on counts of answer classes: the cost grows with distinct answers, not with completions."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from itscale.estimators.coverage import log_factorials
from itscale.outcomes import UNPARSABLE, Accuracy, FloatArray, IntArray

__all__ = ["EXACT_WORK", "Tally", "majority", "majority_exact", "majority_simulated", "tally"]

EXACT_WORK = 1e9
"""Most work an exact vote may take before it is simulated: ten seconds at worst, where a million completions
have a thousand answers all equally frequent; mostly milliseconds."""


@dataclass(frozen=True)
class Tally:
    """The completions of one problem, counted by answer class.

    Attributes
    ----------
    counts
        Completions of each class, >= 1, shape (classes,).
    correct
        Share of correct completions in each class, in [0, 1], shape (classes,): what the class is worth if it
        wins and one of its members is returned. 0 or 1 where the oracle judges equivalent answers alike.
    blank
        Completions without an answer: drawn like the others, never voted for.
    """

    counts: IntArray
    correct: FloatArray
    blank: int

    @property
    def n(self) -> int:
        """Number of completions."""
        return int(self.counts.sum()) + self.blank


def tally(answers: IntArray, correct: npt.NDArray[np.bool_]) -> Tally:
    """Count completions by answer class; both of shape (n,), `UNPARSABLE` where there is no answer."""
    voting = answers != UNPARSABLE
    named, flags = answers[voting], correct[voting]
    if len(named) and named.max() > 4 * len(named):  # too sparse to count place by place
        named = np.unique(named, return_inverse=True)[1]
    counts, right = np.bincount(named), np.bincount(named, weights=flags)
    there = counts > 0
    return Tally(counts[there], right[there] / counts[there], len(answers) - len(named))


def majority(
    votes: Tally,
    budgets: IntArray,
    rng: np.random.Generator,
    *,
    draws: int = 500,
    exact_work: float = EXACT_WORK,
) -> Accuracy:
    """Return the accuracy of the plurality answer of k completions, ties broken uniformly at random.

    Exact where that takes at most `exact_work`, else simulated with `draws` draws per k.

    Parameters
    ----------
    votes
        The completions by answer class.
    budgets
        1 <= k <= n, shape (m,).
    rng
        Used only where the vote is simulated.

    Raises
    ------
    ValueError
        If a k is out of range.
    """
    check_budgets(votes.n, budgets)
    if _work(votes, budgets) <= exact_work:
        return Accuracy(mean=majority_exact(votes, budgets), monte_carlo_error=np.zeros(len(budgets)))
    return majority_simulated(votes, budgets, rng, draws=draws)


def majority_exact(votes: Tally, budgets: IntArray) -> FloatArray:
    """Return the exact accuracy of the plurality answer at each k, shape (m,); the error is below 1e-8.

    See `itscale.estimators.plurality` for the method. Its cost grows with the number of distinct class sizes,
    and as k (1 - k/n): how far counts spread.
    """
    # numba takes half a second to load: not before it is needed
    from itscale.estimators.plurality import chances_to_win

    check_budgets(votes.n, budgets)
    sizes, place, multiplicity = np.unique(votes.counts, return_inverse=True, return_counts=True)
    worth = np.bincount(place, weights=votes.correct, minlength=len(sizes))
    wanted = np.flatnonzero(worth)
    mean = np.zeros(len(budgets))
    part = budgets < votes.n
    if len(wanted) and part.any():
        table = log_factorials(votes.n)
        chances = chances_to_win(votes.n, sizes, multiplicity, wanted, budgets[part], table)
        mean[part] = np.clip(chances @ worth[wanted], 0.0, 1.0)
    mean[~part] = worth_of_winners(votes.counts[None], votes.counts[None] > 0, votes.correct)
    return mean


def majority_simulated(votes: Tally, budgets: IntArray, rng: np.random.Generator, *, draws: int) -> Accuracy:
    """Return the accuracy at each k from draws of the class counts (multivariate hypergeometric).

    k = 1 and k = n need no draws. The standard error is that of `standard_error`.
    """
    n, classes = votes.n, len(votes.counts)
    colours = np.append(votes.counts, votes.blank)
    mean, error = np.zeros(len(budgets)), np.zeros(len(budgets))
    for at, k in enumerate(budgets.tolist()):
        if k == 1:
            mean[at] = votes.counts @ votes.correct / n
            continue
        size = 1 if k == n else draws
        drawn = rng.multivariate_hypergeometric(colours, k, size=size, method="marginals")[:, :classes]
        worth = worth_of_winners(drawn, drawn > 0, votes.correct)
        mean[at] = worth.mean()
        error[at] = 0.0 if k == n else standard_error(mean[at], draws)
    return Accuracy(mean=mean, monte_carlo_error=error)


def worth_of_winners(
    support: npt.NDArray[np.float64] | IntArray, present: npt.NDArray[np.bool_], correct: FloatArray
) -> FloatArray:
    """Return the mean worth of the classes with most support in each draw; 0 where no class is present.

    Parameters
    ----------
    support
        Votes or summed weights, >= 0, shape (draws, classes).
    present
        Whether the class was drawn at all, same shape.
    correct
        Worth of each class, shape (classes,).
    """
    if support.shape[1] == 0:
        return np.zeros(len(support))
    held = np.where(present, support, -1.0)
    top = held.max(axis=1, keepdims=True)
    # sums of equal weights may differ by rounding: such classes tie
    winners = present & (held >= top - 1e-9 * np.abs(top))
    return np.asarray((winners @ correct) / np.maximum(winners.sum(axis=1), 1))


def standard_error(mean: float, draws: int) -> float:
    """Bound the standard error of the mean of `draws` values in [0, 1], by Agresti and Coull's adjustment.

    Never 0: draws that all agree don't prove that the next one would.
    """
    adjusted = (mean * draws + 2) / (draws + 4)
    return float(np.sqrt(adjusted * (1 - adjusted) / (draws + 4)))


def _work(votes: Tally, budgets: IntArray) -> float:
    """Bound the work of the exact vote: distinct class sizes, times contested votes, times frequencies."""
    spread = budgets * (1 - budgets / votes.n)
    return len(np.unique(votes.counts)) * float(spread.sum())


def check_budgets(n: int, budgets: IntArray) -> None:
    """Raise ValueError unless 1 <= k <= n for every k."""
    if len(budgets) and (budgets.min() < 1 or budgets.max() > n):
        raise ValueError(f"k: found {budgets.min()} to {budgets.max()}, expected 1 to the {n} completions")
