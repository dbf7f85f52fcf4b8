"""PassUntil: sample until r completions are correct (Hu et al. 2023); rates and coverage from such data.

K is the number of completions drawn from a problem, r how many were to be correct, j how many were. A cap
K_max may have ended it with j < r: the problem is censored, and its count is binomial after all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from itscale.errors import DesignError
from itscale.estimators.coverage import coverage, log_failure
from itscale.outcomes import FloatArray, IntArray, ProblemOutcomes

__all__ = [
    "PassUntil",
    "coverage_of_problem",
    "log_log_variance",
    "log_variance",
    "mean_pass_until",
    "pass_until",
    "pass_until_interval",
    "stops_of",
    "until_success_coverage",
]


@dataclass(frozen=True)
class PassUntil:
    """Success rates of problems sampled until r completions were correct, each of shape (problems,).

    Attributes
    ----------
    rate
        Maximum likelihood: r / K, or j / K_max where censored. Its mean is above the true rate.
    unbiased
        (r - 1) / (K - 1), or j / K_max where censored. NaN where r = 1: there is none of use.
    censored
        Whether the cap came before the r-th correct completion.
    wanted
        r.
    """

    rate: FloatArray
    unbiased: FloatArray
    censored: npt.NDArray[np.bool_]
    wanted: int


def pass_until(sampled: npt.ArrayLike, correct: npt.ArrayLike, wanted: int) -> PassUntil:
    """Estimate success rates from the number of completions it took (Hu et al. 2023, section 4.1).

    For r = 1, `E[1/K] = -p ln p / (1 - p)`, which is 1.4 times p at p = .5 and 4.6 times at .01.

    Parameters
    ----------
    sampled, correct
        K and j, 0 <= j <= min(K, r), shape (problems,). j < r says that the cap came first.
    wanted
        r >= 1.

    Raises
    ------
    ValueError
        If a count is out of range.
    """
    n, j = _checked(sampled, correct, wanted)
    censored = j < wanted
    rate = j / n
    fallback = np.full(len(n), np.nan) if wanted == 1 else (wanted - 1) / np.maximum(n - 1, 1)
    return PassUntil(rate, np.where(censored, rate, fallback), censored, wanted)


def mean_pass_until(found: PassUntil) -> float:
    """Return the mean over problems of the rates without the bias of r / K; of 1 / K it is refused.

    Raises
    ------
    DesignError
        If r = 1: naming what to take instead.
    """
    if found.wanted == 1:
        raise DesignError(
            "mean_pass_until: found 1/K of problems sampled until 1 success, expected 2 or more: "
            "the mean of 1/K is up to several times too high; sample until 2 successes, or take "
            "itscale.estimators.until_success_coverage at k = 1"
        )
    return float(found.unbiased.mean())


def pass_until_interval(
    sampled: npt.ArrayLike, correct: npt.ArrayLike, wanted: int, confidence: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Return exact (Clopper-Pearson) bounds of each success rate, each of shape (problems,).

    With d = 1 - confidence: `Beta(d/2; r, K-r+1)` to `Beta(1-d/2; r, K-r)`, quantiles of the beta
    distribution, the upper one 1 if K = r. Censored with j > 0: the binomial bounds of j in K_max; with none
    at all: 0 to `1 - (d/2)^(1/K_max)`.
    """
    n, j = _checked(sampled, correct, wanted)
    tail = 1 - confidence
    censored = j < wanted
    low = betaincinv(np.maximum(j, 1), n - j + 1, tail / 2)
    right, wrong = np.where(censored, j + 1, j), n - j
    high = betaincinv(right, np.maximum(wrong, 1), 1 - tail / 2)
    high = np.where(wrong == 0, 1.0, np.where(j == 0, 1 - (tail / 2) ** (1 / n), high))
    return np.where(j == 0, 0.0, low), high


def log_variance(rates: npt.ArrayLike, wanted: int) -> FloatArray:
    """Return the variance of ln(r / K) by the delta method: `(1 - p) / r`, shape of `rates`."""
    return np.asarray((1 - np.asarray(rates, dtype=np.float64)) / wanted)


def log_log_variance(rates: npt.ArrayLike, wanted: int) -> FloatArray:
    """Return the variance of ln(-ln(r / K)) by the delta method: `(1 - p) / (r ln^2 p)`, for 0 < p < 1.

    For many successes: simulation gives twice as much at r = 2 and p = 0.02, 1.3 times at r = 5.
    """
    p = np.asarray(rates, dtype=np.float64)
    return np.asarray((1 - p) / (wanted * np.log(p) ** 2))


