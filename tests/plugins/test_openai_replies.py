"""Replies of servers as they are: ends, contents, and counts of tokens."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_server import PROBLEM, Answer, choice, generate, refused, reply, serving

from itscale.errors import EngineError, EngineLostError
from itscale.sampling.blocks import Block
from itscale.stages.curves import estimate_curves
from itscale.stages.outcomes import gather_outcomes
from itscale.stages.problems import write_problems
from itscale.stages.sampling import sample_block
from itscale.stages.verification import verify_block
from itscale.study import resolve
from itscale.types import GenerationRequest, SamplingParams
from itscale_builtin.engines._replies import Choice, shares
from itscale_builtin.engines.openai import OpenAIEngine, OpenAIOptions

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


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=8), st.integers(1, 600), st.floats(0, 1))
def test_no_choice_has_more_tokens_than_it_may_have(lengths, most, part):
    """However long the texts are, hidden thinking and tokens of one letter too; the sum is the server's."""
    least = sum(length > 0 for length in lengths)
    total = max(least, int(part * (most + 1) * len(lengths)))
    found = shares([Choice("x" * length, "eos", None, None, None) for length in lengths], total, most)
    assert sum(found) == total
    assert max(found) <= most + 1
    assert all(one >= 1 for one, length in zip(found, lengths, strict=True) if length)


def test_an_answer_in_another_language_costs_no_unit():
    texts = ["word " * 461, "答" * 300, "答" * 300, "答" * 300]
    body = reply(
        *(choice(text, finish_reason="stop") | {"index": n} for n, text in enumerate(texts)), generated=1412
    )
    with serving(lambda asked, number: body) as server:
        made = generate(server.url, 4, params=SamplingParams(max_tokens=512))
    assert sum(one.tokens for one in made) == 1412
    assert max(one.tokens for one in made) <= 513
