"""Servers that are not as they should be: each fault is mended, told, or refused in words."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from openai_server import PROBLEM, Answer, choice, error, generate, refused, reply, serving
from pydantic import ValidationError

from itscale.errors import EngineError, EngineLostError
from itscale.sampling.blocks import Block
from itscale.stages.curves import estimate_curves
from itscale.stages.outcomes import gather_outcomes
from itscale.stages.problems import write_problems
from itscale.stages.sampling import sample_block
from itscale.stages.verification import verify_block
from itscale.study import resolve
from itscale.types import GenerationRequest, SamplingParams
from itscale_builtin.engines import _bounds
from itscale_builtin.engines._parameters import blamed
from itscale_builtin.engines.openai import OpenAIEngine, OpenAIOptions

Behaviour = Callable[[dict[str, Any], int], Answer | None]


def refusing(*names: str, words: str, status: int = 400, param: str | None = None) -> Behaviour:
    """A server that refuses requests with any of these parameters, and answers others."""

    def behave(body: dict[str, Any], number: int) -> Answer:
        if any(name in body for name in names):
            return status, {}, {"error": {"message": words, "param": param, "code": "unsupported"}}
        return reply(*[choice(f"{number}.{at}") for at in range(body.get("n", 1))], generated=4)

    return behave


# --- how many at once -------------------------------------------------------------------------------------


def limited(most: int, words: str) -> Behaviour:
    def behave(body: dict[str, Any], number: int) -> Answer:
        if body.get("n", 1) > most:
            return 400, {}, {"error": {"message": words}}
        return reply(*[choice(f"{number}.{at}") for at in range(body.get("n", 1))], generated=200)

    return behave


@pytest.mark.parametrize("total", [4, 5, 40, 1000])
def test_no_text_is_made_of_no_token_however_short_beside_the_others(total: int) -> None:
    def behave(body: dict[str, Any], number: int) -> Answer:
        return reply(choice("a"), choice("b" * 900), choice("c"), choice("d" * 90), generated=total)

    with serving(behave) as server:
        tokens = [one.tokens for one in generate(server.url, 4, params=SamplingParams(max_tokens=300))]
    assert sum(tokens) == total
    assert min(tokens) >= 1
    assert total < 40 or tokens[1] == max(tokens)


def sizes(bodies: list[dict[str, Any]]) -> list[int]:
    return sorted(body.get("n", 1) for body in bodies)


def test_no_request_is_larger_than_servers_take() -> None:
    with serving(limited(128, "n must be at most 128")) as server:
        assert len(generate(server.url, 256)) == 256
        assert sizes(server.bodies) == [128, 128]
        assert len(generate(server.url, 5, n_per_request=2)) == 5
    assert sizes(server.bodies[2:]) == [1, 2, 2]


@pytest.mark.parametrize(
    ("most", "words", "expected"),
    [
        (8, "Invalid value for 'n': expected a number between 1 and 8, got 20", [4, 8, 8, 20]),
        (1, "Only one completion choice is allowed: parameter n is not supported", [1] * 20 + [20]),
        (1, "n > 1 is not supported", [1] * 20 + [20]),
        (1, "multiple completions are not available for this model", [1] * 20 + [20]),
    ],
)
def test_where_so_many_are_refused_fewer_are_asked_for(most: int, words: str, expected: list[int]) -> None:
    with serving(limited(most, words)) as server:
        made = generate(server.url, 20)
    assert len(made) == len({one.text for one in made}) == 20
    assert sizes(server.bodies) == expected


def test_a_server_that_knows_no_n_is_asked_without() -> None:
    with serving(refusing("n", words="Unrecognized request argument supplied: n", param="n")) as server:
        assert len(generate(server.url, 3)) == 3
        assert len(generate(server.url, 2, omit=("n",))) == 2
    assert ["n" in body for body in server.bodies] == [True, False, False, False, False, False]


# --- parameters -------------------------------------------------------------------------------------------

RENAMED = "Unsupported parameter: 'max_tokens' is not supported here. Use 'max_completion_tokens' instead."


def test_the_limit_goes_by_the_name_that_the_server_takes(caplog: pytest.LogCaptureFixture) -> None:
    with serving(refusing("max_tokens", words=RENAMED, param="max_tokens")) as server:
        generate(server.url, 4, n_per_request=1, requests=2, concurrency=1)
        generate(server.url, limit_name="max_completion_tokens")
    assert [body.get("max_completion_tokens") for body in server.bodies].count(None) == 1
    assert "the server refuses max_tokens" in caplog.text


def test_what_says_the_same_left_out_is_left_out() -> None:
    extra = [{"type": "extra_forbidden", "loc": ["body", "top_p"], "msg": "Extra inputs are not permitted"}]

    def strict(body: dict[str, Any], number: int) -> Answer:
        return (422, {}, {"detail": extra}) if "top_p" in body else reply(choice())

    with serving(strict) as server:
        generate(server.url)
        assert "top_p" not in server.bodies[1]
        message = refused(server.url, params=SamplingParams(top_p=0.9))
        assert "takes no top_p, which is 0.9 here; set top_p: 1 in the strategy" in message
        generate(server.url, omit=("top_p",))
        asked = len(server.bodies)
        assert "takes no top_p" in refused(server.url, omit=("top_p",), params=SamplingParams(top_p=0.9))
    assert len(server.bodies) == asked  # nothing was sent in its stead


@pytest.mark.parametrize(
    ("name", "options", "instead"),
    [("seed", {"seed": True}, "set seed: false"), ("logprobs", {"logprobs": True}, "set logprobs: false")],
)
def test_what_means_something_is_not_left_out(name: str, options: dict[str, bool], instead: str) -> None:
    with serving(refusing(name, words=f"Unknown parameter: {name!r}")) as server:
        assert instead in refused(server.url, **options)
    assert len(server.bodies) == 1


def test_what_a_server_would_fill_in_is_sent_where_asked_for() -> None:
    def sent(**told: Any) -> dict[str, Any]:
        with serving(lambda body, number: reply(choice())) as server:
            generate(server.url, **told)
        return server.bodies[0]

    fill_in = ("top_k", "min_p", "repetition_penalty")
    assert not set(fill_in) & set(sent())
    body = sent(always_send=fill_in)
    assert [body[name] for name in fill_in] == [-1, 0, 1]
    body = sent(always_send=fill_in, params=SamplingParams(top_k=5), extra={"repetition_penalty": 1.1})
    assert [body[name] for name in fill_in] == [5, 0, 1.1]


def test_further_parameters_are_sent_as_they_are() -> None:
    with serving(lambda body, number: reply(choice())) as server:
        generate(server.url, extra={"top_k": -1, "reasoning": {"effort": "low"}})
    assert server.bodies[0]["top_k"] == -1
    assert server.bodies[0]["reasoning"] == {"effort": "low"}


def test_a_refusal_about_something_else_is_told_as_it_is() -> None:
    words = "This model's maximum context length is 4096 tokens; max_tokens is too large: 5000"
    assert blamed(words, None, {"max_tokens": 5000, "n": 4}) is None
    with serving(lambda body, number: error(400, words)) as server:
        assert words in refused(server.url)
    assert len(server.bodies) == 1


# --- ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "expected", "told"),
    [
        (None, "eos", True),
        ("", "eos", True),
        ("eos_token", "eos", True),
        ("end_turn", "eos", True),
        ("tool_calls", "eos", True),
        ("whatever", "eos", True),
        ("STOP", "eos", False),
        ("MAX_TOKENS", "length", False),
        ("content_filter", "filtered", True),
        ("SAFETY", "filtered", True),
    ],
)
def test_every_end_is_an_end(
    sent: str | None, expected: str, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(lambda body, number: reply(choice("x", finish_reason=sent))) as server:
        made = generate(server.url, requests=3)
    assert {one.finish_reason for one in made} == {expected}
    assert len(server.bodies) == 3
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == told  # once, not for every completion


def test_a_choice_that_failed_is_told_in_the_servers_words() -> None:
    failed = choice("", finish_reason="error", error={"message": "the provider is gone", "code": 502})
    with serving(lambda body, number: reply(failed)) as server:
        assert "finish_reason is 'error': the provider is gone" in refused(server.url)


def test_an_unnamed_end_at_the_limit_is_the_limit() -> None:
    with serving(lambda body, number: reply(choice("x y", finish_reason=None), generated=4)) as server:
        assert generate(server.url, params=SamplingParams(max_tokens=4))[0].finish_reason == "length"
        assert generate(server.url, params=SamplingParams(max_tokens=5))[0].finish_reason == "eos"


@pytest.mark.parametrize("sent", ["abort", "error", "insufficient_system_resource"])
def test_what_broke_off_is_asked_for_again(sent: str) -> None:
    def behave(body: dict[str, Any], number: int) -> Answer:
        return reply(choice("half", finish_reason=sent) if number < 2 else choice("whole"))

    with serving(behave) as server:
        assert generate(server.url)[0].text == "whole"
    with serving(lambda body, number: reply(choice("half", finish_reason=sent))) as server:
        assert f"generation broke off: finish_reason is '{sent}', 3 times" in refused(server.url).replace(
            ")", ""
        )


# --- contents ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": None, "reasoning_content": "hm"}, ""),
        ({"content": "4", "reasoning_content": "hm, 5?"}, "4"),
        ({"content": [{"type": "text", "text": "4"}, {"type": "text", "text": "2"}]}, "42"),
        ({"content": [{"type": "thinking", "thinking": "5?"}, {"type": "text", "text": "4"}]}, "4"),
        ({"content": ["4", {"type": "text", "text": "2"}]}, "42"),
        ({"content": None, "tool_calls": [{"function": {"name": "f"}}]}, ""),
        ({"content": None, "refusal": "I cannot say."}, "I cannot say."),
        ({}, ""),
    ],
)
def test_the_text_is_what_the_model_said(message: dict[str, Any], text: str) -> None:
    with serving(lambda body, number: reply(choice() | {"message": message})) as server:
        assert generate(server.url)[0].text == text


def test_choices_in_whatever_order_are_all_there() -> None:
    def behave(body: dict[str, Any], number: int) -> Answer:
        found = [choice("b", index=1), choice("a", index=0)]
        return reply(*found) if number == 0 else reply(choice("c", index=7), choice("d", index=7))

    with serving(behave) as server:
        assert [one.text for one in generate(server.url, 2)] == ["a", "b"]
        assert [one.text for one in generate(server.url, 2)] == ["c", "d"]


@pytest.mark.parametrize(("indices", "order"), [(["1", "0"], "ba"), ([None, 0], "ab"), ([{}, "x"], "ab")])
def test_an_index_may_be_text_or_nonsense(indices: list[Any], order: str) -> None:
    found = [choice(text, index=index) for text, index in zip("ab", indices, strict=True)]
    with serving(lambda body, number: reply(*found)) as server:
        assert "".join(one.text for one in generate(server.url, 2)) == order


HUGE = b"1" + b"0" * 400


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"choices": [null]}', "a choice is NoneType"),
        (b'{"choices": [{"message": null}]}', "message is NoneType"),
        (b'{"choices": {"0": {}}}', "choices are dict"),
        (b'{"detail": "the model is asleep"}', "replied with an error: the model is asleep"),
        (b'{"object": "error", "message": "too long", "code": 400}', "replied with an error: too long"),
        (b'{"error": {"message": "no", "code": "%s"}}' % (b"9" * 5000), "replied with an error: no"),
        (b'data: {"choices": []}\n\ndata: [DONE]', "a stream of events"),
        (
            b'{"choices": [{"message": {"content": "4"}, "logprobs": {"content": [{"logprob": -%s}]}}]}'
            % HUGE,
            "malformed choices",
        ),
        (
            b'{"choices": [{"message": {"content": "4"}}],'
            b' "usage": {"prompt_tokens": 7, "completion_tokens": %s}}' % HUGE,
            "usage.completion_tokens is 1000",
        ),
    ],
)
def test_what_is_replied_instead_is_told_in_one_line(body: bytes, words: str) -> None:
    with serving(lambda *_: (200, {}, body)) as server:
        assert words in refused(server.url, max_retries=0)


def test_tokens_of_choices_nobody_asked_for_are_not_those_of_others() -> None:
    with serving(lambda body, number: reply(*[choice("abcd")] * 4, generated=40)) as server:
        assert [one.tokens for one in generate(server.url, 2)] == [10, 10]


@pytest.mark.parametrize("value", [float("nan"), 0.5, None, "-1", float("-inf"), True])
def test_log_probabilities_that_cannot_be_are_refused(value: Any) -> None:
    listed = {"content": [{"token": "t", "logprob": -0.5}, {"token": "t", "logprob": value}]}
    with serving(lambda body, number: reply(choice("x", logprobs=listed))) as server:
        message = refused(server.url, logprobs=True)
    assert "a log-probability is" in message


def test_log_probabilities_that_were_asked_for_have_to_come() -> None:
    with serving(lambda body, number: reply(choice("x"))) as server:
        assert "set logprobs: false" in refused(server.url, logprobs=True)


# --- usage ------------------------------------------------------------------------------------------------

FALSE = [
    ({"prompt_tokens": 7, "completion_tokens": 0}, "counts 0 generated tokens for 1 texts"),
    ({"prompt_tokens": 0, "completion_tokens": 5}, "counts 0 tokens of a prompt"),
    ({"prompt_tokens": 7, "completion_tokens": -5}, "usage.completion_tokens is -5"),
    ({"prompt_tokens": 7}, "usage.completion_tokens is missing"),
    ({"prompt_tokens": 7, "completion_tokens": "5"}, "usage.completion_tokens is '5'"),
    ({"prompt_tokens": 7, "completion_tokens": 5.5}, "usage.completion_tokens is 5.5"),
    ({"prompt_tokens": float("nan"), "completion_tokens": 5}, "usage.prompt_tokens is nan"),
    (
        {"prompt_tokens": 7, "completion_tokens": 514},
        "counts 514 generated tokens for 1 completions",
    ),
    ({"prompt_tokens": 7, "completion_tokens": True}, "usage.completion_tokens is True"),
    ([7, 5], "replies without usage"),
    (
        {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}},
        "counts 9 cached tokens of a prompt of 7",
    ),
]


@pytest.mark.parametrize(("usage", "words"), FALSE)
def test_counts_that_cannot_be_true_are_refused_or_unknown(usage: Any, words: str) -> None:
    with serving(lambda body, number: reply(choice("three words here"), usage=usage)) as server:
        message = refused(server.url)
        assert words in message
        assert "set require_usage: false to leave them unknown" in message
        (made,) = generate(server.url, require_usage=False)
    assert not made.counted


@pytest.mark.parametrize(("lacking", "kind"), [({1, 3, 4, 5}, EngineError), ({0, 1, 2}, EngineLostError)])
def test_only_a_server_that_never_counts_is_lost(lacking: set[int], kind: type[EngineError]) -> None:
    """A single reply without usage is its unit's failure."""

    def behave(body: dict[str, Any], number: int) -> Answer:
        at = int(body["messages"][-1]["content"])
        return reply(
            choice("x"), usage=None if at in lacking else {"prompt_tokens": 7, "completion_tokens": 5}
        )

    async def ask(url: str) -> list[type[Exception] | None]:
        engine = OpenAIEngine(OpenAIOptions(model="m", base_url=url, max_retries=0))
        met: list[type[Exception] | None] = []
        for at in range(6):
            problem = replace(PROBLEM, messages=({"role": "user", "content": str(at)},))
            try:
                await engine.generate(
                    GenerationRequest(problem=problem, prefix=(), params=SamplingParams(), seeds=(1,))
                )
                met.append(None)
            except EngineError as error:
                met.append(type(error))
        await engine.close()
        return met

    with serving(behave) as server:
        met = asyncio.run(ask(server.url))
    assert met == [
        None if at not in lacking else kind if at == max(lacking) else EngineError for at in range(6)
    ]


