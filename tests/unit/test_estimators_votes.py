"""Majority and weighted votes, against closed forms and all subsets."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from itscale.estimators import (
    Tally,
    best_of_n,
    coverage,
    k_grid,
    majority,
    majority_exact,
    majority_simulated,
    tally,
    weighted_vote,
)
from itscale.outcomes import UNPARSABLE

# --- votes: core.md 1.4 -----------------------------------------------------------------------------------


def _pool(*sizes):
    """Answers of classes of these sizes, the first one right."""
    answers = np.repeat(np.arange(len(sizes)), sizes)
    return answers, answers == 0


@pytest.mark.parametrize(("shares", "expected"), [((0.6, 0.4), 0.648), ((0.5, 0.3, 0.2), 0.56)])
def test_majority_of_three_in_the_limit_of_many_completions(shares, expected):
    """core.md 1.4: two classes, p = .6 -> .648; three classes (.5, .3, .2), random ties -> .56."""
    votes = tally(*_pool(*(int(1000 * share) for share in shares)))
    assert majority_exact(votes, np.array([3]))[0] == pytest.approx(expected, abs=1e-3)


def _vote_by_listing(answers, flags, weights, k):
    results = []
    for subset in map(list, combinations(range(len(answers)), k)):
        named = sorted({answers[i] for i in subset} - {UNPARSABLE})
        sums = [sum(weights[i] for i in subset if answers[i] == name) for name in named]
        winners = [name for name, total in zip(named, sums, strict=True) if total > max(sums) - 1e-9]
        results.append(np.mean([flags[answers == name].mean() for name in winners]) if winners else 0.0)
    return np.mean(results)


POOLS = st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 4)), min_size=1, max_size=8)


@settings(deadline=None, max_examples=100)
@given(POOLS, st.integers(0, 4))
def test_majority_is_the_mean_over_all_subsets(pairs, right):
    answers = np.array([answer for answer, _ in pairs])
    flags = answers == right
    budgets = np.arange(1, len(answers) + 1)
    listed = [_vote_by_listing(answers, flags, np.ones(len(answers)), k) for k in budgets]
    assert majority_exact(tally(answers, flags), budgets) == pytest.approx(listed, abs=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_the_votes_of_twelve_are_the_mean_over_all_subsets(seed):
    rng = np.random.default_rng(seed)
    answers, scores = rng.integers(-1, 4, 12), rng.integers(0, 3, 12) / 2
    flags, budgets = answers == 2, np.arange(1, 13)
    listed = [_vote_by_listing(answers, flags, np.ones(12), k) for k in budgets]
    assert majority_exact(tally(answers, flags), budgets) == pytest.approx(listed, abs=1e-12)
    listed = [_vote_by_listing(answers, flags, scores, k) for k in budgets]
    weighted = weighted_vote(answers, flags, scores, budgets, rng, draws=2000)
    assert np.all(np.abs(weighted.mean - listed) <= 5 * weighted.monte_carlo_error + 1e-12)


def test_many_classes_that_tie_share_alike():
    """60 different answers: one vote each, whatever k, so each is right one time in 60."""
    answers = np.arange(60)
    found = majority_exact(tally(answers, answers == 7), k_grid(60))
    assert found == pytest.approx(np.full(len(found), 1 / 60))


def test_a_class_judged_both_ways_is_worth_its_share():
    answers, flags = np.zeros(4, dtype=int), np.array([True, False, False, False])
    assert majority_exact(tally(answers, flags), np.array([1, 3, 4])) == pytest.approx([0.25] * 3)


@pytest.mark.parametrize("seed", range(3))
def test_the_simulated_majority_agrees_with_the_exact_one(seed):
    rng = np.random.default_rng(seed)
    answers = rng.choice(12, 90, p=rng.dirichlet(np.ones(12))) - 1
    votes = tally(answers, answers == answers.max())
    budgets = k_grid(90)
    exact = majority_exact(votes, budgets)
    simulated = majority_simulated(votes, budgets, rng, draws=2000)
    assert np.all(np.abs(simulated.mean - exact) <= 5 * simulated.monte_carlo_error + 1e-12)
    assert simulated.monte_carlo_error[[0, -1]].tolist() == [0, 0]
    assert np.all(simulated.monte_carlo_error[1:-1] > 0)


def test_votes_too_large_to_count_are_simulated():
    votes = tally(*_pool(60, 50, 10))
    budgets = np.array([1, 11, 120])
    exact = majority(votes, budgets, np.random.default_rng(0))
    assert exact.monte_carlo_error.max() == 0
    simulated = majority(votes, budgets, np.random.default_rng(0), exact_work=10)
    assert simulated.monte_carlo_error[1] > 0


def test_unparsable_completions_cost_budget_but_no_votes():
    answers = np.array([UNPARSABLE, UNPARSABLE, 0, 1])
    found = majority_exact(tally(answers, answers == 0), np.array([1, 4]))
    assert found == pytest.approx([0.25, 0.5])


@pytest.mark.parametrize("seed", range(4))
def test_the_weighted_vote_agrees_with_all_subsets(seed):
    rng = np.random.default_rng(seed)
    answers = rng.integers(-1, 3, 8)
    flags, weights = answers == 0, rng.integers(0, 4, 8) / 2
    budgets = np.arange(1, 9)
    found = weighted_vote(answers, flags, weights, budgets, rng, draws=3000)
    listed = [_vote_by_listing(answers, flags, weights, k) for k in budgets]
    assert np.all(np.abs(found.mean - listed) <= 5 * found.monte_carlo_error + 1e-12)


@pytest.mark.parametrize("weight", [0.0, 0.1, 1.0])
def test_equal_weights_are_a_majority_vote(weight):
    answers, flags = _pool(5, 4, 4, 1)
    budgets = np.arange(1, 15)
    rng = np.random.default_rng(0)
    found = weighted_vote(answers, flags, np.full(14, weight), budgets, rng)
    assert np.array_equal(found.mean, majority_exact(tally(answers, flags), budgets))


def test_nearly_equal_weights_simulate_what_equal_ones_count():
    answers, flags = _pool(5, 4, 4, 1)
    weights = np.full(14, 0.1)
    weights[-1] = 0.100001
    budgets = np.arange(1, 15)
    found = weighted_vote(answers, flags, weights, budgets, np.random.default_rng(0), draws=3000)
    exact = majority_exact(tally(answers, flags), budgets)
    assert np.all(np.abs(found.mean - exact) <= 5 * found.monte_carlo_error + 1e-9)


@pytest.mark.parametrize("weights", [[-0.1, 1.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_weights_that_are_no_votes_are_refused(weights):
    with pytest.raises(ValueError, match="finite numbers >= 0"):
        weighted_vote(
            np.arange(2), np.ones(2, bool), np.array(weights), np.array([1]), np.random.default_rng()
        )


@settings(deadline=None, max_examples=50)
@given(POOLS, st.integers(0, 4), st.randoms())
def test_no_order_of_completions_is_better_and_nothing_beats_coverage(pairs, right, random):
    answers, weights = (np.array(column) for column in zip(*pairs, strict=True))
    flags = answers == right
    budgets = np.arange(1, len(answers) + 1)
    ceiling = coverage([len(answers)], [flags.sum()], budgets)[0]
    order = random.sample(range(len(answers)), len(answers))
    for select in (
        lambda a, f, w: majority_exact(tally(a, f), budgets),
        lambda a, f, w: best_of_n(w, f, budgets),
    ):
        found = select(answers, flags, weights)
        assert np.all(found <= ceiling + 1e-9)
        assert select(answers[order], flags[order], weights[order]) == pytest.approx(found, abs=1e-12)


@pytest.mark.parametrize("k", [0, 5])
def test_a_k_beyond_the_completions_is_refused(k):
    answers, flags = _pool(2, 2)
    with pytest.raises(ValueError, match="expected"):
        majority(tally(answers, flags), np.array([k]), np.random.default_rng())
    with pytest.raises(ValueError, match="expected"):
        best_of_n(answers, flags, np.array([k]))


# --- the exact vote of many completions -------------------------------------------------------------------


@pytest.mark.parametrize(
    "sizes",
    [
        [6000, 4000],
        np.full(3000, 2),
        np.arange(1, 60),
        [400, 380, *[3] * 500],
        np.ones(5000, dtype=int),
        [9999, 1],
    ],
)
def test_where_every_answer_is_right_every_vote_is(sizes):
    """The chances of all classes add up to 1, however many of them tie."""
    votes = Tally(np.array(sizes), np.ones(len(sizes)), 0)
    found = majority_exact(votes, k_grid(votes.n))
    assert found == pytest.approx(np.ones(len(found)), abs=1e-8)


def test_two_classes_are_a_hypergeometric_tail():
    votes, k = Tally(np.array([5200, 4800]), np.array([1.0, 0.0]), 0), k_grid(10_000)
    wins = hypergeom.sf(k // 2, 10_000, 5200, k)
    ties = np.where(k % 2 == 0, hypergeom.pmf(k // 2, 10_000, 5200, k), 0.0)
    assert majority_exact(votes, k) == pytest.approx(wins + ties / 2, abs=1e-8)


def test_answers_that_are_all_different_win_when_drawn_and_chosen():
    votes, k = Tally(np.ones(1500, dtype=int), np.eye(1500)[0], 500), k_grid(2000)
    drawn_any = 1 - hypergeom.pmf(0, 2000, 1500, k)
    assert majority_exact(votes, k) == pytest.approx(drawn_any / 1500, rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_ten_thousand_completions_agree_with_draws_of_counts(seed):
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(10_000, rng.dirichlet(np.full(30, 0.5)))
    counts = np.sort(counts[counts > 0])[::-1]
    votes = Tally(counts, np.eye(len(counts))[1], 200)
    budgets = np.array([2, 9, 100, 3000, 9990])
    simulated = majority_simulated(votes, budgets, rng, draws=1000)
    difference = np.abs(majority_exact(votes, budgets) - simulated.mean)
    assert np.all(difference <= 5 * simulated.monte_carlo_error)


def test_as_k_grows_the_vote_is_whether_the_mode_is_right():
    """core.md 1.4: the limit of majority is 1[mode is correct]."""
    for right, limit in ((0, 1.0), (1, 0.0)):
        votes = Tally(np.array([4200, 4000, 1800]), np.eye(3)[right], 0)
        assert majority_exact(votes, np.array([9_990]))[0] == pytest.approx(limit, abs=1e-6)


# --- weights of few kinds are counted ----------------------------------------------------------------------


def test_weights_of_few_kinds_are_simulated_by_counts_to_the_same_end():
    """Weights all but equal to the two kinds cannot be counted, and say the same."""
    rng = np.random.default_rng(0)
    answers = rng.choice(3, 4000, p=[0.4, 0.35, 0.25])
    flags, weights = answers == 1, np.where(rng.random(4000) < 0.5, 1.0, 0.25)
    weights[answers == 1] += 0.25
    budgets = np.array([1, 5, 50, 4000])
    counted = weighted_vote(answers, flags, weights, budgets, rng, draws=1500)
    nudged = weights + rng.random(4000) * 1e-10
    ordered = weighted_vote(answers, flags, nudged, budgets, rng, draws=1500)
    allowed = 5 * np.hypot(counted.monte_carlo_error, ordered.monte_carlo_error) + 1e-9
    # k = 5 has ties that nudging breaks
    assert np.all((np.abs(counted.mean - ordered.mean) <= allowed)[[0, 2, 3]])
    assert counted.monte_carlo_error[[0, 3]].tolist() == [0, 0]


def test_a_weight_of_two_counts_like_two_completions():
    """Exact at k = n: 3 x 1 against 2 x 2."""
    answers = np.array([0, 0, 0, 1, 1])
    weights = np.array([1.0, 1.0, 1.0, 2.0, 2.0])
    found = weighted_vote(answers, answers == 1, weights, np.array([5]), np.random.default_rng(0))
    assert (found.mean[0], found.monte_carlo_error[0]) == (1.0, 0.0)
