"""Coverage: the chance that at least one of k completions is correct."""

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from itscale.selection import FloatArray

__all__ = ["coverage", "log_failure"]


def coverage(sampled: npt.ArrayLike, correct: npt.ArrayLike, budgets: npt.ArrayLike) -> FloatArray:
    """Estimate coverage (pass@k) of each problem at each k without bias, from all n completions.

    `1 - C(n-c, k) / C(n, k)` (Chen et al. 2021, section 2.1, equation 1). The completions must be independent
    draws in a number fixed beforehand: after sampling "until the first success" this is biased.

    Parameters
    ----------
    sampled, correct
        Completions n >= 1 and how many of them are correct, 0 <= c <= n, shape (problems,); n may differ.
    budgets
        k >= 1, shape (m,).

    Returns
    -------
    FloatArray
        Shape (problems, m), in [0, 1]; NaN where k > n: n completions say nothing of more than n.

    Raises
    ------
    ValueError
        If a count or a k is out of range.
    """
    n, c, k = (np.asarray(values, dtype=np.int64) for values in (sampled, correct, budgets))
    return np.asarray(-np.expm1(log_failure(n[:, None], c[:, None], k[None, :])))


def log_failure(sampled: npt.ArrayLike, marked: npt.ArrayLike, budgets: npt.ArrayLike) -> FloatArray:
    """Return the log-probability that k of n completions, without replacement, hold none of c marked ones.

    `log C(n-c, k) - log C(n, k)`, elementwise over broadcast arguments: -inf where none of n-c < k draws can
    fail, NaN where k > n. The absolute error is below 1e-10 for n up to 100,000.

    Raises
    ------
    ValueError
        If n < 1, c is not in [0, n], or k < 1.
    """
    n, c, k = (np.asarray(values, dtype=np.int64) for values in (sampled, marked, budgets))
    if n.size == 0 or k.size == 0:
        return np.empty(np.broadcast_shapes(n.shape, c.shape, k.shape))
    if n.min() < 1 or k.min() < 1 or c.min() < 0 or np.any(c > n):
        raise ValueError("expected n >= 1, 0 <= c <= n and k >= 1")
    log_factorial = gammaln(np.arange(int(n.max()) + 1) + 1.0)
    missing = n - c
    result = (log_factorial[missing] - log_factorial[n]) + (
        log_factorial[np.maximum(n - k, 0)] - log_factorial[np.maximum(missing - k, 0)]
    )
    result = np.where(missing < k, -np.inf, np.minimum(result, 0.0))
    result = np.where(c == 0, 0.0, result)
    return np.where(k > n, np.nan, result)
