"""Selectors are believed in nothing: accuracies are those that the outcomes allow."""

import contextlib
import math
import os
from dataclasses import replace
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hostile import NAN, curves, hostile, law, message_of, refusal

from itscale.boundary import CheckedSelector, Place
from itscale.estimators.vote import standard_error
from itscale.outcomes import Accuracy, ProblemOutcomes

NO_NUMBER = (
    10**400,
    1j,
    np.complex128(0.5),
    True,
    np.True_,
    "0",
    b"0",
    None,
    Fraction(1, 2),
    np.datetime64(0, "s"),
)
NO_NUMBERS = "expected an array of numbers"


def selector(mean, error=0.0, drawn=None):
    class Hostile:
        def accuracy(self, outcomes, budgets, rng):
            size = len(budgets)
            return Accuracy(mean=mean(size), monte_carlo_error=np.full(size, error), drawn=drawn)

    return lambda options: Hostile()


def constant(value):
    return lambda size: np.full(size, value)


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (lambda options: object(), "factory: found <object"),
        (selector(constant(-3.0)), "accuracy(): found -3 at k = 1, expected a share, in [0, 1]"),
        (selector(constant(-3.0), 2.0), "accuracy(): found -3 at k = 1, expected a share, in [0, 1]"),
        (selector(constant(2.0), 0.04), "accuracy(): found 2 at k = 1, expected a share, in [0, 1]"),
        (selector(constant(0.0), 0.7), "accuracy(): found 0.7 at k = 1, expected a standard error"),
        (selector(constant(1.0), 0.5), "accuracy(): found 0.5 at k = 1, expected a standard error"),
        (
            selector(constant(1.0), 0.05),
            "found 1 at k = 1, expected at most the coverage 0: what is selected",
        ),
        (selector(constant(0.3), 0.05), "problem 'p0': accuracy(): found 0.3 at k = 1, expected at most"),
        (selector(constant(0.0), NAN), "accuracy(): found nan at k = 1, expected a standard error"),
        (
            selector(constant(0.9)),
            "found 0.9 at k = 1, expected at most the coverage 0: what is selected was",
        ),
        (selector(constant(NAN)), "accuracy(): found nan at k = 1"),
        (selector(constant(math.inf)), "accuracy(): found inf at k = 1"),
        (
            selector(constant(0.0), drawn=[0.5]),
            "accuracy(): drawn: found shape (1,), expected one for",
        ),
        (selector(lambda size: np.zeros(size + 1)), "accuracy(): mean: found shape ("),
        (selector(lambda size: 0.0), "accuracy(): mean: found shape (), expected one for each k, of shape ("),
        (selector(lambda size: ["?"] * size), "expected an array of numbers"),
        (selector(lambda size: None), "accuracy(): mean: found None, expected an array of numbers"),
        *((selector(lambda size, value=value: [value] * size), NO_NUMBERS) for value in NO_NUMBER),
        (
            selector(lambda size: np.ma.masked_all(size)),
            "accuracy(): mean: found masked_array(",
        ),
        (selector(constant(0.0), 1j), "accuracy(): monte_carlo_error: found array("),
    ],
)
def test_selectors(study, factory, said):
    changed = hostile(study, "selectors", "vote", factory)
    assert said in refusal(lambda: curves(changed), "selectors/majority_vote (label 'vote'): ")


def writes(name):
    """Write into what a selector is given, as a careless one may; the built-in one follows."""

    class Careless:
        def accuracy(self, outcomes, budgets, rng):
            array = budgets if name == "budgets" else getattr(outcomes, name)
            for how in (lambda: array.setflags(write=True), lambda: array.fill(1)):
                with contextlib.suppress(ValueError):
                    how()
            object.__setattr__(outcomes, "correct", np.ones(outcomes.n, dtype=bool))
            return Accuracy(mean=np.zeros(len(budgets)), monte_carlo_error=np.zeros(len(budgets)))

    return lambda options: Careless()


@pytest.mark.parametrize("name", ["answers", "correct", "budgets"])
def test_a_selector_cannot_change_what_others_are_given(study, name):
    curves(study)
    right = pl.read_parquet("curves.parquet").filter(selector="oracle")
    changed = hostile(study, "selectors", "vote", writes(name))
    changed = replace(changed, selectors=dict(sorted(changed.selectors.items(), reverse=True)))
    curves(changed)
    assert pl.read_parquet("curves.parquet").filter(selector="oracle").equals(right)


