"""Copies and read-only views for plugins, so that nothing they do reaches anybody else.

What the boundary compares an answer with, it keeps itself. `frozen=True` is no guard: a dict in a frozen
dataclass is as open as any, and an array of it can be written to.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from itscale.outcomes import ProblemOutcomes
from itscale.plugins.laws import LawData, TableData
from itscale.types import Problem, Question

__all__ = ["own_curve", "own_outcomes", "own_problem", "own_table", "read_only"]

T = TypeVar("T", bound=np.generic)
Q = TypeVar("Q", bound=Question)


def read_only(array: npt.NDArray[T]) -> npt.NDArray[T]:
    """Return a view of an array through which it cannot be written, nor made writeable; nothing is copied."""
    return np.asarray(memoryview(np.asarray(array).data).toreadonly())


def own_outcomes(outcomes: ProblemOutcomes) -> ProblemOutcomes:
    """Return the outcomes of a problem as a selector gets them: an object of its own, read-only arrays."""
    return replace(
        outcomes,
        answers=read_only(outcomes.answers),
        correct=read_only(outcomes.correct),
        scores={label: read_only(scores) for label, scores in outcomes.scores.items()},
    )


def own_curve(data: LawData) -> LawData:
    """Return the data of a fit as a law is given them: an object of its own, arrays read-only."""
    budgets: npt.NDArray[Any] = data.budgets
    return replace(
        data,
        budgets=read_only(budgets),
        coverage=read_only(data.coverage),
        sampled=read_only(data.sampled),
        correct=read_only(data.correct),
    )


def own_table(data: TableData) -> TableData:
    """Return the rows of a table as a law is given them: an object of its own, arrays read-only."""
    inputs = {name: read_only(values) for name, values in data.inputs.items()}
    return TableData(inputs=inputs, response=read_only(data.response))


def own_problem(problem: Q) -> Q:
    """Return a copy of a question or problem, with all that is in it its own down to the last list."""
    own: dict[str, Any] = {
        "messages": tuple(dict(turn) for turn in problem.messages),
        "material": deepcopy(dict(problem.material)),
    }
    if isinstance(problem, Problem):
        own["metadata"] = deepcopy(dict(problem.metadata))
    return replace(problem, **own)
