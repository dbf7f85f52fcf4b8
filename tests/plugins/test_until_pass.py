"""Sampling until success: the counts that PassUntil's estimates need, in pools that say so."""

from typing import ClassVar

import numpy as np
import pytest
from numbered_engine import PARTNERS, Numbered
from scripted_engine import charged, run

from itscale.boundary import stops_after
from itscale.estimators import pass_until
from itscale.plugins.ingredient import Ingredient
from itscale.seeds import generator
from itscale.testing import StrategyContract
from itscale_builtin.strategies.until_pass import entry


def drawn(answers, cap=None, **options):
    engine = Numbered([f"t{place} {answer}" for place, answer in enumerate(answers)])
    made, session = run(entry, engine, completions=cap or len(answers), partners=PARTNERS, **options)
    assert [one.text for one in made] == engine.texts[: len(made)]
    return len(made), engine, session


R, W = "right", "wrong"


@pytest.mark.parametrize(
    ("answers", "successes", "expected"),
    [
        ([R, W, R], 1, 1),
        ([W, W, R, R], 1, 3),
        ([W, W, R, R, W], 2, 4),
        ([W, W, W], 1, 3),  # the cap
        ([W, R, W], 2, 3),
        ([R, R], 2, 2),
    ],
)
@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_it_ends_with_the_last_success_wanted_or_at_the_cap(answers, successes, expected, at_once):
    found, engine, session = drawn(answers, successes=successes, at_once=at_once)
    assert found == expected
    assert engine.begun == min(-(-expected // at_once) * at_once, len(answers)), "no more than it takes"
    assert charged(session, "generated_tokens") == engine.written, "what was drawn for nothing is charged"


@pytest.mark.parametrize("at_once", [1, 4])
def test_rates_have_the_bias_that_theory_says(at_once):
    """E[1/K] = -p ln p / (1 - p) for one success; (r - 1) / (K - 1) is right for two."""
    p, problems, cap = 0.5, 250, 40
    rng = generator("until_pass", at_once)
    for wanted in (1, 2):
        counts = []
        for _ in range(problems):
            answers = [R if hit else W for hit in rng.random(cap) < p]
            counts.append(drawn(answers, successes=wanted, at_once=at_once)[0])
        found = pass_until(counts, [wanted] * problems, wanted)
        rates, expected = (found.rate, -p * np.log(p) / (1 - p)) if wanted == 1 else (found.unbiased, p)
        assert abs(rates.mean() - expected) < 4 * rates.std() / np.sqrt(problems)


@pytest.mark.parametrize("successes", [1, 2, 7])
def test_outcomes_are_told_after_how_many_a_problem_is_left(successes):
    made = Ingredient("u", entry, entry.options(successes=successes), "itscale", "0")
    assert stops_after(made) == successes
    assert (entry.design, entry.draws, entry.asks_oracle) == ("until_success", "exchangeable", True)


class TestTwo(StrategyContract):
    """Two successes, a few at once."""

    entry = entry
    test_registering_it_imports_nothing_heavy = None  # done once for all
    options: ClassVar = {"successes": 2, "at_once": 3}
