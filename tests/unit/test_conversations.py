"""Chats of one's own: streams by lineage, given text, other models, what is cancelled, what runs out."""

import asyncio
import gc
import random

import pytest

from itscale.errors import BudgetExhausted, ContractError
from itscale.sampling.concurrency import bounded, first
from itscale.sampling.partners import Partners
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.stages.asking import close_all
from itscale.types import Generation, Problem, SamplingParams
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions

PROBLEM = Problem(
    problem_id="p", messages=({"role": "user", "content": "How many?"},), reference="7", metadata={"key": "7"}
)
WHOLE = SamplingParams(max_tokens=1000)
CHAT = [{"role": "user", "content": "What is wrong with it?"}]


class Recording(SimulatedEngine):
    """Keeps requests, and answers whenever it likes."""

    def __init__(self, latency=0, **options):
        super().__init__(SimulatedOptions(**options))
        self.requests, self._random = [], random.Random(latency)

    async def generate(self, request):
        self.requests.append(request)
        for _ in range(self._random.randrange(9)):
            await asyncio.sleep(0)
        return await super().generate(request)


def session(engine=None, *, start=0, stop=1, budget=0, pooled=False, helpers=None, worth=10_000, **partners):
    unit = Unit(problem_id="p", budget=budget, start=start, stop=stop)
    return Session(
        PROBLEM, unit, engine or Recording(), model="m", stream=(1,), token_limit=1000, worth=worth,
        pooled=pooled, partners=Partners(helpers=helpers or {}, **partners),
    )  # fmt: skip


def test_a_strategy_sees_the_question_and_no_answer():
    one = session()
    assert not hasattr(one.problem, "reference")
    assert not hasattr(one.start().problem, "metadata")


def test_an_engine_is_sent_the_chat_of_the_trajectory():
    engine = Recording()
    asyncio.run(session(engine).write(CHAT, WHOLE))
    assert list(engine.requests[0].chat) == CHAT


@pytest.mark.parametrize("latency", range(5))
def test_what_is_drawn_depends_on_what_is_continued_not_on_when(latency):
    async def work(engine, places):
        one = session(engine)

        async def chain(place):
            drafts = await one.extend([one.start(key=f"{place}")] * 2, WHOLE)
            seen = [{"role": "user", "content": f"{place}: {draft.text}"} for draft in drafts]
            return [draft.text for draft in drafts], (await one.write(seen, WHOLE)).text

        found = await asyncio.gather(*(chain(place) for place in places))
        return dict(zip(places, found, strict=True))

    assert asyncio.run(work(Recording(latency), [2, 0, 1])) == asyncio.run(work(Recording(), [0, 1, 2]))


def test_drawing_again_from_the_same_chat_gives_something_else():
    async def work():
        one = session()
        made = [await one.write(None, WHOLE) for _ in range(20)]
        again = session()
        return [
            [(each.text, each.tokens) for each in drawn]
            for drawn in (made, await again.extend([again.start()] * 20, WHOLE))
        ]

    one_by_one, together = asyncio.run(work())
    assert one_by_one == together
    assert len(set(one_by_one)) > 15


def test_completions_of_a_pool_never_repeat_each_other_however_often_each_draws():
    async def work(index):
        one = session(start=index, stop=index + 1)
        return [(made.text, made.tokens) for made in await one.extend([one.start()] * 8, WHOLE)]

    drawn = [asyncio.run(work(index)) for index in range(6)]
    assert len({tuple(one) for one in drawn}) == 6


def test_a_part_of_a_pool_may_not_draw_what_is_another_parts():
    one = session(start=4, stop=8, pooled=True, budget=0)

    async def work():
        await one.extend([one.start()] * 4, WHOLE)
        await one.extend([one.start()], WHOLE)

    with pytest.raises(ContractError, match="declare per='completion'"):
        asyncio.run(work())


