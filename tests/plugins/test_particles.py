"""Particle methods: closed forms, reductions to one another, and a hidden Markov model that is enumerated."""

import asyncio
from collections import Counter
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import chi2, norm

from itscale.errors import StudyError
from itscale.sampling.partners import Partners, SessionScorer
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.types import Generation, Problem
from itscale_builtin.strategies import parallel_tempering as tempering_module
from itscale_builtin.strategies import particle_filter, particle_gibbs, repeated_sampling
from itscale_builtin.strategies._resampling import (
    ParticleOptions,
    draw_reference,
    effective_sample_size,
    multinomial,
    resample,
    systematic,
    tempering,
    weigh,
)
from itscale_builtin.strategies.parallel_tempering import acceptance, swapped
from itscale_builtin.strategies.particle_filter import sweep

pf, pg, pt = particle_filter.entry, particle_gibbs.entry, tempering_module.entry

# ---------------------------------------------------------------- a hidden Markov model of binary states

STAYS = 0.7
STEPS = 3
REWARDS = np.array([[0.35, 0.6], [0.7, 0.3], [0.25, 0.65]])
"""By step and state: what the scorer says of a prefix that ends so."""


class Chain:
    """Writes a state a step, "0" or "1", which it keeps with a probability; the first is either.

    With `early`, a solution may end after its second step.
    """

    offers = frozenset({"generate", "continue"})
    seed_scope = "completion"
    simulated = True

    def __init__(self, early=0.0):
        self.early = early

    async def generate(self, request):
        before = "".join(step.text for step in request.prefix)
        await asyncio.sleep(0)
        return [self._one(before, seed, request.params.stop) for seed in request.seeds]

    def _one(self, before, seed, stop):
        rng, text = np.random.default_rng(seed), ""
        while True:
            last = (before + text)[-1:]
            one = rng.random() < (0.5 if not last else STAYS if last == "1" else 1 - STAYS)
            text += str(int(one))
            done = len(before + text)
            ends = done == STEPS or (done == STEPS - 1 and rng.random() < self.early)
            if ends or stop:
                tokens = len(text)
                reason = "eos" if ends else "stop"
                return Generation(
                    text=text,
                    tokens=tokens,
                    prompt_tokens=0,
                    context_tokens=1,
                    logprob=-1.0,
                    finish_reason=reason,
                )

    async def close(self):
        pass


class Emissions:
    """Scores the state that a prefix ends in."""

    def __init__(self, rewards=REWARDS):
        self.rewards, self.asked = rewards, 0

    async def score(self, trajectories, desk):
        self.asked += len(trajectories)
        return [float(self.rewards[len(one.text) - 1, int(one.text[-1])]) for one in trajectories]


def posterior(temperature=1.0):
    """By path: its probability given that every step is right, each weighed by its odds."""
    odds = (REWARDS / (1 - REWARDS)) ** (1 / temperature)
    worth = {}
    for path in product((0, 1), repeat=STEPS):
        moves = [0.5, *(STAYS if a == b else 1 - STAYS for a, b in pairwise(path))]
        worth["".join(map(str, path))] = np.prod(moves) * np.prod([odds[t, s] for t, s in enumerate(path)])
    total = sum(worth.values())
    return {path: value / total for path, value in worth.items()}


def session_of(number=0, *, budget=1, engine=None, scorer=None, limit=1000):
    problem = Problem(problem_id=f"{number}", messages=({"role": "user", "content": "?"},), reference="1")
    scorer = SessionScorer(scorer=scorer or Emissions(), label="r", engines={})
    return Session(
        problem,
        Unit(problem_id=problem.problem_id, budget=budget, stop=budget),
        engine or Chain(),
        model="m",
        stream=(0,),
        token_limit=limit,
        granted=budget * limit,
        partners=Partners(scorer=scorer),
    )


def options_of(entry, **given):
    stepwise = {"scorer": "r", "max_steps": STEPS} if entry.family == "probabilistic" else {}
    return entry.options(**stepwise, **given)


def runs(entry, *, budget, times=1, engine=None, scorer=None, limit=1000, **given):
    """Run a strategy on like problems; return what it hands in, by problem."""
    options = options_of(entry, **given)
    entry.admits(options, budget)

    async def everything():
        sessions = [
            session_of(k, budget=budget, engine=engine, scorer=scorer, limit=limit) for k in range(times)
        ]
        return await asyncio.gather(*(entry.factory(one.problem, one, options) for one in sessions))

    return asyncio.run(everything())


def shares(completions):
    found = Counter()
    for one in completions:
        found[one.text] += one.weight
    return found


