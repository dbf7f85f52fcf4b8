"""Bootstrap refits of the beta-binomial beside saber-risk: milliseconds a fit, and the likelihood reached.

    python benchmarks/beta_binomial.py [--refits 2000] [--completions 100 10000]

The peer fits the same resamples of the same 128 problems; its time is per fit, after import, on fewer of them
where `--peer-refits` says so. Seconds are those of the processor. Run it on one thread (OMP_NUM_THREADS=1).

Wants `pip install saber-risk`. `ours` and `peer` are the sides of rows of benchmarks/estimators.py.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from scipy.stats import betabinom

PROBLEMS, REFITS = 128, 2_000
TRUTH = (0.3, 5.0)
TARGET = 10.0


def resamples(completions: int, refits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return counts of all problems, and the problems of each resample, shape (refits, problems)."""
    rng = np.random.default_rng(completions)
    correct = rng.binomial(completions, rng.beta(*TRUTH, PROBLEMS))
    return correct, rng.integers(PROBLEMS, size=(refits, PROBLEMS))


def log_likelihoods(fits: list, correct: np.ndarray, chosen: np.ndarray, completions: int) -> list[float]:
    """Return log L of each fit, computed alike for both sides."""
    return [
        float(betabinom.logpmf(correct[at], completions, *fit).sum())
        for fit, at in zip(fits, chosen, strict=False)
    ]


def ours(completions: int, refits: int) -> tuple[float, list[float]]:
    """Return seconds and log L of each refit, by the law as a study uses it: warm, and from a cold start."""
    from itscale.plugins import registry
    from itscale.plugins.laws import LawData

    entry = registry().get("laws", "beta_binomial").entry
    law = entry.factory(entry.options())
    correct, chosen = resamples(completions, refits)
    sampled = np.full(PROBLEMS, completions)
    none = np.empty(0)

    def data(counts: np.ndarray) -> LawData:
        return LawData(budgets=none, coverage=none, sampled=sampled, correct=counts)

    estimate = law.fit(data(correct))
    begin = time.process_time()
    fits = [law.fit(data(correct[at]), estimate) for at in chosen]
    return time.process_time() - begin, log_likelihoods(fits, correct, chosen, completions)


def peer(completions: int, refits: int) -> tuple[float, list[float]]:
    """Return seconds and log L of each refit, by saber-risk's recommended estimator and its defaults."""
    from saber.fitting import fit_beta_binomial_MLE

    correct, chosen = resamples(completions, refits)
    fit_beta_binomial_MLE(correct, completions)
    begin = time.process_time()
    fits = [fit_beta_binomial_MLE(correct[at], completions) for at in chosen]
    return time.process_time() - begin, log_likelihoods(fits, correct, chosen, completions)


def measured(side: Callable[[int, int], tuple[float, list[float]]], completions: int, refits: int):
    seconds, reached = side(completions, refits)
    return 1e3 * seconds / refits, np.array(reached)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--refits", type=int, default=REFITS)
    parser.add_argument("--peer-refits", type=int, default=REFITS)
    parser.add_argument("--completions", type=int, nargs="+", default=[100, 10_000])
    arguments = parser.parse_args()
    for completions in arguments.completions:
        own, ours_reached = measured(ours, completions, arguments.refits)
        other, peer_reached = measured(peer, completions, min(arguments.peer_refits, arguments.refits))
        gap = ours_reached[: len(peer_reached)] - peer_reached
        print(
            f"n = {completions:6d}: {own:.3f} ms a fit, saber-risk {other:.3f} ms: {other / own:.1f}x "
            f"(target {TARGET:g}x); log L above the peer's: min {gap.min():.1e}, max {gap.max():.1e}"
        )


if __name__ == "__main__":
    main()
