"""Budget forcing: the end of thinking at a limit, its suppression, and what is charged."""

import re

import pytest
from openai_server import choice, reply, serving
from scripted_engine import Scripted, charged, run

from itscale_builtin.engines.openai import OpenAIEngine, OpenAIOptions
from itscale_builtin.strategies.budget_forcing import entry

ANSWER = re.compile(r"</think>(\n\nFinal Answer:)? 7$")


def thinker(ends_after, marker=" </think>"):
    """A model that thinks in words w0 w1 ... and ends its thinking after so many since the last Wait."""

    def script(request, before, seed):
        if "</think>" in before:
            return " 7"
        if ends_after is None:
            return "".join(f" w{at}" for at in range(500))
        written = len(before.rpartition("Wait")[2].split())
        return "".join(f" w{at}" for at in range(written, ends_after)) + marker + " 7" * bool(marker)

    return Scripted(script)


def thinking_words(text):
    return re.findall(r"\bw\d+", text.partition("</think>")[0])


@pytest.mark.parametrize("limit", [1, 2, 5, 64])
def test_thinking_that_does_not_end_is_cut_at_the_limit_and_an_answer_follows(limit):
    engine = thinker(None)
    (one,), session = run(entry, engine, thinking_tokens=limit)
    assert one.text == "".join(f" w{at}" for at in range(limit)) + "\n</think>\n\nFinal Answer: 7"
    assert one.step_tokens[0] == limit
    assert one.finish_reason == "eos"
    assert charged(session, "generated_tokens") == engine.written == limit + 2


@pytest.mark.parametrize(("limit", "forced"), [(3, True), (4, False), (5, False)])
def test_thinking_that_ends_by_itself_within_the_limit_needs_no_lead_in(limit, forced):
    (one,), _ = run(entry, thinker(3), thinking_tokens=limit)  # three words and the marker
    assert ("Final Answer:" in one.text) == forced
    assert len(thinking_words(one.text)) == 3
    assert ANSWER.search(one.text)


def test_an_end_without_a_marker_is_an_end_of_thinking():
    (one,), _ = run(entry, thinker(3, marker=""), thinking_tokens=50)
    assert one.text == " w0 w1 w2\n</think> 7"


@pytest.mark.parametrize("marker", [" </think>", ""])
def test_an_end_is_suppressed_as_often_as_is_asked(marker):
    (one,), _ = run(entry, thinker(3, marker), thinking_tokens=100, waits=2)
    thought, _, answer = one.text.partition("</think>")
    assert thought.split() == ["w0", "w1", "w2Wait", "w0", "w1", "w2Wait", "w0", "w1", "w2"]
    assert answer == " 7"
    assert one.text.count("</think>") == 1


def test_what_goes_on_reads_the_very_tokens_that_were_kept():
    engine = thinker(3)
    run(entry, engine, thinking_tokens=100, waits=1)
    first, wait = engine.requests[1].prefix
    assert [engine.words[token] for token in first.token_ids] == [" w0", " w1", " w2"]
    assert (wait.text, wait.given) == ("Wait", True)


@pytest.mark.parametrize("limit", range(1, 20))
def test_waits_happen_within_the_thinking_budget_alone(limit):
    """Three words and the marker are four tokens: after each, another wait if there is one token left."""
    engine = thinker(3)
    (one,), session = run(entry, engine, thinking_tokens=limit, answer_tokens=5, waits=3)
    assert one.text.count("Wait") == min(3, (limit - 1) // 4)
    assert engine.written <= limit + 5
    assert ANSWER.search(one.text)
    assert ("Final Answer:" in one.text) == (limit < 16 and limit % 4 != 0)
    assert charged(session, "generated_tokens") == engine.written
    assert charged(session, "prompt_tokens") == engine.read


def test_a_model_that_ends_at_once_each_time_is_waited_for_no_more_than_that():
    engine = thinker(0)
    (one,), _ = run(entry, engine, thinking_tokens=1000, waits=6)
    assert one.text == "Wait" * 6 + " </think> 7"
    assert len(engine.requests) == 8


def test_the_answer_has_a_limit_of_its_own():
    engine = Scripted(lambda request, before, seed: " w" * 50)
    (one,), _ = run(entry, engine, thinking_tokens=4, answer_tokens=3)
    assert one.step_tokens == [4, 0, 3]
    assert engine.written == 7


def test_max_tokens_bounds_both():
    (one,), _ = run(entry, thinker(None), thinking_tokens=10, max_tokens=4, waits=2)
    assert (one.text, one.finish_reason) == (" w0 w1 w2 w3", "length")


def test_a_model_that_does_not_know_the_marker_is_asked_for_it():
    engine = thinker(2)
    run(entry, engine, ask_for_marker=True, thinking_tokens=10, opening="Thoughts:")
    asked = engine.requests[0].chat[-1]["content"]
    assert "What is 3 + 4?" in asked
    assert "</think>" in asked
    assert engine.requests[0].prefix[0].text == "Thoughts:"


@pytest.mark.parametrize("text", ["", "\ud800", "</think>", "</think></think>", "x" * 10_000, " Wait </thi"])
def test_whatever_a_model_writes_there_is_a_completion(text):
    for waits in (0, 2):
        (one,), _ = run(entry, Scripted(lambda request, before, seed: text), waits=waits, thinking_tokens=9)
        assert "</think>" in one.text


def test_the_ledger_is_what_a_server_stated_of_each_request():
    stated = [0, 0]

    def behave(body, number):
        last = body["messages"][-1]["content"]
        text, met = (" 7", None) if "</think>" in last else (" so and so ", "</think>")
        usage = {"prompt": 5 + len(last.split()), "generated": 4 + number}
        stated[0] += usage["prompt"]
        stated[1] += usage["generated"]
        return reply(choice(text, stop_reason=met), **usage)

    with serving(behave) as server:
        engine = OpenAIEngine(OpenAIOptions(model="m", base_url=server.url, continues=True))
        (one,), session = run(entry, engine, waits=2, thinking_tokens=100)
    assert one.text == " so and so Wait so and so Wait so and so </think> 7"
    assert [charged(session, "prompt_tokens"), charged(session, "generated_tokens")] == stated
    assert "stop" not in server.bodies[-1]  # the answer may say what it likes