def distance(found, exact):
    return sum(abs(found[path] - exact[path]) for path in exact) / 2


def approaches(by_run, exact, bias):
    """Within 5.5 standard errors of a mean over independent runs, and what is allowed for bias.

    By the normal law, one of the 8 paths strays so far by chance with a probability below 8 * 4e-8 = 3e-7.
    """
    table = np.array([[found[path] for path in exact] for found in by_run])
    error = table.std(axis=0, ddof=1) / np.sqrt(len(table))
    assert 8 * 2 * norm.sf(5.5) < 3.1e-7
    assert np.all(np.abs(table.mean(axis=0) - list(exact.values())) < 5.5 * error + bias)


@pytest.mark.parametrize(
    "given",
    [{}, {"resampling": "systematic"}, {"resample_below": 0.6}, {"weight_temperature": 2.0}],
    ids=["multinomial", "systematic", "by effective sample size", "temperature 2"],
)
def test_a_particle_filter_approaches_the_posterior(given):
    exact = posterior(given.get("weight_temperature", 1.0))
    many = [shares(run) for run in runs(pf, budget=100, times=20, **given)]
    approaches(many, exact, bias=1 / 100)  # of order 1 / N, and below a fifth of that here
    few = [shares(run) for run in runs(pf, budget=4, times=20, **given)]
    assert (
        np.mean([distance(one, exact) for one in many]) < np.mean([distance(one, exact) for one in few]) / 3
    )


@pytest.mark.parametrize("given", [{}, {"resampling": "systematic"}], ids=["multinomial", "systematic"])
def test_particle_gibbs_approaches_the_posterior(given):
    exact = posterior()
    made = runs(pg, budget=48, times=32, iterations=6, hands_in="all", **given)
    approaches(
        [shares(run) for run in made], exact, bias=0.02
    )  # that of the first iterations, of 8 particles


def test_parallel_tempering_approaches_the_posterior_of_its_last_chain():
    made = runs(pt, budget=96, times=24, iterations=6, hands_in="all", temperatures=(3.0, 1.0))
    approaches([shares(run) for run in made], posterior(), bias=0.02)


async def moved(number, path, **given):
    """One conditional particle filter, three particles, whose reference has a path; the next one's path."""
    session = session_of(number, budget=3)
    reference = session.start()
    for state in path:
        reference = session.append(reference, state)
    swarm = await sweep(session, options_of(pf, **given), 3, 1.0, reference=reference)
    assert swarm.particles[-1] is reference
    return swarm.particles[draw_reference(swarm.weights, session.rng)].text


@pytest.mark.parametrize(
    "given",
    [{}, {"resampling": "systematic"}, {"resample_below": 0.7}],
    ids=["multinomial", "systematic", "by effective sample size"],
)
def test_a_conditional_particle_filter_leaves_the_posterior_as_it_is(given):
    """However few the particles: a reference of the posterior gives one of the posterior.

    Fails by chance with a probability of 1e-6. A reference that is compared at another step than the others,
    or systematic resampling that forgets it, fails.
    """
    exact, count = posterior(), 700
    rng = np.random.default_rng(7)
    before = rng.choice(list(exact), size=count, p=list(exact.values()))

    async def everything():
        return await asyncio.gather(*(moved(k, path, **given) for k, path in enumerate(before)))

    after = Counter(asyncio.run(everything()))
    expected = np.array(list(exact.values())) * count
    found = np.array([after[path] for path in exact])
    assert ((found - expected) ** 2 / expected).sum() < chi2.isf(1e-6, len(exact) - 1)


# ---------------------------------------------------------------- reductions


def test_one_particle_is_plain_sampling_step_by_step():
    """Text by text and node by node, whatever the scores: nothing is chosen."""

    async def plain(number):
        session = session_of(number)
        one = session.start()
        for _ in range(STEPS):
            (one,) = await session.extend([one], options_of(pf).step())
        return one

    for how in ({}, {"resampling": "systematic"}, {"resample_below": 0.5}, {"annealing": "ess"}):
        for number, (one,) in enumerate(runs(pf, budget=1, times=20, **how)):
            expected = asyncio.run(plain(number))
            assert (one.text, one.nodes[-1], one.weight) == (expected.text, expected.node, 1.0)


