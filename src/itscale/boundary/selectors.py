"""What a selector gives: an accuracy in [0, 1] at every k, never above coverage, and what its entry says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from itscale.boundary.place import Place, Shown, shown
from itscale.selection import Accuracy, Estimand, FloatArray, IntArray, ProblemOutcomes, Selector

if TYPE_CHECKING:
    from itscale.entries import SelectorEntry
    from itscale.study import Ingredient

__all__ = ["CheckedSelector", "make_selector"]

ROUNDING = 1e-9
SIMULATION_ERRORS = 6.0
"""Standard errors by which a simulated accuracy may lie above coverage."""
LARGEST_ERROR = 0.5
"""Standard error of a mean of two or more shares: it cannot be larger."""


def make_selector(ingredient: Ingredient[SelectorEntry]) -> CheckedSelector:
    """Make a selector; its accuracies are checked."""
    place = Place.of(ingredient)
    return CheckedSelector(place.make(ingredient, ("accuracy",)), place, ingredient.entry.estimand)


class CheckedSelector:
    """A selector whose accuracies are checked.

    Raises
    ------
    ContractError
        From `accuracy`, on what has another shape than the budgets, is no number, lies outside [0, 1] or
        above coverage (what is selected was drawn), or is not the estimand of its entry.
    """

    def __init__(self, selector: Selector, place: Place, estimand: Estimand) -> None:
        self._selector = selector
        self._place = place
        self._estimand = estimand

    def accuracy(self, outcomes: ProblemOutcomes, budgets: IntArray, rng: np.random.Generator) -> Accuracy:
        """Return the expected accuracy at every k."""
        from itscale.estimators import coverage_of  # with SciPy, of which a job on a block has no use

        found = self._selector.accuracy(outcomes, budgets, rng)
        problem = outcomes.problem_id
        if not isinstance(found, Accuracy):
            raise self._place.broken("accuracy()", found, "an Accuracy", problem)
        mean = self._numbers("mean", found.mean, budgets, problem)
        error = self._numbers("monte_carlo_error", found.monte_carlo_error, budgets, problem)
        ceiling = coverage_of(outcomes, budgets)
        known = ~np.isnan(ceiling)  # beyond the cap of sampling until a success nothing is known
        within = (mean >= -ROUNDING) & (mean <= 1 + ROUNDING)
        self._require(within | ~known, mean, budgets, "a share, in [0, 1]", problem)
        sure = (error >= 0) & (error <= LARGEST_ERROR)
        self._require(sure | ~known, error, budgets, "a standard error of a share, in [0, 0.5]", problem)
        slack = ROUNDING + SIMULATION_ERRORS * error
        said = self._told("at most the coverage {}: what is selected was drawn", ceiling)
        self._require((mean <= ceiling + slack) | ~known, mean, budgets, said, problem)
        if self._estimand == "coverage":
            said = self._told("the coverage {}, which its entry says it is (estimand)", ceiling)
            self._require((np.abs(mean - ceiling) <= slack) | ~known, mean, budgets, said, problem)
        return Accuracy(mean=np.clip(mean, 0.0, 1.0), monte_carlo_error=error)

    def _numbers(self, name: str, given: Any, budgets: IntArray, problem: str) -> FloatArray:
        try:
            values = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError):
            raise self._place.broken(f"accuracy(): {name}", given, "an array of numbers", problem) from None
        if values.shape != budgets.shape:
            expected = f"one for each k, of shape {budgets.shape}"
            raise self._place.broken(f"accuracy(): {name}", Shown(f"shape {values.shape}"), expected, problem)
        return values

    @staticmethod
    def _told(words: str, values: FloatArray) -> Any:
        return lambda worst: words.format(shown(float(values[worst])))

    def _require(self, holds: Any, values: FloatArray, budgets: IntArray, said: Any, problem: str) -> None:
        """Refuse values at the first k at which something does not hold."""
        if np.all(holds):
            return
        worst = int(np.argmin(holds))
        expected = said if isinstance(said, str) else said(worst)
        found = Shown(f"{shown(float(values[worst]))} at k = {budgets[worst]}")
        raise self._place.broken("accuracy()", found, expected, problem)
