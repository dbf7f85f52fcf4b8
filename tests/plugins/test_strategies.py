"""Searches against the closed forms of a model whose truth is known (core.md 2 and 4)."""

import asyncio
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from itscale.errors import StudyError
from itscale.sampling.partners import Partners, SessionScorer
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.types import Problem
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions
from itscale_builtin.strategies._resampling import multinomial, systematic, weigh
from itscale_builtin.strategies.beam_search import BeamSearchOptions, beam_search, beam_width
from itscale_builtin.strategies.particle_filter import ParticleFilterOptions, particle_filter
from itscale_builtin.strategies.repeated_sampling import RepeatedSamplingOptions, repeated_sampling

STEPS, SUCCESS = 3, 0.2
HOLDS = SUCCESS ** (1 / STEPS)


class EngineScorer:
    async def score(self, trajectories, desk):
        return [reward.whole for reward in await desk.rewards(trajectories)]


def run(strategy, options, *, budget, problems, right=0.9, wrong=0.1, noise=0.0, engine=None):
    """Run a strategy once on each of many like problems; return what it hands in, by problem."""
    engine = engine or SimulatedEngine(
        SimulatedOptions(
            success=SUCCESS, steps=STEPS, process_reward={"right": right, "wrong": wrong, "noise": noise}
        )
    )

    async def everything():
        def session(number):
            problem = Problem(
                problem_id=f"{number}", messages=({"role": "user", "content": "?"},), reference="7"
            )
            unit = Unit(problem_id=problem.problem_id, budget=budget, stop=budget)
            scorer = SessionScorer(scorer=EngineScorer(), label="r", engines={"": engine})
            return problem, Session(
                problem,
                unit,
                engine,
                model="m",
                stream=(0,),
                token_limit=10_000,
                partners=Partners(scorer=scorer),
            )

        pairs = [session(number) for number in range(problems)]
        return await asyncio.gather(*(strategy(problem, one, options) for problem, one in pairs))

    return asyncio.run(everything())


def right(completion):
    return "fails" not in completion.text and completion.finish_reason == "eos"


def close(found, expected, spread):
    """Within four standard errors of a mean of independent runs."""
    found = np.asarray(found, dtype=float)
    assert abs(found.mean() - expected) < 4 * spread / np.sqrt(len(found)), (found.mean(), expected)


def best(completions):
    return max(completions, key=lambda completion: completion.step_scores[-1])


# ---------------------------------------------------------------- repeated sampling


def test_repeated_sampling_has_the_stated_success_probability():
    pools = run(repeated_sampling, RepeatedSamplingOptions(), budget=4, problems=1000)
    close([right(c) for pool in pools for c in pool], SUCCESS, np.sqrt(SUCCESS * (1 - SUCCESS)))


# ---------------------------------------------------------------- particle filter


def posterior_of_success(right_reward: float, wrong_reward: float) -> float:
    """P(all steps hold) when every prefix is weighed by the odds of its reward: enumerate where it breaks."""
    odds_right, odds_wrong = right_reward / (1 - right_reward), wrong_reward / (1 - wrong_reward)
    paths: Mapping[int, float] = {
        sound: HOLDS**sound
        * (1 if sound == STEPS else 1 - HOLDS)
        * odds_right**sound
        * odds_wrong ** (STEPS - sound)
        for sound in range(STEPS + 1)
    }
    return paths[STEPS] / sum(paths.values())


@pytest.mark.parametrize("resampling", ["systematic", pytest.param("multinomial", marks=pytest.mark.slow)])
def test_particles_converge_to_the_posterior(resampling):
    options = ParticleFilterOptions(scorer="r", resampling=resampling)
    runs = run(particle_filter, options, budget=500, problems=16, right=0.6, wrong=0.4)
    found = [sum(c.weight for c in particles if right(c)) for particles in runs]
    assert np.mean(found) == pytest.approx(posterior_of_success(0.6, 0.4), abs=0.02)


def test_a_uniform_reward_leaves_the_model_as_it_is():
    runs = run(
        particle_filter, ParticleFilterOptions(scorer="r"), budget=8, problems=300, right=0.5, wrong=0.5
    )
    assert all(c.weight == pytest.approx(1 / 8) for particles in runs for c in particles)
    # Particles of a run are dependent, runs are not.
    shares = [np.mean([right(c) for c in particles]) for particles in runs]
    close(shares, SUCCESS, np.std(shares))


def test_one_particle_is_plain_sampling():
    runs = run(particle_filter, ParticleFilterOptions(scorer="r"), budget=1, problems=1000)
    close([right(particles[0]) for particles in runs], SUCCESS, np.sqrt(SUCCESS * (1 - SUCCESS)))


def test_a_better_reward_finds_more():
    options = ParticleFilterOptions(scorer="r")
    share = {
        reward: np.mean(
            [
                right(best(p))
                for p in run(particle_filter, options, budget=8, problems=200, right=reward, wrong=0.5)
            ]
        )
        for reward in (0.3, 0.5, 0.9)
    }
    assert share[0.3] < share[0.5] < share[0.9]


