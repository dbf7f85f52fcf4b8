"""Sampling until r completions are correct: rates, intervals and coverage, by the exact law (core.md 6)."""

from itertools import product

import numpy as np
import pytest
from scipy.special import comb
from scipy.stats import binom, nbinom

from itscale.errors import DesignError
from itscale.estimators import (
    coverage,
    coverage_of_problem,
    log_log_variance,
    log_variance,
    mean_pass_until,
    pass_until,
    pass_until_interval,
    stops_of,
    until_success_coverage,
)
from itscale.outcomes import ProblemOutcomes


def law(rate, wanted, cap):
    """Every outcome (K, j) of sampling until `wanted` are correct or `cap` were drawn, with its chance."""
    trials = np.arange(wanted, cap + 1)
    censored = np.arange(wanted)
    sampled = np.concatenate([trials, np.full(wanted, cap)])
    correct = np.concatenate([np.full(len(trials), wanted), censored])
    chance = np.concatenate([nbinom.pmf(trials - wanted, wanted, rate), binom.pmf(censored, cap, rate)])
    return sampled, correct, chance


# --- rates ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "expected"), [(0.5, 0.6931), (0.1, 0.2558), (0.01, 0.0465)])
def test_the_bias_of_one_over_k(rate, expected):
    """E[1/K] = -p ln p / (1 - p)."""
    sampled, correct, chance = law(rate, 1, 5000)
    mean = chance @ pass_until(sampled, correct, 1).rate
    assert mean == pytest.approx(expected, abs=5e-5)
    assert mean == pytest.approx(-rate * np.log(rate) / (1 - rate), abs=1e-6)


def test_the_bias_of_one_over_k_in_a_simulation():
    drawn = np.random.default_rng(0).geometric(0.1, 200_000)
    assert pass_until(drawn, np.ones_like(drawn), 1).rate.mean() == pytest.approx(0.2558, abs=0.003)


def test_the_log_bias_of_rare_successes_is_eulers_constant():
    """E[ln(1/K)] - ln p -> .577."""
    drawn = np.random.default_rng(1).geometric(1e-4, 400_000)
    assert -np.log(drawn).mean() - np.log(1e-4) == pytest.approx(0.577, abs=0.01)


@pytest.mark.parametrize("wanted", [2, 3, 5])
@pytest.mark.parametrize("rate", [0.05, 0.5, 1.0])
def test_r_minus_1_over_k_minus_1_is_unbiased(wanted, rate):
    sampled, correct, chance = law(rate, wanted, 3000)
    assert chance.sum() == pytest.approx(1)
    assert chance @ pass_until(sampled, correct, wanted).unbiased == pytest.approx(rate, abs=1e-9)
    assert chance @ pass_until(sampled, correct, wanted).rate >= rate


def test_a_censored_problem_is_binomial_and_flagged():
    found = pass_until([50, 100, 100], [3, 2, 0], 3)
    assert found.rate == pytest.approx([0.06, 0.02, 0.0])
    assert found.unbiased == pytest.approx([2 / 49, 0.02, 0.0])
    assert found.censored.tolist() == [False, True, True]


def test_problems_that_were_never_solved_do_no_harm():
    found = pass_until([100, 100], [0, 0], 1)
    assert found.censored.all()
    low, high = pass_until_interval([100, 100], [0, 0], 1)
    assert low.tolist() == [0, 0]
    assert high == pytest.approx(np.full(2, 1 - 0.025 ** (1 / 100)))


def test_rates_of_one_success_are_not_averaged():
    with pytest.raises(DesignError, match="until_success_coverage at k = 1"):
        mean_pass_until(pass_until([3, 5], [1, 1], 1))
    assert mean_pass_until(pass_until([3, 5], [2, 2], 2)) == pytest.approx((1 / 2 + 1 / 4) / 2)


@pytest.mark.parametrize(("n", "j", "r"), [(0, 0, 1), (3, 2, 1), (3, -1, 1), (3, 0, 0), (1, 2, 2)])
def test_impossible_counts_are_refused(n, j, r):
    with pytest.raises(ValueError, match="expected K >= 1"):
        pass_until([n], [j], r)


# --- intervals ----------------------------------------------------------------------------------------------


def test_the_exact_interval_of_3_in_50():
    """r = 3, K = 50, 95 % -> [.012549, .139787]."""
    low, high = pass_until_interval([50], [3], 3)
    assert (low[0], high[0]) == pytest.approx((0.012549, 0.139787), abs=5e-7)


def test_no_failure_leaves_the_upper_bound_at_1():
    low, high = pass_until_interval([4], [4], 4)
    assert high[0] == 1
    assert low[0] == pytest.approx(0.025 ** (1 / 4))


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.8])
@pytest.mark.parametrize("wanted", [1, 3])
def test_exact_intervals_cover_at_least_as_often_as_they_say(rate, wanted):
    sampled, correct, chance = law(rate, wanted, 400)
    low, high = pass_until_interval(sampled, correct, wanted)
    assert chance @ ((low <= rate) & (rate <= high)) >= 0.95 - 1e-9


@pytest.mark.parametrize(("rate", "wanted", "cap"), [(0.0249, 1, 119), (0.003, 1, 1000), (0.0149, 2, 200)])
def test_exact_intervals_cover_where_the_cap_leaves_no_success(rate, wanted, cap):
    """Just above the upper bound of no success, both tails miss at once."""
    sampled, correct, chance = law(rate, wanted, cap)
    low, high = pass_until_interval(sampled, correct, wanted)
    assert chance @ ((low <= rate) & (rate <= high)) >= 0.95 - 1e-9


