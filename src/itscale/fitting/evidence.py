"""Evidence of a law, problem by problem, so that problems can be resampled and budgets withheld."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from itscale.estimators import coverage, k_grid
from itscale.outcomes import Design, FloatArray, IntArray
from itscale.plugins.laws import LawData

__all__ = [
    "GAP",
    "Evidence",
    "evidence_of_counts",
    "evidence_of_curve",
    "evidence_of_runs",
    "origins_of_curve",
    "thinned_counts",
]

GAP = 2
"""A law fitted to budgets up to X is evaluated at budgets from GAP * X."""

_NONE: IntArray = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Evidence:
    """What is known of one (task, model, strategy) from so many completions.

    Attributes
    ----------
    budgets
        k of each point of the curve, increasing, shape (m,).
    coverage
        Coverage of each problem at each k, shape (problems, m). A curve whose problems are unknown has one
        row; where the design would bias it, every entry is NaN.
    sampled, correct
        Counts per problem, shape (problems,); empty for runs and for curves.
    design
        How the number of completions came about.
    clusters
        The cluster of each problem, where problems of one are resampled together.
    kind
        What is at each budget: `coverage`, a share in [0, 1], or any `series` y(x).
    """

    budgets: IntArray | FloatArray
    coverage: FloatArray
    sampled: IntArray
    correct: IntArray
    design: Design = "fixed"
    clusters: Sequence[str] | None = None
    kind: Literal["coverage", "series"] = "coverage"

    @property
    def fitted_to(self) -> float:
        """The largest budget seen, whole where it counts completions."""
        return int(self.last) if self.kind == "coverage" else self.last

    @property
    def last(self) -> float:
        """The largest budget seen."""
        return float(self.budgets[-1])

    @property
    def problems(self) -> int:
        """How many problems there are; a curve whose problems are unknown counts as one."""
        return len(self.coverage)

    def resamples(self, count: int, rng: np.random.Generator) -> Iterator[IntArray]:
        """Yield problems (indices) drawn with replacement, or whole clusters of them.

        From generators of one seed, the r-th resample is the same for every law and at every origin.
        """
        if self.clusters is None:
            for _ in range(count):
                yield rng.integers(self.problems, size=self.problems)
            return
        _, cluster = np.unique(np.asarray(self.clusters), return_inverse=True)
        members = [np.flatnonzero(cluster == label) for label in range(cluster.max() + 1)]
        for _ in range(count):
            drawn = rng.integers(len(members), size=len(members))
            yield np.concatenate([members[label] for label in drawn])

    def data(self, problems: IntArray | None = None) -> LawData:
        """Return what a law sees of all problems, or of a resample of them (indices)."""
        chosen = slice(None) if problems is None else problems
        counted = len(self.sampled) > 0
        return LawData(
            budgets=self.budgets,
            coverage=self.coverage[chosen].mean(axis=0),
            sampled=self.sampled[chosen] if counted else self.sampled,
            correct=self.correct[chosen] if counted else self.correct,
            design=self.design,
        )

    def withheld_from(self, origin: Evidence) -> Evidence | None:
        """Return the points that a law fitted to `origin` is evaluated at, or None if there are none.

        The origin has the same problems, or none that are known.
        """
        beyond = self.budgets >= GAP * origin.last
        if not np.any(beyond):
            return None
        held = self.coverage[:, beyond]
        return Evidence(self.budgets[beyond], held, self.sampled, self.correct, kind=self.kind)


def evidence_of_counts(
    sampled: IntArray,
    correct: IntArray,
    budgets: IntArray | None = None,
    design: Design = "fixed",
    clusters: Sequence[str] | None = None,
) -> Evidence:
    """Return exact coverage at each k, and the counts themselves.

    Parameters
    ----------
    sampled, correct
        Completions per problem and how many are correct, shape (problems,).
    budgets
        k of the curve; those above the smallest n are left out. Log-spaced up to it if left out.
    design
        Where n was not fixed beforehand, coverage at k <= n would be biased: it is left NaN, at k up to the
        largest n, and only laws of counts can be fitted.
    clusters
        The cluster of each problem, if problems of one are resampled together.
    """
    if design != "fixed":
        grid = k_grid(int(sampled.max()))
        return Evidence(grid, np.full((len(sampled), len(grid)), np.nan), sampled, correct, design, clusters)
    smallest = int(sampled.min())
    grid = k_grid(smallest) if budgets is None else budgets[budgets <= smallest]
    return Evidence(grid, coverage(sampled, correct, grid), sampled, correct, clusters=clusters)


def evidence_of_runs(frame: pl.DataFrame, budgets: IntArray, replicates: int) -> Evidence:
    """Return the share of runs with a correct completion, of each problem at each budget.

    A run that left no completion has no outcomes: it counts among the replicates, as a failure.
    """
    runs = frame.group_by("problem_id", "budget", "replicate").agg(pl.col("correct").any())
    cells = runs.group_by("problem_id", "budget").agg(pl.col("correct").sum() / replicates)
    table = cells.pivot("budget", index="problem_id", values="correct").sort("problem_id").fill_null(0.0)
    absent = [pl.lit(0.0).alias(str(k)) for k in budgets if str(k) not in table.columns]
    shares = table.with_columns(absent).select(str(k) for k in budgets).to_numpy()
    return Evidence(budgets, shares, _NONE, _NONE)


def evidence_of_curve(
    budgets: FloatArray, values: FloatArray, kind: Literal["coverage", "series"] = "coverage"
) -> Evidence:
    """Return a curve without its problems: nothing can be resampled."""
    order = np.argsort(budgets)
    return Evidence(budgets[order], values[order][None, :], _NONE, _NONE, kind=kind)


def origins_of_curve(everything: Evidence, shares: Sequence[int]) -> list[Evidence]:
    """Return the curve up to 1/share of its largest budget for each share, smallest first.

    What runs (and curves without problems) have instead of first completions: smaller budgets.
    """
    origins = []
    for share in sorted(shares, reverse=True):
        kept = everything.budgets <= everything.last / share
        if np.any(kept):
            seen = everything.coverage[:, kept]
            origins.append(Evidence(everything.budgets[kept], seen, _NONE, _NONE, kind=everything.kind))
    return origins


def thinned_counts(
    sampled: IntArray, correct: IntArray, kept: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Return the counts of `kept` completions of each problem, drawn without replacement.

    Completions are exchangeable, so that a random part of them is what a smaller study would have had; for
    counts whose order of completions is not known.
    """
    drawn = rng.hypergeometric(correct, sampled - correct, kept)
    return np.full(len(sampled), kept, dtype=np.int64), drawn.astype(np.int64)
