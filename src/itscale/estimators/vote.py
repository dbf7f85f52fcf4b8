"""Majority vote on counts of answer classes: the cost grows with distinct answers, not with completions."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import binom

from itscale.selection import UNPARSABLE, Accuracy, FloatArray, IntArray

__all__ = ["EXACT_WORK", "Tally", "majority", "majority_exact", "majority_simulated", "tally"]

EXACT_WORK = 50_000_000
"""Most multiplications an exact vote may take (about 50 ms) before it is simulated."""

LARGEST_EXACT = 1000
"""C(1000, 500) is near the largest float: beyond it the exact sums would overflow."""


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
    _, classes, counts = np.unique(answers[voting], return_inverse=True, return_counts=True)
    right = np.bincount(classes, weights=correct[voting], minlength=len(counts))
    return Tally(counts.astype(np.int64), right / counts, int(np.sum(~voting)))


def majority(
    votes: Tally,
    budgets: IntArray,
    rng: np.random.Generator,
    *,
    draws: int = 500,
    exact_work: int = EXACT_WORK,
) -> Accuracy:
    """Return the accuracy of the plurality answer of k completions, ties broken uniformly at random.

    Exact where that takes at most `exact_work` multiplications, else simulated with `draws` draws per k.

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
    if votes.n <= LARGEST_EXACT and _work(votes, int(budgets.max(initial=0))) <= exact_work:
        return Accuracy(mean=majority_exact(votes, budgets), monte_carlo_error=np.zeros(len(budgets)))
    return majority_simulated(votes, budgets, rng, draws=draws)


def majority_exact(votes: Tally, budgets: IntArray) -> FloatArray:
    """Return the exact accuracy of the plurality answer at each k, shape (m,).

    A class of size m wins k draws with s votes in as many ways as `C(m, s)` times the coefficient of
    `x^(k-s)` in the product over the other classes of `sum_{j<s} C(m_b, j) x^j + y C(m_b, s) x^s`, times
    `(1+x)^blank`; y marks the classes that tie. A tie of t+1 classes counts `1/(t+1)`, the integral of `y^t`
    over [0, 1], which Gauss-Legendre nodes give exactly. Nothing cancels, so the result is accurate to a few
    n roundings.
    """
    most = int(budgets.max(initial=0))
    ways = np.zeros(most + 1)
    for winner in np.flatnonzero(votes.correct > 0):
        ways += votes.correct[winner] * _winning_ways(votes, int(winner), most)
    return np.asarray(ways[budgets] / binom(votes.n, budgets))


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


def _winning_ways(votes: Tally, winner: int, most: int) -> FloatArray:
    """Count the k-subsets that a class wins, ties shared, for k = 0..most."""
    own = int(votes.counts[winner])
    others = np.delete(votes.counts, winner)
    supports = np.arange(1, min(own, most) + 1)
    nodes, weights = _tie_nodes(len(others), most)
    blank_ways = binom(votes.blank, np.arange(most + 1))
    ways = np.tile(blank_ways, (len(supports), len(nodes), 1))
    for count in others.tolist():
        before = ways.copy()
        for j in range(1, min(count, most) + 1):
            # j votes are fewer than s: allowed; as many: a tie, marked y; more: the winner would lose
            factor = np.where(supports[:, None] > j, 1.0, np.where(supports[:, None] == j, nodes, 0.0))
            ways[:, :, j:] += (binom(count, j) * factor)[:, :, None] * before[:, :, : most + 1 - j]
    total = np.zeros(most + 1)
    for at, support in enumerate(supports.tolist()):
        total[support:] += binom(own, support) * (weights @ ways[at])[: most + 1 - support]
    return total


def _tie_nodes(others: int, most: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights on [0, 1], exact for the polynomials that ties can make."""
    nodes, weights = np.polynomial.legendre.leggauss(_tie_degree(others, most) // 2 + 1)
    return (nodes + 1) / 2, weights / 2


def _tie_degree(others: int, most: int) -> int:
    return max(min(others, most - 1), 0)


def _work(votes: Tally, most: int) -> float:
    """Bound the multiplications of the exact vote."""
    winners = votes.counts[votes.correct > 0]
    nodes = _tie_degree(len(votes.counts) - 1, most) // 2 + 1
    steps = int(np.minimum(votes.counts, most).sum())
    return float(np.minimum(winners, most).sum()) * nodes * (most + 1) * steps


def check_budgets(n: int, budgets: IntArray) -> None:
    """Raise ValueError unless 1 <= k <= n for every k."""
    if len(budgets) and (budgets.min() < 1 or budgets.max() > n):
        raise ValueError(f"k: found {budgets.min()} to {budgets.max()}, expected 1 to the {n} completions")
