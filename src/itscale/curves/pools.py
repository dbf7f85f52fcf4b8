"""The outcomes of one (task, model, strategy) as selectors and laws want them: pools, runs, counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl

from itscale.errors import DataError, DesignError
from itscale.estimators import stops_of
from itscale.outcomes import COMPLETIONS, DESIGNS, UNPARSABLE, Design, IntArray, ProblemOutcomes
from itscale.seeds import generator
from itscale.store.parquet import read_metadata, scan_table, whole_table
from itscale.store.schemas import COMPLETION_KEY, OUTCOMES, RUN_KEY

__all__ = ["Outcomes", "Pool", "ProblemCounts", "open_outcomes", "successes_of"]

SCORE_PREFIX = "score_"
COUNT = "count"
"""Column of an imported table that holds counts: how many completions a row stands for."""

BATCH_ROWS = 500_000
"""Rows read at a time; a problem with more is read alone."""


@dataclass(frozen=True)
class Pool:
    """Completions that are selected from together: all of a problem (budget 0), or those of one run."""

    budget: int
    replicate: int
    outcomes: ProblemOutcomes


@dataclass(frozen=True)
class ProblemCounts:
    """Per problem, in the order of `problems`: completions, and how many are correct; shape (problems,)."""

    problems: tuple[str, ...]
    sampled: IntArray
    correct: IntArray


@dataclass(frozen=True)
class Outcomes:
    """Outcomes that are open: facts about each problem at hand, completions read a few problems at a time.

    Attributes
    ----------
    path
        Where they are.
    rows
        Every row, each problem's in one piece (schema `OUTCOMES`).
    spans
        One row per problem, in the order of `rows`: `problem_id`, `first` and `rows` (where it lies),
        `sampled`, `correct`, `generated_tokens` (sum; null where one is not known), `prompt_tokens`.
    design
        How the number of completions of a pool came about. `fixed` of runs: each is judged as a whole, and no
        estimate is biased by what happened in it.
    wanted
        After how many correct completions sampling until success stopped; 1 of other designs.
    simulated
        Whether the completions come from the simulated engine.
    axis
        What the budget of a run counts.
    """

    path: Path
    rows: pl.LazyFrame
    spans: pl.DataFrame
    design: Design
    wanted: int
    simulated: bool
    axis: str = COMPLETIONS

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return self.rows.collect_schema().names()

    @property
    def ordered(self) -> bool:
        """Whether it is known which completions came first: not where all there is are counts."""
        return COUNT not in self.columns

    def counts(self, first: int | None = None) -> ProblemCounts:
        """Count completions and correct ones per problem, sorted by problem, in one streaming pass.

        Parameters
        ----------
        first
            Count only the first so many of each problem's. Where their order is not known, so many are drawn
            without replacement, the same ones each time: completions are exchangeable, so a random part is
            what a smaller study would have had.
        """
        if first is None or not self.ordered:
            return _counts(_thinned(self.spans.sort("problem_id"), first))
        kept = self.rows.filter(pl.col("index") < first)
        return _counts(self._collect(kept.group_by("problem_id").agg(_SAMPLED, _CORRECT).sort("problem_id")))

    def runs(self) -> pl.DataFrame:
        """Return each run that left a completion, and whether one of them is correct, sorted."""
        any_right = pl.col("correct").fill_null(False).any()
        return self._collect(self.rows.group_by(RUN_KEY).agg(any_right).sort(RUN_KEY))

    def pools(self, scorers: Iterable[str] | None = None) -> Iterator[Pool]:
        """Yield the completions of each problem (and run), problems in the order of the table.

        Parameters
        ----------
        scorers
            Labels of the scorers whose scores are wanted; all of them if left out. Those that have none here
            are left out.

        Raises
        ------
        DataError
            If a completion appears twice, or the file is damaged.
        """
        there = [name for name in self.columns if name.startswith(SCORE_PREFIX)]
        scores = [name for name in there if scorers is None or name.removeprefix(SCORE_PREFIX) in scorers]
        weights = [] if self.ordered else [COUNT]
        wanted = [*COMPLETION_KEY, "answer", "correct", *scores, *weights]
        for start, length in _batches(self.spans["rows"].to_list()):
            batch = self._collect(self.rows.select(wanted).slice(start, length))
            yield from _pools(_in_order(batch, self.path), scores, self.design, self.wanted)

    def _collect(self, lazy: pl.LazyFrame) -> pl.DataFrame:
        with whole_table(self.path):
            return lazy.collect(engine="streaming")


_SAMPLED = pl.len().cast(pl.Int64).alias("sampled")
_CORRECT = pl.col("correct").fill_null(False).sum().cast(pl.Int64)  # a verdict never reached counts as wrong


def open_outcomes(path: Path, successes: int | None = None) -> Outcomes:
    """Open outcomes without reading them all: memory follows the number of problems.

    A table whose problems are not each in one piece (no stage writes such) is sorted first, in memory.

    Parameters
    ----------
    successes
        After how many correct completions a problem was left, if the table does not say it.

    Raises
    ------
    DataError
        If the table is damaged or empty.
    """
    rows = scan_table(path, OUTCOMES)
    metadata = read_metadata(path)
    with whole_table(path):
        spans = _spans(rows)
        if not spans["whole"].all():
            rows = rows.sort(*COMPLETION_KEY).collect().lazy()
            spans = _spans(rows)
    if spans.is_empty():
        if said := metadata.get("empty"):
            raise DataError(
                f"{path}: no outcomes: {said}; failures.csv of the reports lists them, and `itscale run "
                "--retry-failures` tries them again once the cause is mended"
            )
        raise DataError(f"{path}: no outcomes, expected at least one completion")
    design = "fixed" if spans["in_runs"].any() else _design(metadata, path)
    stopped = design == "until_success"
    wanted = successes_of(spans, path, successes or metadata.get("successes")) if stopped else 1
    spans = spans.drop("whole", "in_runs")
    simulated, axis = bool(metadata.get("simulated", False)), str(metadata.get("axis", COMPLETIONS))
    return Outcomes(path, rows, spans, design, wanted, simulated, axis)


def successes_of(spans: pl.DataFrame, path: Path, known: int | None = None) -> int:
    """Return after how many correct completions problems with these counts were left.

    Refuse counts (`problem_id`, `sampled`, `correct`) that sampling until so many cannot leave, or that tell
    it not where it is not `known`.

    Raises
    ------
    DataError
        With the problems that contradict each other: see `itscale.estimators.stops_of`.
    """
    ordered = spans.sort("problem_id")
    try:
        names = ordered["problem_id"].to_list()
        return stops_of(names, ordered["sampled"].to_numpy(), ordered["correct"].to_numpy(), known)
    except DesignError as error:
        raise DataError(f"{path}: {error}") from None


def _counts(table: pl.DataFrame) -> ProblemCounts:
    return ProblemCounts(tuple(table["problem_id"]), table["sampled"].to_numpy(), table["correct"].to_numpy())


def _design(metadata: Mapping[str, Any], path: Path) -> Design:
    design = metadata.get("design", "fixed")
    if design not in DESIGNS:
        raise DataError(f"{path}: design: found {design!r}, expected one of {', '.join(DESIGNS)}")
    return cast(Design, design)


def _spans(rows: pl.LazyFrame) -> pl.DataFrame:
    """Return where each problem's rows lie and what they add up to, in their order."""
    counted = COUNT in rows.collect_schema().names()
    weight = pl.col(COUNT) if counted else pl.lit(1, dtype=pl.Int64)
    right, generated = pl.col("correct").fill_null(False), pl.col("generated_tokens")
    known = generated.null_count() == 0
    table = (
        rows.with_row_index("row")
        .group_by("problem_id")
        .agg(
            pl.col("row").min().alias("first"),
            pl.len().alias("rows"),
            (pl.col("row").max() - pl.col("row").min() + 1 == pl.len()).alias("whole"),
            (pl.col("budget") > 0).any().alias("in_runs"),
            pl.col(COUNT).sum().alias("sampled") if counted else _SAMPLED,
            (right * weight).sum().cast(pl.Int64).alias("correct"),
            pl.when(known).then((generated.cast(pl.Int64) * weight).sum()).alias("generated_tokens"),
            pl.col("prompt_tokens").max(),
        )
    )
    return table.sort("first").collect(engine="streaming")


