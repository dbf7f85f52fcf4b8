"""Revisions of a model whose truth is known, against the Markov chain of its attempts."""

import numpy as np
import pytest
from scripted_engine import Scripted, run

from itscale_builtin.strategies.revision import entry, split

SPOILT = 0.38  # right answers that the next revision spoils (Snell et al. 2024)
BUDGET, RUNS = 8, 150
EASY, HARD = (0.35, 0.5), (0.15, 0.05)
"""Chances that a first attempt is right, and that a wrong one is mended: a hard problem's errors stick."""


def reviser(right, mended):
    def script(request, before, seed):
        said = [turn["content"] for turn in request.chat if turn["role"] == "assistant"]
        chance = right if not said else 1 - SPOILT if said[-1] == "right" else mended
        return "right" if np.random.default_rng(seed).random() < chance else "wrong"

    return Scripted(script)


def coverage(right, mended, ratio):
    """Return the closed form: no chain has a right attempt only if all of each are wrong."""
    chains, length = split(BUDGET, ratio)
    return 1 - ((1 - right) * (1 - mended) ** (length - 1)) ** chains


def measured(problem, ratio):
    engine = reviser(*problem)
    return [
        [one.text == "right" for one in run(entry, engine, budget=BUDGET, ratio=ratio, replicate=number)[0]]
        for number in range(RUNS)
    ]


@pytest.mark.parametrize("problem", [EASY, HARD])
@pytest.mark.parametrize("ratio", ["sequential", 2, "parallel"])
def test_coverage_is_that_of_the_chain(problem, ratio):
    found = np.mean([any(attempts) for attempts in measured(problem, ratio)])
    expected = coverage(*problem, ratio)
    assert abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / RUNS) + 1e-9


def test_the_last_attempt_is_worse_than_the_chain():
    """A third of what was right is spoilt, so the end of a chain says less than all of it."""
    right, mended = EASY
    attempts = np.array(measured(EASY, "sequential"))
    expected = right
    for place in range(BUDGET):
        assert abs(attempts[:, place].mean() - expected) < 4 * np.sqrt(0.25 / RUNS)
        expected = expected * (1 - SPOILT) + (1 - expected) * mended
    assert attempts[:, -1].mean() < attempts.any(axis=1).mean() - 0.2
