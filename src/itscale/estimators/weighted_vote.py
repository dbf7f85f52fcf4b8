"""Weighted vote: the answer class whose completions have the largest sum of weights."""

import numpy as np
import numpy.typing as npt

from itscale.estimators.vote import check_budgets, majority, standard_error, tally, worth_of_winners
from itscale.outcomes import UNPARSABLE, Accuracy, FloatArray, IntArray

__all__ = ["weighted_vote"]

COUNT_COST = 10
"""What drawing how many completions of a kind are among k costs, against drawing one completion."""

ORDERED_AT_A_TIME = 1 << 22
"""Completions of random orders held at a time."""


def weighted_vote(
    answers: IntArray,
    correct: npt.NDArray[np.bool_],
    weights: FloatArray,
    budgets: IntArray,
    rng: np.random.Generator,
    *,
    draws: int = 500,
) -> Accuracy:
    """Return the accuracy of `argmax_y sum_{i: y_i = y} w_i` over k completions, ties shared.

    Simulated, and exact at k = 1 and k = n. Completions with the same answer and the same weight are
    interchangeable: where there are few such kinds, how many of each are drawn is all that is simulated, and
    the cost grows with the kinds. Weights that are all different cannot be counted; then random orders of the
    completions are drawn, whose prefixes serve every k. Equal weights make it a majority vote, and are
    treated as one (all zero included: a scorer without an opinion).

    Parameters
    ----------
    answers
        Answer class of each completion, `UNPARSABLE` where there is none, shape (n,).
    correct
        Whether each completion is correct, shape (n,).
    weights
        Weight of each completion's vote, >= 0, shape (n,).
    budgets
        1 <= k <= n, shape (m,).
    draws
        Random orders, or draws of counts at each k.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or a k out of range.
    """
    check_budgets(len(answers), budgets)
    voting = answers != UNPARSABLE
    if not np.all(np.isfinite(weights[voting])) or np.any(weights[voting] < 0):
        raise ValueError("weights: expected finite numbers >= 0")
    votes = tally(answers, correct)
    if not np.any(voting) or np.ptp(weights[voting]) == 0:
        return majority(votes, budgets, rng, draws=draws)
    classes = np.full(len(answers), len(votes.counts))
    classes[voting] = np.unique(answers[voting], return_inverse=True)[1]
    kinds, sizes = np.unique(np.stack([classes, np.where(voting, weights, 0.0)]), axis=1, return_counts=True)
    ks, back = np.unique(budgets, return_inverse=True)
    if COUNT_COST * len(sizes) * len(ks) < len(answers):
        mean = _by_counts(kinds[0].astype(np.int64), kinds[1], sizes, votes.correct, ks, rng, draws)
    else:
        mean = _by_orders(classes, np.where(voting, weights, 0.0), votes.correct, ks, rng, draws)
    error = np.array([standard_error(value, draws) for value in mean])
    if ks[0] == 1:
        mean[0], error[0] = votes.counts @ votes.correct / votes.n, 0.0
    error[ks == votes.n] = 0.0
    return Accuracy(mean=mean[back], monte_carlo_error=error[back])


def _by_counts(
    classes: IntArray,
    weights: FloatArray,
    sizes: IntArray,
    correct: FloatArray,
    ks: IntArray,
    rng: np.random.Generator,
    draws: int,
) -> FloatArray:
    """Return the mean worth of the vote at each k from counts of each kind (class, weight, size).

    The class `len(correct)` holds completions without an answer.
    """
    member = np.arange(len(correct))[None, :] == classes[:, None]
    mean = np.empty(len(ks))
    for at, k in enumerate(ks.tolist()):
        drawn = rng.multivariate_hypergeometric(sizes, k, size=draws, method="marginals")
        mean[at] = worth_of_winners(drawn @ (member * weights[:, None]), drawn @ member > 0, correct).mean()
    return mean


def _by_orders(
    classes: IntArray,
    weights: FloatArray,
    correct: FloatArray,
    ks: IntArray,
    rng: np.random.Generator,
    draws: int,
) -> FloatArray:
    """Return the mean worth of the vote at each k from random orders, a bounded number held at a time."""
    at_a_time = max(1, ORDERED_AT_A_TIME // len(classes))
    total = np.zeros(len(ks))
    for start in range(0, draws, at_a_time):
        size = min(at_a_time, draws - start)
        total += _worth_by_prefix(classes, weights, correct, ks, rng, size).sum(axis=0)
    return total / draws


def _worth_by_prefix(
    classes: IntArray,
    weights: FloatArray,
    correct: FloatArray,
    ks: IntArray,
    rng: np.random.Generator,
    draws: int,
) -> FloatArray:
    """Return what the vote is worth in each random order after each k, shape (draws, len(ks)).

    `classes` holds `len(correct)` for completions without an answer; `ks` increase.
    """
    width = len(correct) + 1
    order = rng.permuted(np.tile(np.arange(len(classes)), (draws, 1)), axis=1)
    row = np.arange(draws)[:, None] * width
    support, present = np.zeros((draws, width)), np.zeros((draws, width), dtype=bool)
    worth = np.empty((draws, len(ks)))
    start = 0
    for at, k in enumerate(ks.tolist()):
        drawn = order[:, start:k]
        cell = (row + classes[drawn]).ravel()
        added = np.bincount(cell, weights=weights[drawn].ravel(), minlength=draws * width)
        support += added.reshape(draws, width)
        present.ravel()[cell] = True
        worth[:, at] = worth_of_winners(support[:, :-1], present[:, :-1], correct)
        start = k
    return worth
