"""Common problems of what a study compares."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from itscale.messages.mistakes import Mistake

if TYPE_CHECKING:
    from itscale.study.config import DifferenceSection
    from itscale.study.imported import Combination

__all__ = ["check_common_problems"]

LEAST = 2
"""Problems that a paired difference needs."""


def check_common_problems(
    differences: Mapping[str, DifferenceSection], problems: Mapping[Combination, AbstractSet[Hashable]]
) -> Iterator[Mistake]:
    """Yield differences of curves that have too few problems in common to be tested, or of none at all.

    Parameters
    ----------
    differences
        By label.
    problems
        What tells the problems of each task, model and strategy apart.
    """
    models, strategies = ({place[at] for place in problems} for at in (1, 2))
    for label, section in differences.items():
        sides = (section.of, section.minus)
        if not all(side.model in {None, *models} and side.strategy in {None, *strategies} for side in sides):
            continue  # a label that is none has been said
        pairs = list(_pairs(section, problems))
        if not pairs:
            message = "found no task on which there is both, expected at least one"
            yield Mistake(("differences", label), message)
        few = {first[0]: len(problems[first] & problems[second]) for first, second in pairs}
        for task, common in few.items():
            if common < LEAST:
                yield Mistake(
                    ("differences", label),
                    f"found {common} of the problems of {task} in both, expected at least {LEAST}: leave out "
                    "the task, or the difference",
                )


def _pairs(
    section: DifferenceSection, problems: Mapping[Combination, AbstractSet[Hashable]]
) -> Iterator[tuple[Combination, Combination]]:
    """Yield what is compared, the pair of a task with the fewest problems in common last."""
    found = [
        (first, second)
        for first in problems
        for second in problems
        if first[0] == second[0]
        and _is_meant(first[1], section.of.model, second[1], section.minus.model)
        and _is_meant(first[2], section.of.strategy, second[2], section.minus.strategy)
    ]
    yield from sorted(found, key=lambda pair: -len(problems[pair[0]] & problems[pair[1]]))


def _is_meant(first: str, of: str | None, second: str, minus: str | None) -> bool:
    """Return whether two labels are those of both sides; or the same, where none are named."""
    return first == second if of is None else (first, second) == (of, minus)
