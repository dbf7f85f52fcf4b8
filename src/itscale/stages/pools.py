"""The outcomes of one (task, model, strategy) as selectors and laws want them: pools, runs, counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from itscale.errors import DataError
from itscale.selection import UNPARSABLE, IntArray, ProblemOutcomes
from itscale.store import OUTCOMES, read_table

__all__ = ["Counts", "Pool", "correct_counts", "pools", "read_outcomes"]

RUN = ("problem_id", "budget", "replicate")
SCORE_PREFIX = "score_"


@dataclass(frozen=True)
class Pool:
    """Completions that are selected from together: all of a problem (budget 0), or those of one run."""

    budget: int
    replicate: int
    outcomes: ProblemOutcomes


@dataclass(frozen=True)
class Counts:
    """Per problem, in the order of `problems`: completions, and how many are correct; shape (problems,)."""

    problems: tuple[str, ...]
    sampled: IntArray
    correct: IntArray


def read_outcomes(path: Path) -> pl.DataFrame:
    """Read outcomes in the one order everything downstream relies on.

    Raises
    ------
    DataError
        If the table is damaged, empty, or holds a completion twice.
    """
    frame = read_table(path, OUTCOMES).sort(*RUN, "index")
    if frame.is_empty():
        raise DataError(f"{path}: no outcomes, expected at least one completion")
    twice = frame.filter(pl.struct(*RUN, "index").is_duplicated())
    if not twice.is_empty():
        row = twice.row(0, named=True)
        raise DataError(f"{path}: completion {row['index']} of problem {row['problem_id']!r} is there twice")
    # a verdict that was never reached counts as wrong
    return frame.with_columns(pl.col("correct").fill_null(False))


def pools(frame: pl.DataFrame) -> Iterator[Pool]:
    """Yield the completions of each problem (and run), in order of problem, budget and replicate."""
    scorers = [name for name in frame.columns if name.startswith(SCORE_PREFIX)]
    answer_class = pl.col("answer").rank("dense").cast(pl.Int64).fill_null(UNPARSABLE)
    for part in frame.with_columns(answer_class.alias("answer")).partition_by(*RUN, maintain_order=True):
        problem_id, budget, replicate = (part[name][0] for name in RUN)
        outcomes = ProblemOutcomes(
            problem_id=problem_id,
            answers=part["answer"].to_numpy(),
            correct=part["correct"].to_numpy(),
            scores={
                name.removeprefix(SCORE_PREFIX): part[name].fill_null(np.nan).to_numpy() for name in scorers
            },
        )
        yield Pool(budget, replicate, outcomes)


def correct_counts(frame: pl.DataFrame, first: int | None = None) -> Counts:
    """Count completions and correct ones per problem, in all of an exchangeable pool or in its first ones."""
    kept = frame if first is None else frame.filter(pl.col("index") < first)
    table = kept.group_by("problem_id").agg(pl.len(), pl.col("correct").sum()).sort("problem_id")
    return Counts(
        problems=tuple(table["problem_id"]),
        sampled=table["len"].cast(pl.Int64).to_numpy(),
        correct=table["correct"].cast(pl.Int64).to_numpy(),
    )
