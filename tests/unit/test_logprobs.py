"""Log-probabilities of texts and next tokens: closed forms, what is charged and refused, chosen tokens."""

import asyncio
import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from itscale.boundary import CheckedEngine, Place
from itscale.errors import BudgetExhausted, ContractError, StudyError
from itscale.plugins import Options, StrategyEntry, VerifierEntry
from itscale.plugins.references import ModelLabel
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.ledger import Ledger
from itscale.sampling.partners import Partners
from itscale.sampling.reading import aligned
from itscale.sampling.scoring import Answers, ChargedDesk
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.study import examine
from itscale.testing import registry_of
from itscale.types import NextLogprobs, NextRequest, Problem, SamplingParams, Step, TextLogprobs, TextRequest
from itscale_builtin.engines import openai
from itscale_builtin.engines import simulated as simulated_engine
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions
from itscale_builtin.selectors import oracle
from itscale_builtin.tasks import jsonl
from itscale_builtin.verifiers import exact_match

PROBLEM = Problem(problem_id="p", messages=({"role": "user", "content": "How many?"},), reference="7")
RIGHT = "Step 1 holds.\n\nStep 2 holds. The answer is 7"
HELD = math.sqrt(0.36)  # the probability that a step holds, of a model that is right with 0.36


def simulated(**options):
    return SimulatedEngine(SimulatedOptions(**{"success": 0.36, "steps": 2, "wrong_answers": 2, **options}))


def session(engine=None, *, helpers=None, worth=100, limit=100):
    unit = Unit(problem_id="p", start=0, stop=1)
    place = Place("engines", "simulated")
    return Session(
        PROBLEM, unit, CheckedEngine(engine or simulated(), place), model="m", stream=(1,), token_limit=limit,
        worth=worth, pooled=False,
        partners=Partners(helpers={name: CheckedEngine(one, place) for name, one in (helpers or {}).items()}),
    )  # fmt: skip


def test_the_next_token_has_the_probability_that_the_model_gives_it():
    async def work():
        one = session()
        first = await one.next_logprobs(one.start())
        last = await one.next_logprobs(one.append(one.start(), "Step 1 holds.\n\n"))
        best = await one.next_logprobs(one.append(one.start(), "Step 1 fails.\n\n"), top=1)
        return first, last, best

    first, last, best = asyncio.run(work())
    assert first.texts == ("Step 1 holds.\n\n", "Step 1 fails.\n\n")
    assert np.exp(first.logprobs) == pytest.approx([HELD, 1 - HELD])
    # Of the wrong answers, the j-th comes in proportion to 1 / j.
    assert np.exp(last.logprobs) == pytest.approx([HELD, (1 - HELD) * 2 / 3, (1 - HELD) / 3])
    assert (first.full, last.full, best.full) == (True, True, False)
    assert best.texts == ("Step 2 fails. The answer is 8",)
    assert np.exp(best.logprobs) == pytest.approx([2 / 3])
    with pytest.raises(ValueError, match="read-only"):
        first.logprobs[0] = 0


def test_the_tokens_of_a_text_multiply_to_its_probability():
    async def work():
        one = session()
        whole = await one.logprobs(one.start(), RIGHT)
        again = await one.logprobs(one.append(one.start(), RIGHT))
        rest = await one.logprobs(
            one.append(one.start(), "Step 1 holds.\n\n"), "Step 2 holds. The answer is 7"
        )
        odd = await one.logprobs(one.start(), "Step 1 holds.\n\nOr does it?")
        return whole, again, rest, odd

    whole, again, rest, odd = asyncio.run(work())
    assert whole.total == pytest.approx(math.log(0.36))
    assert again.logprobs == whole.logprobs
    assert rest.logprobs == whole.logprobs[1:]
    assert odd.logprobs == pytest.approx((math.log(HELD), *[math.log(1e-6)] * 3))


def test_a_loop_token_by_token_draws_what_the_model_would():
    async def draw(index):
        one = session(simulated(wrong_answers=1))
        writing = one.start(key=f"{index}")
        rng = np.random.default_rng(index)
        while not writing.finished:
            found = await one.next_logprobs(writing)
            writing = await one.take(found, rng.choice(found.token_ids, p=np.exp(found.logprobs)))
        (completion,) = one.complete([writing])
        return completion, one.ledger

    drawn = [asyncio.run(draw(index)) for index in range(400)]
    share = np.mean([completion.text == RIGHT for completion, _ in drawn])
    assert abs(share - 0.36) < 4 * math.sqrt(0.36 * 0.64 / 400)
    completion, ledger = next(one for one in drawn if one[0].text == RIGHT)
    assert (completion.finish_reason, completion.generated_tokens, completion.prompt_tokens) == ("eos", 3, 2)
    assert completion.logprob == pytest.approx(math.log(0.36))
    ((call, by, _),) = ledger.accounts
    (account,) = ledger.accounts.values()
    assert (call, by, account.calls, account.generated_tokens) == ("next_logprobs", "m", 3, 3)
    assert account.prompt_tokens == 2 + 3 + 4  # each call reads all before it


