"""How often nominal 95 % intervals hold the truth, over simulated data sets.

    python benchmarks/intervals.py [--datasets 1000] [--refits 200] [--only laws]

Three tables. Which unit is resampled: 50 problems, p ~ Beta(.5, 1), 16 completions. Intervals and bands of
coverage, majority vote and best-of-n, over realistic settings and harder ones: few problems, tiny rates,
nearly all solved. Parameters of laws, whose truth is what the law converges to with infinitely many problems
at the same n: for least squares on the curve, its fit to the population's curve.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import betaln

from itscale.estimators import (
    best_of_n,
    coverage,
    curve_intervals,
    k_grid,
    majority,
    parameter_interval,
    resample,
    resample_two_level,
    tally,
)
from itscale.outcomes import FloatArray, IntArray
from itscale.plugins import registry
from itscale.plugins.laws import FitFailure, Law, LawData
from itscale.study.config import CurveSection

POOL = 4_000
"""Problems of the population that data sets of votes and best-of-n are drawn from."""

CHOICES = 6  # wrong answers, the first the likeliest
GAP = 1.0  # of a right completion's score, in standard deviations


@dataclass(frozen=True)
class Setting:
    """Problems with p ~ Beta(alpha, beta), and n completions of each."""

    alpha: float
    beta: float
    problems: int
    n: int
    hard: bool = False

    @property
    def name(self) -> str:
        """What the tables call it."""
        return f"Beta({self.alpha:g}, {self.beta:g}), {self.problems} problems x {self.n}" + " *" * self.hard

    def budgets(self) -> IntArray:
        """Return a few k up to n/2."""
        return k_grid(self.n // 2, 6)

    def coverage(self, budgets: IntArray) -> FloatArray:
        """Return coverage of the population at each k."""
        return -np.expm1(betaln(self.alpha, self.beta + budgets) - betaln(self.alpha, self.beta))

    def counts(self, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Draw a data set: completions and correct ones of each problem."""
        n = np.full(self.problems, self.n)
        return n, rng.binomial(n, rng.beta(self.alpha, self.beta, self.problems))


SETTINGS = (
    Setting(0.5, 3, 100, 64),
    Setting(0.3, 3, 200, 100),
    Setting(1, 2, 100, 16),
    Setting(0.5, 1, 50, 16, hard=True),
    Setting(0.1, 20, 100, 64, hard=True),
    Setting(0.05, 2, 50, 16, hard=True),
    Setting(5, 0.5, 100, 32, hard=True),
    Setting(20, 20, 24, 32, hard=True),
)
LAW_SETTINGS = (
    Setting(0.5, 3, 150, 64),
    Setting(0.5, 3, 50, 16, hard=True),
    Setting(0.1, 20, 100, 64, hard=True),
)


def units(datasets: int, rng: np.random.Generator) -> None:
    """Resample problems, both levels, or completions alone, at k = 1."""
    setting, k = Setting(0.5, 1, 50, 16), np.array([1])
    inside, widths = np.zeros(3), np.zeros(3)
    for _ in range(datasets):
        n, correct = setting.counts(rng)
        sources = (
            resample(coverage(n, correct, k), 400, rng).means[:, 0],
            resample_two_level(n, correct, k, 400, rng).means[:, 0],
            rng.binomial(n, correct / n, size=(400, len(n))).mean(axis=1) / setting.n,
        )
        bounds = np.array([np.quantile(means, [0.025, 0.975]) for means in sources])
        inside += (bounds[:, 0] <= 1 / 3) & (bounds[:, 1] >= 1 / 3)
        widths += bounds[:, 1] - bounds[:, 0]
    print(f"\nWhat is resampled: {setting.name}, k = 1, percentile intervals, {datasets} data sets")
    for name, share, width in zip(
        ("problems", "two_level", "completions"), inside / datasets, widths / datasets, strict=True
    ):
        print(f"  {name:12s} {100 * share:5.1f} %   width {width:.3f}")


def held(
    draw: Callable[[np.random.Generator], FloatArray],
    truth: FloatArray,
    datasets: int,
    rng: np.random.Generator,
    rising: IntArray | None = None,
) -> dict[str, FloatArray]:
    """Return how often each kind of interval holds each k, and the band the whole curve.

    `rising` has the k of a curve that cannot fall, whose bounds do not fall either.
    """
    kinds = ("studentised", "percentile", "bca")
    inside: dict[str, FloatArray] = {kind: np.zeros(len(truth)) for kind in kinds}
    band = 0.0
    for _ in range(datasets):
        values = draw(rng)
        for kind in kinds:
            found = curve_intervals(values, CurveSection(resamples=500, interval=kind), rng, rising=rising)
            inside[kind] += (found.low <= truth + 1e-12) & (truth - 1e-12 <= found.high)
            if kind == "studentised":
                band += bool(np.all((found.band_low <= truth + 1e-12) & (truth - 1e-12 <= found.band_high)))
    shares = {kind: each / datasets for kind, each in inside.items()}
    return shares | {"band": np.array([band / datasets])}


def population(setting: Setting, selector: str, rng: np.random.Generator) -> FloatArray:
    """Return the estimated curves of many problems, from which data sets are drawn."""
    k = setting.budgets()
    rows = []
    likely = 1 / np.arange(1, CHOICES + 1)
    for rate in rng.beta(setting.alpha, setting.beta, POOL):
        correct = rng.random(setting.n) < rate
        if selector == "majority":
            wrong = rng.choice(CHOICES, p=likely / likely.sum(), size=setting.n) + 1
            rows.append(majority(tally(np.where(correct, 0, wrong), correct), k, rng).mean)
        else:
            rows.append(best_of_n(rng.normal(size=setting.n) + GAP * correct, correct, k))
    return np.array(rows)