def _batches(lengths: list[int]) -> Iterator[tuple[int, int]]:
    """Yield start and length of pieces that hold whole problems, at most `BATCH_ROWS` rows if they can."""
    start = held = 0
    for length in lengths:
        if held and held + length > BATCH_ROWS:
            yield start, held
            start, held = start + held, 0
        held += length
    yield start, held


def _in_order(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Sort rows by problem, run and index; refuse a completion that appears twice."""
    frame = frame.sort(*COMPLETION_KEY)
    again = frame.select(same=pl.all_horizontal(pl.col(*COMPLETION_KEY).eq(pl.col(*COMPLETION_KEY).shift(1))))
    twice = frame.filter(again["same"].fill_null(False))
    if not twice.is_empty():
        row = twice.row(0, named=True)
        raise DataError(f"{path}: completion {row['index']} of problem {row['problem_id']!r} appears twice")
    return frame.with_columns(pl.col("correct").fill_null(False))


def _pools(frame: pl.DataFrame, scores: list[str], design: Design, wanted: int) -> Iterator[Pool]:
    names = pl.Enum(frame["answer"].drop_nulls().unique().sort())
    classes = pl.col("answer").cast(names).to_physical().cast(pl.Int64).fill_null(UNPARSABLE)
    for part in frame.with_columns(classes).partition_by(*RUN_KEY, maintain_order=True):
        problem_id, budget, replicate = (part[name][0] for name in RUN_KEY)
        repeats = part[COUNT].to_numpy() if COUNT in part.columns else None
        outcomes = ProblemOutcomes(
            problem_id=problem_id,
            answers=_repeated(part["answer"], repeats),
            correct=_repeated(part["correct"], repeats),
            scores={
                name.removeprefix(SCORE_PREFIX): _repeated(part[name].fill_null(np.nan), repeats)
                for name in scores
            },
            design=design,
            wanted=wanted,
        )
        yield Pool(budget, replicate, outcomes)


def _repeated(column: pl.Series, repeats: IntArray | None) -> Any:
    values = column.to_numpy()
    return values if repeats is None else np.repeat(values, repeats)


def _thinned(spans: pl.DataFrame, first: int | None) -> pl.DataFrame:
    """Draw the first so many completions of each problem where only the counts are known."""
    if first is None:
        return spans
    sampled, correct = spans["sampled"].to_numpy(), spans["correct"].to_numpy()
    kept = np.minimum(sampled, first)
    drawn = generator("thinned", first).hypergeometric(correct, sampled - correct, kept)
    return pl.DataFrame({"problem_id": spans["problem_id"], "sampled": kept, "correct": drawn})
