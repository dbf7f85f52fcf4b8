"""Checks of tasks: problems, each with an id of its own, a chat, a reference, and metadata in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from itscale.plugins.given import own_problem
from itscale.plugins.place import Place, Shown, shown, textual
from itscale.plugins.process import LASTING
from itscale.types import Problem

if TYPE_CHECKING:
    from itscale.plugins.entries import TaskEntry
    from itscale.plugins.ingredient import Ingredient

__all__ = ["check_problem", "make_problems"]

TURN = {"role", "content"}


def make_problems(task: Ingredient[TaskEntry], wanted: int | None) -> list[Problem]:
    """Return the first `wanted` problems of a task, all of them if None, each checked.

    Raises
    ------
    ContractError
        On what is no problem, a problem id that appears twice, or a field that is not what it must be.
    """
    place = Place.of(task)
    with place.undisturbed("factory", LASTING):
        return _problems(place, task, wanted)


def _problems(place: Place, task: Ingredient[TaskEntry], wanted: int | None) -> list[Problem]:
    made = task.entry.factory(task.options.model_copy(deep=True))
    if isinstance(made, str | Mapping) or not isinstance(made, Iterable):
        raise place.broken("factory", made, "an iterable of problems")
    return list(checked_problems(place, islice(made, wanted)))


def checked_problems(place: Place, problems: Iterable[Any]) -> Iterator[Problem]:
    """Yield problems, each checked, and each id once."""
    seen: dict[str, int] = {}
    for number, problem in enumerate(problems):
        check_problem(place, problem, number)
        if problem.problem_id in seen:
            first = f"problems {seen[problem.problem_id]} and {number} both have the id"
            raise place.broken(first, problem.problem_id, "every problem id once")
        seen[problem.problem_id] = number
        yield own_problem(problem)  # a task may fill one dict again and again


def check_problem(place: Place, problem: Any, number: int) -> None:
    """Refuse a problem that cannot be put to a model, verified or stored."""
    where = f"problem {number}"
    if not isinstance(problem, Problem):
        raise place.broken(where, problem, "a Problem")
    if not textual(problem.problem_id) or not problem.problem_id:
        raise place.broken(f"{where}: problem_id", problem.problem_id, "a text")
    where = f"{where} ({shown(problem.problem_id)})"
    turns = problem.messages
    if isinstance(turns, str | Mapping) or not isinstance(turns, Sequence) or not turns:
        raise place.broken(f"{where}: messages", turns, "a chat: turns with role and content")
    for turn in turns:
        if not isinstance(turn, Mapping) or turn.keys() != TURN or not all(map(textual, turn.values())):
            raise place.broken(f"{where}: messages", turn, "turns with role and content, both text")
    if not textual(problem.reference) or not problem.reference.strip():
        expected = "the right answer as text: without it nothing can be verified"
        raise place.broken(f"{where}: reference", problem.reference, expected)
    for name in ("metadata", "material"):
        values = getattr(problem, name)
        if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
            raise place.broken(f"{where}: {name}", values, "values by name")
        try:
            json.dumps(dict(values), allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            found = Shown(f"{shown(values)} ({' '.join(str(error).split())})")
            raise place.broken(f"{where}: {name}", found, "JSON values") from None
