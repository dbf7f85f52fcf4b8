"""Checks of a study beyond its single values: pure functions that yield mistakes.

Each looks at what is right of a study, so one mistake hides no other. What lies outside of a study (files,
folders, installed packages) is looked at in `itscale.planning.readiness`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from itscale.messages.mistakes import Mistake
from itscale.study.checks.extents import check_budgets, check_extents, check_something_to_do
from itscale.study.checks.inner import check_inner
from itscale.study.checks.needs import (
    check_capabilities,
    check_files,
    check_helpers,
    check_options,
    check_oracles,
    check_parameters,
    check_scorers,
)
from itscale.study.checks.pricing import check_prices
from itscale.study.checks.selection import check_designs, check_imported
from itscale.study.checks.showing import check_differences, check_figures

if TYPE_CHECKING:
    from itscale.study.study import Study

__all__ = ["CHECKS", "check_study"]

CHECKS: tuple[Callable[[Study], Iterable[Mistake]], ...] = (
    check_something_to_do,
    check_options,
    check_files,
    check_extents,
    check_budgets,
    check_scorers,
    check_helpers,
    check_inner,
    check_capabilities,
    check_oracles,
    check_parameters,
    check_imported,
    check_designs,
    check_prices,
    check_figures,
    check_differences,
)


def check_study(study: Study) -> Iterator[Mistake]:
    """Yield what is wrong with a study whose names are resolved and whose values are right one by one."""
    for check in CHECKS:
        yield from check(study)
