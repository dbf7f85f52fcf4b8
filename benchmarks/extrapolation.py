"""Forecasts of coverage far beyond the data: the ensemble beside a plain power law and SABER, group by group.

    python benchmarks/extrapolation.py [--held-out] [--saber WHEEL] [--counts FILE ...] [--sets 2]

Groups of data sets, each with what is known of its truth:

- `like monkeys`: 128 problems whose coverage passes through what is published of Pythia and Gemma on MATH (at
  k = 1, 100, 1,000 and 10,000), and curves like those on CodeContests; between, density is smooth, and a few
  easy problems have a tenth to a third of the successes, as in such data; n = 100 and 1,000, k = 10,000.
- `simulated`: Betas, Kumaraswamys, scaled and zero-inflated ones, logit-normals, the Beta fits of Pythia, and
  mixtures that follow power laws; n = 100 and 1,000, k = 10,000.
- `other shapes`: skewed and heavy-tailed logits, two kinds of problems, unsolvable ones; on these nothing was
  chosen.
- `real`: GPT-4 on the game of 24 (--data names the folder with `game24-gpt4`), and any file of --counts
  (columns problem, n, correct): parts of each problem's completions, drawn several times, against coverage at
  all of them.

With `--held-out` the groups are others: no curve, distribution or parameter of theirs was looked at while the
ensemble's settings were chosen (`held_out`; of real data only what --counts names).

Printed per group and method: mean absolute error at the largest k (points of coverage, every family of a
group counting alike), how often the 95 % band holds the coverage of these very problems, and its mean width.
`power_law_ols` and `saber` are the peers: least squares on log-log axes, and `SABER().fit(...).predict(k)` of
the package saber-risk, read from a wheel or imported. `first` is place 1 of the leaderboard.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.optimize import nnls
from scipy.special import expit

from itscale.estimators import coverage
from itscale.fitting import (
    ENSEMBLE,
    Evidence,
    FitSettings,
    LawReport,
    combine,
    evidence_of_counts,
    leaderboard,
    report_law,
    thinned_counts,
)
from itscale.fitting.bootstrap import bounds
from itscale.outcomes import FloatArray, IntArray
from itscale.plugins import registry

PROBLEMS, FURTHEST = 128, 10_000
SHARES = (8, 4, 2)
LAWS = "power_law,smooth_mixture,exponentiated_power_law,shifted_power_law,beta_binomial"

Rates = Callable[[np.random.Generator, int], FloatArray]


def beta(a: float, b: float, scale: float = 1.0, zero: float = 0.0) -> Rates:
    return lambda rng, n: scale * rng.beta(a, b, n) * (rng.random(n) >= zero)


def kumaraswamy(a: float, b: float, scale: float = 1.0) -> Rates:
    return lambda rng, n: scale * (1 - (1 - rng.random(n)) ** (1 / b)) ** (1 / a)


def logit_normal(mean: float, sd: float) -> Rates:
    return lambda rng, n: expit(rng.normal(mean, sd, n))


def logit_t(mean: float, sd: float, degrees: float) -> Rates:
    return lambda rng, n: expit(mean + sd * rng.standard_t(degrees, n))


def skewed(mean: float, sd: float, skew: float) -> Rates:
    """Logits are skew-normal; a negative skew is a heavy tail of hard problems."""
    share = skew / np.hypot(1, skew)
    rest = np.sqrt(1 - share**2)
    return lambda rng, n: expit(mean + sd * (share * np.abs(rng.normal(size=n)) + rest * rng.normal(size=n)))


def unsolvable(rng: np.random.Generator, n: int) -> FloatArray:
    return np.zeros(n)


def mixed(*parts: tuple[float, Rates]) -> Rates:
    shares = np.array([share for share, _ in parts])

    def draw(rng: np.random.Generator, n: int) -> FloatArray:
        kinds = rng.choice(len(parts), size=n, p=shares / shares.sum())
        drawn = np.empty(n)
        for kind, (_, rates) in enumerate(parts):
            drawn[kinds == kind] = rates(rng, int(np.sum(kinds == kind)))
        return drawn

    return draw


NODES = np.exp(np.linspace(np.log(1e-8), np.log(0.98), 400))


def spread(weights: FloatArray) -> Rates:
    """Rates of the nodes with these weights, each spread over its cell."""
    width = np.log(NODES[1] / NODES[0])

    def draw(rng: np.random.Generator, n: int) -> FloatArray:
        nodes = NODES[rng.choice(len(NODES), size=n, p=weights / weights.sum())]
        return np.minimum(nodes * np.exp(width * (rng.random(n) - 0.5)), 0.999)

    return draw


def solved(k: FloatArray) -> FloatArray:
    return -np.expm1(np.outer(k, np.log1p(-NODES)))


def follows_power_law(a: float, b: float) -> Rates:
    """Rates whose coverage is as near to exp(-a k^-b), k = 1 ... 100,000, as that of any mixture."""
    k = np.unique(np.geomspace(1, 1e5, 60).round())
    rows = np.vstack([solved(k), np.full((1, len(NODES)), 10.0)])
    return spread(nnls(rows, np.append(np.exp(-a * k**-b), 10.0))[0])


def passes_through(points: Sequence[float], easy: float) -> Rates:
    """Rates of a smooth density with this coverage at k = 1, 100, 1,000 and 10,000.

    `easy` is the mean rate of the problem that a correct completion is of: E p^2 / E p.
    """
    known = np.array(points)
    rows = 30 * np.vstack(
        [solved(np.array([1.0, 100, 1000, 10_000])) / np.sqrt(known * (1 - known))[:, None]]
    )
    second = 3 * (NODES**2 / (easy * known[0]))[None]
    bends = np.diff(np.eye(len(NODES)), 3, axis=0) * 3e-5 * len(NODES) ** 2.5
    left = np.vstack([rows, second, np.full((1, len(NODES)), 10.0), bends])
    right = np.concatenate([30 * known / np.sqrt(known * (1 - known)), [3, 10], np.zeros(len(bends))])
    return spread(nnls(left, right, maxiter=20_000)[0])


MATH = (
    (0.0006, 0.036, 0.124, 0.266),
    (0.0027, 0.162, 0.410, 0.570),
    (0.0062, 0.227, 0.482, 0.656),
    (0.0083, 0.275, 0.546, 0.742),
    (0.0203, 0.422, 0.678, 0.812),
    (0.0186, 0.432, 0.688, 0.836),
    (0.0232, 0.483, 0.723, 0.875),
    (0.096, 0.667, 0.882, 0.955),
)
"""Coverage of Pythia 70M to 12B and Gemma 2B (Brown et al. 2024; counts of Schaeffer et al. 2025)."""
CONTESTS = (
    (0.0002, 0.0095, 0.029, 0.071),
    (0.0012, 0.033, 0.085, 0.175),
    (0.004, 0.06, 0.135, 0.25),
    (0.012, 0.1, 0.195, 0.32),
    (0.03, 0.17, 0.29, 0.42),
)
"""Curves like those on CodeContests: the first ends are published, the rest is made up between them."""


def families() -> dict[str, dict[str, list[Rates]]]:
    shapes = [(a, b) for a in (0.15, 0.4) for b in (3.5, 5.0)]  # as in Schaeffer et al. 2025
    # fitted to Pythia (and Gemma) models on MATH
    pythia_beta = [(0.065, 100.1), (0.18, 28.7), (0.246, 11.7), (0.296, 12.4)]
    power_laws = [(8.29, 0.199), (5.6, 0.29), (4.34, 0.347), (4.32, 0.379), (2.83, 0.43)]
    return {
        "like monkeys": {
            f"{name} {easy}": [passes_through(points, easy) for points in curves]
            for name, curves in (("math", MATH), ("contests", CONTESTS))
            for easy in (0.15, 0.3)
        },
        "simulated": {
            "beta": [beta(a, b) for a, b in shapes],
            "kumaraswamy": [kumaraswamy(a, b) for a, b in shapes],
            "scaled": [rates(a, b, 0.1) for a, b in shapes[::2] for rates in (beta, kumaraswamy)],
            "zero_inflated": [beta(0.8, 1.5, zero=0.1), beta(0.5, 3, zero=0.05), beta(0.3, 3, zero=0.2)],
            "logit_normal": [logit_normal(-4, 2), logit_normal(-3, 3), logit_normal(-6, 2)],
            "pythia_beta": [beta(a, b) for a, b in pythia_beta],
            "pythia_power": [follows_power_law(a, b) for a, b in power_laws],
        },
        "other shapes": {
            "skewed": [skewed(-2, 5, -3), skewed(-4, 4, -2), skewed(-3, 4, -4), skewed(-1, 5, -2)],
            "two kinds": [
                mixed((0.6, logit_normal(-8, 1.7)), (0.4, logit_normal(-3, 1.5))),
                mixed((0.8, kumaraswamy(0.3, 8, 0.05)), (0.2, beta(1, 3))),
                mixed((0.75, kumaraswamy(0.45, 60)), (0.25, beta(2, 4))),
            ],
            "heavy tails": [logit_t(-8, 1.7, 4), logit_t(-6, 1.7, 4), logit_t(-5, 1.3, 3)],
            "unsolvable": [
                mixed((0.15, unsolvable), (0.85, follows_power_law(5.0, 0.33))),
                mixed((0.3, unsolvable), (0.7, logit_normal(-6, 2.2))),
                mixed((0.5, unsolvable), (0.5, follows_power_law(6.0, 0.25))),
            ],
        },
    }


OTHER_CURVES = (
    (0.0005, 0.02, 0.06, 0.14),
    (0.0012, 0.08, 0.22, 0.42),
    (0.012, 0.33, 0.6, 0.78),
    (0.05, 0.55, 0.8, 0.92),
    (0.15, 0.45, 0.6, 0.72),
    (0.37, 0.83, 0.94, 0.984),
)
"""Made up, but for the ends of the last one, which are those of Llama-3-8B on MATH (Brown et al. 2024)."""


def held_out() -> dict[str, dict[str, list[Rates]]]:
    """Return groups on which nothing was chosen: they were written after all settings were fixed."""
    return {
        "like monkeys, other curves": {
            f"easy {easy}": [passes_through(points, easy) for points in OTHER_CURVES]
            for easy in (0.08, 0.2, 0.45)
        },
        "simulated, other parameters": {
            "beta": [beta(0.25, 6), beta(0.1, 30), beta(0.6, 20)],
            "kumaraswamy": [kumaraswamy(0.25, 4), kumaraswamy(0.5, 40)],
            "scaled": [beta(0.3, 3, 0.3), kumaraswamy(0.3, 6, 0.3)],
            "zero_inflated": [beta(0.6, 2, zero=0.08), beta(0.4, 10, zero=0.15)],
            "logit_normal": [logit_normal(-5, 2.5), logit_normal(-4, 3), logit_normal(-7, 2.5)],
            "power": [follows_power_law(7, 0.25), follows_power_law(3.5, 0.4), follows_power_law(5, 0.2)],
        },
        "other shapes, other parameters": {
            "skewed": [skewed(-3, 3.5, -3), skewed(-2, 4, -1.5), skewed(-6, 3, 2)],
            "two kinds": [
                mixed((0.7, logit_normal(-7, 1.2)), (0.3, beta(1, 4))),
                mixed((0.5, beta(0.8, 200)), (0.5, beta(0.5, 5))),
            ],
            "heavy tails": [logit_t(-7, 2, 3), logit_t(-4, 1.5, 5)],
            "unsolvable": [
                mixed((0.2, unsolvable), (0.8, logit_normal(-5, 2))),
                mixed((0.4, unsolvable), (0.6, beta(0.4, 20))),
            ],
        },
    }


@dataclass(frozen=True)
class Case:
    """A data set: what is seen, at which k it is to be forecast, and coverage of these problems there."""

    group: str
    family: str
    everything: Evidence
    origins: list[Evidence]
    furthest: int
    truth: float


def simulated(groups: dict[str, dict[str, list[Rates]]], sets: int, seed: int = 0) -> Iterator[Case]:
    """Draw data sets: counts at n/8, n/4, n/2 and n are those of the same growing pool."""
    for group, members in groups.items():
        for n in (100, 1000):
            for family, shapes in members.items():
                for place, rates in enumerate(shapes):
                    for repeat in range(sets):
                        rng = np.random.default_rng((seed, repeat, place, len(family)))
                        own = rates(rng, PROBLEMS)
                        evidence, seen, correct = [], 0, np.zeros(PROBLEMS, dtype=np.int64)
                        for size in [n // share for share in SHARES] + [n]:
                            correct = correct + rng.binomial(size - seen, own)
                            seen = size
                            evidence.append(evidence_of_counts(np.full(PROBLEMS, size), correct))
                        if np.any(correct > 0):
                            truth = float(-np.expm1(FURTHEST * np.log1p(-np.minimum(own, 1 - 1e-12))).mean())
                            yield Case(
                                f"{group}, n = {n:,}", family, evidence[-1], evidence[:-1], FURTHEST, truth
                            )


def real(data: dict[str, tuple[IntArray, IntArray]], draws: int) -> Iterator[Case]:
    """A tenth, a fifth and a half of each problem's completions, several times."""
    for name, (sampled, correct) in data.items():
        whole = int(sampled.min())
        truth = float(coverage(sampled, correct, np.array([whole])).mean())
        for n in (whole // 10, whole // 5, whole // 2):
            for draw in range(draws):
                rng = np.random.default_rng((draw, n))
                seen = thinned_counts(sampled, correct, n, rng)
                sizes = sorted({n // share for share in SHARES} - {0})
                origins = [evidence_of_counts(*thinned_counts(*seen, size, rng)) for size in sizes]
                yield Case("real", f"{name} {n}", evidence_of_counts(*seen), origins, whole, truth)


def game24(folder: Path) -> dict[str, tuple[IntArray, IntArray]]:
    cot = json.loads((folder / "game24-gpt4" / "cot.json").read_text())
    standard = json.loads((folder / "game24-gpt4" / "standard.json").read_text())
    correct = {
        "game24_cot": np.array([sum(info["r"] for info in row["infos"]) for row in cot]),
        "game24_standard": np.array([int(sum(row["accs"])) for row in standard]),
    }
    return {name: (np.full(len(found), 100), found) for name, found in correct.items()}


def reports(case: Case, refits: int, laws: Sequence[str]) -> dict[str, LawReport]:
    """Fit laws that take a curve or counts, as `itscale fit all` does."""
    reach = case.furthest / case.everything.last
    settings = FitSettings(refits=refits, holdout_refits=20, reach=reach)
    found = {}
    for plugin in registry().plugins("laws"):
        entry: Any = plugin.entry
        if entry.takes != "table" and (entry.name in laws or "all" in laws):
            law = entry.factory(entry.options())
            found[entry.name] = report_law(law, entry, case.everything, case.origins, settings)
    return found


def peers(case: Case, saber: Any) -> dict[str, float]:
    """Return what the peers forecast."""
    k, seen = case.everything.budgets.astype(float), case.everything.coverage.mean(axis=0)
    usable = (seen > 0) & (seen < 1)
    found = {}
    if usable.sum() > 1:
        slope, level = np.polyfit(np.log(k[usable]), np.log(-np.log(seen[usable])), 1)
        found["power_law_ols"] = float(np.exp(-np.exp(level) * case.furthest**slope))
    if saber is not None:
        model = saber.SABER().fit(case.everything.correct, case.everything.sampled)
        found["saber"] = float(model.predict(case.furthest).asr)
    return found


def judge(case: Case, refits: int, laws: Sequence[str], saber: Any) -> Iterator[dict[str, Any]]:
    """Yield a row per method: its error at the largest k, and whether the band holds the truth."""
    fitted = {law: report for law, report in reports(case, refits, laws).items() if report.ok}
    far = {law: report for law, report in fitted.items() if report.extrapolates}
    standing = {law: report.ensemble for law, report in far.items()}
    members = {law: report.forecasts for law, report in far.items()}
    if not members:  # too few points for any law
        return
    ensemble, _ = combine(members, standing, case.everything.problems)
    (first, *_) = leaderboard(members, ensemble, 0.95, far)
    last = {law: forecasts[-1] for law, forecasts in members.items()} | {ENSEMBLE: ensemble[-1]}
    values = {law: float(forecast.estimate[-1]) for law, forecast in last.items()}
    values |= {"first": values[first["law"]], **peers(case, saber)}
    for method, value in values.items():
        row: dict[str, Any] = {"group": case.group, "family": case.family, "method": method}
        row |= {"error": abs(value - case.truth), "bias": value - case.truth, "inside": None, "width": None}
        if method in last:
            low, high = (float(end[0]) for end in bounds(last[method].refits[:, -1:], 0.95))
            row |= {"inside": float(low <= case.truth <= high), "width": high - low}
        yield row


def show(rows: pl.DataFrame) -> None:
    """Print error, share inside the band and width by method and group, each family counting alike."""
    columns = ("error", "bias", "inside", "width")
    each = rows.group_by("group", "family", "method").agg(pl.col(columns).mean())
    means = each.group_by("group", "method").agg((100 * pl.col(columns).mean()).name.keep())
    for group in rows["group"].unique(maintain_order=True):
        cases = rows.filter(pl.col("group") == group, pl.col("method") == ENSEMBLE).height
        print(f"\n{group} ({cases} cases)\n{'':26}{'error':>8}{'bias':>8}{'in band':>9}{'width':>8}")
        for row in means.filter(pl.col("group") == group).sort("error").iter_rows(named=True):
            band = "" if row["inside"] is None else f"{row['inside']:>7.0f} %{row['width']:>8.1f}"
            print(f"{row['method']:26}{row['error']:>8.2f}{row['bias']:>+8.2f}{band}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--saber", type=Path, help="wheel (or folder) of saber-risk; imported if left out")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/completions"))
    parser.add_argument("--counts", type=Path, nargs="*", default=[], help="CSV files: problem, n, correct")
    parser.add_argument("--sets", type=int, default=2, help="data sets per distribution")
    parser.add_argument("--draws", type=int, default=10, help="draws from the real data")
    parser.add_argument("--refits", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the simulated data sets")
    parser.add_argument("--held-out", action="store_true", help="groups on which nothing was chosen")
    parser.add_argument("--laws", default=LAWS, help="laws to fit, with commas, or `all`")
    parser.add_argument("--output", type=Path, help="parquet of every row")
    arguments = parser.parse_args()
    if arguments.saber:
        sys.path.insert(0, str(arguments.saber))
    try:
        import saber
    except ImportError:
        saber = None
        print("saber-risk is not there: pip install saber-risk, or name its wheel with --saber")
    started = time.perf_counter()
    data = {}
    for path in arguments.counts:
        table = pl.read_csv(path)
        data[path.stem] = table["n"].to_numpy(), table["correct"].to_numpy()
    if not arguments.held_out and (arguments.data / "game24-gpt4").is_dir():
        data |= game24(arguments.data)
    groups = held_out() if arguments.held_out else families()
    cases = [*real(data, arguments.draws), *simulated(groups, arguments.sets, arguments.seed)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        laws = arguments.laws.split(",")
        rows = [row for case in cases for row in judge(case, arguments.refits, laws, saber)]
    found = pl.DataFrame(rows, infer_schema_length=None)
    if arguments.output:
        found.write_parquet(arguments.output)
    show(found)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