def test_one_particle_is_repeated_sampling_in_distribution():
    """Whole completions have other streams than steps. Two samples of 400; by chance: 1e-6 (chi-square)."""
    ours = Counter(run[0].text for run in runs(pf, budget=1, times=400))
    theirs = Counter(one.text for run in runs(repeated_sampling.entry, budget=100, times=4) for one in run)
    assert ours.total() == theirs.total() == 400
    table = np.array([[ours[path], theirs[path]] for path in posterior()], dtype=float)
    expected = table.sum(axis=1, keepdims=True) / 2
    assert ((table - expected) ** 2 / expected).sum() < chi2.isf(1e-6, len(table) - 1)


@pytest.mark.parametrize("given", [{}, {"resampling": "systematic"}, {"annealing": "ess"}])
def test_one_iteration_of_particle_gibbs_is_a_particle_filter(given):
    assert runs(pg, budget=8, times=5, iterations=1, **given) == runs(pf, budget=8, times=5, **given)


@pytest.mark.parametrize("hands_in", ["last", "all"])
def test_one_chain_of_parallel_tempering_is_particle_gibbs(hands_in):
    given = {"budget": 24, "times": 5, "iterations": 3, "hands_in": hands_in}
    gibbs = runs(pg, weight_temperature=0.7, **given)
    assert runs(pt, temperatures=(0.7,), **given) == gibbs
    assert all(len(run) == (8 if hands_in == "last" else 24) for run in gibbs)


def test_equal_rewards_leave_uniform_weights():
    same = Emissions(np.full((STEPS, 2), 0.37))
    for entry, how in ((pf, {}), (pf, {"resample_below": 0.5}), (pg, {"iterations": 2, "hands_in": "all"})):
        for run in runs(entry, budget=8, times=5, scorer=same, **how):
            assert [one.weight for one in run] == pytest.approx([1 / 8] * 8)


def test_extinct_particles_go_on():
    """All rewards at the clip: weights are uniform, and sum to 1."""
    for reward in (0.0, 1.0):
        dead = Emissions(np.full((STEPS, 2), reward))
        for run in runs(pg, budget=8, times=5, iterations=2, scorer=dead, resample_below=0.5):
            assert [one.weight for one in run] == pytest.approx([1 / 4] * 4)
    one_lives = Emissions(np.array([[0.0, 1.0]] * STEPS))
    for (one,) in runs(pf, budget=1, times=3, scorer=one_lives, resample_below=0.9):
        assert one.weight == 1.0
    for run in runs(pf, budget=16, times=5, scorer=one_lives, resample_below=0.01, weight_temperature=1e-6):
        assert sum(one.weight for one in run) == pytest.approx(1)


# ---------------------------------------------------------------- references


def test_a_reference_is_kept_and_its_forks_are_prefixes_that_go_on():
    """Forks share its nodes up to a step; the reference itself is neither generated nor scored again."""
    scorer = Emissions()
    session = session_of(budget=24, scorer=scorer)
    options = options_of(pg, iterations=3, hands_in="all")
    made = asyncio.run(particle_gibbs.particle_gibbs(session.problem, session, options))
    first, second, third = made[:8], made[8:16], made[16:]
    assert tuple(second[-1].nodes) in {tuple(one.nodes) for one in first}
    assert tuple(third[-1].nodes) in {tuple(one.nodes) for one in second}
    before = {node for one in first for node in one.nodes}
    shared = [sum(node in before for node in one.nodes) for one in second[:-1]]
    assert any(0 < count < STEPS for count in shared), "no fork of a reference in this seed"
    assert (
        scorer.asked
        == len(session.tree.scores)
        == sum(one.sequences for one in session.ledger.accounts.values())
    )


def test_a_reference_longer_or_shorter_than_the_others_is_no_trouble():
    for run in runs(pg, budget=24, times=30, iterations=4, engine=Chain(early=0.5), hands_in="all"):
        assert len(run) == 24
        assert all(one.finish_reason == "eos" for one in run)
        assert {len(one.text) for one in run} <= {STEPS - 1, STEPS}


@pytest.mark.parametrize("granted", [1, 7, 13, 25, 40, 55])
def test_tokens_that_run_out_leave_a_whole_iteration(granted):
    for entry, how in ((pg, {"iterations": 3}), (pt, {"iterations": 2})):
        session = session_of(budget=24)
        session._allowance.left = granted
        options = options_of(entry, **how)
        made = asyncio.run(entry.factory(session.problem, session, options))
        assert len(made) == entry.hands_in(options, 24)
        assert sum(one.weight for one in made) == pytest.approx(1)


# ---------------------------------------------------------------- swaps


@pytest.mark.parametrize(("worth", "next_worth"), [(0.0, 3.0), (3.0, 0.0), (-32.0, 32.0), (1.0, 1.0)])
def test_equal_temperatures_always_swap(worth, next_worth):
    assert acceptance(worth, next_worth, 0.5, 0.5) == 1