def test_weights_are_normalised_odds_and_a_low_temperature_sharpens_them():
    assert weigh(np.array([0.5, 0.8]), 1.0) == pytest.approx([0.2, 0.8])
    assert weigh(np.array([0.5, 0.8]), 0.5) == pytest.approx([1 / 17, 16 / 17])


def test_extinct_particles_still_have_weights():
    assert weigh(np.zeros(4), 1.0) == pytest.approx([0.25] * 4)
    assert weigh(np.array([0.0, 1.0]), 1.0) == pytest.approx([0, 1], abs=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.randoms())
def test_weighing_does_not_depend_on_the_order_of_particles(scores, random):
    order = list(range(len(scores)))
    random.shuffle(order)
    shuffled = weigh(np.array(scores)[order], 1.0)
    assert shuffled == pytest.approx(weigh(np.array(scores), 1.0)[order])


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=30), st.integers(0, 1000))
def test_systematic_resampling_copies_each_particle_its_share_rounded(scores, seed):
    weights = np.array(scores) / np.sum(scores)
    copies = np.bincount(systematic(weights, np.random.default_rng(seed)), minlength=len(weights))
    expected = weights * len(weights)
    assert copies.sum() == len(weights)
    assert np.all(copies >= np.floor(expected - 1e-9))
    assert np.all(copies <= np.ceil(expected + 1e-9))


def test_multinomial_resampling_is_unbiased():
    weights = np.array([0.1, 0.2, 0.7])
    draws = np.concatenate([multinomial(weights, np.random.default_rng(seed)) for seed in range(3000)])
    share = np.bincount(draws, minlength=3) / len(draws)
    assert share == pytest.approx(weights, abs=0.02)


# ---------------------------------------------------------------- beam search


def beam_closed_form(beams: int, width: int) -> tuple[float, float]:
    """Coverage and expected number of right candidates, by the chain of how many kept prefixes hold.

    The reward tells right from wrong for sure, so the right prefixes are kept first.
    """
    kept = beams // width
    after_first = binom.pmf(np.arange(beams + 1), beams, HOLDS)
    for _ in range(STEPS - 1):
        following = np.zeros(beams + 1)
        for holding, probability in enumerate(after_first):
            parents = min(holding, kept)
            following += probability * binom.pmf(np.arange(beams + 1), parents * width, HOLDS)
        after_first = following
    return 1 - after_first[0], float(after_first @ np.arange(beams + 1))


@pytest.mark.parametrize(
    ("beams", "width"),
    [(4, 1), (4, 2), (4, 4), (8, 2), (9, "sqrt"), pytest.param(16, 4, marks=pytest.mark.slow)],
)
def test_beam_search_matches_its_markov_chain(beams, width):
    options = BeamSearchOptions(scorer="r", width=width)
    runs = run(beam_search, options, budget=beams, problems=400)
    coverage, candidates = beam_closed_form(beams, 3 if width == "sqrt" else width)
    assert all(len(found) == beams for found in runs)
    close([any(map(right, found)) for found in runs], coverage, np.sqrt(coverage * (1 - coverage)) + 0.01)
    counts = [sum(map(right, found)) for found in runs]
    close(counts, candidates, np.std(counts))
    assert [right(best(found)) for found in runs] == [any(map(right, found)) for found in runs]


def test_a_beam_of_width_one_is_independent_sampling():
    coverage, candidates = beam_closed_form(8, 1)
    assert coverage == pytest.approx(1 - (1 - SUCCESS) ** 8)
    assert candidates == pytest.approx(8 * SUCCESS)


def test_one_kept_beam_is_greedy_stepwise_search():
    coverage, _ = beam_closed_form(8, 8)
    assert coverage == pytest.approx((1 - (1 - HOLDS) ** 8) ** STEPS)


@pytest.mark.parametrize(("budget", "width"), [(10, 4), (8, "sqrt"), (2, 4)])
def test_a_budget_that_does_not_divide_is_refused_in_words(budget, width):
    with pytest.raises(StudyError, match=f"budget {budget}"):
        beam_width(budget, width)


def test_a_finished_beam_is_handed_in_once():
    """Copies of a finished beam would inflate votes."""

    class Uneven(SimulatedEngine):
        """Problem 0's first trajectory ends after its first step."""

        async def generate(self, request):
            made = await super().generate(request)
            return [
                type(one)(
                    text="Step 1 holds. The answer is 7",
                    tokens=5,
                    prompt_tokens=0,
                    context_tokens=1,
                    logprob=None,
                    finish_reason="eos",
                )
                if not request.prefix and place == 0
                else one
                for place, one in enumerate(made)
            ]

    engine = Uneven(SimulatedOptions(success=1.0, steps=3))
    (found,) = run(beam_search, BeamSearchOptions(scorer="r", width=2), budget=4, problems=1, engine=engine)
    assert [c.text for c in found].count("Step 1 holds. The answer is 7") == 1
    assert len({c.nodes[-1] for c in found}) == len(found)
