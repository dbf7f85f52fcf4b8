"""Fitness of selectors for the outcomes: answers, scores, sampling design."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from itscale.errors import nearest
from itscale.messages.mistakes import Mistake
from itscale.plugins.references import references

if TYPE_CHECKING:
    from itscale.outcomes import Design
    from itscale.study.study import Study

__all__ = ["biased_by", "check_designs", "check_imported"]


def check_imported(study: Study) -> Iterator[Mistake]:
    """Yield selectors that need answers or scores which imported outcomes lack."""
    for label, selector in study.selectors.items():
        scorer = next((label for _, label in references(selector.options, "scorers")), None)
        for combination, source in study.outcomes.items():
            whose = f"the outcomes {'/'.join(combination)} ({source.paths[0].name})"
            if selector.entry.takes_answers and not source.answers:
                yield Mistake(
                    ("selectors", label),
                    f"needs answers, {whose} have none; map columns.answer, or leave it out",
                )
            if scorer is not None and scorer not in source.scorers:
                hint = nearest(scorer, source.scorers) if source.scorers else "map columns.score"
                yield Mistake(("selectors", label, "scorer"), f"no scores of {scorer!r} in {whose}; {hint}")


def check_designs(study: Study) -> Iterator[Mistake]:
    """No estimate is biased by how the number of completions came about; a run is judged as a whole."""
    designs: list[tuple[Design, str]] = [
        (strategy.entry.design, f"completions of strategies.{label}")
        for label, strategy in study.strategies.items()
        if strategy.entry.draws == "exchangeable"
    ]
    designs += [
        (source.design or "fixed", f"the outcomes {'/'.join(combination)}")
        for combination, source in study.outcomes.items()
    ]
    if not study.selectors and not study.config.selectors:
        there = ", ".join(f"{whose} ({design})" for design, whose in designs)
        yield Mistake(("selectors",), f"missing, expected one that is fit for {there}")
    for design, whose in designs:
        yield from biased_by(study, design, whose)


def biased_by(study: Study, design: Design, whose: str) -> Iterator[Mistake]:
    """Yield selectors whose estimates a design would bias, with those of the study that it would not."""
    fit = [label for label, one in study.selectors.items() if design in one.entry.designs]
    instead = f"of this study's, {', '.join(fit)} can be taken" if fit else "take another selector"
    for label, selector in study.selectors.items():
        if design not in selector.entry.designs:
            yield Mistake(
                ("selectors", label),
                f"found {whose} of the design {design!r}, expected a number of completions fixed beforehand, "
                f"or the result is biased; {instead}",
            )