def test_the_acceptance_is_that_of_the_targets():
    """min(1, pi_k(x') pi_{k+1}(x) / (pi_k(x) pi_{k+1}(x'))) with pi_k(x) = exp(w(x) / T_k)."""
    for w, other, hot, cold in product((-1.5, 0.2, 2.0), (-0.7, 1.1), (4.0, 2.0), (1.0, 0.5)):
        ratio = np.exp(other / hot + w / cold - w / hot - other / cold)
        assert acceptance(w, other, hot, cold) == pytest.approx(min(1, ratio))
    assert acceptance(2.0, 1.0, 2.0, 1.0) == 1, "the better one goes to the colder chain"
    assert acceptance(1.0, 2.0, 2.0, 1.0) == pytest.approx(np.exp(-0.5))
    assert acceptance(-1e9, 1e9, 1e6, 1e-6) == 0


@pytest.mark.parametrize("swap_by", ["path", "last"])
def test_references_are_swapped_as_often_as_the_acceptance_says(swap_by):
    """1000 swaps of the same two; by chance: 1e-6 (normal law)."""
    logits = np.log(REWARDS / (1 - REWARDS))
    hot, cold = [0, 0, 0], [1, 0, 1]
    worths = [sum(logits[t, s] for t, s in enumerate(path)) for path in (hot, cold)]
    if swap_by == "last":
        worths = [logits[2, 0], logits[2, 1]]
    expected = acceptance(*worths, 2.0, 1.0)
    assert 0.1 < expected < 0.9
    options = options_of(pt, swap_by=swap_by, temperatures=(2.0, 1.0))
    session, rng = session_of(), np.random.default_rng(3)

    def made(path):
        one = session.start()
        for state in path:
            one = session.append(one, str(state))
        return one

    pair = [made(hot), made(cold)]

    async def everything():
        return [(await swapped(session, options, pair, rng))[0] is pair[1] for _ in range(1000)]

    share = np.mean(asyncio.run(everything()))
    assert abs(share - expected) < norm.isf(5e-7) * np.sqrt(expected * (1 - expected) / 1000)


def test_a_ladder_that_rises_is_refused_in_words():
    found = list(pt.check(options_of(pt, temperatures=(1.0, 2.0))))
    assert found == ["temperatures[1]: found 2 after 1, expected none above the one before"]
    assert not list(pt.check(options_of(pt, temperatures=(2.0, 2.0, 1.0))))


@pytest.mark.parametrize(
    ("entry", "given", "budget"),
    [(pg, {"iterations": 3}, 16), (pg, {"iterations": 4}, 4), (pt, {"iterations": 4}, 12)],
)
def test_a_budget_that_does_not_divide_is_refused_in_words(entry, given, budget):
    with pytest.raises(StudyError, match=f"found budget {budget} with .* expected a multiple of"):
        entry.admits(options_of(entry, **given), budget)


# ---------------------------------------------------------------- weights


def test_effective_sample_size_and_entropic_temperatures_by_hand():
    weights = np.array([0.7, 0.1, 0.1, 0.1])
    assert effective_sample_size(weights) == pytest.approx(1.923, abs=5e-4)
    told = {"scorer": "r", "max_steps": 10}
    ess, entropy, base = (
        tempering(weights, 0.1, ParticleOptions(annealing=how, **told)) for how in ("ess", "entropy", "base")
    )
    assert ess == pytest.approx(0.9 / (1 / 0.52 / 4)) == pytest.approx(1.872)
    share = -(0.7 * np.log(0.7) + 0.3 * np.log(0.1)) / np.log(4)
    assert entropy == pytest.approx(1 / (share + (1 - share) * 0.1))
    assert base == pytest.approx(1.9)


@pytest.mark.parametrize("how", ["ess", "entropy", "base"])
def test_annealing_is_early_and_for_few_effective_particles_alone(how):
    options = ParticleOptions(annealing=how, scorer="r")
    few, many = np.array([0.97, 0.01, 0.01, 0.01]), np.array([0.4, 0.2, 0.2, 0.2])
    assert tempering(few, 0.49, options) > 1
    assert tempering(few, 0.5, options) == tempering(many, 0.1, options) == 1
    assert tempering(few, 0.1, ParticleOptions(scorer="r")) == 1
    assert tempering(np.ones(1), 0.0, options) == 1
    assert np.isfinite(tempering(np.array([1.0, 0, 0, 0]), 0.1, options))


