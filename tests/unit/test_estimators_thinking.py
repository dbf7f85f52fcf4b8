"""Metrics of thinking budgets against their closed forms (core.md 7.14 and 7.17)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itscale import estimators

BUDGETS, ACCURACIES = (1000, 2000, 4000), (0.5, 0.53, 0.57)


def test_scaling_is_the_mean_slope_over_pairs():
    assert estimators.scaling(BUDGETS, ACCURACIES) == pytest.approx(2.4444e-5, rel=1e-4)


def test_scaling_does_not_depend_on_the_order_of_budgets():
    shuffled = estimators.scaling(BUDGETS[::-1], ACCURACIES[::-1])
    assert shuffled == pytest.approx(estimators.scaling(BUDGETS, ACCURACIES))


def test_a_curve_that_falls_has_negative_scaling():
    assert estimators.scaling([1000, 2000], [0.6, 0.25]) == pytest.approx(-3.5e-4)


def test_performance_is_the_best_of_the_curve():
    assert estimators.performance([0.5, 0.57, 0.55]) == 0.57


def test_control_counts_both_ends():
    assert estimators.control([99, 100, 150, 200, 201], 100, 200) == pytest.approx(0.6)


def test_regret_of_the_worked_example():
    assert estimators.normalised_regret([2000, 4000], [0.5, 0.5], 8000) == pytest.approx(0.5625)


def test_regret_cuts_off_what_is_beyond_the_largest_budget():
    whole = estimators.normalised_regret([2000, 4000, 8000], [0.2, 0.4, 0.8], 4000)
    assert whole == pytest.approx(1 - 0.2)  # the curve is one line from (0, 0) to (4000, 0.4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.integers(1, 5000))
def test_regret_is_the_area_that_is_missing(accuracies, most):
    tokens = 100 * np.arange(1, len(accuracies) + 1)
    grid = np.linspace(0, most, 20_001)
    area = np.interp(grid, np.append(0, tokens), np.append(0, accuracies)).mean()
    assert estimators.normalised_regret(tokens, accuracies, most) == pytest.approx(1 - area, abs=1e-3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: estimators.scaling([1000], [0.5]), "at least two"),
        (lambda: estimators.scaling([1000, 1000], [0.5, 0.6]), "all different"),
        (lambda: estimators.scaling([1000, 2000], [0.5]), "as many of each"),
        (lambda: estimators.control([], 0, 1), "at least one"),
        (lambda: estimators.performance([0.5, float("nan")]), "finite"),
        (lambda: estimators.normalised_regret([4000, 2000], [0.5, 0.5], 8000), "increasing"),
        (lambda: estimators.normalised_regret([0, 2000], [0.5, 0.5], 8000), "above 0"),
    ],
)
def test_what_has_no_metric_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()
