"""AB-MCTS: posteriors by their closed forms, who is asked, and draws that are a function of the session's."""

import asyncio
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from itscale.sampling.partners import Partners, SessionScorer
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.types import Problem
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions
from itscale_builtin.strategies.ab_mcts import AbMctsOptions, _algorithm, _drawing_by, ab_mcts

treequest = pytest.importorskip("treequest")

PROBLEM = Problem(problem_id="p", messages=({"role": "user", "content": "What is 3 + 4?"},), reference="7")
SCORES = (0.2, 0.4, 0.9)


def posterior(prior: str):
    """Return what a search believes of new answers once three of them have been scored."""
    algorithm = _algorithm(AbMctsOptions(scorer="r", prior=prior))
    state = algorithm.init_tree()
    state, trials = algorithm.ask_batch(state, len(SCORES), ["sampled"])
    for trial, score in zip(trials, SCORES, strict=True):
        state = algorithm.tell(state, trial.trial_id, ("answer", score))
    return state.thompson_states.get(state.tree.root).gen_vs_cont_probas["shared"]["GEN"]


def test_the_normal_posterior_by_hand() -> None:
    """kappa + 3, nu + 3, 3 * 0.5 / 4, (0.1 + 0.26 + 3 * 0.25 / 4) / 4: core.md 7.6."""
    assert posterior("gaussian").params == pytest.approx(
        {"m": 0.375, "kappa": 4, "nu": 4, "tau_square": 0.136875}
    )


def test_the_beta_posterior_by_hand() -> None:
    assert posterior("beta").params == pytest.approx({"a": 2.0, "b": 2.0})


def test_thompson_draws_follow_the_posterior() -> None:
    """The mean is distributed as m + sqrt(tau^2 / kappa) t_nu; failure by chance 1e-4."""
    law = posterior("gaussian")
    with _drawing_by(np.random.default_rng(0)):
        draws = [law.draw_sample() for _ in range(4000)]
    expected = stats.t(4, loc=0.375, scale=np.sqrt(0.136875 / 4))
    assert stats.kstest(draws, expected.cdf).pvalue > 1e-4


def test_what_treequest_draws_is_a_function_of_the_session_and_leaves_no_trace() -> None:
    np.random.seed(7)  # noqa: NPY002
    untouched = np.random.random(3)  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    drawn = []
    for _ in range(2):
        with _drawing_by(np.random.default_rng(5)):
            drawn.append(np.random.random(3))  # noqa: NPY002
    assert np.array_equal(*drawn)
    assert np.array_equal(np.random.random(3), untouched)  # noqa: NPY002


class ByModel:
    """Scores an answer by who wrote it: 0.9 of the helper, 0.1 of the model that is sampled."""

    async def score(self, trajectories, desk):
        return [0.9 if one.step.by == "better" else 0.1 for one in trajectories]


def run(budget: int, seed: int = 0, **options):
    """Run the search; return the session and what was handed in."""
    engine = SimulatedEngine(SimulatedOptions(success=0.5))
    helper = SimulatedEngine(SimulatedOptions(success=0.5))
    given = AbMctsOptions(scorer="r", models=("better",), max_tokens=200, **options)
    session = Session(
        PROBLEM,
        Unit(problem_id="p", budget=budget, stop=budget),
        engine,
        model="m",
        stream=(seed,),
        token_limit=200,
        partners=Partners(
            helpers={"better": helper}, scorer=SessionScorer(scorer=ByModel(), label="r", engines={})
        ),
    )
    return session, asyncio.run(ab_mcts(PROBLEM.question, session, given))


@pytest.mark.parametrize("arms", ["thompson", "ucb", "apart"])
def test_the_model_whose_answers_score_higher_is_asked_more(arms: str) -> None:
    asked: Counter[str] = Counter()
    for seed in range(4):
        session, made = run(24, seed, arms=arms)
        assert len(made) == 24
        asked.update(one.step.by for one in session.tree.made.values())
    assert asked["better"] > 2 * asked[""]


def test_answers_are_made_anew_and_made_better() -> None:
    """Where every score is the same, neither width nor depth is all there is."""
    session, made = run(32, prior="beta")
    chats = Counter(one.messages is None for one in session.tree.made.values())
    assert chats[True] >= 2
    assert chats[False] >= 2
    quoted = [order for orders in session.tree.reads.values() for order in orders if order]
    assert quoted
    assert set().union(*quoted) <= session.tree.made.keys()
    assert [one.weight for one in made] == [one.step_scores[-1] for one in made]


def test_places_drawn_at_once_are_told_one_by_one() -> None:
    _, made = run(10, at_once=4)
    assert len(made) == 10
