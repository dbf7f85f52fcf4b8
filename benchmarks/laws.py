"""CPU seconds of `itscale fit all`, law by law, beside a plain maximum-likelihood fit of a beta-binomial.

    python benchmarks/laws.py [--problems 128] [--completions 10000] [--refits 500] [--laws NAME,NAME]

Each law is fitted to counts of a mixture of easy and hard problems, refitted to resampled problems, and tried
on three smaller budgets with up to 200 refits each, as the command does. The peer is what one writes first:
`scipy.optimize.minimize` of `-scipy.stats.betabinom.logpmf`, as often as a law of counts is fitted. The last
column is a law's time over the peer's: below 1, a law with all its refits costs less than that one loop.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import betabinom

from itscale.fitting import FitSettings, evidence_of_counts, report_law, thinned_counts
from itscale.outcomes import IntArray
from itscale.plugins import registry

SHARES = (8, 4, 2)


def drawn(problems: int, completions: int) -> IntArray:
    rng = np.random.default_rng(4)
    hard = expit(rng.normal(-6.5, 2.0, problems))
    easy = rng.beta(2, 4, problems)
    return rng.binomial(completions, np.where(rng.random(problems) < 0.1, easy, hard))


def peer(sampled: IntArray, correct: IntArray, times: int, rng: np.random.Generator) -> float:
    """Return CPU seconds of so many fits of a beta-binomial, the first to the data, the rest to resamples."""
    started = time.process_time()
    start = np.log([0.35, 3.5])
    for fit in range(times):
        chosen = rng.integers(len(correct), size=len(correct)) if fit else slice(None)
        n, c = sampled[chosen], correct[chosen]
        found = minimize(
            lambda logs, n=n, c=c: -betabinom.logpmf(c, n, *np.exp(logs)).sum(),
            start,
            method="L-BFGS-B",
            bounds=[(-12, 12)] * 2,
        )
        start = start if fit else found.x
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=128)
    parser.add_argument("--completions", type=int, default=10_000)
    parser.add_argument("--refits", type=int, default=500)
    parser.add_argument("--laws", default="", help="with commas; all that take a curve or counts if left out")
    arguments = parser.parse_args()
    correct = drawn(arguments.problems, arguments.completions)
    sampled = np.full(len(correct), arguments.completions)
    everything = evidence_of_counts(sampled, correct)
    rng = np.random.default_rng(0)
    sizes = [arguments.completions // share for share in SHARES]
    origins = [evidence_of_counts(*thinned_counts(sampled, correct, size, rng)) for size in sizes]
    settings = FitSettings(refits=arguments.refits, holdout_refits=max(20, min(200, arguments.refits)))
    fits = 1 + settings.refits + len(sizes) * (1 + settings.holdout_refits)
    beside = peer(sampled, correct, fits, rng)
    wanted = arguments.laws.split(",") if arguments.laws else None
    print(f"{arguments.problems} problems x {arguments.completions:,}, {fits} fits of each law")
    print(f"{'':30}{'CPU s':>8}{'/ peer':>9}\n{'scipy betabinom (peer)':30}{beside:>8.2f}{1:>9.2f}")
    total = 0.0
    for plugin in registry().plugins("laws"):
        entry: Any = plugin.entry
        if entry.takes == "table" or (wanted and entry.name not in wanted):
            continue
        law = entry.factory(entry.options())
        started = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report_law(law, entry, everything, origins, settings)
        seconds = time.process_time() - started
        total += seconds
        print(f"{entry.name:30}{seconds:>8.2f}{seconds / beside:>9.2f}", flush=True)
    print(f"{'all':30}{total:>8.2f}{total / beside:>9.2f}")


if __name__ == "__main__":
    main()
