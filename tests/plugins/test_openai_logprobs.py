"""Log-probabilities by a server that turns texts into token ids and completes prompts of those."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pytest
from openai_server import PROBLEM, Answer, Server, error, serving

from itscale.boundary import CheckedEngine, Place
from itscale.errors import ContractError, EngineError, EngineLostError
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.types import NextRequest, Step, TextRequest, Trajectory
from itscale_builtin.engines.openai import OpenAIEngine, OpenAIOptions

T = TypeVar("T")

BEGIN, TURN, OPENING, END = 1, 2, 3, 4
NEXT = {ord("a"): 0.5, ord("b"): 0.25, END: 0.25}
"""What the served model says next, whatever came before."""


def tokens_of(body: dict[str, Any]) -> list[int]:
    """Return the ids of a text, one a character, or of a chat."""
    if "prompt" in body:
        return [ord(letter) for letter in body["prompt"]]
    found = []
    for turn in body["messages"]:
        said = [ord(letter) for letter in turn["content"]]
        found += [OPENING, *said, END] if turn["role"] == "assistant" else [BEGIN, *said, TURN]
    return [*found, OPENING] if body["add_generation_prompt"] else found


def completed(body: dict[str, Any]) -> dict[str, Any]:
    """Return the reply to a prompt of ids, as vLLM's servers write it."""
    prompt = body["prompt"]
    choice: dict[str, Any] = {"index": 0, "text": "a", "finish_reason": "length", "logprobs": None}
    if "prompt_logprobs" in body:
        choice["prompt_logprobs"] = [None] + [
            {str(token): {"logprob": -place / 8, "rank": 1, "decoded_token": chr(token)}}
            for place, token in enumerate(prompt[1:], 1)
        ]
    if "logprobs" in body:
        most = len(NEXT) if body["logprobs"] == -1 else body["logprobs"]
        top = {f"token_id:{token}": math.log(share) for token, share in list(NEXT.items())[:most]}
        choice["logprobs"] = {"tokens": ["token_id:97"], "token_logprobs": [-0.7], "top_logprobs": [top]}
    details = {"cached_tokens": len(prompt) // 2}
    usage = {"prompt_tokens": len(prompt), "completion_tokens": 1, "prompt_tokens_details": details}
    return {"id": "x", "object": "text_completion", "choices": [choice], "usage": usage}


def behave(body: dict[str, Any], number: int) -> Answer:
    if "tokens" in body:
        return 200, {}, {"prompt": "".join(chr(one) if one > END else "" for one in body["tokens"])}
    if isinstance(body.get("prompt"), list):
        return 200, {}, completed(body)
    found = tokens_of(body)
    return 200, {}, {"tokens": found, "count": len(found), "max_model_len": 512}


def asked(server: Server, work: Callable[[CheckedEngine], Awaitable[T]], **options: Any) -> T:
    settings = {"model": "m", "max_retries": 1, "pause": 0.001, "reads_tokens": True, **options}

    async def run() -> T:
        engine = OpenAIEngine(OpenAIOptions(base_url=server.url, **settings))
        try:
            return await work(CheckedEngine(engine, Place("engines", "openai")))
        finally:
            await engine.close()

    return asyncio.run(run())


def step(text: str, *ids: int) -> Step:
    return Step(text=text, token_ids=ids, tokens=len(ids), logprob=0.0, node=1, given=not ids)


def test_a_token_that_was_chosen_is_read_again_as_it_is() -> None:
    async def work(engine: CheckedEngine) -> tuple[Trajectory, Session]:
        unit = Unit(problem_id="p", stop=1)
        session = Session(PROBLEM, unit, engine, model="m", stream=(1,), token_limit=9)
        writing = session.append(session.start(), "So ")
        for token in (ord("b"), ord("a"), END):
            found = await session.next_logprobs(writing, top=None if token == END else 2)
            assert found.full == (token == END)
            writing = await session.take(found, token)
        return writing, session

    with serving(behave) as server:
        writing, session = asked(server, work)
    assert (writing.text, writing.tokens, writing.finish_reason) == ("So ba", 3, "eos")
    prompts = [body["prompt"] for body in server.bodies if isinstance(body.get("prompt"), list)]
    opened = [BEGIN, *map(ord, "2 + 2?"), TURN, OPENING, *map(ord, "So ")]
    assert prompts == [opened, [*opened, ord("b")], [*opened, ord("b"), ord("a")]]
    account = session.ledger.accounts["next_logprobs", "m", ""]
    assert (account.calls, account.generated_tokens) == (3, 3)
    assert account.prompt_tokens == sum(map(len, prompts))
    assert account.cached_prompt_tokens == sum(len(prompt) // 2 for prompt in prompts)
    assert session.complete([writing])[0].prompt_tokens == len(opened)
    kinds = {path for path, body in zip(server.paths, server.bodies, strict=True) if "prompt" not in body}
    assert kinds == {"/tokenize", "/detokenize"}
    # A chat is turned into tokens once, whoever asks.
    chats = [json.dumps(body) for body in server.bodies if "messages" in body]
    assert len(chats) == len(set(chats))


def test_next_tokens_are_as_the_server_lists_them() -> None:
    async def work(engine: CheckedEngine) -> Any:
        request = NextRequest(problem=PROBLEM)
        return [await engine.next_logprobs(replace(request, top=top)) for top in (None, 2)]

    with serving(behave) as server:
        whole, best = asked(server, work, tokenizer="letters")
    assert whole.token_ids.tolist() == [END, ord("a"), ord("b")]
    assert np.exp(whole.logprobs) == pytest.approx([0.25, 0.5, 0.25])
    assert best.token_ids.tolist() == [ord("a"), ord("b")]
    assert (whole.full, best.full, whole.ends, whole.tokenizer) == (True, False, {END}, "letters")


def test_the_tokens_of_a_text_are_those_after_the_chat() -> None:
    async def work(engine: CheckedEngine) -> Any:
        ended = step("ab", ord("a"), ord("b"), END)
        return await engine.logprobs(TextRequest(problem=PROBLEM, prefix=(ended,), scored=(step("or?"),)))

    with serving(behave) as server:
        found = asked(server, work)
    prompt = next(body["prompt"] for body in server.bodies if "prompt_logprobs" in body)
    # The end of what was written before is not read before a text that goes on.
    assert prompt == [BEGIN, *map(ord, "2 + 2?"), TURN, OPENING, *map(ord, "abor?")]
    assert found.token_ids == tuple(map(ord, "or?"))
    assert found.texts == ("o", "r", "?")
    assert found.logprobs == tuple(-place / 8 for place in range(len(prompt) - 3, len(prompt)))
    assert (found.prompt_tokens, found.generated_tokens) == (len(prompt), 1)


def changed(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any], int], Answer]:
    def answer(body: dict[str, Any], number: int) -> Answer:
        status, headers, reply = behave(body, number)
        if "choices" in reply:
            change(reply)
        return status, headers, reply

    return answer


