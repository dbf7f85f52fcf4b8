"""From a task to problems.parquet: the problems of a study, checked once for every task plugin."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from itscale.boundary import make_problems
from itscale.errors import DataError
from itscale.plugins.entries import TaskEntry
from itscale.plugins.ingredient import Ingredient
from itscale.seeds import digest
from itscale.stages.declared import PROBLEMS as STAGE
from itscale.store.parquet import read_table, write_table
from itscale.store.schemas import PROBLEMS
from itscale.study.study import Study
from itscale.types import Problem

__all__ = ["count_problems", "load_problems", "problems_digest", "read_problems", "write_problems"]


def load_problems(task: Ingredient[TaskEntry], wanted: int | None) -> list[Problem]:
    """Return the first `wanted` problems of a task, all of them if None.

    Raises
    ------
    DataError
        If the task has no problems or fewer than wanted, or as `itscale.boundary.make_problems`.
    """
    problems = make_problems(task, wanted)
    _enough(task, wanted, len(problems))
    return problems


def count_problems(task: Ingredient[TaskEntry], wanted: int | None) -> int:
    """Return how many problems a study takes of a task; errors as `load_problems`.

    Problems are made only where the task cannot say how many there are.
    """
    there = task.entry.size(task.options)
    if there is None:
        return len(load_problems(task, wanted))
    return _enough(task, wanted, there)


def _enough(task: Ingredient[TaskEntry], wanted: int | None, there: int) -> int:
    if not there:
        raise DataError(f"tasks.{task.label}: found no problems, expected at least one")
    if wanted is not None and there < wanted:
        raise DataError(
            f"tasks.{task.label}.problems: found {wanted}, expected at most the {there} there are"
        )
    return there if wanted is None else wanted


def write_problems(study: Study, task: str, output: Path) -> None:
    """Write the problems that a study takes of a task."""
    ingredient = study.tasks[task]
    wanted = study.config.tasks[task].problems
    problems = load_problems(ingredient, wanted)
    rows = [
        {
            "problem_id": problem.problem_id,
            "messages": [{"role": turn["role"], "content": turn["content"]} for turn in problem.messages],
            "reference": problem.reference,
            "metadata": json.dumps(dict(problem.metadata), sort_keys=True),
            "material": json.dumps(dict(problem.material), sort_keys=True),
        }
        for problem in problems
    ]
    metadata = STAGE.footer(study, {"task": task}, ingredient.files, ingredient)
    metadata["fingerprint"]["problems"] = wanted
    write_table(pl.DataFrame(rows, schema=dict(PROBLEMS)), output, metadata)


def read_problems(path: Path) -> list[Problem]:
    """Return the problems of a file, in its order."""
    return [
        Problem(
            problem_id=row["problem_id"],
            messages=tuple(row["messages"]),
            reference=row["reference"],
            metadata=json.loads(row["metadata"]),
            material=json.loads(row["material"]),
        )
        for row in read_table(path, PROBLEMS).iter_rows(named=True)
    ]


def problems_digest(problems: Iterable[Problem]) -> str:
    """Return the SHA-256 of what completions of some problems depend on."""

    def read(one: Problem) -> list[Any]:
        asked = [one.problem_id, list(map(dict, one.messages)), one.reference]
        return [*asked, dict(one.material)] if one.material else asked

    return digest([read(one) for one in problems])
