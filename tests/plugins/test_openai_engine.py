"""The openai engine against a real server on the loopback that behaves well, badly, and not at all."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from openai_server import PROBLEM, Answer, choice, error, generate, refused, reply, serving

from itscale.sampling.progress import Pace, Sampled, Tally
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.types import Problem, SamplingParams, Step
from itscale_builtin.engines.openai import OpenAIEngine, OpenAIOptions


def test_one_request_makes_all_completions_and_charges_the_prompt_once() -> None:
    with serving(lambda body, number: reply(*[choice("abcd"), choice("ab")], generated=9)) as server:
        made = generate(server.url, 2)
    assert [body["n"] for body in server.bodies] == [2]
    assert [one.text for one in made] == ["abcd", "ab"]
    assert [one.prompt_tokens for one in made] == [7, 0]
    assert [one.context_tokens for one in made] == [7, 7]
    # Usage has only the sum: it is kept, whatever the split.
    assert [one.tokens for one in made] == [5, 4]
    assert [one.logprob for one in made] == [None, None]


def test_a_server_that_ignores_n_is_asked_again_for_the_missing() -> None:
    with serving(lambda body, number: reply(choice(str(number)), generated=3)) as server:
        made = generate(server.url, 3)
    assert [body.get("n", 1) for body in server.bodies] == [3, 1, 1]
    assert sorted(one.text for one in made) == ["0", "1", "2"]
    assert sum(one.tokens for one in made) == 9
    assert sum(one.prompt_tokens for one in made) == 21  # the prompt was computed three times


def test_more_choices_than_asked_for_are_not_taken() -> None:
    with serving(lambda body, number: reply(choice("a"), choice("b"), choice("c"))) as server:
        assert len(generate(server.url, 2)) == 2


def test_what_a_server_states_of_replies_that_are_of_no_use_is_charged_apart() -> None:
    """A reply without a message, an error beside a usage, and a choice that nobody asked for."""
    replies = [
        reply({"index": 0}, prompt=11, generated=5),
        reply(choice(), prompt=12, generated=6, error={"message": "overloaded", "code": 503}),
        reply(choice("four"), choice("more"), prompt=7, generated=8),
    ]

    async def run(url: str) -> Session:
        options = {"model": "m", "base_url": url, "max_retries": 2, "pause": 0.001}
        engine = OpenAIEngine(OpenAIOptions(**options))
        unit = Unit(problem_id=PROBLEM.problem_id, stop=1)
        one = Session(PROBLEM, unit, engine, model="m", stream=(1,), token_limit=100)
        await one.write(None, SamplingParams(max_tokens=100))
        await engine.close()
        return one

    with serving(lambda body, number: replies[number]) as server:
        one = asyncio.run(run(server.url))
    spent = {row["failed"]: row for row in one.ledger.rows()}
    assert {
        name: [spent[failed][name] for failed in (False, True)] for name in next(iter(spent.values()))
    } == {
        "call": ["generate"] * 2,
        "by": ["m"] * 2,
        "scorer": [None] * 2,
        "failed": [False, True],
        "calls": [1, 2],
        "sequences": [1, 0],
        "prompt_tokens": [7, 23],
        "cached_prompt_tokens": [0, 0],
        "generated_tokens": [4, 15],
        "seconds": [0.0, 0.0],
        "saved_prompt_tokens": [0, 0],
        "saved_cached_prompt_tokens": [0, 0],
        "saved_generated_tokens": [0, 0],
        "unreadable": [0, 0],
    }


def test_a_burst_of_429_is_waited_out() -> None:
    with serving(lambda body, number: error(429) if number < 2 else reply(choice())) as server:
        (made,) = generate(server.url)
    assert made.text == "4"
    assert len(server.bodies) == 3


@pytest.mark.parametrize("failure", [lambda: error(500), lambda: error(503), lambda: None])
def test_a_passing_failure_is_survived(failure: Callable[[], Answer | None]) -> None:
    with serving(lambda body, number: failure() if number == 0 else reply(choice())) as server:
        assert generate(server.url)[0].text == "4"


@pytest.mark.parametrize(
    ("status", "calls", "words"),
    [
        (400, 1, ["400", "said the server"]),
        (401, 1, ["401", "$SOME_KEY is not set", "api_key_env"]),
        (404, 1, ["404", "model", "base_url"]),
        (429, 3, ["429", "after 3 attempts", "concurrency"]),
        (500, 3, ["500", "failed 3 times"]),
    ],
)
def test_a_lasting_failure_is_one_line(
    status: int, calls: int, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    with serving(lambda body, number: error(status)) as server:
        message = refused(server.url, api_key_env="SOME_KEY")
    assert len(server.bodies) == calls
    assert all(word in message for word in ["m at", *words])


def test_the_key_is_sent_but_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "hush-hush")
    with serving(lambda body, number: error(401, "no")) as server:
        message = refused(server.url, api_key_env="SOME_KEY")
    assert server.keys == ["Bearer hush-hush"]
    assert "hush" not in message
    assert "is refused" in message
    assert "hush" not in OpenAIOptions(model="m", api_key_env="SOME_KEY").model_dump_json()


def test_no_server_at_all() -> None:
    with serving(lambda body, number: None) as server:
        gone = server.url
    assert "is the server running" in refused(gone, max_retries=0)


@pytest.mark.parametrize(
    ("choices", "fault"),
    [
        ([], "no choices"),
        (None, "no choices"),
        ([{"index": 0}], "malformed"),
        ([choice(finish_reason="abort")], "abort"),
        ([choice({"a": "list"})], "malformed"),
    ],
)
def test_empty_or_malformed_choices_are_asked_for_again_then_refused(choices: Any, fault: str) -> None:
    bad = reply()[2] | {"choices": choices}
    with serving(lambda body, number: (200, {}, bad)) as server:
        message = refused(server.url)
    assert len(server.bodies) == 3
    assert fault in message
    with serving(lambda body, number: (200, {}, bad) if number == 0 else reply(choice("ok"))) as server:
        assert generate(server.url)[0].text == "ok"


@pytest.mark.parametrize("body", [b"<html>hello</html>", b'{"choices": [', b"[]", b"null"])
def test_what_is_no_chat_completion_is_refused(body: bytes) -> None:
    kind = "text/html" if body.startswith(b"<") else "application/json"
    with serving(lambda _, number: (200, {"content-type": kind}, body)) as server:
        refused(server.url)


def test_log_probabilities_are_summed_and_tokens_counted_by_them() -> None:
    def tokens(*values: float) -> dict[str, Any]:
        return {"content": [{"token": "t", "logprob": v, "bytes": None, "top_logprobs": []} for v in values]}

    with serving(
        lambda body, number: reply(
            choice("long long long", logprobs=tokens(-1.0)),
            choice("s", logprobs=tokens(-0.5, -0.25)),
            generated=3,
        )
    ) as server:
        made = generate(server.url, 2, logprobs=True)
    assert server.bodies[0]["logprobs"] is True
    assert [one.logprob for one in made] == [-1.0, -0.75]
    assert [one.tokens for one in made] == [1, 2]


def test_every_seed_is_a_request_of_its_own() -> None:
    with serving(lambda body, number: reply(choice(str(body["seed"])))) as server:
        made = generate(server.url, 4, seed=True)
    assert [one.text for one in made] == ["0", "1", "2", "3"]
    assert OpenAIEngine(OpenAIOptions(model="m", seed=True)).seed_scope == "completion"
    assert OpenAIEngine(OpenAIOptions(model="m")).seed_scope == "block"


def test_a_completion_is_continued_only_where_the_server_can() -> None:
    prefix = (Step(text="First.\n\n", tokens=3, logprob=None, node=1),)
    params = SamplingParams(stop=("\n\n",), max_tokens=9)
    with serving(lambda body, number: reply(choice("Then.", stop_reason="\n\n"), prompt=10)) as server:
        assert "continues: true" in refused(server.url, prefix=prefix)
        (made,) = generate(server.url, prefix=prefix, params=params, continues=True)
    body = server.bodies[0]
    assert body["messages"][-1] == {"role": "assistant", "content": "First.\n\n"}
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert (body["stop"], body["max_tokens"]) == (["\n\n"], 9)
    assert (made.text, made.finish_reason) == ("Then.\n\n", "stop")  # the delimiter belongs to the step
    assert (made.prompt_tokens, made.context_tokens) == (10, 7)


@pytest.mark.parametrize(
    ("text", "sent", "expected"), [("a", "stop", "eos"), ("a\n\n", "stop", "stop"), ("a", "length", "length")]
)
def test_finish_reasons(text: str, sent: str, expected: str) -> None:
    with serving(lambda body, number: reply(choice(text, finish_reason=sent))) as server:
        (made,) = generate(server.url, params=SamplingParams(stop=("\n\n",)))
    assert made.finish_reason == expected


def test_a_reply_without_usage_is_refused_unless_allowed() -> None:
    with serving(lambda body, number: reply(choice("three words here"), usage=None)) as server:
        assert "require_usage" in refused(server.url)
        (made,) = generate(server.url, require_usage=False)
    assert not made.counted
    assert made.tokens == 3  # about: limits are kept by it, nothing is reported of it


def test_cached_prompt_tokens_are_reported() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}}
    with serving(lambda body, number: reply(choice(), usage=usage)) as server:
        assert generate(server.url)[0].cached_prompt_tokens == 4


def test_no_more_requests_are_under_way_than_allowed() -> None:
    together = threading.Barrier(3)

    def behave(body: dict[str, Any], number: int) -> Answer:
        together.wait(timeout=10)  # passes only if three requests are under way at once
        return reply(choice())

    with serving(behave) as server:
        made = generate(server.url, requests=9, concurrency=3)
    assert len(made) == 9
    assert server.peak == 3


def test_only_what_the_strategy_sets_beyond_the_standard_is_sent() -> None:
    with serving(lambda body, number: reply(choice())) as server:
        generate(server.url)
        generate(server.url, params=SamplingParams(top_k=5, min_p=0.1))
    plain, special = server.bodies
    assert {"top_k", "min_p", "stop", "seed", "logprobs"}.isdisjoint(plain)
    assert (special["top_k"], special["min_p"]) == (5, 0.1)


def test_it_offers_what_its_options_say() -> None:
    full = OpenAIEngine(OpenAIOptions(model="m", logprobs=True, continues=True))
    assert OpenAIEngine(OpenAIOptions(model="m")).offers == {"generate"}
    assert full.offers == {"generate", "generated_logprobs", "generated_confidences", "continue"}


def test_a_slow_server_is_followed_request_by_request() -> None:
    """Two of six requests run at a time; what they will be is told by those that ended."""
    gate, arrived = threading.Semaphore(0), threading.Semaphore(0)

    def slow(body: dict[str, Any], number: int) -> Answer:
        arrived.release()
        assert gate.acquire(timeout=30)
        return reply(choice("four"), generated=10)

    seen: list[Sampled] = []
    now = iter(range(1000))
    tally = Tally(clock=lambda: float(next(now)), report=lambda state: seen.append(replace(state)))
    problem = Problem(problem_id="p", messages=({"role": "user", "content": "2 + 2?"},), reference="4")

    def look() -> Sampled:
        """Wait until two requests are with the server, and tell how far it is."""
        for _ in range(2):
            assert arrived.acquire(timeout=30)
        return seen[-1]

    with serving(slow) as server:
        options = OpenAIOptions(model="m", base_url=server.url, concurrency=2, seed=True)
        session = Session(
            problem, Unit(problem_id="p", stop=6), OpenAIEngine(options),
            model="m", stream=(0,), token_limit=50, tally=tally.unit(6),
        )  # fmt: skip
        sampling = threading.Thread(
            target=lambda: asyncio.run(session.extend([session.start()] * 6, SamplingParams(max_tokens=50)))
        )
        sampling.start()
        first = look()
        assert (first.running, first.running_tokens, first.ended) == (2, 0, 0)
        for _ in range(2):
            gate.release()
        second = look()
        assert (second.running, second.ended, second.tokens) == (2, 2, 20)
        pace = Pace()
        pace.see(0.0, second)
        speed = pace.speed()
        assert speed is not None
        assert speed.tokens_per_second == 2 * second.ended_tokens / second.ended_seconds
        for _ in range(4):
            gate.release()
        sampling.join(timeout=30)
    assert (seen[-1].running, seen[-1].ended, seen[-1].tokens) == (0, 6, 60)