def top(reply: dict[str, Any]) -> Any:
    return reply["choices"][0]["logprobs"]["top_logprobs"]


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no choice": (lambda reply: reply.update(choices=[]), "no choice, or several"),
    "no log-probabilities": (
        lambda reply: reply["choices"][0].update(logprobs=None),
        "without top_logprobs of one token",
    ),
    "texts for ids": (lambda reply: top(reply)[0].update(a=-1.0), "the token 'a', not with its id"),
    "no number": (lambda reply: top(reply)[0].update({"token_id:5": None}), "the log-probability None"),
    "no usage": (lambda reply: reply.update(usage=None), "replies without usage: tokens cannot be accounted"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_reply_that_does_not_say_is_an_error_in_one_line(case: str) -> None:
    change, said = BROKEN[case]
    with serving(changed(change)) as server, pytest.raises(EngineError, match=r"m at http://\S+: ") as caught:
        asked(server, lambda engine: engine.next_logprobs(NextRequest(problem=PROBLEM)))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_broken_reply_cost_is_told() -> None:
    wasted: list[tuple[int, int, int]] = []
    request = NextRequest(problem=PROBLEM, on_waste=lambda *spent: wasted.append(spent))
    with serving(changed(BROKEN["no log-probabilities"][0])) as server, pytest.raises(EngineError):
        asked(server, lambda engine: engine.next_logprobs(request))
    assert wasted == [(9, 4, 1)] * 2


def doubled(reply: dict[str, Any]) -> None:
    """Make the probabilities of next tokens add up to more than 1."""
    top(reply)[0].update({"token_id:97": -1e-9})


@pytest.mark.parametrize(("change", "replies"), [(BROKEN["no log-probabilities"][0], 2), (doubled, 1)])
def test_what_comes_to_nothing_is_charged_once_for_each_reply(change: Any, replies: int) -> None:
    async def work(engine: CheckedEngine) -> list[dict[str, Any]]:
        unit = Unit(problem_id=PROBLEM.problem_id, stop=1)
        session = Session(PROBLEM, unit, engine, model="m", stream=(1,), token_limit=100)
        with pytest.raises((EngineError, ContractError)):
            await session.next_logprobs(session.start(), top=3)
        return session.ledger.rows()

    with serving(changed(change)) as server:
        (row,) = asked(server, work)
    assert row["failed"]
    counts = (row["prompt_tokens"], row["cached_prompt_tokens"], row["generated_tokens"])
    assert counts == (9 * replies, 4 * replies, replies)


def test_tokens_that_nobody_counted_are_unknown() -> None:
    with serving(changed(BROKEN["no usage"][0])) as server:
        found = asked(
            server, lambda engine: engine.next_logprobs(NextRequest(problem=PROBLEM)), require_usage=False
        )
    assert (found.prompt_tokens, found.generated_tokens, found.context_tokens) == (None, None, None)


def test_a_server_that_has_no_tokens_to_tell_is_refused_as_one() -> None:
    with (
        serving(lambda body, number: error(404, "no route")) as server,
        pytest.raises(
            EngineLostError, match=r"no route; reads_tokens wants http://\S+/tokenize, which a vLLM"
        ),
    ):
        asked(server, lambda engine: engine.next_logprobs(NextRequest(problem=PROBLEM)))


def test_where_no_template_tells_the_end_the_options_do() -> None:
    def silent(body: dict[str, Any], number: int) -> Answer:
        status, headers, reply = behave(body, number)
        if "messages" in body and not body["add_generation_prompt"]:
            reply["tokens"] = reply["tokens"][:-1]
        return status, headers, reply

    with serving(silent) as server:
        with pytest.raises(EngineLostError, match="which token ends an answer; set end_token_ids"):
            asked(server, lambda engine: engine.next_logprobs(NextRequest(problem=PROBLEM)))
        found = asked(
            server, lambda engine: engine.next_logprobs(NextRequest(problem=PROBLEM)), end_token_ids=[END]
        )
    assert found.ends == {END}


def test_a_server_offers_it_only_if_it_is_said_to() -> None:
    able = OpenAIEngine(OpenAIOptions(model="m", reads_tokens=True))
    assert able.offers == {"generate", "logprobs", "next_logprobs"}
    assert OpenAIEngine(OpenAIOptions(model="m")).offers == {"generate"}
