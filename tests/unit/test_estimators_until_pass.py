"""Resampling until an imperfect verifier passes: recorded completions, and the model of core.md 5."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itscale.estimators import (
    TaskTypes,
    coverage,
    pass_given_base,
    soundness,
    two_types,
    until_accepted,
)

# --- recorded completions -----------------------------------------------------------------------------------


def _by_listing(passed, correct, k):
    """Return correct, wrong, abstained and attempts, averaged over all orders."""
    results = []
    for order in permutations(range(len(passed))):
        first = next((place for place in order[:k] if passed[place]), None)
        attempts = k if first is None else order.index(first) + 1
        right, wrong = first is not None and correct[first], first is not None and not correct[first]
        results.append((right, wrong, first is None, attempts))
    return np.mean(np.array(results, dtype=float), axis=0)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("n", [1, 4, 6])
def test_the_first_pass_is_the_mean_over_all_orders(n, seed):
    rng = np.random.default_rng(seed)
    passed, correct = rng.random((2, n)) < 0.5
    found = until_accepted(passed, correct, np.arange(1, n + 1))
    for at, k in enumerate(range(1, n + 1)):
        parts = [found.correct[at], found.wrong[at], found.abstained[at], found.attempts[at]]
        assert parts == pytest.approx(_by_listing(passed, correct, k), abs=1e-12)


VERDICTS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(VERDICTS)
def test_the_first_pass_keeps_within_bounds(pairs):
    passed, correct = (np.array(column) for column in zip(*pairs, strict=True))
    n, budgets = len(passed), np.arange(1, len(passed) + 1)
    found = until_accepted(passed, correct, budgets)
    assert found.correct + found.wrong + found.abstained == pytest.approx(np.ones(n), abs=1e-9)
    assert np.all(found.correct <= coverage([n], [correct.sum()], budgets)[0] + 1e-9)
    assert np.all(np.diff(found.correct) >= -1e-9)
    assert np.all(np.diff(found.abstained) <= 1e-9)
    assert np.all((found.attempts >= 1 - 1e-9) & (found.attempts <= budgets + 1e-9))
    reverse = until_accepted(passed[::-1], correct[::-1], budgets)
    assert reverse.correct == pytest.approx(found.correct, abs=1e-12)
    if (~passed & correct).any():
        better = passed.copy()
        better[np.flatnonzero(~passed & correct)[0]] = True
        assert np.all(until_accepted(better, correct, budgets).correct >= found.correct - 1e-9)


def test_a_perfect_verifier_reaches_coverage():
    correct = np.arange(40) < 3
    budgets = np.arange(1, 41)
    found = until_accepted(correct, correct, budgets)
    assert found.correct == pytest.approx(coverage([40], [3], budgets)[0], abs=1e-10)
    assert np.all(found.value(7.0) == found.correct)


def test_many_recorded_completions_follow_the_closed_form():
    """Without replacement from very many is as good as with: core.md 5, accuracy at K and attempts."""
    types = TaskTypes(np.array([0.2]), np.array([1.0]), 0.75, 0.9)
    n = 1_000_000
    correct = np.arange(n) < 0.2 * n
    passed = np.where(correct, np.arange(n) % 10 < 9, np.arange(n) % 4 < 1)
    budgets = np.array([1, 2, 5, 20])
    found = until_accepted(passed, correct, budgets)
    assert found.correct == pytest.approx(types.accuracy(budgets), abs=1e-4)
    assert found.abstained == pytest.approx(types.abstention(budgets), abs=1e-4)
    assert found.value(2.0) == pytest.approx(types.value(budgets, 2.0), abs=3e-4)
    beta = types.reject[0]
    assert found.attempts == pytest.approx((1 - beta**budgets) / (1 - beta), rel=1e-4)


@pytest.mark.parametrize("k", [0, 4])
def test_attempts_that_were_not_made_are_refused(k):
    with pytest.raises(ValueError, match="expected"):
        until_accepted(np.ones(3, bool), np.ones(3, bool), np.array([k]))


# --- closed forms -------------------------------------------------------------------------------------------


def _worked_example():
    return TaskTypes(np.array([0.87, 0.13]), np.array([0.58, 0.42]), soundness=0.75)


def test_the_parts_of_the_worked_example():
    types = _worked_example()
    assert types.reject == pytest.approx([0.0975, 0.6525])
    assert types.accept_correct == pytest.approx([0.87, 0.13])
    assert types.accept_wrong == pytest.approx([0.0325, 0.2175])
    assert types.ceiling == pytest.approx([0.9640, 0.3741], abs=5e-5)


@pytest.mark.parametrize(("cost", "best", "value"), [(0.7, 3, 0.5246), (1, 2, 0.4724), (2, 1, 0.3388)])
def test_the_best_number_of_attempts_of_the_worked_example(cost, best, value):
    types = _worked_example()
    assert types.best_attempts(cost) == best
    assert types.value(best, cost) == pytest.approx(value, abs=5e-5)


def test_marginal_values_add_up():
    types = _worked_example()
    marginal = types.marginal_value(np.arange(1, 31), 0.7)
    assert np.cumsum(marginal) == pytest.approx(types.value(np.arange(1, 31), 0.7))
    assert marginal[2] > 0 > marginal[3]


@pytest.mark.parametrize(
    ("rate", "sound", "ceiling"), [(0.3, 1.0, 1.0), (0.2, 0.75, 0.5), (0.2, 0.0, 0.2), (0.87, 0.0, 0.87)]
)
def test_the_ceiling_is_p_correct_given_pass(rate, sound, ceiling):
    """s = 1 -> 1; r = .2, s = .75 -> .5; s = 0 -> r."""
    types = TaskTypes(np.array([rate]), np.array([1.0]), sound)
    assert types.ceiling[0] == pytest.approx(ceiling)
    assert types.accuracy(np.inf) == pytest.approx(ceiling)


def test_a_ceiling_does_not_depend_on_how_often_the_verifier_agrees_to_look():
    loose = TaskTypes(np.array([0.2]), np.array([1.0]), 0.75, 1.0)
    strict = TaskTypes(np.array([0.2]), np.array([1.0]), 0.875, 0.5)
    assert loose.ceiling == pytest.approx(strict.ceiling)
    assert loose.accuracy(3) > strict.accuracy(3)


def test_no_attempt_pays_where_every_type_loses():
    """K* = 0 when a < C f for all types."""
    types = TaskTypes(np.array([0.1, 0.3]), np.array([0.5, 0.5]), soundness=0.5)
    assert types.best_attempts(4.0) == 0


@pytest.mark.parametrize("rate", [0.001, 0.2, 0.9])
@pytest.mark.parametrize("cost", [0.0, 0.5, 1.0, 3.0, 50.0])
def test_one_homogeneous_type_gives_nothing_or_no_end(rate, cost):
    types = TaskTypes(np.array([rate]), np.array([1.0]), soundness=0.75)
    gain = types.accept_correct[0] - cost * types.accept_wrong[0]
    assert types.best_attempts(cost) == (np.inf if gain > 0 else 0)


def test_tasks_that_nothing_is_accepted_for_gain_nothing():
    types = TaskTypes(np.array([0.0, 0.5]), np.array([0.5, 0.5]), soundness=1.0)
    assert types.accuracy(np.inf) == pytest.approx(0.5)
    assert types.abstention(1000) == pytest.approx(0.5)


def test_simulated_attempts_follow_the_closed_form():
    types, rng = _worked_example(), np.random.default_rng(0)
    right = wrong = 0
    for _ in range(4000):
        rate = types.rates[int(rng.random() > types.shares[0])]
        for _ in range(3):
            correct = rng.random() < rate
            if correct or rng.random() > types.soundness:
                right, wrong = right + correct, wrong + (not correct)
                break
    assert right / 4000 == pytest.approx(types.accuracy(3), abs=0.03)
    assert (right - 0.7 * wrong) / 4000 == pytest.approx(types.value(3, 0.7), abs=0.03)


# --- parameters of a model ----------------------------------------------------------------------------------


def test_soundness_is_recovered_from_pass_rates():
    r, s = 0.3, 0.8
    base = r + (1 - r) * (1 - s)
    assert soundness(base, r, r / base) == pytest.approx(s)
    with pytest.raises(ValueError, match="expected attempts that are wrong"):
        soundness(1.0, 1.0, 1.0)


def test_tasks_are_split_at_one_half():
    types = two_types([0.9, 0.8, 0.5, 0.1, 0.3], 0.75)
    assert types.rates == pytest.approx([2.2 / 3, 0.2])
    assert types.shares == pytest.approx([0.6, 0.4])
    assert two_types([0.9], 0.75).shares.tolist() == [1.0]


@pytest.mark.parametrize(("never", "expected"), [("drop", 0.75), ("worst", 0.5), ("best", 5 / 6)])
def test_tasks_that_never_pass_are_imputed_both_ways(never, expected):
    assert pass_given_base([5, 2, 0], [10, 2, 0], never) == pytest.approx(expected)


def test_no_task_left_is_not_a_number():
    assert np.isnan(pass_given_base([0], [0]))
    with pytest.raises(ValueError, match="both <= base"):
        pass_given_base([3], [2])