def test_delta_variances():
    rng = np.random.default_rng(2)
    drawn = 500 + rng.negative_binomial(500, 0.2, 200_000)
    assert np.log(500 / drawn).var() == pytest.approx(log_variance(0.2, 500), rel=0.02)
    assert np.log(-np.log(500 / drawn)).var() == pytest.approx(log_log_variance(0.2, 500), rel=0.02)


# --- coverage ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [1, 2, 4])
@pytest.mark.parametrize("rate", [0.03, 0.4, 0.95])
def test_coverage_is_unbiased_under_the_negative_binomial_law(wanted, rate):
    cap = 60
    sampled, correct, chance = law(rate, wanted, cap)
    assert chance.sum() == pytest.approx(1)
    budgets = np.arange(1, cap + 1)
    found = until_success_coverage(sampled, correct, wanted, budgets, cap)
    assert chance @ found == pytest.approx(1 - (1 - rate) ** budgets, abs=1e-10)


@pytest.mark.parametrize(("wanted", "cap"), [(1, 7), (2, 9), (3, 9)])
def test_coverage_is_the_share_of_all_orders_that_end_alike(wanted, cap):
    """Every sequence is stopped by the rule itself; of those that end alike, how many begin so?"""
    ended = {}
    for sequence in product([0, 1], repeat=cap):
        places = np.flatnonzero(sequence)
        last = int(places[wanted - 1]) + 1 if len(places) >= wanted else cap
        ended.setdefault((last, sum(sequence[:last])), set()).add(sequence[:last])
    budgets = np.arange(1, cap + 1)
    for (sampled, correct), sequences in ended.items():
        begun = [[any(sequence[:k]) for k in budgets] for sequence in sequences]
        found = until_success_coverage([sampled], [correct], wanted, budgets, cap)[0]
        assert found == pytest.approx(np.mean(begun, axis=0), abs=1e-12)


def test_the_usual_estimate_is_biased_where_this_is_not():
    sampled, correct, chance = law(0.1, 1, 60)
    assert chance @ coverage(sampled, correct, [1])[:, 0] == pytest.approx(0.2558, abs=0.005)


@pytest.mark.parametrize(("k_total", "wanted"), [(9, 3), (7, 1)])
def test_the_formula_as_written(k_total, wanted):
    budgets = np.arange(1, k_total)
    written = 1 - comb(k_total - 1 - budgets, wanted - 1) / comb(k_total - 1, wanted - 1)
    found = until_success_coverage([k_total], [wanted], wanted, budgets)[0]
    assert found == pytest.approx(written, abs=1e-12)
    written = 1 - comb(k_total - budgets, wanted) / comb(k_total, wanted)
    found = until_success_coverage([k_total], [wanted], wanted + 1, budgets)[0]
    assert found == pytest.approx(written, abs=1e-12)


def test_nothing_is_said_beyond_the_cap():
    found = until_success_coverage([4, 10], [1, 0], 1, [1, 4, 10, 11], cap=10)
    assert found[0].tolist()[:3] == [0, 1, 1]
    assert found[1].tolist()[:3] == [0, 0, 0]
    assert np.isnan(found[:, 3]).all()
    with pytest.raises(ValueError, match="at most the cap of 9"):
        until_success_coverage([10], [1], 1, [1], cap=9)


def test_without_a_cap_a_problem_solved_at_once_tells_of_every_k():
    assert until_success_coverage([1], [1], 1, [1, 1000])[0].tolist() == [1, 1]


@pytest.mark.parametrize("design", ["fixed", "until_success"])
def test_coverage_of_outcomes_follows_their_design(design):
    correct = np.array([True, False, False, True])  # their order says nothing
    outcomes = ProblemOutcomes(
        problem_id="p", answers=np.zeros(4, int), correct=correct, scores={}, design=design, wanted=2
    )
    budgets = np.array([1, 2])
    expected = [1 / 2, 5 / 6] if design == "fixed" else [1 / 3, 2 / 3]
    assert coverage_of_problem(outcomes, budgets) == pytest.approx(expected)


# --- the design -------------------------------------------------------------------------------------------


def test_stops_that_contradict_each_other_are_refused():
    """Nine problems solved at different k and one that was not at 600, then one that went on to a second."""
    sampled, correct = [1, 2, 4, 7, 9, 20, 31, 90, 400, 600], [1] * 9 + [0]
    problems = [f"p{at}" for at in range(11)]
    assert stops_of(problems, sampled, correct) == 1
    assert until_success_coverage(sampled, correct, 1, [600])[:, 0].mean() == pytest.approx(0.9)
    with pytest.raises(DesignError, match=r"'p0' ended after 1 completions with 1 .*2 correct, as 'p10' has"):
        stops_of(problems, [*sampled, 3], [*correct, 2])
    with pytest.raises(DesignError, match=r"'p1' ended after 5 completions with 0 .* the 40 .* of 'p0'"):
        stops_of(problems, [40, 5, 3], [0, 0, 1])
    assert stops_of(problems, [10, 4, 10], [1, 2, 0]) == 2  # two ended by the cap of 10
    assert stops_of(problems, [7, 7], [0, 0]) == 1
