"""Coverage: the chance that at least one of k completions is correct; and that all of them are."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, gammaln, xlog1py, xlogy

from itscale.estimators.design import require_fixed
from itscale.outcomes import Design, FloatArray, IntArray

__all__ = [
    "all_correct",
    "coverage",
    "coverage_variance",
    "log_factorials",
    "log_failure",
    "posterior_coverage",
]


def coverage(
    sampled: npt.ArrayLike, correct: npt.ArrayLike, budgets: npt.ArrayLike, *, design: Design = "fixed"
) -> FloatArray:
    """Estimate coverage (pass@k) of each problem at each k without bias, from all n completions.

    `1 - C(n-c, k) / C(n, k)` (Chen et al. 2021, section 2.1, equation 1). The completions must be independent
    draws in a number fixed beforehand: after sampling "until the first success" this is biased.

    Parameters
    ----------
    sampled, correct
        Completions n >= 1 and how many of them are correct, 0 <= c <= n, shape (problems,); n may differ.
    budgets
        k >= 1, shape (m,).
    design
        How n came about.

    Returns
    -------
    FloatArray
        Shape (problems, m), in [0, 1]; NaN where k > n: n completions say nothing of more than n.

    Raises
    ------
    ValueError
        If a count or a k is out of range.
    DesignError
        If n was not fixed beforehand.
    """
    require_fixed(design, "coverage")
    n, c, k = (np.asarray(values, dtype=np.int64) for values in (sampled, correct, budgets))
    n, c, row = _distinct(n, c)
    return np.asarray((-np.expm1(log_failure(n[:, None], c[:, None], k[None, :])))[row])


def all_correct(
    sampled: npt.ArrayLike, correct: npt.ArrayLike, budgets: npt.ArrayLike, *, design: Design = "fixed"
) -> FloatArray:
    """Estimate pass^k, the chance that all of k completions are correct: `C(c, k) / C(n, k)`.

    The counterpart of coverage for reliability (Yao et al. 2024, tau-bench, section 3): k draws without a
    wrong one. Arguments, shape and errors as `coverage`; NaN where k > n.
    """
    require_fixed(design, "all_correct")
    n, c, k = (np.asarray(values, dtype=np.int64) for values in (sampled, correct, budgets))
    n, c, row = _distinct(n, c)
    return np.asarray(np.exp(log_failure(n[:, None], (n - c)[:, None], k[None, :]))[row])


def _distinct(n: IntArray, c: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Return the distinct pairs of counts, and which of them each problem has: many have the same."""
    if len(n) < 2 or c.min() < 0:
        return n, c, np.arange(len(n))
    pairs, row = np.unique(n * (c.max() + 1) + c, return_inverse=True)
    return pairs // (c.max() + 1), pairs % (c.max() + 1), row


def coverage_variance(rates: npt.ArrayLike, sampled: npt.ArrayLike, budgets: npt.ArrayLike) -> FloatArray:
    """Return the exact variance of the estimate of coverage on a problem of known success rate.

    `sum_i C(n-k, i)^2 / C(n, i) p^i (1-p)^(n-i) - (1-p)^(2k)`: what one problem's n completions leave open,
    for planning. Between problems there is more.

    Parameters
    ----------
    rates, sampled
        Success rate p in [0, 1] and completions n of each problem, shape (problems,).
    budgets
        k >= 1, shape (m,).

    Returns
    -------
    FloatArray
        Shape (problems, m); NaN where k > n.
    """
    p, n, k = np.asarray(rates, dtype=np.float64), np.asarray(sampled), np.asarray(budgets)
    variance = np.full((len(p), len(k)), np.nan)
    for row, (rate, size) in enumerate(zip(p.tolist(), n.tolist(), strict=True)):
        held = k <= size
        right = np.arange(size + 1)
        chance = -betaln(right + 1, size - right + 1) - np.log(size + 1)
        chance = np.exp(chance + xlogy(right, rate) + xlog1py(size - right, -rate))
        # C(n-k, i) / C(n, i) = C(n-i, k) / C(n, k): the estimate of failure, given i correct ones
        failure = np.exp(log_failure(size, right[:, None], k[held][None, :]))
        variance[row, held] = chance @ (failure - (1 - rate) ** k[held]) ** 2
    return variance


def posterior_coverage(
    sampled: npt.ArrayLike, correct: npt.ArrayLike, budgets: npt.ArrayLike, prior: tuple[float, float]
) -> FloatArray:
    """Return the posterior mean coverage of each problem at any k, beyond n too, under a Beta(a, b) prior.

    `1 - B(a+x, b+n-x+k) / B(a+x, b+n-x)` for x of n correct: the mean over problems forecasts this very
    benchmark, after the prior was fitted to it (law `beta_binomial`; Kazdan et al. 2025). The rule by which
    n was chosen is ignorable: adaptive and until-success counts may be given as they are.

    Parameters
    ----------
    sampled, correct
        Completions n >= 0 and how many of them are correct, shape (problems,).
    budgets
        k > 0, real, shape (m,).
    prior
        a > 0 and b > 0.

    Returns
    -------
    FloatArray
        Shape (problems, m), in [0, 1].

    Raises
    ------
    ValueError
        If a count, a k or a parameter is out of range.
    """
    n, x, k = (np.asarray(values, dtype=np.float64) for values in (sampled, correct, budgets))
    a, b = prior
    if min(a, b) <= 0 or np.any(x < 0) or np.any(x > n) or np.any(k <= 0):
        raise ValueError("expected a, b > 0, 0 <= correct <= sampled and k > 0")
    right, wrong = (a + x)[:, None], (b + n - x)[:, None]
    return np.asarray(-np.expm1(betaln(right, wrong + k[None, :]) - betaln(right, wrong)))


@lru_cache(maxsize=4)
def log_factorials(n: int) -> FloatArray:
    """Return log j! for j = 0..n, shape (n + 1,), read-only: the next problem mostly needs it again."""
    table = np.asarray(gammaln(np.arange(n + 1) + 1.0))
    table.setflags(write=False)
    return table


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
    most = int(n.max())
    # an infinite log j! of negative j makes impossible draws -inf, and draws of more than n not a number
    log_factorial = np.concatenate([np.full(most + 1, np.inf), log_factorials(most)])
    missing, beyond, k = n - c, most + 1, np.minimum(k, most + 1)
    result = (log_factorial[missing + beyond] - log_factorial[n + beyond]) + log_factorial[n - k + beyond]
    with np.errstate(invalid="ignore"):
        result = result - log_factorial[missing - k + beyond]
    return np.asarray(np.minimum(result, 0.0))
