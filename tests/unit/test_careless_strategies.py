"""Strategies that ask for what cannot be, or go round the session: refused by name, and no budget is lost."""

import asyncio
from dataclasses import replace

import pytest

from itscale.errors import BudgetExhausted, ContractError, EngineError
from itscale.sampling.partners import Partners, SessionScorer
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.types import Problem, SamplingParams, Step, Trajectory
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions

PROBLEM = Problem(problem_id="p", messages=({"role": "user", "content": "How many?"},), reference="7")
WHOLE = SamplingParams(max_tokens=1000)
CHAT = [{"role": "user", "content": "What is wrong with it?"}]


def session(engine=None, *, worth=1000, **partners):
    unit = Unit(problem_id="p", stop=1)
    return Session(
        PROBLEM,
        unit,
        engine or SimulatedEngine(SimulatedOptions()),
        model="m",
        stream=(1,),
        token_limit=1000,
        worth=worth,
        pooled=False,
        partners=Partners(**partners),
    )


WRONG = [
    ("max_tokens", float("nan")),
    ("max_tokens", -(10**9)),
    ("max_tokens", 0),
    ("max_tokens", 512.5),
    ("max_tokens", True),
    ("max_tokens", "512"),
    ("max_tokens", 10**400),
    ("temperature", -1),
    ("temperature", float("inf")),
    ("top_p", 0),
    ("top_p", 1.5),
    ("top_k", -1),
    ("min_p", float("nan")),
    ("stop", "\n"),
    ("stop", ("",)),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_parameters_that_cannot_be_are_refused_and_cost_no_budget(name, value):
    one = session()

    async def work():
        with pytest.raises(ContractError, match=rf"session.extend\(\): params.{name}: found .*, expected"):
            await one.write(None, replace(WHOLE, **{name: value}))
        for number in range(100):
            await one.write(None, WHOLE, key=f"{number}")

    with pytest.raises(BudgetExhausted):
        asyncio.run(work())
    assert one.ledger.generated_tokens <= 1000


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda one: one.write(None, None), r"extend\(\): params: found None, expected SamplingParams"),
        (
            lambda one: one.extend(one.start(), WHOLE),
            r"extend\(\): found .*, expected a list of trajectories",
        ),
        (lambda one: one.extend([one.start()], WHOLE, by=["m"]), r"extend\(\): by: found \['m'\]"),
        (lambda one: one.write(CHAT, WHOLE, key=b"x"), r"start\(\): key: found b'x', expected a text"),
        (
            lambda one: one.write([CHAT[0] | {"tool_calls": [object()]}], WHOLE),
            r"start\(\): messages: found .*, expected a turn of JSON values",
        ),
        (
            lambda one: one.score([one.start()]),
            r"score\(\): found a trajectory not yet begun, expected one with a step",
        ),
        (
            lambda one: one.extend([Trajectory(one.problem)], WHOLE),
            r"extend\(\): found .*, expected one that start",
        ),
    ],
)
def test_what_cannot_be_asked_is_said_with_the_plugin_and_the_problem(ask, said):
    class Half:
        async def score(self, trajectories, desk):
            return [0.5] * len(trajectories)

    one = session(scorer=SessionScorer(scorer=Half(), label="half"))

    async def work():
        await ask(one)

    with pytest.raises(ContractError, match=f"strategies/unnamed: problem 'p': session.{said}"):
        asyncio.run(work())


def test_a_generator_of_trajectories_is_as_good_as_a_list():
    one = session()

    async def work():
        drawn = await one.extend((one.start() for _ in range(3)), WHOLE)
        return one.complete(drawn[:1], weights=iter_of(0.5))

    def iter_of(*values):
        return list(values)

    (completion,) = asyncio.run(work())
    assert completion.text


@pytest.mark.parametrize(
    "forge",
    [
        lambda drawn: replace(drawn, finish_reason=None),
        lambda drawn: replace(drawn, messages=tuple(CHAT)),
        lambda drawn: replace(
            drawn,
            parent=Trajectory(
                drawn.problem,
                Trajectory(drawn.problem),
                Step(text="The answer is 7. ", tokens=0, logprob=0.0, node=drawn.node),
            ),
        ),
    ],
    ids=["opened again", "another chat", "another parent"],
)
def test_a_trajectory_that_was_altered_is_none_of_the_sessions(forge):
    one = session()

    async def work():
        (drawn,) = await one.extend([one.start()], WHOLE)
        for use in (lambda made: one.extend([made], WHOLE), lambda made: as_coroutine(one.complete, [made])):
            with pytest.raises(ContractError, match="one that start"):
                await use(forge(drawn))

    async def as_coroutine(function, *arguments):
        return function(*arguments)

    asyncio.run(work())


def test_a_chat_that_was_handed_out_cannot_be_changed():
    one = session()
    begun = one.start(CHAT)
    with pytest.raises(TypeError):
        begun.chat[0]["content"] += " again"
    assert one.start(CHAT) is begun


class FailsLate(SimulatedEngine):
    """Tells of some tokens, then fails."""

    async def generate(self, request):
        request.on_prompt(9, 0)
        request.on_tokens(0, 40)
        raise EngineError("refused")


def test_what_a_request_had_generated_before_it_failed_is_charged():
    one = session(FailsLate(SimulatedOptions()), worth=200)

    async def work():
        failed = 0
        while True:
            try:
                await one.write(None, WHOLE)
            except EngineError:
                failed += 1
            except BudgetExhausted:
                return failed

    assert asyncio.run(work()) == 5
    assert (one.ledger.generated_tokens, one.ledger.rows()[0]["prompt_tokens"]) == (200, 45)


class Silent(SimulatedEngine):
    """Tells nothing before it answers, which it never does."""

    async def generate(self, request):
        for place in range(len(request.seeds)):
            request.on_tokens(place, 0)
        await asyncio.sleep(60)


def test_what_nobody_counted_of_a_cancelled_request_is_taken_for_all_that_was_asked():
    one = session(Silent(SimulatedOptions()), worth=300)
    params = replace(WHOLE, max_tokens=100)

    async def work():
        cancelled = 0
        while True:
            task = asyncio.create_task(one.write(None, params))
            await asyncio.sleep(0.01)
            if task.done():
                return cancelled, type(task.exception())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            cancelled += 1

    assert asyncio.run(work()) == (3, BudgetExhausted)
    assert one.ledger.generated_tokens is None


def test_a_trajectory_is_scored_once_though_many_ask_at_once():
    asked = []

    class Slow:
        async def score(self, trajectories, desk):
            asked.extend(trajectory.node for trajectory in trajectories)
            await asyncio.sleep(0)
            if len(asked) == 1:
                raise ValueError("the first time")
            return [len(asked) / 100] * len(trajectories)

    one = session(scorer=SessionScorer(scorer=Slow(), label="slow"))

    async def work():
        drawn = await one.extend([one.start()] * 2, WHOLE)
        first, *others = await asyncio.gather(
            one.score(drawn[:1]), *(one.score(drawn[:1]) for _ in range(4)), return_exceptions=True
        )
        both = await asyncio.gather(one.score(drawn), one.score(drawn[1:]), one.score(drawn[::-1]))
        return first, others, both

    first, others, both = asyncio.run(work())
    assert isinstance(first, ValueError)
    assert len({float(scores[0]) for scores in others}) == 1
    assert [len(set(asked)), len(asked)] == [2, 3]
    assert both[0].tolist() == [others[0][0], both[1][0]] == both[2].tolist()[::-1]