def test_what_is_charged_is_what_the_engine_read_and_the_budget_is_of_generated_tokens():
    async def work():
        one = session(worth=2)
        await one.logprobs(one.start(), RIGHT)
        for _ in range(2):
            await one.next_logprobs(one.start())
        with pytest.raises(BudgetExhausted):
            await one.next_logprobs(one.start())
        return one.ledger.accounts

    accounts = asyncio.run(work())
    text, following = accounts["logprobs", "m", ""], accounts["next_logprobs", "m", ""]
    assert (text.calls, text.prompt_tokens, text.generated_tokens) == (1, 4, 0)
    assert (following.calls, following.prompt_tokens, following.generated_tokens) == (2, 4, 2)


def test_a_reading_that_is_cancelled_is_charged_for_what_it_read():
    async def work():
        one = session(simulated(seconds_per_token=60))
        task = asyncio.create_task(one.next_logprobs(one.start()))
        while not one._desk.tally.job.state.running:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return one

    one = asyncio.run(work())
    account = one.ledger.accounts["next_logprobs", "m", ""]
    assert (account.prompt_tokens, account.generated_tokens, one._allowance.left) == (2, 0, 100)
    assert one._desk.tally.job.state.running == 0


def test_several_models_share_a_text_and_token_ids_only_with_one_tokenizer():
    async def work():
        one = session(helpers={"kin": simulated(success=0.81), "alien": simulated(steps=3)})
        found = [await one.next_logprobs(one.start(), by=by) for by in (None, "kin", "alien")]
        ids, logprobs = aligned(*found[:2])
        assert ids.tolist() == found[0].token_ids.tolist()
        assert np.exp(logprobs) == pytest.approx(np.array([[HELD, 1 - HELD], [0.9, 0.1]]))
        with pytest.raises(StudyError, match="found the tokenizers simulated: 2 steps"):
            aligned(*found)
        written = await one.take(found[2], 1)  # a token of another's is a text to everybody
        return await one.next_logprobs(written)

    assert asyncio.run(work()).texts[0] == "Step 2 holds. The answer is 7"


def test_next_tokens_in_part_are_those_that_all_models_name():
    def found(ids, logprobs):
        return NextLogprobs(
            token_ids=np.array(ids), logprobs=np.array(logprobs), full=False, ends=frozenset(),
            tokenizer="t", context_tokens=1, prompt_tokens=1,
        )  # fmt: skip

    ids, logprobs = aligned(found([5, 2, 9], [-1, -2, -3]), found([9, 7, 5], [-1.5, -2.5, -3.5]))
    assert ids.tolist() == [5, 9]
    assert logprobs.tolist() == [[-1, -3], [-3.5, -1.5]]


def test_a_token_is_one_of_those_that_were_found_here():
    async def work():
        one, other = session(), session()
        found = await one.next_logprobs(one.start())
        for given, token, said in [
            (found, 7, r"take\(\): token_id: found 7, expected the id of one of the 2 tokens"),
            (found, True, "found True"),
            (await other.next_logprobs(other.start()), 1, "expected what next_logprobs.. of this session"),
            (replace(found), 1, "of this session"),
            (None, 1, "of this session"),
        ]:
            with pytest.raises(ContractError, match=said):
                await one.take(given, token)
        ended = one.append(one.start(), RIGHT)
        finished = await one.take(await one.next_logprobs(ended), 0)
        assert (finished.text, finished.finish_reason) == (RIGHT, "eos")
        with pytest.raises(ContractError, match=r"next_logprobs\(\): found a trajectory that is finished"):
            await one.next_logprobs(finished)
        with pytest.raises(ContractError, match="top: found 0, expected a whole number from 1"):
            await one.next_logprobs(ended, top=0)
        with pytest.raises(ContractError, match=r"logprobs\(\): text: found '', expected a text"):
            await one.logprobs(ended, "")

    asyncio.run(work())


def test_no_trajectory_gets_longer_than_it_may():
    async def work():
        one = session(limit=2)
        writing = one.start()
        while not writing.finished:
            writing = await one.take(await one.next_logprobs(writing), 1 if not writing.tokens else 3)
        return writing

    assert asyncio.run(work()).finish_reason == "length"


def test_a_taken_token_can_be_gone_on_from_by_generating():
    async def work():
        one = session()
        writing = await one.take(await one.next_logprobs(one.start()), 2)
        (made,) = await one.extend([writing], SamplingParams(max_tokens=99))
        return one.complete([made])[0]

    completion = asyncio.run(work())
    assert completion.text.startswith("Step 1 fails.\n\nStep 2 fails. The answer is ")


