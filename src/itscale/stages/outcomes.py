"""Outcomes: completions and verdicts of a strategy joined, and answers put into classes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path

import polars as pl

from itscale.boundary import CheckedOracle, make_oracle, stops_after
from itscale.errors import DataError
from itscale.sampling.blocks import Block
from itscale.sampling.failures import (
    Failure,
    ProblemFailures,
    allowed,
    first_reasons,
    read_failures,
    too_many,
)
from itscale.sandbox import containment
from itscale.stages.declared import OUTCOMES as STAGE
from itscale.store.parquet import read_metadata, read_table, write_batches
from itscale.store.schemas import COMPLETION_KEY, COMPLETIONS, OUTCOMES, PROBLEMS, VERDICTS, Schema
from itscale.study.study import Study

__all__ = ["UNCLASSIFIED", "gather_outcomes", "units_of_blocks"]

UNCLASSIFIED = "unclassified"
"""Status of an answer that was judged, but that its oracle failed to compare with the others."""

"""The columns that name a completion within a task, model and strategy."""

BATCH_ROWS = 1_000_000
"""Completions joined at a time, if the blocks that hold them allow."""


def gather_outcomes(
    study: Study,
    task: str,
    model: str,
    strategy: str,
    *,
    problems: Path,
    completions: Sequence[Path],
    verdicts: Mapping[str, Sequence[Path]],
    output: Path,
) -> None:
    """Write the outcomes of a strategy: what each completion answered, whether that is right, its scores.

    Problems are written in the order of their file, a few at a time: memory follows the completions of one
    problem. Texts are never read.

    Parameters
    ----------
    completions
        All blocks of the strategy.
    verdicts
        By label of the verifier (the task's oracle and every scorer): its verdicts on those blocks.

    Raises
    ------
    DataError
        If a completion appears twice, belongs to no problem, or lacks a verdict; or a verdict is there
        twice or belongs to no completion.
    TooManyFailuresError
        If more units failed, over all blocks, than the study allows.
    """
    pooled = not study.converses(strategy)
    failures = _check_failures(study, f"{task}/{model}/{strategy}", completions, pooled=pooled)
    oracle, *scorers = study.verifiers_of(task)
    missing = sorted({oracle, *scorers} - verdicts.keys())
    if missing:
        raise DataError(f"outcomes of {task}/{model}/{strategy}: no verdicts of {', '.join(missing)}")
    order = read_table(problems, PROBLEMS, ["problem_id"])["problem_id"]
    blocks = _Blocks.find(completions, COMPLETIONS, "completion")
    judged = {label: _Blocks.find(verdicts[label], VERDICTS, f"verdict of {label}") for label in verdicts}
    _check_problems(order, problems, blocks, judged)
    with containment(study.config.sandbox):
        judge = make_oracle(study.oracles[task])
    lost = ProblemFailures(
        f"{task}/{model}/{strategy}: verifiers.{oracle}: classes()", len(order), study.config.max_failures
    )
    batches = (
        _gathered(batch, blocks, judged, oracle, scorers, judge, lost)
        for batch in _batches(order.to_list(), blocks.index)
    )
    inputs = _inputs(problems, completions, verdicts)
    place = {"task": task, "model": model, "strategy": strategy}
    took_part = (study.tasks[task], study.models[model], study.strategies[strategy], study.oracles[task])
    metadata = STAGE.footer(study, place, inputs, *took_part, *study.scorers.values())
    _check_judged(metadata["inputs"], verdicts)
    metadata["simulated"] = any(
        bool(read_metadata(path).get("simulated"))
        for path in (*completions, *chain.from_iterable(verdicts.values()))
    )
    if failures and blocks.index.is_empty():
        metadata["empty"] = f"all {len(failures)} units failed: {first_reasons(failures)}"
    metadata["design"] = study.strategies[strategy].entry.design
    metadata["axis"] = study.axis(strategy)
    if metadata["design"] == "until_success":
        metadata["successes"] = stops_after(study.strategies[strategy])
    schema = {**OUTCOMES, **{f"score_{scorer}": pl.Float64 for scorer in scorers}}
    try:
        write_batches(batches, schema, output, metadata)
    finally:
        asyncio.run(judge.close())


def units_of_blocks(paths: Sequence[Path], *, pooled: bool) -> int:
    """Return how many units the blocks of a strategy have, by their files' names.

    Each run is one; of an exchangeable strategy, the part of a problem's pool that is in a block is one if it
    is `pooled`, else each completion is.
    """
    blocks = [Block.parse(path.stem) for path in paths]
    return sum(
        block.problem_stop - block.problem_start if pooled and not block.budget else block.units
        for block in blocks
    )


def _check_failures(study: Study, place: str, completions: Sequence[Path], *, pooled: bool) -> list[Failure]:
    """Return what failed; refuse more than the study allows: each block saw its own only."""
    failures = [failure for path in completions for failure in read_failures(path)]
    if not failures:
        return []
    units, bound = units_of_blocks(completions, pooled=pooled), study.config.max_failures
    if len(failures) > allowed(bound, units):
        advice = "try what failed again: itscale run STUDY --retry-failures"
        raise too_many(place, failures, units, bound, advice)
    return failures


def _inputs(
    problems: Path, completions: Sequence[Path], verdicts: Mapping[str, Sequence[Path]]
) -> dict[str, Path]:
    found = {"problems": problems} | {f"completions/{path.stem}": path for path in completions}
    for label, paths in verdicts.items():
        found |= {f"verdicts/{label}/{path.stem}": path for path in paths}
    return found


def _check_judged(inputs: Mapping[str, str], verdicts: Mapping[str, Sequence[Path]]) -> None:
    """Refuse verdicts on other completions than those of the block they are named after."""
    for path in (path for paths in verdicts.values() for path in paths):
        judged = read_metadata(path).get("inputs", {}).get("completions")
        there = inputs.get(f"completions/{path.stem}")
        if judged and there and judged != there:
            raise DataError(
                f"{path}: verdicts on other completions than those of {path.stem}; move it elsewhere, and "
                "`itscale run` judges them again"
            )


@dataclass(frozen=True)
class _Blocks:
    """The files of one kind, and which problems each holds: `index` has `problem_id`, `file`, `rows`."""

    paths: Sequence[Path]
    schema: Schema
    what: str
    index: pl.DataFrame

    @classmethod
    def find(cls, paths: Sequence[Path], schema: Schema, what: str) -> _Blocks:
        """Look into the files, reading no more of them than who is there."""
        if not paths:
            raise DataError(f"outcomes: found no files of {what}s, expected at least one block")
        parts = [
            read_table(path, schema, ["problem_id"])
            .group_by("problem_id", maintain_order=True)
            .agg(pl.len().alias("rows"))
            .with_columns(file=pl.lit(at))
            for at, path in enumerate(paths)
        ]
        return cls(paths, schema, what, pl.concat(parts))

    def read(self, problems: Sequence[str], columns: Sequence[str]) -> pl.DataFrame:
        """Return some columns of all rows on some problems; refuse a completion that appears twice."""
        mine = pl.col("problem_id").is_in(problems)
        files = self.index.filter(mine)["file"].unique().sort()
        wanted = [*COMPLETION_KEY, *columns]
        parts = [read_table(self.paths[at], self.schema, wanted).filter(mine) for at in files]
        empty = pl.DataFrame(schema={name: self.schema[name] for name in (*COMPLETION_KEY, *columns)})
        frame = pl.concat([empty, *parts])
        if frame.select(pl.struct(COMPLETION_KEY).n_unique()).item() < len(frame):
            twice = frame.filter(pl.struct(COMPLETION_KEY).is_duplicated())
            raise DataError(f"{self.folder}: {self.what} {_name(twice)} appears twice, expected once")
        return frame

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return self.paths[0].parent


def _check_problems(order: pl.Series, path: Path, blocks: _Blocks, judged: Mapping[str, _Blocks]) -> None:
    """Every completion belongs to a problem of the task, and every verdict to a problem with completions."""
    strangers = blocks.index.filter(~pl.col("problem_id").is_in(order.implode()))
    if len(strangers):
        raise DataError(f"{blocks.folder}: problem {strangers['problem_id'][0]!r} is not in {path}")
    known = blocks.index["problem_id"].unique().implode()
    for label, verdicts in judged.items():
        beyond = verdicts.index.filter(~pl.col("problem_id").is_in(known))["problem_id"]
        if len(beyond):
            _refuse_beyond(verdicts.read([beyond[0]], []), verdicts, label)


def _batches(order: Sequence[str], index: pl.DataFrame) -> Iterator[list[str]]:
    """Cut problems, in their order, into batches of `BATCH_ROWS` completions, if possible between blocks.

    A block that lies in one batch is read once.
    """
    table = index.sort("file").group_by("problem_id").agg("file", pl.col("rows").sum())
    found = {problem: (tuple(files), rows) for problem, files, rows in table.iter_rows()}
    there = [problem for problem in order if problem in found]
    batch: list[str] = []
    held = 0
    for _, group in groupby(there, key=lambda problem: found[problem][0]):
        together = list(group)
        ahead = sum(found[problem][1] for problem in together)  # what fits in a batch is not torn apart
        for problem in together:
            rows = found[problem][1]
            if batch and held + (ahead if ahead <= BATCH_ROWS else rows) > BATCH_ROWS:
                yield batch
                batch, held = [], 0
            batch.append(problem)
            held += rows
            ahead -= rows
    if batch:
        yield batch


def _gathered(
    problems: Sequence[str],
    blocks: _Blocks,
    judged: Mapping[str, _Blocks],
    oracle: str,
    scorers: Sequence[str],
    judge: CheckedOracle,
    lost: ProblemFailures,
) -> pl.DataFrame:
    """Return the outcomes of some problems, in their order."""
    frame = blocks.read(problems, ["prompt_tokens", "generated_tokens"])
    wanted = {oracle: ["answer", "correct", "status"]} | {scorer: ["status", "score"] for scorer in scorers}
    for label, columns in wanted.items():
        said = _verdicts(judged[label], problems, columns, frame, label)
        if label != oracle:
            said = said.drop("status").rename({"score": f"score_{label}"})
        frame = frame.join(said, on=COMPLETION_KEY, how="left")
    place = pl.DataFrame({"problem_id": problems}).with_row_index("place")
    frame = _with_classes(frame, judge, lost).join(place, on="problem_id", how="left")
    return frame.sort("place", *COMPLETION_KEY[1:]).drop("place")


def _verdicts(
    blocks: _Blocks, problems: Sequence[str], columns: Sequence[str], completions: pl.DataFrame, verifier: str
) -> pl.DataFrame:
    """Return a verifier's verdicts, one for each completion and no more."""
    frame = blocks.read(problems, columns)
    lacking = completions.join(frame, on=COMPLETION_KEY, how="anti")
    if len(lacking):
        raise DataError(f"{blocks.folder}: completion {_name(lacking)} has no verdict of {verifier}")
    if len(frame) > len(completions):  # each completion has one, so what is left over belongs to none
        _refuse_beyond(frame.join(completions, on=COMPLETION_KEY, how="anti"), blocks, verifier)
    empty = frame.filter(pl.col(columns[-1]).is_null(), pl.col("status").ne_missing("error"))
    if len(empty):
        raise DataError(f"{blocks.folder}: {columns[-1]} of {_name(empty)} is missing from {verifier}")
    return frame


def _refuse_beyond(beyond: pl.DataFrame, blocks: _Blocks, verifier: str) -> None:
    raise DataError(f"{blocks.folder}: verdict of {verifier} on {_name(beyond)}, which is no completion")


def _name(frame: pl.DataFrame) -> str:
    row = frame.sort(COMPLETION_KEY).row(0, named=True)
    return ", ".join(f"{key} {row[key]!r}" for key in COMPLETION_KEY)


def _with_classes(frame: pl.DataFrame, oracle: CheckedOracle, lost: ProblemFailures) -> pl.DataFrame:
    """Replace each answer by the representative of its class, among all answers to the problem."""
    distinct = frame.select("problem_id", "answer").drop_nulls().unique().sort("problem_id", "answer")
    groups = distinct.partition_by("problem_id", maintain_order=True)
    named = [_classified(group, oracle, lost) for group in groups]
    if not named:
        return frame
    joined = frame.join(pl.concat(named), on=["problem_id", "answer"], how="left")
    status = pl.when(pl.col("alone")).then(pl.lit(UNCLASSIFIED)).otherwise("status").alias("status")
    return joined.with_columns(status).drop("answer", "alone").rename({"class": "answer"})


def _classified(answers: pl.DataFrame, oracle: CheckedOracle, lost: ProblemFailures) -> pl.DataFrame:
    """Return the classes of a problem's answers; where the oracle fails, each is one of its own (`alone`)."""
    there, problem = answers["answer"].to_list(), answers["problem_id"][0]
    try:
        classes, alone = pl.Series("class", oracle.classes(there, problem), dtype=pl.String), False
    except (Exception, SystemExit) as error:  # an oracle is somebody's plugin: it may raise anything
        lost.add(problem, error)
        classes, alone = pl.Series("class", there, dtype=pl.String), True
    return answers.with_columns(classes, alone=pl.lit(alone))
