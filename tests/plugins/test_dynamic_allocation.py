"""A common budget over problems: gains in closed form, duality and optimality by brute force."""

from functools import cache
from typing import ClassVar

import numpy as np
import pytest
from numbered_engine import PARTNERS, Numbered
from scipy.stats import beta, betabinom
from scripted_engine import run

from itscale.seeds import generator
from itscale.testing import StrategyContract
from itscale_builtin.strategies import repeated_sampling
from itscale_builtin.strategies.dynamic_allocation import (
    DynamicAllocationOptions,
    entry,
    gain_of_votes,
    threshold_for,
)
from itscale_builtin.strategies.dynamic_allocation_oracle import entry as with_oracle
from itscale_builtin.strategies.dynamic_allocation_oracle import gain_of_passing

OPTIONS = DynamicAllocationOptions()
CAP = 10


def drawn(strategy, answers, **options):
    engine = Numbered([f"t{place} {answer}" for place, answer in enumerate(answers)])
    size = len(answers)
    made, _ = run(strategy, engine, budget=size, completions=size, partners=PARTNERS, **options)
    assert len(made) == engine.begun
    return engine.begun


def gain(answers, cap=CAP, options=OPTIONS):
    return gain_of_votes(answers, options, min(options.look_ahead, cap - len(answers)))


# ---------------------------------------------------------------- gains


@pytest.mark.parametrize("answers", ["", "a", "ab", "aab", "aaaab", "abcabc"])
@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (2.0, 0.5)])
def test_a_gain_is_the_best_average_over_what_may_come(answers, a, b):
    """Against the beta-binomial distribution of the next m votes, enumerated."""
    first, second = (*sorted(map(answers.count, set(answers)), reverse=True), 0, 0)[:2]

    def sure(votes, others):
        above = beta.sf(0.5, a + first + votes, b + second + others)
        return max(above, 1 - above)

    gains = []
    for more in range(1, 6):
        chance = betabinom.pmf(range(more + 1), more, a + first, b + second)
        gains.append((sum(p * sure(k, more - k) for k, p in enumerate(chance)) - sure(0, 0)) / more)
    found = gain_of_votes(answers, DynamicAllocationOptions(a=a, b=b), 5)
    assert found == pytest.approx(max(0.0, *gains), abs=1e-12)


def test_an_undecided_problem_gains_most_and_a_decided_one_hardly_anything():
    gains = [gain_of_votes(answers, OPTIONS, 8) for answers in ("ab", "aab", "aaab", "aaaab")]
    assert gains == sorted(gains, reverse=True)
    assert gain_of_votes("a" * 30, OPTIONS, 8) == pytest.approx(0, abs=1e-12), "eight votes change no mind"
    assert gain_of_votes([None] * 9, OPTIONS, 8) == gain_of_votes("", OPTIONS, 8)


def test_a_tie_gains_a_quarter_by_one_vote():
    """p is uniform: V is 1/2 now, and 3/4 after one vote."""
    assert gain_of_votes("", OPTIONS, 1) == pytest.approx(0.25)


# ---------------------------------------------------------------- the dual


def greedy(streams, threshold, order):
    """Draw where the gain is largest, over all problems, until none is worth the threshold."""
    counts = [1] * len(streams)
    while True:
        open_ones = [place for place in order if counts[place] < len(streams[place])]
        gains = {place: gain(streams[place][: counts[place]]) for place in open_ones}
        best = max(gains, key=gains.get, default=None)
        if best is None or gains[best] < threshold:
            return counts
        counts[best] += 1


