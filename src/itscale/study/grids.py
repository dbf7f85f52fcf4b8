"""Grids of strategies: written once, read as the labelled strategies and differences they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any

from itscale.messages.mistakes import Mistake, Place
from itscale.plugins.names import identifier

__all__ = ["Grids", "expand_grids"]

GRID = "grid"
MOST = 64
"""Points of a grid: each is sampled, and each is compared with the first."""
LONGEST = 64
"""Characters of a label."""
LONGEST_NAME = 24
"""Characters of a value that stands in a label; of a longer one its number does."""

Values = list[tuple[str, Any, Place]]


class Grids:
    """Where the values of labelled strategies stand in what the user wrote."""

    def __init__(self) -> None:
        self._written: dict[Place, Place] = {}

    def add(self, made: Place, written: Place) -> None:
        """Note that what was made at a place was written at another."""
        self._written[made] = written

    def place(self, place: Place) -> Place:
        """Return where a value was written."""
        for length in range(len(place), 0, -1):
            if (written := self._written.get(place[:length])) is not None:
                return (*written, *place[length:])
        return place

    def merged(self, mistake: Mistake, among: Iterable[Mistake]) -> Mistake:
        """Return a mistake; what is said of several values of an option alike is one of the option."""
        option = mistake.place[:-1]
        if option[2:3] != (GRID,) or len(option) != 4:
            return mistake
        alike = [one for one in among if (one.place[:-1], one.message) == (option, mistake.message)]
        return replace(mistake, place=option) if len(alike) > 1 else mistake


def expand_grids(sections: Mapping[str, Any]) -> tuple[dict[str, Any], Grids, list[Mistake]]:
    """Return a study in which a strategy with a `grid` is one strategy for each point of it.

    A label says what differs: `sampling_temperature_0_7_prompt_few_shot`. Each point but the first is also a
    difference of the study, to the first. What is no grid stays where it is, and is a mistake.
    """
    grids, mistakes = Grids(), list[Mistake]()
    strategies = sections.get("strategies")
    if not isinstance(strategies, Mapping) or not any(map(_has_grid, strategies.values())):
        return dict(sections), grids, mistakes
    found: dict[str, Any] = {}
    differences: dict[str, Any] = {}
    for label, section in strategies.items():
        if not _has_grid(section):
            found[label] = section
            continue
        rest = {key: value for key, value in section.items() if key != GRID}
        wrong = list(_wrong(label, section, strategies))
        mistakes += wrong
        if wrong:
            found[label] = rest
            continue
        rest.setdefault("plugin", label)
        points = list(_points(label, section[GRID]))
        for name, values, places in points:
            found[name] = {**rest, **values}
            grids.add(("strategies", name), ("strategies", label))
            for key, place in places.items():
                grids.add(("strategies", name, key), place)
        for name, *_ in points[1:]:
            made = {"of": {"strategy": name}, "minus": {"strategy": points[0][0]}, "trick": True}
            differences[name] = made
            grids.add(("differences", name), ("strategies", label, GRID))
    own = sections.get("differences")
    merged = {**differences, **own} if isinstance(own, Mapping) else differences
    return {**sections, "strategies": found, **({"differences": merged} if merged else {})}, grids, mistakes


def _has_grid(section: Any) -> bool:
    return isinstance(section, Mapping) and section.get(GRID) is not None


def _wrong(label: str, section: Mapping[str, Any], strategies: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield what is wrong with a grid itself; its values are looked at where they are used."""
    grid, place = section[GRID], ("strategies", label, GRID)
    if not isinstance(grid, Mapping) or not grid:
        yield Mistake(place, "expected options, each with a list of its values")
        return
    bad = False
    for key, values in grid.items():
        if not isinstance(values, list | Mapping) or not values:
            yield Mistake((*place, key), "expected a list of values, or values by name")
            bad = True
        elif key in section:
            yield Mistake((*place, key), f"stands beside the grid, too: strategies.{label}.{key}; keep one")
    if bad:
        return
    if (count := prod(map(len, grid.values()))) > MOST:
        yield Mistake(place, f"found {count} points, expected at most {MOST}")
        return
    names = [name for name, *_ in _points(label, grid)]
    for name in names:
        if len(name) > LONGEST:
            yield Mistake(place, f"the label {name!r} is longer than {LONGEST} characters; give values names")
        elif names.count(name) > 1:
            yield Mistake(place, f"two points have the label {name!r}; give values names, or each once")
        elif name in strategies:
            yield Mistake(place, f"a point has the label {name!r}, which another strategy has; rename one")


def _points(label: str, grid: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Place]]]:
    """Yield of each point its label, its options, and where each was written."""
    axes = [[(key, *value) for value in _values(label, key, values)] for key, values in grid.items()]
    for point in product(*axes):
        name = "_".join([label, *(f"{key}_{said}" for key, said, *_ in point)])
        yield name, {key: value for key, _, value, _ in point}, {key: place for key, _, _, place in point}


def _values(label: str, key: str, values: Any) -> Values:
    """Return names, values and places along one axis."""
    place: Place = ("strategies", label, GRID, key)
    if isinstance(values, Mapping):
        return [(identifier(str(name)), value, (*place, name)) for name, value in values.items()]
    return [(_said(value, at), value, (*place, at)) for at, value in enumerate(values)]


def _said(value: Any, at: int) -> str:
    said = identifier(str(value)) if isinstance(value, str | int | float) else ""
    return said if 0 < len(said) <= LONGEST_NAME else str(at + 1)
