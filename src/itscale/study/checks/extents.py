"""Extents: every strategy states its own in its own terms, and every k can be had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from itscale.errors import StudyError
from itscale.messages.mistakes import Mistake, Place

if TYPE_CHECKING:
    from itscale.study.config import StrategySection
    from itscale.study.study import Study

__all__ = [
    "beyond_every_pool",
    "beyond_some_pool",
    "check_budgets",
    "check_extents",
    "check_something_to_do",
]


def check_something_to_do(study: Study) -> Iterator[Mistake]:
    """Tasks, models and strategies come together, or there are outcomes, or tabular laws alone."""
    config = study.config
    sampled = {"tasks": config.tasks, "models": config.models, "strategies": config.strategies}
    if any(sampled.values()) or not (config.outcomes or config.laws):
        for key, sections in sampled.items():
            if not sections:
                yield Mistake((key,), f"missing, expected {key} by label (or imported outcomes)")
    elif not config.outcomes:
        for label in study.curve_laws:
            yield Mistake(
                ("laws", label),
                "is fitted to completions, and there are none: expected tasks, models and strategies, or "
                "imported outcomes",
            )


def check_extents(study: Study) -> Iterator[Mistake]:
    """Exchangeable strategies have completions, run-based ones budgets that they admit."""
    for label, strategy in study.strategies.items():
        section = study.config.strategies[label]
        place: Place = ("strategies", label)
        if strategy.entry.draws == "exchangeable":
            yield from _pool(section, place)
            continue
        if section.completions is not None:
            yield Mistake(
                (*place, "completions"),
                f"found {section.completions}, expected budgets: {label!r} is run anew at each of them",
            )
        elif section.budgets is None:
            yield Mistake(
                (*place, "budgets"),
                f"missing, expected a list of budgets: {label!r} is run anew at each of them",
            )
        for number, budget in enumerate(section.budgets or ()):
            try:
                strategy.entry.admits(strategy.options, budget)
            except StudyError as error:
                yield Mistake((*place, "budgets", number), str(error))


def _pool(section: StrategySection, place: Place) -> Iterator[Mistake]:
    label = place[-1]
    of_runs = {"budgets": list(section.budgets or ()), "replicates": section.replicates}
    found = {key: value for key, value in of_runs.items() if value not in ([], 1)}
    for key, value in found.items():
        yield Mistake(
            (*place, key),
            f"found {value}, expected completions alone: {label!r} is exchangeable, one pool serves every "
            "budget",
        )
    if section.completions is None and not found:
        yield Mistake((*place, "completions"), "missing, expected completions per problem (>= 1)")


def check_budgets(study: Study) -> Iterator[Mistake]:
    """Every k of the grid can be had of some pool, and every pool has some k of the grid.

    Imported pools are counted later: their files have to be read.
    """
    grid = study.config.curves.budgets
    if grid is None:
        return
    pools = {
        label: study.config.strategies[label].completions
        for label, strategy in study.strategies.items()
        if strategy.entry.draws == "exchangeable"
    }
    if not study.config.outcomes:
        sizes = {f"strategies.{label}": size for label, size in pools.items() if size is not None}
        yield from beyond_every_pool(grid, sizes)


def beyond_every_pool(grid: Sequence[int], pools: Mapping[str, int]) -> Iterator[Mistake]:
    """Yield what of a grid no pool has, and pools that have nothing of the grid.

    Parameters
    ----------
    grid
        Values of k; none where they follow from the pools.
    pools
        Completions per problem, by what messages call the pool.
    """
    if not grid or not pools:
        return
    place = ("curves", "budgets")
    largest = max(pools, key=lambda name: pools[name])
    if max(grid) > pools[largest]:
        expected = f"at most the {pools[largest]} completions of {largest}"
        yield Mistake(place, f"found {max(grid)}, expected {expected}")
    if min(grid) > pools[largest]:
        return
    for name, size in pools.items():
        if min(grid) > size:
            yield Mistake(place, f"found {min(grid)} or more, expected some of at most {size} for {name}")


def beyond_some_pool(grid: Sequence[int], pools: Mapping[str, int]) -> Iterator[str]:
    """Yield in words which curves end before the others; arguments as above."""
    for name, size in pools.items():
        if beyond := [k for k in sorted(grid) if k > size]:
            yield (
                f"curves.budgets: {name} has {size} completions of each problem: its curves end there, "
                f"without k = {', '.join(map(str, beyond))}"
            )