def test_annealing_draws_systematically_by_flattened_weights_and_selects_by_the_others():
    logs, rng = np.log(np.array([0.97, 0.01, 0.01, 0.01])), np.random.default_rng
    options = ParticleOptions(annealing="base", scorer="r")
    flat = np.exp(logs / 1.9) / np.exp(logs / 1.9).sum()
    for seed in range(20):
        found = resample(logs, 0.1, options, rng(seed), keep_last=False)
        assert list(found) == list(systematic(flat, rng(seed)))
    steep = Emissions(np.array([[0.01, 0.99], [0.01, 0.99], [0.05, 0.95]]))
    for run in runs(pf, budget=8, times=10, scorer=steep, annealing="base"):
        last = weigh(np.array([one.step_scores[-1] for one in run]), 1.0)
        assert [one.weight for one in run] == pytest.approx(last)


def test_weights_are_multiplied_until_particles_are_resampled():
    """Never resampled, they are those of importance sampling: products of the odds of all steps."""
    for run in runs(pf, budget=8, times=10, resample_below=1e-9):
        odds = np.array([np.prod([s / (1 - s) for s in one.step_scores]) for one in run])
        assert [one.weight for one in run] == pytest.approx(odds / odds.sum())
    for run in runs(pf, budget=8, times=10, engine=Chain(early=1.0), resample_below=1e-9):
        assert {len(one.text) for one in run} == {2}
        odds = np.array([np.prod([s / (1 - s) for s in one.step_scores]) for one in run])
        assert [one.weight for one in run] == pytest.approx(odds / odds.sum())


def test_one_that_has_ended_counts_its_last_score_in_each_further_round():
    for run in runs(pf, budget=16, times=10, engine=Chain(early=0.5), resample_below=1e-9):
        rounds = max(len(one.text) for one in run)
        scores = [[*one.step_scores, *[one.step_scores[-1]] * (rounds - len(one.text))] for one in run]
        odds = np.array([np.prod([s / (1 - s) for s in path]) for path in scores])
        assert [one.weight for one in run] == pytest.approx(odds / odds.sum())


@given(st.lists(st.floats(1e-6, 1 - 1e-6), min_size=2, max_size=12), st.randoms(), st.integers(0, 99))
def test_nothing_depends_on_the_order_of_particles(scores, random, seed):
    """Nor does how many of each are drawn on average: for each, n times its weight."""
    order = list(range(len(scores)))
    random.shuffle(order)
    weights = weigh(np.array(scores), 1.0)
    shuffled = weigh(np.array(scores)[order], 1.0)
    assert shuffled == pytest.approx(weights[order])
    assert effective_sample_size(shuffled) == pytest.approx(effective_sample_size(weights))
    for how in ("ess", "entropy", "base"):
        options = ParticleOptions(annealing=how, scorer="r")
        assert tempering(shuffled, 0.2, options) == pytest.approx(tempering(weights, 0.2, options))


@pytest.mark.parametrize("draw", [multinomial, systematic])
def test_free_places_are_drawn_given_that_the_last_particle_stays(draw):
    """Unconditional draws in which a random place has the last particle, from the next place on, around.

    In their order: systematic draws are not exchangeable, and a conditional particle filter of four particles
    or more is biased where the reference always takes the same of its places. By chance: 1e-6.
    """
    weights, count = np.array([0.1, 0.2, 0.25, 0.45]), 6_000
    rng = np.random.default_rng(11)
    ours = Counter(tuple(map(int, draw(weights, rng, keep_last=True))) for _ in range(count))
    theirs: Counter[tuple[int, ...]] = Counter()
    while theirs.total() < count:
        drawn = draw(weights, rng)
        place = rng.integers(4)
        if drawn[place] == 3:
            theirs[tuple(map(int, np.roll(drawn, -place - 1)[:-1]))] += 1
    outcomes = sorted(ours | theirs)
    table = np.array([[ours[one], theirs[one]] for one in outcomes], dtype=float)
    expected = table.sum(axis=1, keepdims=True) / 2
    assert ((table - expected) ** 2 / expected).sum() < chi2.isf(1e-6, len(outcomes) - 1)


@given(st.lists(st.floats(-40, 40), min_size=1, max_size=20), st.integers(0, 999))
def test_systematic_draws_exist_for_any_weights(logits, seed):
    """Weights that are nothing, too, and the last one's among them."""
    weights = weigh(expit(np.array(logits)), 0.1)
    rng = np.random.default_rng(seed)
    for keep in (False, True):
        drawn = systematic(weights, rng, keep_last=keep)
        assert len(drawn) == len(weights) - keep
        assert np.all((drawn >= 0) & (drawn < len(weights)))
