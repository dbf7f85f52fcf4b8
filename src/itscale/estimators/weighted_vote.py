"""Weighted vote: the answer class whose completions have the largest sum of weights."""

import numpy as np
import numpy.typing as npt

from itscale.estimators.vote import check_budgets, majority, standard_error, tally, worth_of_winners
from itscale.selection import UNPARSABLE, Accuracy, FloatArray, IntArray

__all__ = ["weighted_vote"]


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

    Simulated with random orders of the completions whose prefixes serve every k, so that the curve is smooth
    in k; exact at k = 1 and k = n. Equal weights make it a majority vote, and are treated as one (all zero
    included: a scorer without an opinion).

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
        Random orders.

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
    ks, back = np.unique(budgets, return_inverse=True)
    worth = _worth_by_prefix(classes, np.where(voting, weights, 0.0), votes.correct, ks, rng, draws)
    mean = worth.mean(axis=0)
    error = np.array([standard_error(value, draws) for value in mean])
    if ks[0] == 1:
        mean[0], error[0] = votes.counts @ votes.correct / votes.n, 0.0
    error[ks == votes.n] = 0.0
    return Accuracy(mean=mean[back], monte_carlo_error=error[back])


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
