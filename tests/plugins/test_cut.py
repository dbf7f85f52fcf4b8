"""What a strategy takes back: exact in tokens, and in the ledger all the same."""

import asyncio
import json
from collections import Counter

import pytest
from openai_server import choice, reply, serving
from scripted_engine import PROBLEM, Scripted, charged

from itscale.errors import ContractError
from itscale.sampling.nodes import Recorder
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.types import SamplingParams
from itscale_builtin.engines.openai import OpenAIEngine, OpenAIOptions
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions

END = SamplingParams(max_tokens=50, stop=("</t>",))
REST = SamplingParams(max_tokens=50)


def session_of(engine, limit=1000):
    return Session(
        PROBLEM, Unit(problem_id="p", stop=1), engine, model="m", stream=(0,), token_limit=limit, pooled=False
    )


def forced(engine, stop="</t>", limit=1000):
    """Generate to a stop string, take it back, go on; return all three and the session."""
    session = session_of(engine, limit)

    async def work():
        params = SamplingParams(max_tokens=50, stop=(stop,))
        (whole,) = await session.extend([session.start()], params)
        cut = await session.cut(whole, stop)
        (more,) = await session.extend([session.append(cut, " Wait,")], REST)
        return whole, cut, more

    return *asyncio.run(work()), session


def thinks(request, before, seed):
    return " then more" if "Wait" in before else "one two </t> and the answer"


def test_a_marker_in_tokens_of_its_own_leaves_the_other_tokens_as_they_were():
    engine = Scripted(thinks)
    whole, cut, more, session = forced(engine)
    assert (whole.text, cut.text, more.text) == ("one two </t>", "one two", "one two Wait, then more")
    assert cut.step.token_ids == whole.step.token_ids[:2]
    assert (whole.tokens, cut.tokens) == (3, 2)
    assert [step.token_ids for step in engine.requests[1].prefix] == [whole.step.token_ids[:2], ()]
    assert charged(session, "generated_tokens") == engine.written
    assert charged(session, "prompt_tokens") == engine.read


def test_a_marker_that_begins_in_the_middle_of_a_token_leaves_text():
    engine = Scripted(lambda request, before, seed: " end" if "Wait" in before else "one two</t>... three")
    whole, cut, more, session = forced(engine)
    assert (whole.text, cut.text) == ("one two</t>...", "one two")  # what follows in its last token goes, too
    assert cut.step.token_ids == ()
    assert cut.tokens == whole.tokens  # how many were dropped is not known
    assert more.text == "one two Wait, end"
    assert charged(session, "generated_tokens") == engine.written
    assert charged(session, "prompt_tokens") == engine.read


def test_the_whole_step_may_be_taken_back():
    _, cut, more, session = forced(Scripted(lambda request, before, seed: "</t>" if not before else " x"))
    assert (cut.text, cut.tokens, more.text) == ("", 0, " Wait, x")
    (completion,) = session.complete([more])
    assert completion.text == " Wait, x"
    assert session.rebuild(completion) == completion


def test_an_engine_without_ids_goes_on_from_the_text():
    engine = SimulatedEngine(SimulatedOptions(success=1.0, steps=3))
    whole, cut, more, session = forced(engine, stop="\n\n")
    assert (whole.text, cut.text) == ("Step 1 holds.\n\n", "Step 1 holds.")
    assert cut.tokens == whole.tokens
    assert more.text.startswith("Step 1 holds. Wait,Step 1 holds.\n\nStep 2")
    (completion,) = session.complete([more])
    assert sum(completion.step_tokens) == completion.generated_tokens
    assert completion.logprob is None  # that of the tokens that are left is not known


def test_the_tree_has_what_was_drawn_and_counts_it_once():
    engine = Scripted(thinks)
    *_, more, session = forced(engine)
    recorder = Recorder(model="m", scorer=None, pooled=False, text=100, nodes=100)
    rows = recorder.record(session.tree, session.unit, session.complete([more])).rows
    assert Counter(row["kind"] for row in rows) == {"chat": 1, "drawn": 2, "cut": 1, "given": 1}
    assert sum(row["generated_tokens"] for row in rows) == engine.written
    assert sum(row["prompt_tokens"] for row in rows) == engine.read
    (cut,) = (row for row in rows if row["kind"] == "cut")
    assert cut["parent"] == 0
    assert cut["completions"] == []


def test_text_that_is_not_there_is_not_taken_back():
    session = session_of(Scripted(lambda request, before, seed: "one two"))

    async def work():
        (whole,) = await session.extend([session.start()], END)
        return whole, await session.cut(whole, "</t>")

    whole, cut = asyncio.run(work())
    assert cut is whole


@pytest.mark.parametrize("made", ["start", "append", "cut"])
def test_only_what_a_model_drew_can_be_taken_back(made):
    session = session_of(Scripted(thinks))

    async def work():
        begun = session.start()
        (drawn,) = await session.extend([begun], END)
        made_so = {
            "start": begun,
            "append": session.append(drawn, "</t>"),
            "cut": await session.cut(drawn, "</t>"),
        }
        await session.cut(made_so[made], "</t>")

    with pytest.raises(ContractError, match="whose last step no model drew"):
        asyncio.run(work())


def test_what_follows_a_cut_has_streams_of_its_own():
    engine = Scripted(lambda request, before, seed: f"{seed} </t> {seed}")
    session = session_of(engine)

    async def work():
        (whole,) = await session.extend([session.start()], END)
        cut = await session.cut(whole, "</t>")
        return await session.extend([whole, cut], END)

    assert len({one.text.split()[-2] for one in asyncio.run(work())}) == 2


def test_a_full_trajectory_that_is_cut_stays_full_where_tokens_are_unknown():
    engine = SimulatedEngine(SimulatedOptions(success=1.0, steps=3))
    limit = forced(engine, stop="\n\n")[0].tokens
    whole, cut, more, _ = forced(engine, stop="\n\n", limit=limit)
    assert whole.finished
    assert cut.finish_reason == "length"
    assert more is cut


def test_the_ledger_is_what_a_server_stated_and_it_reads_what_is_left():
    stated = Counter()

    def behave(body, number):
        last = body["messages"][-1]
        text, reason = (" so 7", None) if last["content"].endswith("Wait,") else ("hm ", "</t>")
        usage = {"prompt": len(json.dumps(body["messages"])), "generated": 3 + number}
        stated.update(prompt_tokens=usage["prompt"], generated_tokens=usage["generated"])
        return reply(choice(text, stop_reason=reason), **usage)

    with serving(behave) as server:
        options = OpenAIOptions(model="m", base_url=server.url, continues=True)
        whole, cut, more, session = forced(OpenAIEngine(options))
    assert (whole.text, cut.text, more.text) == ("hm </t>", "hm ", "hm  Wait, so 7")
    assert server.bodies[1]["messages"][-1] == {"role": "assistant", "content": "hm  Wait,"}
    for name, count in stated.items():
        assert charged(session, name) == count
