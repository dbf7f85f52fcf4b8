"""Checks of strategies: completions of their own unit, made of what the engines generated."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args

from itscale.outcomes import COMPLETIONS
from itscale.plugins.place import Place, Shown, is_count, is_number, shown
from itscale.plugins.process import LASTING, ProcessState
from itscale.sampling.inner import InnerSession
from itscale.types import Completion, FinishReason, Trajectory

if TYPE_CHECKING:
    from itscale.plugins.ingredient import Ingredient
    from itscale.plugins.strategies import StrategyEntry
    from itscale.sampling.session import Session

__all__ = [
    "check_completions",
    "completions_of_run",
    "run_inner",
    "run_strategy",
    "stops_after",
    "tokens_of_run",
    "worth_of",
]

REASONS: tuple[str, ...] = get_args(FinishReason)
ITS_OWN = ("index", "finish_reason", "weight")
"""Fields of a completion that are the strategy's to choose; all others are the session's."""


async def run_strategy(ingredient: Ingredient[StrategyEntry], session: Session) -> list[Completion]:
    """Run a strategy on one unit and return its completions, checked.

    Raises
    ------
    ContractError
        On anything that is not made of this session's own trajectories.
    """
    place = Place.of(ingredient)
    problem = session.problem
    options = ingredient.options.model_copy(deep=True)
    state = ProcessState.now(LASTING)
    running = ingredient.entry.factory(problem, session, options)
    if not inspect.isawaitable(running):
        raise place.broken("factory", running, "something to await: `async def`", problem.problem_id)
    pool_is_whole = ingredient.entry.design == "fixed"
    try:
        return check_completions(place, session, await running, whole=pool_is_whole)
    finally:
        await session.end()
        place.put_back(state, "completions")


async def run_inner(ingredient: Ingredient[StrategyEntry], session: Session, name: str) -> Trajectory:
    """Run a strategy for the one completion that another strategy draws from it, in that one's session.

    Raises
    ------
    ContractError
        If it hands in anything but one completion, made of the session's own trajectories.
    """
    place, problem = Place.of(ingredient), session.problem.problem_id
    options = ingredient.options.model_copy(deep=True)
    within = InnerSession(session, name, options.max_tokens)  # type: ignore[attr-defined]
    found = await ingredient.entry.factory(session.problem, within, options)
    one = found[0] if isinstance(found, Sequence) and len(found) == 1 else None
    made: Trajectory | None = session.tree.path(one.nodes) if isinstance(one, Completion) else None
    if made is None:
        raise place.broken("completions", found, "the one that session.complete returns", problem)
    return made


def worth_of(ingredient: Ingredient[StrategyEntry], inner: Iterable[Ingredient[StrategyEntry]] = ()) -> int:
    """Return how many generated tokens one completion of a strategy may take.

    Parameters
    ----------
    inner
        The strategies that it draws from: where it counts `max_tokens`, it may draw one of their completions.

    Raises
    ------
    ContractError
        If its entry says anything but a whole number, at least 1.
    """
    entry, options = ingredient.entry, ingredient.options
    worth = _counted(ingredient, "worth()", lambda: entry.worth(options), "tokens")
    return _with_inner(ingredient, worth, inner)


def _with_inner(
    ingredient: Ingredient[StrategyEntry], tokens: int, inner: Iterable[Ingredient[StrategyEntry]]
) -> int:
    """Return tokens of a strategy, each `max_tokens` of which may be a completion of an inner one."""
    drawn = max((worth_of(one) for one in inner), default=0)
    longest: int = ingredient.options.max_tokens  # type: ignore[attr-defined]
    return max(tokens, -(-tokens * drawn // longest))


def completions_of_run(ingredient: Ingredient[StrategyEntry], budget: int) -> int:
    """Return how many completions a run of a budget hands in at most.

    Raises
    ------
    ContractError
        If its entry says anything but a whole number, at least 1.
    """
    entry = ingredient.entry
    if entry.hands_in is None:
        return budget if entry.axis == COMPLETIONS else 1
    hands_in, options = entry.hands_in, ingredient.options
    return _counted(ingredient, "hands_in()", lambda: hands_in(options, budget), "completions")


def stops_after(ingredient: Ingredient[StrategyEntry]) -> int:
    """Return after how many correct completions a strategy leaves a problem; ContractError as `worth_of`."""
    entry, options = ingredient.entry, ingredient.options
    return _counted(ingredient, "successes()", lambda: entry.successes(options), "completions")


def tokens_of_run(
    ingredient: Ingredient[StrategyEntry], budget: int, inner: Iterable[Ingredient[StrategyEntry]] = ()
) -> int:
    """Return how many tokens a run of a budget may generate; arguments and errors as `worth_of`."""
    entry = ingredient.entry
    if entry.grant is None:
        return completions_of_run(ingredient, budget) * worth_of(ingredient, inner)
    grant, options = entry.grant, ingredient.options
    tokens = _counted(ingredient, "grant()", lambda: grant(options, budget), "tokens")
    return _with_inner(ingredient, tokens, inner)


def _counted(ingredient: Ingredient[StrategyEntry], what: str, ask: Callable[[], int], things: str) -> int:
    """Return a whole number that an entry says, at least 1."""
    place, expected = Place.of(ingredient), f"a whole number of {things}, at least 1"
    found = place.said(what, ask, expected)
    if not is_count(found, 1):
        raise place.broken(what, found, expected)
    return int(found)


def check_completions(place: Place, session: Session, given: Any, *, whole: bool = True) -> list[Completion]:
    """Return what a strategy handed in, if it is its session's.

    Every text, count, log-probability and score must be what the engine and the scorer gave for the nodes
    that a completion names: a strategy may choose and order, never make up. A pool has to be `whole`, unless
    how many completions there are depends on what they are.
    """
    problem = session.problem.problem_id
    expected = "the completions that session.complete returns"
    if isinstance(given, str | dict) or not (isinstance(given, Iterable) and isinstance(given, Sized)):
        raise place.broken("completions", given, expected, problem)
    completions = list(given)
    for one in completions:
        if isinstance(one, Trajectory):
            raise place.broken("completions", Shown("a Trajectory"), expected, problem)
        if not isinstance(one, Completion):
            raise place.broken("completions", one, expected, problem)
        _check_own(place, one, problem)
        _check_made(place, session, one)
    _check_unit(place, session, completions, whole=whole)
    return completions


def _check_own(place: Place, one: Completion, problem: str) -> None:
    if one.finish_reason not in REASONS:
        raise place.broken("finish_reason", one.finish_reason, " or ".join(REASONS), problem)
    if one.weight is not None and not is_number(one.weight):
        raise place.broken("weight", one.weight, "a finite number or None", problem)


def _check_made(place: Place, session: Session, one: Completion) -> None:
    """Refuse a completion that is not what was generated for its nodes."""
    problem, unit = session.problem.problem_id, session.unit
    mine = (unit.problem_id, unit.budget, unit.replicate)
    theirs = (one.problem_id, one.budget, one.replicate)
    if theirs != mine:
        expected = f"those of its unit, {mine}"
        raise place.broken("problem, budget and replicate of a completion", theirs, expected, problem)
    made = session.rebuild(one)
    if made is None:
        expected = "a path of trajectories that this session extended"
        raise place.broken("nodes of a completion", one.nodes, expected, problem)
    for name in (field.name for field in fields(Completion)):
        found, right = getattr(one, name), getattr(made, name)
        if name not in ITS_OWN and found != right:
            expected = f"{shown(right)}, as the engine generated it"
            raise place.broken(f"{name} of a completion", found, expected, problem)


def _check_unit(place: Place, session: Session, completions: list[Completion], *, whole: bool) -> None:
    """Refuse completions that are not at the unit's own places, each once."""
    unit = session.unit
    places = [one.index for one in completions]
    allowed = range(unit.start, unit.stop)
    exact = whole and not unit.budget  # a run may end with fewer
    wrong = [index for index in places if isinstance(index, bool) or index not in allowed]
    if wrong or len(set(places)) < len(places) or (exact and len(places) != len(allowed)):
        expected = (
            f"{'exactly' if exact else 'at most'} its {len(allowed)} indices, {unit.start} to "
            f"{unit.stop - 1}, each once"
        )
        found = Shown(f"{len(places)} at {shown(places)}")
        raise place.broken("completions", found, expected, unit.problem_id)