NEXT = NextLogprobs(
    token_ids=np.arange(2), logprobs=np.log([0.5, 0.5]), texts=("a", "b"), full=True, ends=frozenset({1}),
    context_tokens=1, prompt_tokens=1,
)  # fmt: skip
TEXT = TextLogprobs(token_ids=(1, 2), logprobs=(-1.0, -2.0), prompt_tokens=3)


def answering(method, answer):
    async def answered(request):
        return answer

    return SimpleNamespace(
        offers=frozenset({method}), seed_scope="block", simulated=False, **{method: answered}
    )


BROKEN_NEXT = {
    "no record": ({}, "found {}, expected NextLogprobs"),
    "not a number": (replace(NEXT, logprobs=np.array([-1, np.nan])), "logprobs: found nan"),
    "above certain": (replace(NEXT, logprobs=np.array([0.1, -1])), "logprobs: found 0.1, expected finite"),
    "more than all": (replace(NEXT, logprobs=np.log([0.9, 0.9])), "a sum of 1.8, expected 1"),
    "less than all": (replace(NEXT, logprobs=np.log([0.2, 0.2])), "a sum of 0.4, expected 1"),
    "a token twice": (replace(NEXT, token_ids=np.array([1, 1])), "expected increasing ids"),
    "too few": (replace(NEXT, logprobs=np.array([0.0])), "one for each of 2 token ids"),
    "negative ids": (replace(NEXT, token_ids=np.array([-1, 1])), "whole numbers, at least one"),
    "not all": (replace(NEXT, full=False), "full: found False, expected True, as all"),
    "no texts": (replace(NEXT, texts=()), "a text of each token, or a method spell"),
    "texts too few": (replace(NEXT, texts=("a",)), "1 texts for 2 tokens"),
    "more cached than read": (replace(NEXT, cached_prompt_tokens=2), "at most the 1 of the prompt"),
    "a novel": (replace(NEXT, generated_tokens=9), "generated_tokens: found 9, expected at most 1"),
    "no context": (replace(NEXT, context_tokens=0), "context_tokens: found 0"),
}


@pytest.mark.parametrize("case", BROKEN_NEXT)
def test_next_tokens_that_cannot_be_are_refused_by_name(case):
    answer, said = BROKEN_NEXT[case]
    engine = CheckedEngine(answering("next_logprobs", answer), Place("engines", "odd"))
    with pytest.raises(ContractError, match=r"engines/odd: problem 'p': next_logprobs\(\)") as caught:
        asyncio.run(engine.next_logprobs(NextRequest(problem=PROBLEM)))
    assert said in str(caught.value)


BROKEN_PART = {
    "in no order": (np.log([0.2, 0.5]), [3, 4], "the most probable first"),
    "more than asked for": (np.log([0.3, 0.2, 0.1]), [3, 4, 5], "at most the 2 asked for"),
    "a token twice": (np.log([0.3, 0.2]), [3, 3], "distinct ids"),
}


@pytest.mark.parametrize("case", BROKEN_PART)
def test_so_are_some_of_them(case):
    logprobs, ids, said = BROKEN_PART[case]
    texts = tuple("abc"[: len(ids)])
    answer = replace(NEXT, logprobs=logprobs, token_ids=np.array(ids), full=False, texts=texts)
    engine = CheckedEngine(answering("next_logprobs", answer), Place("engines", "odd"))
    with pytest.raises(ContractError, match=said):
        asyncio.run(engine.next_logprobs(NextRequest(problem=PROBLEM, top=2)))


BROKEN_TEXT = {
    "no record": (None, "found None, expected TextLogprobs"),
    "infinite": (replace(TEXT, logprobs=(-1.0, -math.inf)), "logprobs: found -inf"),
    "too many": (replace(TEXT, logprobs=(-1.0, -1.0, -1.0)), "one for each of 2 token ids"),
    "no tokens": (replace(TEXT, token_ids=(), logprobs=()), "the tokens of a text that is not empty"),
    "no prompt": (replace(TEXT, prompt_tokens=0), "prompt_tokens: found 0"),
}


@pytest.mark.parametrize("case", BROKEN_TEXT)
def test_log_probabilities_of_a_text_that_cannot_be_are_refused_by_name(case):
    answer, said = BROKEN_TEXT[case]
    engine = CheckedEngine(answering("logprobs", answer), Place("engines", "odd"))
    scored = Step(text="x", tokens=0, logprob=0.0, node=1, given=True)
    request = TextRequest(problem=PROBLEM, scored=(scored,))
    with pytest.raises(ContractError, match=r"engines/odd: problem 'p': logprobs\(\)") as caught:
        asyncio.run(engine.logprobs(request))
    assert said in str(caught.value)