def until_success_coverage(
    sampled: npt.ArrayLike,
    correct: npt.ArrayLike,
    wanted: int,
    budgets: npt.ArrayLike,
    cap: int | None = None,
) -> FloatArray:
    """Estimate coverage of each problem at each k without bias from data sampled until r were correct.

    Given K, the last completion is correct and the other r - 1 correct ones are anywhere before it, so the
    first k all fail with chance `C(K-1-k, r-1) / C(K-1, r-1)`; where the cap came first, with chance
    `C(K_max-k, j) / C(K_max, j)`. By Rao, Blackwell, Lehmann and Scheffe no unbiased estimate varies less.

    Parameters
    ----------
    sampled, correct, wanted
        K, j and r, as `pass_until`.
    budgets
        k >= 1, shape (m,).
    cap
        K_max, the most completions a problem could have had; None: as many as it took. Problems that are
        censored had theirs whatever is said here.

    Returns
    -------
    FloatArray
        Shape (problems, m), in [0, 1]; NaN where k > K_max. k > K is no reason for NaN: a problem solved at
        once tells of every k.

    Raises
    ------
    ValueError
        If a count or a k is out of range, or an uncensored K above the cap.
    """
    n, j = _checked(sampled, correct, wanted)
    k = np.asarray(budgets, dtype=np.int64)
    if cap is not None and np.any(n > cap):
        raise ValueError(f"sampled: found {n.max()}, expected at most the cap of {cap}")
    result = np.empty((len(n), len(k)))
    for row, (size, right) in enumerate(zip(n.tolist(), j.tolist(), strict=True)):
        last = 1 if right == wanted else 0
        # among the completions before the last one, r - 1 are correct; of none, none fail to be
        trials, hits = size - last, right - last
        failed = np.zeros(len(k))
        within = k <= trials
        if trials:
            failed[within] = np.exp(log_failure(trials, hits, k[within]))
        most = size if not last else cap
        result[row] = 1 - failed if most is None else np.where(k <= most, 1 - failed, np.nan)
    return result


def stops_of(
    problems: Sequence[str],
    sampled: npt.ArrayLike,
    correct: npt.ArrayLike,
    wanted: int | None = None,
) -> int:
    """Return r, the number of correct completions after which every problem stopped.

    If it is not given, it is the most that any problem has, where the data prove that: a problem that ended
    before the cap stopped at its r-th, and so did one of which every completion up to the cap is correct. A
    problem with fewer was ended by the cap: all such problems have the same number of completions, and no
    problem has more. Anything else was not sampled so, and no estimate of it would be without bias. Where
    nothing is correct, r does not matter.

    Parameters
    ----------
    problems
        Their names, for the message.
    sampled, correct
        Completions of each and how many are correct, shape (problems,).
    wanted
        r, if it is known.

    Raises
    ------
    DesignError
        Naming a problem that stopped before the r-th correct completion, and one that went on; or if r is
        not given, and every problem may have been ended by the cap.
    """
    n, j = np.asarray(sampled, dtype=np.int64), np.asarray(correct, dtype=np.int64)
    most, cap = max(1, int(j.max(initial=0))), int(n.max(initial=0))
    if wanted is not None and most > wanted:
        one = int(np.argmax(j))
        raise DesignError(
            f"successes: found {wanted}, but problem {problems[one]!r} has {j[one]} correct completions, "
            f"expected at most {wanted}: sampling is said to have stopped there"
        )
    r = most if wanted is None else wanted
    early = np.flatnonzero((j < r) & (n < cap))
    if len(early):
        one, longest = int(early[0]), int(np.argmax(n))
        as_many = f", as {problems[int(np.argmax(j))]!r} has" if wanted is None else ""
        raise DesignError(
            f"design: found 'until_success', but problem {problems[one]!r} ended after {n[one]} completions "
            f"with {j[one]} correct; expected {r} correct{as_many}, or the {cap} "
            f"completions of {problems[longest]!r}; if drawn as need was seen, the design is adaptive"
        )
    if wanted is None and 0 < j.max(initial=0) < cap and n.min(initial=cap) == cap:
        raise DesignError(
            f"design: found 'until_success' and {cap} completions of every problem, at most {most} of them "
            f"correct: expected `successes` beside it, after how many correct ones a problem was left "
            f"({most}, or more, and the cap of {cap} came first for all)"
        )
    return r


def coverage_of_problem(outcomes: ProblemOutcomes, budgets: IntArray) -> FloatArray:
    """Return the unbiased estimate of coverage of one problem that its design allows, shape (m,).

    Raises
    ------
    DesignError
        If the completions were sampled adaptively.
    """
    n, right = outcomes.n, int(outcomes.correct.sum())
    if outcomes.design == "until_success":
        return np.asarray(until_success_coverage([n], [right], outcomes.wanted, budgets)[0])
    return np.asarray(coverage([n], [right], budgets, design=outcomes.design)[0])


def _checked(sampled: npt.ArrayLike, correct: npt.ArrayLike, wanted: int) -> tuple[IntArray, IntArray]:
    n, j = np.asarray(sampled, dtype=np.int64), np.asarray(correct, dtype=np.int64)
    if wanted < 1 or np.any(n < 1) or np.any(j < 0) or np.any(j > np.minimum(n, wanted)):
        raise ValueError("expected K >= 1, r >= 1 and 0 <= correct <= min(K, r)")
    return n, j
