"""Outcomes: completions and verdicts of a strategy joined, and answers put into classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from itscale.errors import DataError
from itscale.provenance import provenance
from itscale.stages.problems import read_problems
from itscale.store import COMPLETIONS, OUTCOMES, VERDICTS, Schema, read_metadata, read_table, write_table
from itscale.study import Study
from itscale.types import Oracle

__all__ = ["gather_outcomes"]

IDENTITY = ["problem_id", "budget", "replicate", "index"]
"""The columns that name a completion within a task, model and strategy."""


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

    Parameters
    ----------
    completions
        All blocks of the strategy.
    verdicts
        By label of the verifier (the task's oracle and every scorer): its verdicts on those blocks.

    Raises
    ------
    DataError
        If a completion is there twice, belongs to no problem, or lacks a verdict; or a verdict is there
        twice or belongs to no completion.
    """
    oracle, *scorers = study.verifiers_of(task)
    missing = sorted({oracle, *scorers} - verdicts.keys())
    if missing:
        raise DataError(f"outcomes of {task}/{model}/{strategy}: no verdicts of {', '.join(missing)}")
    keep = [*IDENTITY, "prompt_tokens", "generated_tokens"]
    frame = _blocks(completions, COMPLETIONS, keep, "completion")
    order = pl.DataFrame({"problem_id": [problem.problem_id for problem in read_problems(problems)]})
    strangers = frame.join(order, on="problem_id", how="anti")
    if len(strangers):
        raise DataError(
            f"{completions[0].parent}: problem {strangers['problem_id'][0]!r} is not in {problems}"
        )
    judged = _verdicts(verdicts[oracle], ["answer", "correct", "status"], frame, oracle)
    frame = frame.join(judged, on=IDENTITY, how="left")
    for scorer in scorers:
        scored = _verdicts(verdicts[scorer], ["score"], frame, scorer).rename({"score": f"score_{scorer}"})
        frame = frame.join(scored, on=IDENTITY, how="left")
    frame = _with_classes(frame, study.oracles[task].entry.factory(study.oracles[task].options))
    columns = [*OUTCOMES, *(f"score_{scorer}" for scorer in scorers)]
    frame = frame.select(columns).sort(IDENTITY)
    _write(study, task, model, strategy, frame, problems, completions, verdicts, output)


def _blocks(paths: Sequence[Path], schema: Schema, columns: Sequence[str], what: str) -> pl.DataFrame:
    if not paths:
        raise DataError(f"outcomes: found no files of {what}s, expected at least one block")
    frame = pl.concat([read_table(path, schema).select(columns) for path in paths])
    twice = frame.filter(pl.struct(IDENTITY).is_duplicated())
    if len(twice):
        raise DataError(f"{paths[0].parent}: {what} {_name(twice)} is there twice, expected once")
    return frame


def _verdicts(
    paths: Sequence[Path], columns: Sequence[str], completions: pl.DataFrame, verifier: str
) -> pl.DataFrame:
    """Return a verifier's verdicts, one for each completion and no more."""
    frame = _blocks(paths, VERDICTS, [*IDENTITY, *columns], f"verdict of {verifier}")
    lacking = completions.join(frame, on=IDENTITY, how="anti")
    if len(lacking):
        raise DataError(f"{paths[0].parent}: completion {_name(lacking)} has no verdict of {verifier}")
    beyond = frame.join(completions, on=IDENTITY, how="anti")
    if len(beyond):
        raise DataError(
            f"{paths[0].parent}: verdict of {verifier} on {_name(beyond)}, which is no completion"
        )
    empty = frame.filter(pl.col(columns[-1]).is_null())
    if len(empty):
        raise DataError(f"{paths[0].parent}: {columns[-1]} of {_name(empty)} is missing from {verifier}")
    return frame


def _name(frame: pl.DataFrame) -> str:
    row = frame.sort(IDENTITY).row(0, named=True)
    return ", ".join(f"{key} {row[key]!r}" for key in IDENTITY)


def _with_classes(frame: pl.DataFrame, oracle: Oracle) -> pl.DataFrame:
    """Replace each answer by the representative of its class, among all answers to the problem."""
    distinct = frame.select("problem_id", "answer").drop_nulls().unique().sort("problem_id", "answer")
    named = [
        group.with_columns(pl.Series("class", oracle.classes(group["answer"].to_list()), dtype=pl.String))
        for group in distinct.partition_by("problem_id", maintain_order=True)
    ]
    if not named:
        return frame
    joined = frame.join(pl.concat(named), on=["problem_id", "answer"], how="left")
    return joined.drop("answer").rename({"class": "answer"})


def _write(
    study: Study,
    task: str,
    model: str,
    strategy: str,
    frame: pl.DataFrame,
    problems: Path,
    completions: Sequence[Path],
    verdicts: Mapping[str, Sequence[Path]],
    output: Path,
) -> None:
    inputs = {"problems": problems}
    inputs |= {f"completions/{path.stem}": path for path in completions}
    for label, paths in verdicts.items():
        inputs |= {f"verdicts/{label}/{path.stem}": path for path in paths}
    fingerprint = {"oracle": study.oracles[task].fingerprint()}
    took_part = (study.tasks[task], study.models[model], study.strategies[strategy], study.oracles[task])
    metadata = provenance("outcomes", fingerprint, inputs, *took_part, *study.scorers.values())
    metadata["simulated"] = any(bool(read_metadata(path).get("simulated")) for path in completions)
    write_table(frame, output, metadata)
