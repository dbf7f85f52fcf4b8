"""What a strategy can rely on: seeds, budget, ledger, lineage."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itscale.errors import BudgetExhausted, ContractError
from itscale.sampling.partners import Partners, SessionScorer
from itscale.sampling.progress import Tally
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.types import Problem, SamplingParams
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions

PROBLEM = Problem(problem_id="p1", messages=({"role": "user", "content": "How many?"},), reference="7")
STEP = SamplingParams(max_tokens=100, stop=("\n\n",))
WHOLE = SamplingParams(max_tokens=1000)


class CountingEngine(SimulatedEngine):
    """A simulated engine that keeps every generation it made."""

    def __init__(self, options=None):
        super().__init__(options or SimulatedOptions())
        self.made = []
        self.requests = []

    async def generate(self, request):
        made = await super().generate(request)
        self.made += made
        self.requests.append(request)
        return made


class LengthScorer:
    """Scores by length; remembers what it was asked."""

    def __init__(self):
        self.asked = []

    async def score(self, trajectories, desk):
        self.asked += [trajectory.node for trajectory in trajectories]
        await desk.rewards(trajectories)
        return [min(1.0, trajectory.tokens / 1000) for trajectory in trajectories]


def session(engine=None, *, stop=8, start=0, budget=0, token_limit=1000, scorer=None, stream=(1, "s")):
    unit = Unit(problem_id="p1", budget=budget, start=start, stop=stop)
    engine = engine or CountingEngine()
    asked = scorer and SessionScorer(scorer=scorer, label="length", engines={"": engine})
    return Session(
        PROBLEM,
        unit,
        engine,
        model="m",
        stream=stream,
        token_limit=token_limit,
        partners=Partners(scorer=asked),
    )


def pool(one: Session):
    async def draw():
        return one.complete(await one.extend([one.start()] * one.budget, WHOLE))

    return asyncio.run(draw())


def stepwise(one: Session, rounds: int):
    async def search():
        here = [one.start() for _ in range(one.budget)]
        for _ in range(rounds):
            here = await one.extend(here, STEP)
        return one.complete(here)

    return asyncio.run(search())


def test_a_pool_does_not_depend_on_how_it_is_cut_into_blocks():
    whole = pool(session(stop=8))
    parts = pool(session(stop=3)) + pool(session(start=3, stop=8))
    assert [(c.index, c.text) for c in parts] == [(c.index, c.text) for c in whole]
    assert len({c.text for c in whole}) > 1


@pytest.mark.parametrize("stream", [(2, "s"), (1, "other fingerprint")])
def test_another_seed_or_fingerprint_is_another_pool(stream):
    assert [c.text for c in pool(session(stream=stream))] != [c.text for c in pool(session())]


def test_equal_trajectories_share_one_request_and_their_prompt_is_charged_once():
    engine = CountingEngine()
    one = session(engine)
    pool(one)
    assert len(engine.requests) == 1
    (row,) = one.ledger.rows()
    assert row["prompt_tokens"] == engine.made[0].context_tokens
    assert row["sequences"] == 8


def test_the_ledger_equals_what_the_engine_generated():
    engine = CountingEngine()
    one = session(engine)
    stepwise(one, rounds=4)
    assert one.ledger.generated_tokens == sum(made.tokens for made in engine.made)


class Talking(CountingEngine):
    """Tells of the first three sequences while it generates them, and of the end of the first two."""

    async def generate(self, request):
        made = await super().generate(request)
        for place, one in enumerate(made[:3]):
            request.on_tokens(place, 0)
            request.on_tokens(place, one.tokens - 1)
        for place in range(2):
            request.on_tokens(place, 1)
            request.on_end(place)
        self.told = replace(self.tally.state)
        return made


def test_tokens_are_counted_once_whether_or_not_the_engine_tells_them_early():
    engine = Talking()
    engine.tally = Tally()
    one = session(engine)
    one._desk.tally = engine.tally.unit(8)
    pool(one)
    first = [made.tokens for made in engine.made]
    told, state = engine.told, engine.tally.state
    assert (told.tokens, told.running, told.running_tokens) == (sum(first[:3]) - 1, 1, first[2] - 1)
    assert (told.completions, told.ended_tokens) == (2, sum(first[:2]))
    assert (state.tokens, state.running, state.running_tokens) == (one.ledger.generated_tokens, 0, 0)
    assert (state.completions, state.ended, state.ended_tokens) == (8, 8, one.ledger.generated_tokens)


def test_steps_are_no_completions_until_the_unit_is_done():
    tally = Tally(done=3)
    one = session(CountingEngine())
    one._desk.tally = tally.unit(one.budget)
    stepwise(one, rounds=2)
    assert (tally.state.completions, tally.state.ended, tally.state.running) == (3, 0, 0)
    one._desk.tally.finish()
    assert (tally.state.completions, tally.state.ended) == (3 + one.budget, one.budget)
    assert tally.state.ended_tokens == tally.state.tokens == one.ledger.generated_tokens


def test_what_an_error_leaves_under_way_is_under_way_no_more():
    class Dying(CountingEngine):
        async def generate(self, request):
            request.on_tokens(0, 5)
            raise OSError("gone")

    tally = Tally()
    one = session(Dying())
    one._desk.tally = tally.unit(one.budget)
    with pytest.raises(OSError, match="gone"):
        pool(one)
    one._desk.tally.fail()
    state = tally.state
    assert (state.tokens, state.running, state.running_tokens) == (5, 0, 0)
    assert (state.completions, state.failed) == (0, one.budget)


def test_finished_trajectories_are_handed_back_and_cost_nothing():
    engine = CountingEngine(SimulatedOptions(steps=1))
    one = session(engine)

    async def twice():
        first = await one.extend([one.start()] * 8, STEP)
        return first, await one.extend(first, STEP)

    first, second = asyncio.run(twice())
    assert first == second
    assert len(engine.made) == 8


def test_lineage_and_steps_of_a_completion_are_consistent():
    for completion in stepwise(session(), rounds=4):
        ends = completion.step_ends
        assert ends[-1] == len(completion.text)
        assert all(early < late for early, late in pairwise([0, *ends]))
        assert sum(completion.step_tokens) == completion.generated_tokens
        assert completion.logprob == pytest.approx(sum(completion.step_logprobs))
        rebuilt = completion.trajectory(PROBLEM)
        assert rebuilt.text == completion.text
        assert [step.node for step in rebuilt.steps] == list(completion.nodes)


def test_copies_of_one_particle_continue_differently():
    one = session(CountingEngine(SimulatedOptions(success=0.5)))

    async def fork():
        (first,) = await one.extend([one.start()], STEP)
        return await one.extend([first] * 8, WHOLE)

    children = asyncio.run(fork())
    assert len({child.text for child in children}) > 1
    assert len({child.parent.node for child in children}) == 1
    assert len({child.node for child in children}) == 8


def test_a_trajectory_is_scored_once_and_its_score_is_kept_with_the_completion():
    scorer = LengthScorer()
    one = session(scorer=scorer)

    async def search():
        here = await one.extend([one.start()] * 3, STEP)
        await one.score(here)
        again = await one.score([here[0], here[0], here[2]])
        return one.complete(here), again

    completions, again = asyncio.run(search())
    assert sorted(scorer.asked) == sorted(one.nodes[-1] for one in completions)
    assert again[0] == again[1]
    assert [list(c.step_scores) for c in completions] == [[c.generated_tokens / 1000] for c in completions]
    (row,) = (row for row in one.ledger.rows() if row["call"] == "score")
    read = {(c.text, c.generated_tokens): c.prompt_tokens + c.generated_tokens for c in completions}
    assert (row["by"], row["scorer"], row["sequences"]) == ("m", "length", len(read))
    assert row["prompt_tokens"] == sum(read.values())


def test_scoring_without_a_scorer_is_a_mistake_of_the_strategys_author():
    one = session()
    with pytest.raises(RuntimeError, match="scorer"):
        asyncio.run(one.score([one.start()]))


@settings(max_examples=40, deadline=None)
@given(limit=st.integers(1, 60), beams=st.integers(1, 8), seed=st.integers(0, 2**32))
def test_no_strategy_can_spend_more_than_its_budget(limit, beams, seed):
    one = session(budget=beams, stop=beams, token_limit=limit, stream=(seed,))

    async def spendthrift():
        try:
            while True:
                await one.extend([one.start()] * beams, STEP)
        except BudgetExhausted:
            return one.complete([one.start()] * beams)

    completions = asyncio.run(spendthrift())
    assert one.ledger.generated_tokens <= limit * beams
    assert one.ledger.generated_tokens > (limit - 1) * beams  # and what is left would not cover a token each
    assert all(c.finish_reason == "budget" for c in completions)


@given(limit=st.integers(1, 80))
@settings(max_examples=20, deadline=None)
def test_no_completion_is_longer_than_allowed(limit):
    for completion in stepwise(session(token_limit=limit), rounds=6):
        assert completion.generated_tokens <= limit
        assert completion.finish_reason in {"eos", "length", "budget"}


def test_the_strategys_generator_is_reproducible():
    assert np.array_equal(session().rng.random(4), session().rng.random(4))


def test_a_reply_that_could_not_be_read_is_counted_once_with_the_model_that_wrote_it() -> None:
    one = session()

    async def run():
        (made,) = await one.extend([one.start()], STEP)
        one.unreadable(made)
        one.unreadable(made)
        return one.append(made, "Wait")

    given = asyncio.run(run())
    (row,) = one.ledger.rows()
    assert (row["by"], row["calls"], row["unreadable"]) == ("m", 1, 1)
    for nobody in (one.start(), given):
        with pytest.raises(ContractError, match="a reply of a model"):
            one.unreadable(nobody)
