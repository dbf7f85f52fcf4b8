"""Best-of-n: the completion that a scorer ranks first."""

import numpy as np
import numpy.typing as npt

from itscale.estimators.coverage import log_failure
from itscale.outcomes import FloatArray, IntArray

__all__ = ["best_of_n", "expected_best_score"]


def best_of_n(scores: npt.ArrayLike, values: npt.ArrayLike, budgets: IntArray) -> FloatArray:
    """Return the expected value of the best-scored of k completions, exactly, from all n.

    With completions sorted by falling score, the best of k drawn ones is among the first j unless all k lie
    behind them: `S(j) = C(n-j, k) / C(n, k)`. A block of equal scores from j to j' holds the best with chance
    `S(j) - S(j')`, and each of its members is then equally likely: no random ties, no simulation.

    Parameters
    ----------
    scores
        Shape (n,); NaN ranks below every score.
    values
        What choosing each completion is worth, shape (n,), such as its correctness.
    budgets
        1 <= k <= n, shape (m,).

    Returns
    -------
    FloatArray
        Shape (m,).

    Raises
    ------
    ValueError
        If a k is out of range or the shapes differ.
    """
    scores = np.nan_to_num(np.asarray(scores, dtype=np.float64), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    values = np.asarray(values, dtype=np.float64)
    n = len(scores)
    if values.shape != scores.shape or n == 0:
        raise ValueError(f"expected as many values as scores, at least one: {values.shape}, {scores.shape}")
    if np.any(budgets > n):
        raise ValueError(f"k: found {int(np.max(budgets))}, expected at most the {n} completions")
    levels, block, size = np.unique(-scores, return_inverse=True, return_counts=True)
    block_mean = np.bincount(block, weights=values, minlength=len(levels)) / size
    ends = np.concatenate([[0], np.cumsum(size)])
    behind = np.exp(log_failure(n, ends[:, None], np.asarray(budgets)[None, :]))
    return np.asarray(block_mean @ (behind[:-1] - behind[1:]))


def expected_best_score(scores: npt.ArrayLike, budgets: IntArray) -> FloatArray:
    """Return the expected highest score among k completions, exactly: how far a scorer is optimised.

    Parameters
    ----------
    scores
        Finite, shape (n,).
    budgets
        1 <= k <= n, shape (m,).

    Raises
    ------
    ValueError
        If a score is not finite, there is none, or a k is out of range.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if not np.all(np.isfinite(scores)):
        raise ValueError("scores: expected finite numbers")
    return best_of_n(scores, scores, budgets)
