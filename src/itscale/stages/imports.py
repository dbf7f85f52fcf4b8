"""Import: imported outcomes, checked row by row, in the form that our own have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from itscale.boundary.verifiers import CheckedOracle, make_oracle
from itscale.curves.pools import COUNT, SCORE_PREFIX, open_outcomes, successes_of
from itscale.errors import DataError
from itscale.estimators import coverage
from itscale.importing.checks import FOUND, MOST_ATTEMPTS, TOKENS, WHOLE, checks_of, hint
from itscale.importing.columns import score_label
from itscale.importing.files import UNREADABLE, reason
from itscale.importing.judging import judged
from itscale.importing.readers import open_sources
from itscale.importing.source import Source, table_metadata
from itscale.importing.values import PARTIAL, correctness, number, shown, whole
from itscale.outcomes import Design
from itscale.plugins.entries import VerifierEntry
from itscale.plugins.ingredient import Ingredient
from itscale.sandbox import Rung, containment
from itscale.sandbox.containment import DEFAULT_WEAKEST
from itscale.stages.declared import IMPORTED
from itscale.stages.footer import provenance
from itscale.stages.judging import judge
from itscale.stages.outcomes import gather_outcomes
from itscale.store.parquet import read_metadata, write_batches
from itscale.store.schemas import OUTCOMES, Schema
from itscale.study.study import Study

__all__ = ["Imported", "import_outcomes", "is_import_of", "write_outcomes"]

BATCH_ROWS = 1_000_000
"""Attempts held at a time; a problem with more is held alone."""


@dataclass(frozen=True)
class Imported:
    """What was imported: problems, attempts (fewest and most per problem), and the share that is correct.

    `single` is pass@1, the mean over problems of the share of correct attempts; `successes` are those after
    which a problem was left, None of other designs than `until_success`; `statuses` how many attempts have
    each status of the oracle's verdicts other than `judged`.
    """

    problems: int
    attempts: int
    fewest: int
    most: int
    single: float
    design: Design
    successes: int | None
    answers: bool
    scorers: tuple[str, ...]
    statuses: Mapping[str, int]


def write_outcomes(
    study: Study,
    task: str,
    model: str,
    strategy: str,
    *,
    problems: Path | None,
    completions: Sequence[Path],
    verdicts: Mapping[str, Sequence[Path]],
    output: Path,
) -> None:
    """Write the outcomes of a combination: gathered where it was sampled, imported where it was not.

    Arguments as `gather_outcomes`; `problems` is None, and the others are empty, where they are imported.
    """
    source = study.outcomes.get((task, model, strategy))
    if source is not None:
        import_outcomes(source, output, study.config.sandbox)
    elif problems is not None:
        blocks: dict[str, Any] = {"problems": problems, "completions": completions, "verdicts": verdicts}
        gather_outcomes(study, task, model, strategy, **blocks, output=output)


def import_outcomes(source: Source, output: Path, sandbox: Rung = DEFAULT_WEAKEST) -> Imported:
    """Check imported outcomes and write them (schema `OUTCOMES`).

    Attempts of a problem are numbered in the order of `attempt`, or of the file. Counts stay counts: one row
    for the correct attempts of a problem and one for the others, with their number as `count`.

    Parameters
    ----------
    sandbox
        The weakest that will do, where an oracle judges answers.

    Raises
    ------
    DataError
        If a file is damaged or a column missing, an attempt appears twice, correctness is not 0 or 1,
        more are correct than there are, or a number is negative; with the file and the row.
    """
    metadata = _origin(source)
    ours = table_metadata(source.paths[0]) if source.columns is None else None
    known = ours or {}
    metadata["simulated"] = bool(known.get("simulated", False))
    metadata["design"] = source.design or known.get("design", "fixed")
    metadata["answers"] = source.answers
    stopped = metadata["design"] == "until_success"
    if ours:
        there = open_outcomes(source.paths[0], source.successes)
        rows = there.rows
        if stopped:
            metadata["successes"] = successes_of(there.spans, source.paths[0], source.successes)
        write_batches(_slices(rows), dict(rows.collect_schema()), output, metadata)
    else:
        with containment(sandbox):
            oracle = None if source.oracle is None else _oracle(source.oracle)
        table = _Table(open_sources(source.paths, source.columns, source.where), source, oracle)
        if stopped:  # what is still to be judged is looked at when it has been
            metadata["successes"] = source.successes if oracle else table.successes()
        write_batches(table.batches(), table.schema, output, metadata)
    opened = open_outcomes(output)
    counts = opened.counts()
    return Imported(
        problems=len(counts.problems),
        attempts=int(counts.sampled.sum()),
        fewest=int(counts.sampled.min()),
        most=int(counts.sampled.max()),
        single=float(np.mean(coverage(counts.sampled, counts.correct, [1]))),
        design=opened.design,
        successes=opened.wanted if stopped else None,
        answers=source.answers,
        scorers=tuple(sorted(source.scorers)),
        statuses=_statuses(opened.rows),
    )


def _statuses(rows: pl.LazyFrame) -> dict[str, int]:
    found = rows.filter(pl.col("status") != "judged").group_by("status").len().sort("status").collect()
    return dict(found.iter_rows())


def is_import_of(path: Path, source: Source) -> bool:
    """Return whether a table was imported from a source, from its files as they are now."""
    try:
        found, origin = read_metadata(path), _origin(source)
    except DataError:
        return False
    return all(found.get(key) == value for key, value in json.loads(json.dumps(origin)).items())


def _origin(source: Source) -> dict[str, Any]:
    inputs = {f"source/{at}/{path.name}": path for at, path in enumerate(source.paths)}
    took_part = () if source.oracle is None else (source.oracle,)
    return provenance(IMPORTED, source.fingerprint(), inputs, *took_part)


def _oracle(ingredient: Ingredient[VerifierEntry]) -> CheckedOracle:
    ingredient.require_installed()
    return make_oracle(ingredient)


def _slices(rows: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    total = rows.select(pl.len()).collect().item()
    for start in range(0, total, BATCH_ROWS):
        yield rows.slice(start, BATCH_ROWS).collect()


class _Table:
    """Attempts (or counts) that are open: checked as a whole, then written problem by problem."""

    def __init__(self, found: pl.LazyFrame, source: Source, oracle: CheckedOracle | None) -> None:
        self.source = source
        self.oracle = oracle
        self.types = found.collect_schema()
        self.names = self.types.names()
        self.counted = "n" in self.names
        self.scores = [name for name in self.names if name.startswith(SCORE_PREFIX)]
        self.found = found
        self.stop = source.successes
        fields = [name for name in self.names if name not in ("source", "row")]
        self.reads = [self._read(name) for name in fields]
        self.rows = found.with_columns(self.reads)

    def _read(self, name: str) -> pl.Expr:
        """Return a field as what it is meant to be, null where it is not that."""
        dtype = self.types[name]
        if name == "correct" and not self.counted:
            return correctness(name, dtype)
        if name in WHOLE or name == "correct":
            return whole(name, dtype)
        if name == "cost" or name in self.scores:
            return number(name, dtype)
        return pl.col(name).cast(pl.String)

    @property
    def schema(self) -> Schema:
        """Columns of what is written."""
        extra: dict[str, Any] = dict.fromkeys(self.scores, pl.Float64)
        extra |= {"cost": pl.Float64} if "cost" in self.names else {}
        return {**OUTCOMES, **extra, **({COUNT: pl.Int64} if self.counted else {})}

    def batches(self) -> Iterator[pl.DataFrame]:
        """Yield the rows of the table to write, problems in the order of their ids."""
        self._check_values()
        problems = self._collect(self.rows.group_by("problem").len().sort("problem"))
        if problems.is_empty():
            raise DataError(f"{self.source.paths[0]}: found no rows, expected at least one")
        held = problems.with_columns(batch=pl.col("len").cum_sum() // BATCH_ROWS)
        for part in held.partition_by("batch", maintain_order=True):
            mine = pl.col("problem").is_in(part["problem"].implode())
            rows = self._collect(self.rows if len(part) == len(problems) else self.rows.filter(mine))
            yield self._counts(rows) if self.counted else self._attempts(rows)

    def _path(self, field: str) -> str:
        columns = self.source.columns or {}
        label = score_label(field.replace(SCORE_PREFIX, "score.", 1))
        return next(
            (columns[name] for name in (field, f"score.{label}", str(label)) if name in columns), field
        )

    def _check_values(self) -> None:
        """Refuse the first row with a value that cannot be."""
        found = pl.exclude("source", "row").name.suffix(FOUND)
        rows = self.found.with_columns(found).with_columns(self.reads)
        checks = checks_of(self.names)
        wrong = reduce(or_, (bad for _, bad, _ in checks))
        first = self._collect(rows.filter(wrong).sort("source", "row", maintain_order=True).head(1))
        for name, bad, expected in checks if len(first) else ():
            if first.select(bad).item():
                self._refuse(first.row(0, named=True), name, expected)
        if not self.counted and "correct" in self.names and self.types["correct"] == pl.String:
            self._refuse_partial()

    def _refuse(self, row: Mapping[str, Any], name: str, expected: str) -> None:
        value, path = row[f"{name}{FOUND}"], self._path(name)
        beside = f" of n = {shown(row[f'n{FOUND}'])}" if self.counted and name == "correct" else ""
        meant = hint(name, path, value, counted=self.counted)
        raise DataError(
            f"{self.source.paths[row['source']]}: row {row['row']} (problem {row['problem']!r}): {path}: "
            f"found {shown(value)}{beside}, expected {expected}{meant}"
        )

    def _refuse_partial(self) -> None:
        """Refuse `P` where it may be inspect's partial success."""
        words = self.found.select(pl.col("correct").str.strip_chars().str.to_lowercase().unique())
        there = set(self._collect(words)["correct"])
        if "p" in there and (there & set(PARTIAL) or there == {"p"}):
            raise DataError(
                f"{self.source.paths[0]}: {self._path('correct')}: found 'P', which is a pass beside 'F' and "
                "a partial success beside 'C', 'I' and 'N', expected 0 or 1"
            )

    def _attempts(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Give the attempts of each problem their numbers."""
        if "attempt" in self.names:
            rows = self._in_order(rows)
        else:
            rows = rows.sort("problem", "source", "row", maintain_order=True)
        if self.source.oracle is not None and self.oracle is not None:
            label = self.source.oracle.label
            rows = judged(rows, self.oracle, label, judge, str(self.source.paths[0]))
        elif "answer" in self.names:
            answer = pl.col("answer").str.strip_chars()
            rows = rows.with_columns(answer=pl.when(answer != "").then(answer))
            absent = pl.col("answer").is_null()
            rows = rows.with_columns(
                status=pl.when(absent).then(pl.lit("unparsable")).otherwise(pl.lit("judged"))
            )
        else:
            rows = rows.with_columns(answer=pl.lit(None, dtype=pl.String), status=pl.lit("judged"))
        rows = rows.with_columns(index=pl.col("row").cum_count().over("problem") - 1)
        most = int(rows["index"].max() or 0) + 1  # type: ignore[arg-type]
        if most > MOST_ATTEMPTS:
            raise DataError(
                f"{self.source.paths[0]}: found {most:,} attempts at a problem, expected at most "
                f"{MOST_ATTEMPTS:,}"
            )
        if self.design == "until_success":
            self._check_last(rows)
        return self._shaped(rows)

    @property
    def design(self) -> Design:
        """How the number of attempts came about."""
        return self.source.design or "fixed"

    def _in_order(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Sort the attempts of each problem, numbers as numbers; refuse one that appears twice."""
        names = rows["attempt"].unique().to_list()
        keys = {name: _natural(name) for name in names}
        ranks = {key: place for place, key in enumerate(sorted(set(keys.values())))}
        places = {name: ranks[key] for name, key in keys.items()}
        order = pl.col("attempt").replace_strict(places, return_dtype=pl.Int64).alias("place")
        rows = rows.with_columns(order).sort("problem", "place", "source", "row")
        again = pl.all_horizontal(pl.col("problem", "place") == pl.col("problem", "place").shift(1))
        twice = rows.filter(rows.select(same=again)["same"].fill_null(False))
        if len(twice):
            row = twice.row(0, named=True)
            raise DataError(
                f"{self.source.paths[row['source']]}: row {row['row']}: attempt {shown(row['attempt'])} at "
                f"problem {row['problem']!r} appears twice, expected once"
            )
        return rows

    def successes(self) -> int:
        """Return after how many correct attempts a problem was left; refuse what does not tell."""
        self._check_values()
        sampled = pl.col("n").first() if self.counted else pl.len()
        counts = self._collect(
            self.rows.group_by(problem_id="problem").agg(sampled=sampled, correct=pl.col("correct").sum())
        )
        self.stop = successes_of(counts, self.source.paths[0], self.source.successes)
        return self.stop

    def _check_last(self, rows: pl.DataFrame) -> None:
        """Refuse attempts after the success at which sampling is said to have stopped."""
        ends = rows.group_by("problem").agg(pl.col("correct").sum(), last=pl.col("correct").last())
        most = self.stop or int(ends["correct"].max() or 0)  # type: ignore[arg-type]
        on = ends.filter((pl.col("correct") == most) & (pl.col("last") == 0)).sort("problem")
        if most and len(on):
            raise DataError(
                f"{self.source.paths[0]}: problem {on['problem'][0]!r}: found attempts after success "
                f"number {most}, expected none: the design is until_success"
            )

    def _counts(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Put each problem's counts into a row for what is correct and a row for what is not."""
        twice = rows.filter(pl.col("problem").is_duplicated())
        if len(twice):
            row = twice.sort("problem", "source", "row").row(1, named=True)
            raise DataError(
                f"{self.source.paths[row['source']]}: row {row['row']}: problem {row['problem']!r} appears "
                "twice, expected its counts in one row"
            )
        missing = pl.col("n") - pl.col("correct")  # they come first, as where sampling ended at a success
        right = rows.with_columns(missing.alias("index"), pl.col("correct").alias(COUNT), correct=1)
        wrong = rows.with_columns(missing.alias(COUNT), index=0, correct=0)
        both = pl.concat([right, wrong.select(right.columns)], how="vertical_relaxed").filter(
            pl.col(COUNT) > 0
        )
        nothing = pl.lit(None, dtype=pl.String)
        return self._shaped(
            both.sort("problem", "index").with_columns(answer=nothing, status=pl.lit("judged"))
        )

    def _shaped(self, rows: pl.DataFrame) -> pl.DataFrame:
        absent = [name for name in TOKENS if name not in self.names]
        return rows.rename({"problem": "problem_id"}).with_columns(
            *(pl.lit(None, dtype=pl.Int32).alias(name) for name in absent),
            budget=pl.lit(0),
            replicate=pl.lit(0),
            correct=pl.col("correct") == 1,
        )

    def _collect(self, table: pl.LazyFrame) -> pl.DataFrame:
        try:
            return table.collect(engine="streaming")
        except UNREADABLE as error:
            raise DataError(f"{self.source.paths[0]}: {reason(error)}") from None


def _natural(name: str) -> tuple[Any, ...]:
    """Return what sorts names of attempts as people do: run 9 before run 10, 9 before 10."""
    try:
        return ((0, float(name), ""),)
    except ValueError:
        pieces = [piece for piece in re.split(r"(\d+)", name) if piece]
        return tuple((0, float(piece), "") if piece.isdecimal() else (1, 0.0, piece) for piece in pieces)