def test_given_text_is_read_and_not_generated_and_reopens_what_was_finished():
    engine = Recording()
    one = session(engine)

    async def work():
        (drawn,) = await one.extend([one.start()], WHOLE)
        assert drawn.finish_reason == "eos"
        given = one.append(drawn, " Wait, once more.")
        assert not given.finished
        assert given.tokens == drawn.tokens
        (forced,) = await one.extend([given], WHOLE)
        return drawn, one.complete([forced])[0]

    drawn, completion = asyncio.run(work())
    assert completion.text.startswith(f"{drawn.text} Wait, once more.")
    assert [step.given for step in engine.requests[1].prefix] == [False, True]
    assert completion.prompt_tokens == 2 + 3  # the words of the question and of what was given
    assert one.ledger.generated_tokens == completion.generated_tokens


@pytest.mark.parametrize(
    "chat", [[], "hello", [{"role": "user"}], ["hello"], [{"role": "user", "content": 7}]]
)
def test_a_chat_that_no_engine_can_be_sent_is_refused(chat):
    with pytest.raises(ContractError, match=r"start\(\): messages: found .*, expected turns"):
        session().start(chat)


def test_a_chat_is_the_sessions_own():
    engine, chat = Recording(), [dict(turn) for turn in CHAT]
    one = session(engine)
    begun = one.start(chat)
    chat[0]["content"] = "something else"
    asyncio.run(one.extend([begun], WHOLE))
    assert list(engine.requests[0].chat) == CHAT


@pytest.mark.parametrize(("steps", "ids"), [(5, False), (4, True)])
def test_another_model_is_charged_by_its_label_and_reads_tokens_if_it_shares_them(steps, ids):
    class Numbered(Recording):
        async def generate(self, request):
            made = await super().generate(request)
            return [Generation(**{**_fields(one), "token_ids": (1,) * one.tokens}) for one in made]

    own, other = Numbered(), Numbered(truth_seed=1, steps=steps)
    one = session(own, helpers={"critic": other})

    async def work():
        (draft,) = await one.extend([one.start()], SamplingParams(max_tokens=20, stop=("\n\n",)))
        await one.extend([draft], WHOLE, by="critic")

    asyncio.run(work())
    assert [bool(step.token_ids) for step in other.requests[0].prefix] == [ids]
    assert {by for _, by, _ in one.ledger.accounts} == {"m", "critic"}
    with pytest.raises(ContractError, match="by: found 'judge', expected critic"):
        asyncio.run(one.write(None, WHOLE, by="judge"))


def _fields(one):
    return {name: getattr(one, name) for name in Generation.__dataclass_fields__}


def test_an_answer_cut_for_want_of_tokens_says_so():
    one = session(worth=30)

    async def work():
        (made,) = await one.extend([one.start()], WHOLE)
        with pytest.raises(BudgetExhausted):
            await one.write(CHAT, WHOLE)
        return one.complete([made])[0]

    found = asyncio.run(work())
    assert found.finish_reason == "budget"
    assert found.generated_tokens == 30


def test_a_call_waits_for_what_others_give_back_before_it_is_cut_short():
    one = session(Recording(steps=1, step_tokens=2), worth=1000)

    async def work():
        return await asyncio.gather(*(one.write(None, WHOLE, by=None, key=f"{key}") for key in range(8)))

    assert {made.finish_reason for made in asyncio.run(work())} == {"eos"}


def test_asking_the_oracle_takes_a_declaration():
    one = session(answer=lambda text: text.split()[-1])

    async def work():
        made = await one.write(None, WHOLE)
        assert one.answer(made) == made.text.split()[-1]
        one.passes(made)

    with pytest.raises(RuntimeError, match="declare asks_oracle"):
        asyncio.run(work())


def test_the_first_branch_in_their_order_is_taken_and_later_ones_are_cancelled():
    ended = []

    async def branch(number, waits):
        try:
            for _ in range(waits):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            ended.append(number)
            raise
        return number

    async def work(accept):
        return await first([branch(0, 5), branch(1, 9), branch(2, 1), branch(3, 99)], accept)

    assert asyncio.run(work(lambda number: number in (1, 2))) == 1
    assert ended == [3]
    assert asyncio.run(work(lambda number: False)) is None


