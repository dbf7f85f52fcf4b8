"""Checks of selectors: accuracy in [0, 1] at every k, never above coverage, as the entry declares."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from itscale.outcomes import Accuracy, Estimand, FloatArray, IntArray, ProblemOutcomes, Selector
from itscale.plugins.given import own_outcomes, read_only
from itscale.plugins.place import Place, Shown, shown
from itscale.plugins.process import SETTINGS, seed_global_generators

if TYPE_CHECKING:
    from itscale.plugins.entries import SelectorEntry
    from itscale.plugins.ingredient import Ingredient

__all__ = ["CheckedSelector", "make_selector"]

ROUNDING = 1e-9
SIMULATION_ERRORS = 6.0
"""Standard errors by which what was simulated may differ from what it cannot be: once in 1e9."""
LARGEST_ERROR = 0.05
"""Standard error of a mean of a hundred shares: fewer draws are no estimate."""
FEWEST_DRAWS = 100


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
        above coverage (what is selected was drawn), of one problem or on average over those so far, or is not
        the estimand of its entry.
    """

    def __init__(self, selector: Selector, place: Place, estimand: Estimand) -> None:
        self._selector = selector
        self._place = place
        self._estimand = estimand
        self._simulated: dict[int, tuple[int, float, float]] = {}  # by k: problems, excess, variance

    def accuracy(self, outcomes: ProblemOutcomes, budgets: IntArray, rng: np.random.Generator) -> Accuracy:
        """Return the expected accuracy at every k."""
        from itscale.estimators import coverage_of_problem  # with SciPy, of which a job on a block has no use

        problem, ks = outcomes.problem_id, budgets.copy()
        ceiling = coverage_of_problem(outcomes, ks)  # of what is known before anybody could change it
        seed_global_generators(rng)
        with self._place.undisturbed("accuracy()", SETTINGS):
            found = self._selector.accuracy(own_outcomes(outcomes), read_only(ks), rng)
        if not isinstance(found, Accuracy):
            raise self._place.broken("accuracy()", found, "an Accuracy", problem)
        mean = self._numbers("mean", found.mean, ks, problem)
        error = self._numbers("monte_carlo_error", found.monte_carlo_error, ks, problem)
        known = ~np.isnan(ceiling)  # beyond the cap of sampling until a success nothing is known
        within = (mean >= -ROUNDING) & (mean <= 1 + ROUNDING)
        self._require(within | ~known, mean, ks, "a share, in [0, 1]", problem)
        sure = (error >= 0) & (error <= LARGEST_ERROR)
        expected = f"a standard error of a share, in [0, {LARGEST_ERROR}], as {FEWEST_DRAWS} draws have it"
        self._require(sure | ~known, error, ks, expected, problem)
        mean = np.clip(mean, 0.0, 1.0)
        like = np.abs(mean - ceiling) <= ROUNDING
        like |= _plausible(mean, ceiling, error)
        said = self._told("at most the coverage {}: what is selected was drawn", ceiling)
        self._require((mean <= ceiling) | like | ~known, mean, ks, said, problem)
        if self._estimand == "coverage":
            said = self._told("the coverage {}, which its entry says it is (estimand)", ceiling)
            self._require(like | ~known, mean, ks, said, problem)
        self._compare_with_earlier(mean - ceiling, error, ks, known)
        drawn = self._drawn(found.drawn, ks, known, problem)
        return Accuracy(mean=mean, monte_carlo_error=error, drawn=drawn)

    def _compare_with_earlier(self, excess: FloatArray, error: FloatArray, ks: IntArray, known: Any) -> None:
        """Refuse what is above coverage on average over the problems so far: chance lifts one, not all."""
        for at in np.flatnonzero(known & (error > 0)).tolist():
            k = int(ks[at])
            problems, over, variance = self._simulated.get(k, (0, 0.0, 0.0))
            problems, over, variance = problems + 1, over + excess[at], variance + error[at] ** 2
            self._simulated[k] = problems, over, variance
            if over > ROUNDING * problems + SIMULATION_ERRORS * math.sqrt(variance):
                found = Shown(f"{shown(over / problems)} above coverage at k = {k}, over {problems} problems")
                least = shown(math.sqrt(variance) / problems)
                expected = f"at most coverage, give or take the standard error {least}"
                raise self._place.broken("accuracy()", found, expected)

    def _drawn(self, given: Any, budgets: IntArray, known: Any, problem: str) -> FloatArray:
        """Return how many completions were drawn; all k where a selector does not say."""
        if given is None:
            return budgets.astype(np.float64)
        drawn = self._numbers("drawn", given, budgets, problem)
        within = (drawn >= 1 - ROUNDING) & (drawn <= budgets * (1 + ROUNDING))
        self._require(within | ~known, drawn, budgets, "completions drawn (drawn), in [1, k]", problem)
        return np.clip(drawn, 1.0, budgets)

    def _numbers(self, name: str, given: Any, budgets: IntArray, problem: str) -> FloatArray:
        values = self._place.numbers(f"accuracy(): {name}", given, problem)
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


def _plausible(mean: FloatArray, expected: FloatArray, error: FloatArray) -> Any:
    """Return where draws of an expectation may well have such a mean, by Chernoff's bound.

    `n` draws in [0, 1] stray from `expected` to `mean` with a chance of at most
    `exp(-n D(mean || expected))`, D being the divergence of Kullback and Leibler; an error tells n. Nothing
    strays from 0 or 1.
    """
    from scipy.special import rel_entr

    with np.errstate(divide="ignore", invalid="ignore"):
        draws = np.maximum(mean * (1 - mean) / error**2, FEWEST_DRAWS)
        divergence = rel_entr(mean, expected) + rel_entr(1 - mean, 1 - expected)
        return (error > 0) & (draws * divergence <= SIMULATION_ERRORS**2 / 2)
