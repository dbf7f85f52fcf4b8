"""Inner strategies: those that others draw completions from, named by their labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from itscale.errors import nearest
from itscale.messages.mistakes import Mistake
from itscale.plugins.references import references

if TYPE_CHECKING:
    from itscale.study.study import Study

__all__ = ["check_inner"]


def check_inner(study: Study) -> Iterator[Mistake]:
    """Every strategy that is drawn from is there and can be; every helper is drawn from."""
    named: set[str] = set()
    for label, strategy in study.all_strategies.items():
        for option, inner in references(strategy.options, "strategies"):
            named.add(inner)
            if inner not in study.config.strategies:
                message = f"no strategy {inner!r}; {nearest(inner, study.config.strategies)}"
                yield Mistake(("strategies", label, option), message)
            elif inner in study.all_strategies and (wrong := _unfit(study, label, inner)):
                yield Mistake(("strategies", label, option), f"found {inner!r}, {wrong}")
    for label, section in study.config.strategies.items():
        place = "strategies", label
        if section.helper and label not in named:
            yield Mistake((*place, "helper"), "found true, but no strategy draws from this one")
        for extent in ("completions", "budgets"):
            if section.helper and (found := getattr(section, extent)) is not None:
                told = f"found {found}, but a helper is not run by itself: as many are drawn as others want"
                yield Mistake((*place, extent), told)


def _unfit(study: Study, outer: str, inner: str) -> str:
    """Return why a strategy cannot draw from another; empty if it can."""
    one, other = study.all_strategies[outer], study.all_strategies[inner]
    if next(references(other.options, "strategies"), None):
        return "which draws from another itself, expected one that does not"
    if other.entry.draws != "exchangeable" or other.entry.design != "fixed":
        return f"which is no pool of a fixed size ({other.entry.name}), expected an exchangeable strategy"
    if one.entry.draws == "exchangeable" and one.entry.per == "pool":
        return f"but {one.entry.name} draws a pool at once, expected one that makes each completion apart"
    mine, theirs = ([label for _, label in references(each.options, "scorers")] for each in (one, other))
    if mine and theirs and mine != theirs:
        return f"which asks the scorer {theirs[0]!r}, expected {mine[0]!r}, which this one asks"
    return ""