def test_never_more_branches_than_wanted_run_at_once():
    running, most = 0, 0

    async def branch(number):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return number

    assert asyncio.run(bounded([branch(n) for n in range(9)], 3)) == list(range(9))
    assert most == 3


def test_what_a_cancelled_request_had_generated_is_charged():
    engine = SimulatedEngine(SimulatedOptions(seconds_per_token=0.01, step_tokens=200, steps=4))
    one = session(engine)

    async def work():
        task = asyncio.create_task(one.write(None, WHOLE))
        await asyncio.sleep(0.4)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(work())
    (account,) = one.ledger.accounts.values()
    assert account.prompt_tokens == 2
    assert 0 < account.generated_tokens < 100
    assert one._allowance.left == 10_000 - account.generated_tokens


def test_branches_that_had_not_begun_when_another_failed_are_put_away(recwarn):
    async def branch(number):
        if not number:
            raise ValueError("the first")

    with pytest.raises(ValueError, match="the first"):
        asyncio.run(bounded([branch(n) for n in range(5)], 1))
    gc.collect()
    assert not recwarn


def test_all_are_closed_whatever_one_raises():
    closed = []

    class Held:
        def __init__(self, number):
            self.number = number

        async def close(self):
            closed.append(self.number)
            if self.number == 1:
                raise RuntimeError("cannot")

    with pytest.raises(RuntimeError, match="cannot"):
        asyncio.run(close_all(None, Held(1), Held(2), Held(3)))
    assert closed == [1, 2, 3]


BEGUN = {
    "the problem's own chat": lambda one: one.start(),
    "another chat": lambda one: one.start(CHAT),
    "a key": lambda one: one.start(key="k"),
    "a chat and a key": lambda one: one.start(CHAT, key="k"),
    "a text put before": lambda one: one.append(one.start(), "So"),
    "a text put before in another chat": lambda one: one.append(one.start(CHAT), "So"),
    "two texts": lambda one: one.append(one.append(one.start(key="k"), "So"), " then"),
}


@pytest.mark.parametrize("begin", BEGUN.values(), ids=BEGUN)
@pytest.mark.parametrize("width", [1, 3, 4, 12])
def test_no_two_completions_of_a_pool_share_a_stream_however_it_is_cut(begin, width):
    seeds = []
    for start in range(0, 12, width):
        engine = Recording()
        one = session(engine, start=start, stop=start + width, pooled=True)
        asyncio.run(one.extend([begin(one)] * width, WHOLE))
        seeds += [seed for request in engine.requests for seed in request.seeds]
    whole = Recording()
    one = session(whole, stop=12, pooled=True)
    asyncio.run(one.extend([begin(one)] * 12, WHOLE))
    assert len(set(seeds)) == 12
    assert tuple(seeds) == whole.requests[0].seeds


def test_beginnings_that_differ_have_streams_that_differ():
    engine = Recording()
    one = session(engine, helpers={"k": engine})

    async def work():
        for begin in BEGUN.values():
            await one.extend([begin(one)] * 2, WHOLE)
            await one.extend([begin(one)] * 2, WHOLE, by="k")
        await one.extend([one.start(key="k:0"), one.start(key="0")], WHOLE)

    asyncio.run(work())
    seeds = [seed for request in engine.requests for seed in request.seeds]
    assert len(set(seeds)) == len(seeds) == 4 * len(BEGUN) + 2


def test_a_part_of_a_pool_may_not_draw_more_from_a_text_put_before_either():
    one = session(start=4, stop=8, pooled=True)
    begun = one.append(one.start(), "So")

    async def work():
        await one.extend([begun] * 4, WHOLE)
        await one.extend([begun], WHOLE)

    with pytest.raises(ContractError, match="declare per='completion'"):
        asyncio.run(work())