@pytest.mark.parametrize("usage", [{"prompt_tokens": 7.0, "completion_tokens": 5.0}])
def test_a_whole_number_may_be_written_as_a_float(usage: Any) -> None:
    with serving(lambda body, number: reply(choice("x"), usage=usage)) as server:
        (made,) = generate(server.url)
    assert (made.prompt_tokens, made.tokens, made.counted) == (7, 5, True)


def test_nothing_written_may_be_no_token() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 0}
    with serving(lambda body, number: reply(choice(""), usage=usage)) as server:
        assert generate(server.url)[0].tokens == 0


def sampled(folder: Path, url: str) -> pl.DataFrame:
    """Sample four problems, judge them, and return their curves."""
    rows = [{"prompt": f"{n} + {n}?", "reference": str(2 * n)} for n in range(4)]
    (folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    served = {"plugin": "openai", "model": "m", "base_url": url, "require_usage": False, "concurrency": 1}
    study = resolve(
        {
            "study": "s",
            "tasks": {"sums": {"plugin": "jsonl", "file": str(folder / "problems.jsonl")}},
            "models": {"m": served},
            "strategies": {"repeated_sampling": {"completions": 2}},
            "selectors": ["oracle"],
        }
    )
    place = ("sums", "m", "repeated_sampling")
    block = Block(0, 0, 4, 0, 2)
    files = {name: folder / f"{name}.parquet" for name in ("problems", "outcomes", "curves")}
    files |= {n: folder / n / f"{block.name}.parquet" for n in ("completions", "ledger", "verdicts")}
    write_problems(study, "sums", files["problems"])
    told = {"problems": files["problems"], "completions": files["completions"], "model_directories": {}}
    sample_block(study, *place, block, **told, ledger=files["ledger"], trees=folder / "t.parquet")
    verify_block(study, *place, "exact_match", **told, output=files["verdicts"], ledger=folder / "l")
    gather_outcomes(
        study,
        *place,
        problems=files["problems"],
        completions=[files["completions"]],
        verdicts={"exact_match": [files["verdicts"]]},
        output=files["outcomes"],
    )
    told = {"outcomes": files["outcomes"], "ledgers": [files["ledger"]]}
    estimate_curves(study, *place, **told, output=files["curves"])
    return pl.read_parquet(files["curves"])


@pytest.mark.parametrize("unknown", [0, 1, 4])
def test_unknown_tokens_are_unknown_all_the_way(tmp_path: Path, unknown: int) -> None:
    """A mean over the requests whose tokens are known would be another; zero would be wrong."""

    def behave(body: dict[str, Any], number: int) -> Answer:
        two = [choice("0"), choice("1")]
        return reply(*two, generated=10, **({"usage": None} if number < unknown else {}))

    with serving(behave) as server:
        curves = sampled(tmp_path, server.url)
    rows = pl.read_parquet(tmp_path / "completions")
    assert rows["generated_tokens"].null_count() == rows["prompt_tokens"].null_count() == 2 * unknown
    spent = pl.read_parquet(tmp_path / "ledger")
    assert spent["generated_tokens"].null_count() == unknown
    assert curves["generated_tokens"].to_list() == ([None, None] if unknown else [5.0, 10.0])
    assert curves["prompt_tokens"].null_count() == (2 if unknown else 0)
    assert curves["estimate"].to_list() == pytest.approx([1 / 8, 1 / 4])


# --- errors -----------------------------------------------------------------------------------------------


def lost(url: str, **options: Any) -> bool:
    with pytest.raises(EngineError) as caught:
        generate(url, **options)
    return isinstance(caught.value, EngineLostError)


def test_an_error_in_a_good_reply_is_told_in_the_servers_words() -> None:
    def behave(body: dict[str, Any], number: int) -> Answer:
        return 200, {}, {"error": {"message": "upstream is overloaded", "code": 502}}

    with serving(behave) as server:
        assert "replied with an error: upstream is overloaded, 3 times" in refused(server.url)
    assert len(server.bodies) == 3
    with serving(lambda *_: (200, {}, {"error": {"message": "no credits", "code": 402}})) as server:
        assert "replied with an error: no credits" in refused(server.url)
    assert len(server.bodies) == 1
    with serving(lambda *_: (200, {}, {"error": "no such thing", "choices": []})) as server:
        assert "no such thing" in refused(server.url)


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_a_key_that_a_server_echoes_is_masked(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "open-sesame-please")
    words = {"error": {"message": "bad key open-sesame-please (or sk-abcdefghijklmnop1234)", "code": 400}}
    with serving(lambda *_: (status, {"retry-after-ms": "1"}, words)) as server:
        message = refused(server.url, api_key_env="SOME_KEY")
    assert "sesame" not in message
    assert "sk-abc" not in message
    assert "bad key ***" in message


def test_a_page_of_html_is_told_by_its_text() -> None:
    page = b"<html><head><title>x</title><style>p {}</style></head><body><h1>Bad gateway</h1></body></html>"
    with serving(lambda *_: (502, {"content-type": "text/html", "retry-after-ms": "1"}, page)) as server:
        message = refused(server.url)
    assert "Bad gateway" in message
    assert "<" not in message
    with serving(lambda *_: (200, {"content-type": "text/html"}, page)) as server:
        assert "a page of HTML" in refused(server.url)


def test_errors_say_whether_another_request_would_fare_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    with serving(lambda *_: error(401)) as server:
        assert lost(server.url, api_key_env="SOME_KEY")
    gone = server.url
    assert lost(gone, max_retries=0)
    with serving(lambda *_: error(404)) as server:
        assert lost(server.url)
    with serving(lambda *_: error(400)) as server:
        assert not lost(server.url)
    with serving(lambda *_: (200, {}, b"{")) as server:
        assert not lost(server.url)


@pytest.mark.parametrize("status", [408, 409, 425])
def test_what_passes_is_asked_again(status: int) -> None:
    with serving(lambda body, number: error(status) if number == 0 else reply(choice())) as server:
        assert len(generate(server.url)) == 1
    with serving(lambda *_: error(status)) as server:
        assert f"{status}, still so after 3 attempts" in refused(server.url)
    assert len(server.bodies) == 3


def test_a_request_that_is_too_large_is_not_repeated() -> None:
    with serving(lambda *_: error(413)) as server:
        assert "413, the request is too large for the server; lower n_per_request" in refused(server.url)
    assert len(server.bodies) == 1


def test_a_reply_cut_in_the_middle_is_asked_for_again() -> None:
    cut = 200, {"transfer-encoding": "chunked", "connection": "close"}, b'ff\r\n{"choices": [{'
    with serving(lambda body, number: cut if number == 0 else reply(choice())) as server:
        assert len(generate(server.url)) == 1
        assert len(server.bodies) == 2


def test_what_a_reply_calls_itself_does_not_matter() -> None:
    _, _, whole = reply(choice())
    with serving(lambda *_: (202, {"content-type": "text/html"}, whole)) as server:
        assert generate(server.url)[0].text == "4"


def test_a_redirection_is_told_not_followed() -> None:
    def behave(body: dict[str, Any], number: int) -> Answer:
        return 307, {"location": f"{server.url}/chat/completions"}, {}

    with serving(behave) as server:
        message = refused(server.url)
    assert "307, the server sends requests on to http://127" in message
    assert len(server.bodies) == 1


@pytest.mark.parametrize("wait", ["0", "-5", "1e9", "nan", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_wait_that_makes_no_sense_is_not_waited(wait: str) -> None:
    def behave(body: dict[str, Any], number: int) -> Answer:
        return (429, {"retry-after": wait}, {"error": {"message": "slow"}})

    started = time.monotonic()
    with serving(behave) as server:
        message = refused(server.url, max_retries=1)
    assert f"it asks to wait: {wait}" in message
    assert time.monotonic() - started < 20  # far below any wait of its own, far above two requests


# --- bounds -----------------------------------------------------------------------------------------------


@contextmanager
def dripping(first: bytes, piece: bytes, pause: float) -> Iterator[str]:
    """Serve replies that begin with `first` and go on, piece by piece, until nobody reads."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection:
            connection.recv(1 << 16)
            try:
                connection.sendall(first)
                while not stopped.wait(pause):
                    connection.sendall(piece)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        stopped.set()
        listener.close()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"


def test_a_reply_that_drips_ends_at_the_time_limit() -> None:
    with dripping(HEAD + b'{"choices": [', b" ", 0.05) as url:
        assert "the reply did not end within 0.4 s" in refused(url, timeout=0.4, max_retries=0)


def test_a_reply_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bounds, "SMALLEST_BOUND", 1 << 20)
    with dripping(HEAD, b" " * (1 << 16), 0) as url:
        assert "the reply is longer than 1 MiB" in refused(url, max_retries=0)


def test_a_reply_that_would_swell_is_refused() -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    with serving(lambda *_: (200, {"content-encoding": "gzip"}, bomb)) as server:
        assert "the reply is compressed (gzip), unasked" in refused(server.url, max_retries=0)


# --- options ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"base_url": "localhost:8000/v1"}, "found 'localhost:8000/v1', expected a URL such as"),
        ({"base_url": "ftp://host/v1"}, "expected a URL such as"),
        ({"base_url": "http://"}, "expected a URL such as"),
        ({"base_url": "http://host:99999/v1"}, "expected a URL such as"),
        ({"base_url": "http://me:hush@host/v1"}, r"found a URL with a user \(not shown\)"),
        ({"base_url": "http://host/v1?api_key=hush"}, r"api_key=\*\*\*', expected a URL without"),
        ({"api_key_env": "sk-hush0123456789abcdef"}, r"not shown: it may be a key"),
        ({"timeout": float("inf")}, "finite"),
    ],
)
def test_what_is_no_server_or_holds_a_key_is_refused_at_once(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OpenAIOptions(model="m", **options)
    said = caught.value.errors()[0]
    text = str(said.get("ctx", {}).get("error", said["msg"]))
    assert re.search(words, text)
    assert "hush" not in text
