"""Requests to servers that limit how many completions, or know other parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from openai_server import Answer, choice, error, generate, refused, reply, serving

from itscale.types import SamplingParams
from itscale_builtin.engines._parameters import blamed

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