def curves(datasets: int, rng: np.random.Generator) -> None:
    """Check intervals of coverage, majority vote and best-of-n."""
    print(f"\nIntervals of curves, percent of {datasets} data sets, least to most over k (* harder)")
    print(f"  {'':44s}{'studentised':>14s}{'percentile':>14s}{'bca':>14s}{'band':>7s}")
    for setting in SETTINGS:
        k = setting.budgets()

        def draw(made: np.random.Generator, setting: Setting = setting, k: IntArray = k) -> FloatArray:
            return coverage(*setting.counts(made), k)

        report(f"coverage, {setting.name}", held(draw, setting.coverage(k), datasets, rng, k))
    for selector in ("majority", "best-of-n"):
        for setting in (SETTINGS[0], SETTINGS[2], SETTINGS[3]):
            pool = population(setting, selector, rng)

            def choose(
                made: np.random.Generator, pool: FloatArray = pool, size: int = setting.problems
            ) -> FloatArray:
                return pool[made.integers(POOL, size=size)]

            report(f"{selector}, {setting.name}", held(choose, pool.mean(axis=0), datasets, rng))


def report(name: str, shares: dict[str, FloatArray]) -> None:
    """Print one row."""
    cells = [f"{100 * each.min():5.1f} – {100 * each.max():5.1f}" for each in list(shares.values())[:3]]
    print(
        f"  {name:44s}{''.join(f'{cell:>14s}' for cell in cells)}{100 * shares['band'][0]:7.1f}", flush=True
    )


def laws(names: list[str], datasets: int, refits: int, rng: np.random.Generator) -> None:
    """Check intervals of laws' parameters, beside percentiles of the refits."""
    print(f"\nParameters of laws, percent of {datasets} data sets, {refits} refits")
    for setting in LAW_SETTINGS:
        for name in names:
            start = time.perf_counter()
            parameters, symmetric, percentile, failed = law_level(name, setting, datasets, refits, rng)
            seconds = time.perf_counter() - start
            for at, parameter in enumerate(parameters):
                print(
                    f"  {name + ' ' + parameter:26s} {setting.name:36s} "
                    f"interval {100 * symmetric[at]:5.1f}   "
                    f"percentile {100 * percentile[at]:5.1f}   ({failed} fits failed, {seconds:.0f} s)",
                    flush=True,
                )


def law_level(
    name: str, setting: Setting, datasets: int, refits: int, rng: np.random.Generator
) -> tuple[tuple[str, ...], FloatArray, FloatArray, int]:
    """Return how often both kinds of interval hold each parameter, and how many data sets gave no fit."""
    entry = registry().get("laws", name).entry
    law = entry.factory(entry.options())
    k, none = k_grid(setting.n // 2), np.empty(0, dtype=np.int64)
    population_data = LawData(budgets=k, coverage=setting.coverage(k), sampled=none, correct=none)
    counted = entry.takes == "counts"
    truth = np.array([setting.alpha, setting.beta]) if counted else law.fit(population_data)
    symmetric, percentile, failed = np.zeros(len(truth)), np.zeros(len(truth)), 0
    for _ in range(datasets):
        n, correct = setting.counts(rng)
        fit = partial(fitted, law, k, n, correct, coverage(n, correct, k))
        try:
            estimate = fit(np.arange(len(n)))
            again = refitted(fit, estimate, len(n), refits, rng)
        except FitFailure:
            failed += 1
            continue
        found = parameter_interval(estimate, again, 0.95)
        symmetric += (found.low <= truth) & (truth <= found.high)
        low, high = np.quantile(again, [0.025, 0.975], axis=0)
        percentile += (low <= truth) & (truth <= high)
    done = datasets - failed
    return law.parameters, symmetric / done, percentile / done, failed


def fitted(
    law: Law,
    k: IntArray,
    n: IntArray,
    correct: IntArray,
    values: FloatArray,
    rows: IntArray,
    start: FloatArray | None = None,
) -> FloatArray:
    """Return the parameters of a law fitted to some of the problems."""
    curve = values[rows].mean(axis=0)
    return law.fit(LawData(budgets=k, coverage=curve, sampled=n[rows], correct=correct[rows]), start)


def refitted(
    fit: Callable[..., FloatArray], estimate: FloatArray, problems: int, refits: int, rng: np.random.Generator
) -> FloatArray:
    """Return the parameters of refits to resampled problems; those that fail are left out."""
    found = []
    for _ in range(refits):
        try:
            found.append(fit(rng.integers(problems, size=problems), estimate))
        except FitFailure:
            continue
    if not found:
        raise FitFailure("no refit succeeded")
    return np.array(found)


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--datasets", type=int, default=1000)
    parser.add_argument("--refits", type=int, default=200)
    parser.add_argument(
        "--laws", nargs="*", default=["power_law", "exponentiated_power_law", "beta_binomial"]
    )
    parser.add_argument("--only", choices=["units", "curves", "laws"], help="one of the tables")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    start = time.perf_counter()
    if asked.only in (None, "units"):
        units(asked.datasets, rng)
    if asked.only in (None, "curves"):
        curves(asked.datasets, rng)
    if asked.only in (None, "laws"):
        laws(asked.laws, asked.datasets, asked.refits, rng)
    print(f"\n{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")  # what laws remark of single fits
    main()