def test_an_engine_has_the_methods_of_what_it_offers():
    odd = SimpleNamespace(offers=frozenset({"logprobs"}), seed_scope="block", simulated=False)
    with pytest.raises(ContractError, match=r"expected a method logprobs\(\)"):
        CheckedEngine(odd, Place("engines", "odd"))


def test_a_model_that_does_not_offer_it_is_refused_as_it_is_asked():
    mute = simulated()
    mute.offers = frozenset({"generate"})

    async def work():
        one = session(mute, helpers={"other": mute})
        with pytest.raises(ContractError, match="offers next_logprobs: declare it in needs"):
            await one.next_logprobs(one.start())
        with pytest.raises(ContractError, match="offers logprobs: declare it in asks"):
            await one.logprobs(one.start(), "x", by="other")

    asyncio.run(work())


def desk(known=None, costs=None, ledger=None):
    return ChargedDesk(
        PROBLEM, {"judge": CheckedEngine(simulated(), Place("engines", "simulated"))}, model="m", scorer="s",
        stream=(0,), answers=Answers(ledger or Ledger(), known, costs), knows=lambda trajectory: True,
    )  # fmt: skip


def test_a_scorer_asks_once_and_is_answered_from_the_journal():
    known, costs, ledger = {}, {}, Ledger()

    async def work(desk):
        found = await desk.next_logprobs(PROBLEM.messages, "Step 1 holds.\n\n", top=2, by="judge")
        text = await desk.logprobs(PROBLEM.messages, RIGHT, by="judge")
        return found, text

    async def twice():
        one = desk(known, costs, ledger)
        return await asyncio.gather(work(one), work(one))

    (found, text), _ = asyncio.run(twice())
    assert np.exp(found.logprobs) == pytest.approx([HELD, (1 - HELD) * 2 / 3])
    assert text.total == pytest.approx(math.log(0.36))
    assert {call: account.calls for (call, _, _), account in ledger.accounts.items()} == {
        "logprobs": 1, "next_logprobs": 1,
    }  # fmt: skip
    again, same = asyncio.run(work(desk(json.loads(json.dumps(known)), costs)))
    assert same == text
    assert again.token_ids.tolist() == found.token_ids.tolist()
    assert (again.texts, again.ends) == (found.texts, found.ends)
    with pytest.raises(ContractError, match="top: found 1001, expected a whole number from 1 to 1000"):
        asyncio.run(desk().next_logprobs(PROBLEM.messages, top=1001, by="judge"))
    with pytest.raises(ContractError, match="text: found '', expected a text that is not empty"):
        asyncio.run(desk().logprobs(PROBLEM.messages, "", by="judge"))


class Named(SamplingOptions):
    """Options that name a model."""

    other: ModelLabel


async def nothing(problem, session, options):
    return session.complete([])


class Silent:
    def __init__(self, options):
        pass

    async def score(self, trajectories, desk):
        return [0.0 for _ in trajectories]


class Asking(Options):
    """Options that name a model."""

    judge: ModelLabel


def test_a_study_is_refused_before_it_starts_where_a_model_cannot_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sums.jsonl").write_text('{"question": "1 + 1", "answer": "2"}')
    both = frozenset({"next_logprobs"})
    strategy = StrategyEntry(
        name="mixed", factory=nothing, options=Named, draws="exchangeable", needs=both, asks=both, summary="."
    )
    scorer = VerifierEntry(
        name="likely",
        factory=Silent,
        options=Asking,
        role="scorer",
        asks=frozenset({"logprobs"}),
        summary=".",
    )
    server = {"plugin": "openai", "model": "m", "base_url": "http://localhost:8000/v1"}
    study = {
        "selectors": ["oracle"],
        "study": "small",
        "tasks": {"sums": {"plugin": "jsonl", "file": "sums.jsonl"}},
        "models": {"toy": {"plugin": "simulated"}, "served": {**server, "helper": True}},
        "strategies": {"mixed": {"completions": 4, "other": "served"}},
        "verifiers": {"likely": {"judge": "served"}},
    }
    ours = (
        strategy,
        scorer,
        jsonl.entry,
        exact_match.entry,
        oracle.entry,
        simulated_engine.entry,
        openai.entry,
    )
    configured = "found 'served', which offers generate as it is configured (see its options)"
    offers = f"{configured}, expected a model that offers"
    assert [str(one) for one in examine(study, registry_of({"ours": ours})).mistakes] == [
        f"strategies.mixed.other: {offers} next_logprobs",
        f"verifiers.likely.judge: {offers} logprobs",
    ]
    study["models"]["served"] = {"plugin": "simulated", "helper": True}
    assert not examine(study, registry_of({"ours": ours})).mistakes