@pytest.mark.parametrize("threshold", [0.001, 0.005, 0.01, 0.02, 0.04, 0.08])
def test_a_shared_threshold_draws_what_greedy_allocation_over_problems_does(threshold):
    rng = generator("dual")
    streams = ["".join(rng.choice(list("aaabc"), size=CAP)) for _ in range(5)] + [
        "a" * CAP,
        "ab" * (CAP // 2),
    ]
    apart = [drawn(entry, stream, threshold=threshold) for stream in streams]
    for seed in range(3):
        order = generator("order", seed).permutation(len(streams)).tolist()
        assert greedy(streams, threshold, order) == apart


PRIORS = [(1.0, 1.0), (0.5, 3.0), (2.0, 5.0)]


def spent(priors, threshold, cap):
    """Return the expected value and spending of the threshold rule, one problem after the other."""
    value = cost = 0.0
    for a, b in priors:
        reached = 1.0
        for failures in range(cap):
            if failures and gain_of_passing(failures, a, b) < threshold:
                break
            passes = gain_of_passing(failures, a, b)
            value, cost, reached = value + reached * passes, cost + reached, reached * (1 - passes)
    return value, cost


@pytest.mark.parametrize("threshold", [0.05, 0.12, 0.21, 0.3])
def test_no_adaptive_policy_gains_more_at_the_price(threshold):
    """All policies of one problem (each may stop after any failure), by brute force over stopping times."""
    cap = 6
    for prior in PRIORS:
        best = max(
            value - threshold * cost
            for stop in range(1, cap + 1)
            for value, cost in [spent([prior], 0.0, stop)]
        )
        value, cost = spent([prior], threshold, cap)
        assert value - threshold * cost == pytest.approx(best)


@pytest.mark.parametrize("budget", range(1, 9))
def test_drawing_where_the_gain_is_largest_is_optimal_for_every_budget(budget):
    """Against dynamic programming over every adaptive policy of a common budget and three problems."""

    @cache
    def best(left, failures):
        if not left:
            return 0.0
        open_ones = [at for at in range(3) if failures[at] is not None]
        return max((after(left, failures, at, best) for at in open_ones), default=0.0)

    @cache
    def largest(left, failures):
        open_ones = [at for at in range(3) if failures[at] is not None]
        if not left or not open_ones:
            return 0.0
        at = max(open_ones, key=lambda at: gain_of_passing(failures[at], *PRIORS[at]))
        return after(left, failures, at, largest)

    def after(left, failures, at, policy):
        chance = gain_of_passing(failures[at], *PRIORS[at])

        def then(value):
            return policy(left - 1, (*failures[:at], value, *failures[at + 1 :]))

        return chance * (1 + then(None)) + (1 - chance) * then(failures[at] + 1)

    assert largest(budget, (0, 0, 0)) == pytest.approx(best(budget, (0, 0, 0)))


# ---------------------------------------------------------------- with an oracle


@pytest.mark.parametrize(
    ("answers", "threshold", "expected"),
    [
        (["wrong"] * 12, 0.1, 9),  # after j failures the gain is 1 / (2 + j)
        (["wrong"] * 12, 0.25, 3),
        (["wrong"] * 5 + ["right"] * 5, 0.1, 6),
        (["right"] * 4, 0.0, 1),  # what has passed is left, even if draws cost nothing
        (["wrong"] * 4, 0.0, 4),
        (["wrong"] * 4, 1.0, 1),
    ],
)
def test_an_oracle_leaves_a_problem_that_passed_or_hardly_will(answers, threshold, expected):
    assert drawn(with_oracle, answers, threshold=threshold) == expected
    assert (with_oracle.asks_oracle, entry.asks_oracle) == (True, False)


def test_a_price_of_tokens_stops_long_completions_first():
    short, long = (["wrong" + " wrong" * more] * 20 for more in (0, 30))
    asked = {"threshold": 2.0, "price_of": "thousand_tokens", "max_tokens": 100}
    assert drawn(with_oracle, long, **asked) < drawn(with_oracle, short, **asked) == 20


# ---------------------------------------------------------------- the threshold for a wanted mean


@pytest.mark.parametrize("wanted", [1.0, 1.5, 2.0, 3.7, 6.0, 10.0, 50.0])
def test_the_threshold_for_a_mean_spends_that_and_a_lower_one_more(wanted):
    rng = generator("pilot", int(wanted * 10))
    streams = ["".join(rng.choice(list("aaabc"), size=CAP)) for _ in range(12)]
    pilot = [[gain(stream[:size]) for size in range(1, CAP)] for stream in streams]

    def mean(threshold):
        return np.mean([drawn(entry, stream, threshold=threshold) for stream in streams])

    found = threshold_for(pilot, wanted)
    assert mean(found) <= wanted
    lower = sorted({one for gains in pilot for one in np.minimum.accumulate(gains) if one < found})
    if lower:
        assert mean(lower[-1]) > wanted


def test_the_least_that_can_be_spent_is_one_each():
    assert drawn(entry, "abab", threshold=threshold_for([[0.25, 0.1, 0.2]], 1.0)) == 1
    assert threshold_for([], 3.0) == threshold_for([[]], 3.0) == 0.0


def test_thresholds_of_tokens_divide_by_prices():
    found = threshold_for([[0.4, 0.1], [0.2, 0.1]], 1.5, prices=[[1.0, 1.0], [0.1, 0.1]])
    assert 1.0 < found <= 2.0, "the second problem's completions cost a tenth: its gain of .2 is worth 2"


class TestOfAnother(StrategyContract):
    """Completions that another strategy makes, at a price of tokens."""

    entry = entry
    test_registering_it_imports_nothing_heavy = None  # done once for all
    options: ClassVar = {"inner": "base", "price_of": "thousand_tokens", "threshold": 0.1}
    inner: ClassVar = {"base": repeated_sampling.entry}