def test_plugins_that_leave_the_working_directory_take_nobody_along(study, caplog):
    class Leaving:
        def accuracy(self, outcomes, budgets, rng):
            os.chdir("/")
            return Accuracy(mean=np.zeros(len(budgets)), monte_carlo_error=np.zeros(len(budgets)))

    def fit(data, start=None):
        os.chdir("/")
        return [0.5]

    changed = hostile(study, "selectors", "vote", lambda options: Leaving())
    assert message_of(hostile(changed, "laws", "line", law(fit=fit)))[0] == "ok"
    said = "accuracy(): changed the working directory, which others share: it was put back"
    assert f"selectors/majority_vote (label 'vote'): {said}" in caplog.messages


def test_a_selector_that_makes_everything_right_is_refused_by_what_was_drawn(study):
    class Evil:
        def accuracy(self, outcomes, budgets, rng):
            object.__setattr__(outcomes, "correct", np.ones(outcomes.n, dtype=bool))
            return Accuracy(mean=np.ones(len(budgets)), monte_carlo_error=np.zeros(len(budgets)))

    changed = hostile(study, "selectors", "vote", lambda options: Evil())
    line = refusal(lambda: curves(changed), "selectors/majority_vote (label 'vote'): problem 'p0': ")
    assert "found 1 at k = 1, expected at most the coverage 0" in line


def test_what_was_simulated_may_stray_by_chance_but_not_on_average():
    def checked():
        class Lifted:
            def accuracy(self, outcomes, budgets, rng):
                mean = min(1, outcomes.correct.mean() + 0.1)
                return Accuracy(mean=np.array([mean]), monte_carlo_error=np.array([0.05]))

        return CheckedSelector(Lifted(), Place("selectors", "lifted"), "selected")

    drawn = ProblemOutcomes(
        problem_id="p", answers=np.zeros(8, dtype=int), correct=np.arange(8) < 4, scores={}
    )
    assert checked().accuracy(drawn, np.array([1]), np.random.default_rng(0)).mean == pytest.approx(0.6)
    lifted = checked()
    line = refusal(
        lambda: [lifted.accuracy(drawn, np.array([1]), np.random.default_rng(0)) for _ in range(20)],
        "selectors/lifted: accuracy()",
    )
    assert "found 0.1 above coverage at k = 1, over 10 problems, expected at most coverage" in line


def test_honest_simulations_are_left_alone():
    """Selectors that are as good as coverage, simulated: of 20 times 200 problems, none is refused."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        draws = int(rng.integers(100, 1000))

        class Simulated:
            def accuracy(self, outcomes, budgets, rng, draws=draws):
                mean = rng.binomial(draws, outcomes.correct.mean(), len(budgets)) / draws
                return Accuracy(mean=mean, monte_carlo_error=[standard_error(mean[0], draws)])

        judge = CheckedSelector(Simulated(), Place("selectors", "simulated"), "coverage")
        for right in rng.binomial(1000, rng.beta(0.3, 2, 200)):
            outcomes = ProblemOutcomes(
                problem_id="p", answers=np.zeros(1000, dtype=int), correct=np.arange(1000) < right, scores={}
            )
            judge.accuracy(outcomes, np.array([1]), rng)


@pytest.mark.parametrize("drawn", [0.0, 2.0, NAN])
def test_a_selector_draws_between_one_completion_and_k(study, drawn):
    class Hostile:
        def accuracy(self, outcomes, budgets, rng):
            none = np.zeros(len(budgets))
            return Accuracy(mean=none, monte_carlo_error=none, drawn=none + drawn)

    changed = hostile(study, "selectors", "vote", lambda options: Hostile())
    line = refusal(lambda: curves(changed), "selectors/majority_vote (label 'vote'): ")
    assert "at k = 1, expected completions drawn (drawn), in [1, k]" in line


def test_a_selector_that_is_not_the_coverage_its_entry_says_is_refused(study):
    changed = hostile(study, "selectors", "oracle", selector(constant(0.0)))
    line = refusal(lambda: curves(changed), "selectors/oracle: problem 'p1': ")
    assert "accuracy(): found 0 at k = 1, expected the coverage 0.125, which its entry says it is" in line
