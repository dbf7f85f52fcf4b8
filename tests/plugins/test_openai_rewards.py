"""Rewards and embeddings of servers: what is asked where, what is made of it, and what is not believed."""

import asyncio
import math
from typing import Any

import pytest
from openai_server import Answer, error, serving

from itscale.errors import EngineError, EngineLostError
from itscale.sampling.desk import Desk
from itscale.sampling.ledger import Ledger
from itscale.sampling.progress import Tally
from itscale.types import Embedding, Problem, Reward, Step, Trajectory
from itscale_builtin.engines.openai import OpenAIEngine, OpenAIOptions, entry

PROBLEM = Problem(problem_id="p", messages=({"role": "user", "content": "2 + 2?"},), reference="4")
STEPS = {"use": "rewards", "reward": {"marker": "<extra_0>"}}


def trajectory(*steps: str) -> Trajectory:
    made = Trajectory(PROBLEM.question)
    for node, text in enumerate(steps, 1):
        made = Trajectory(PROBLEM.question, made, Step(text=text, tokens=3, logprob=None, node=node))
    return made


def replied(item: Any, prompt: Any = 7, **usage: Any) -> Answer:
    return 200, {}, {"data": [item], "usage": {"prompt_tokens": prompt, "total_tokens": prompt, **usage}}


def ask(url: str, *given: Any, **options: Any) -> list[Any]:
    settings = {"model": "m", "base_url": url, "max_retries": 2, "pause": 0.001, "use": "rewards"} | options

    async def run() -> list[Any]:
        engine = OpenAIEngine(OpenAIOptions(**settings))
        try:
            embeds = settings["use"] == "embed"
            return list(await (engine.embed(given) if embeds else engine.rewards(given)))
        finally:
            await engine.close()

    return asyncio.run(run())


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


@pytest.mark.parametrize(
    ("endpoint", "item"),
    [("classify", {"probs": [0.5]}), ("score", {"score": 0.5}), ("pooling", {"data": [0.5]})],
)
def test_a_reward_of_the_whole_is_asked_where_the_options_say(endpoint: str, item: dict[str, Any]) -> None:
    with serving(lambda body, number: replied(item, prompt_tokens_details={"cached_tokens": 3})) as server:
        found = ask(server.url, trajectory("2 + 2", " = 4"), endpoint=endpoint, reward={"temperature": 2.0})
    assert found == [Reward(whole=pytest.approx(sigmoid(0.25)), prompt_tokens=7, cached_prompt_tokens=3)]
    assert server.paths == [f"/{endpoint}"]
    (body,) = server.bodies
    assert body.pop("use_activation") is False
    assert body.pop("model") == "m"
    whole = [*map(dict, PROBLEM.messages), {"role": "assistant", "content": "2 + 2 = 4"}]
    assert body == (
        {"text_1": "2 + 2?", "text_2": "2 + 2 = 4"} if endpoint == "score" else {"messages": whole}
    )


def test_rewards_of_steps_are_those_of_the_markers() -> None:
    with serving(lambda body, number: replied({"data": [[0.5, 1.5], [0.0, -2.0]]})) as server:
        (found, nothing) = ask(server.url, trajectory("So 4.\n\n", " Yes"), trajectory(), **STEPS)
    assert found.steps == pytest.approx((sigmoid(1.0), sigmoid(-2.0)))
    assert nothing == Reward(prompt_tokens=0)
    assert server.paths == ["/pooling"]
    assert server.bodies[0]["messages"][-1]["content"] == "So 4.<extra_0>Yes<extra_0>"


def test_numbers_of_every_token_are_read_where_the_server_says_that_markers_are() -> None:
    text = "2 + 2? a ки\nb ки\n"
    ids = {"ки": [9], text: [1, 2, 9, 3, 9, 4]}

    def behave(body: dict[str, Any], number: int) -> Answer:
        if "prompt" in body:
            return 200, {}, {"tokens": ids[body["prompt"]], "count": 1}
        return replied({"data": [[float(at)] for at in range(6)]}, prompt=6)

    plain = {"marker": " ки\n", "template": "plain", "separator": " "}
    with serving(behave) as server:
        (found,) = ask(server.url, trajectory("a", "b"), reward=plain)
        assert found.steps == pytest.approx((sigmoid(2), sigmoid(4)))
        assert (server.paths, server.bodies[0]["input"]) == (["/pooling", "/tokenize", "/tokenize"], text)
        ids[text][1] = 9  # in a step's own text
        with pytest.raises(EngineError, match="6 rewards for 2 steps, and 3 markers in 6 tokens"):
            ask(server.url, trajectory("a", "b"), reward=plain)


def test_embeddings_are_a_request_for_each_text() -> None:
    def behave(body: dict[str, Any], number: int) -> Answer:
        return replied({"index": 0, "embedding": [1.0, float(len(body["input"][0]))]}, prompt=5)

    with serving(behave) as server:
        found = ask(server.url, "a", "bcd", use="embed")
    assert found == [Embedding(vector=(1.0, length), prompt_tokens=5) for length in (1.0, 3.0)]
    assert server.paths == ["/v1/embeddings"] * 2


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"probs": ["high"]}, "has 'high' in probs, no finite number"),
        ({"probs": [float("nan")]}, "has 'nan' in probs, no finite number"),
        ({"probs": []}, "has no numbers in probs"),
        ({}, "has no numbers in probs"),
        ([], "no data of one item"),
        ({"probs": [0.25, 0.75]}, "replied with probabilities, expected logits; set logits: false"),
        ({"probs": [1.0, 2.0, 3.0]}, "label: found none, expected which of the 3 labels is the reward"),
    ],
)
def test_numbers_that_cannot_be_are_refused_in_one_line(item: Any, said: str) -> None:
    with serving(lambda body, number: replied(item)) as server, pytest.raises(EngineError) as caught:
        ask(server.url, trajectory("4"))
    assert said in str(caught.value)
    assert server.url in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_broken_reply_is_asked_for_again() -> None:
    with serving(lambda body, number: replied({"probs": [0.0]} if number else {})) as server:
        assert ask(server.url, trajectory("4"))[0].whole == 0.5
    assert len(server.bodies) == 2


@pytest.mark.parametrize(
    ("bad", "use", "wasted"),
    [
        ({}, "rewards", 3),  # asked for again, in vain
        ({"probs": [0.25, 0.75]}, "rewards", 1),  # no logits: not asked for again
        ({"index": 0, "embedding": ["a"]}, "embed", 3),
    ],
)
def test_what_comes_to_nothing_is_charged_apart(bad: Any, use: str, wasted: int) -> None:
    async def work(engine: OpenAIEngine) -> list[dict[str, Any]]:
        ledger = Ledger()
        desk = Desk(PROBLEM, {"": engine}, "m", ledger, Tally().unit(1))
        with pytest.raises(EngineError):
            await (desk.embed(["a"], "") if use == "embed" else desk.rewards([trajectory("4")], ""))
        await engine.close()
        return ledger.rows()

    with serving(lambda body, number: replied(bad)) as server:
        settings = {"model": "m", "base_url": server.url, "max_retries": 2, "pause": 0.001, "use": use}
        (row,) = asyncio.run(work(OpenAIEngine(OpenAIOptions(**settings))))
    assert (row["failed"], row["calls"], row["prompt_tokens"]) == (True, wasted, 7 * wasted)


def test_probabilities_are_taken_for_such_where_the_options_say_so() -> None:
    with serving(lambda body, number: replied({"probs": [0.25, 0.75]})) as server:
        assert ask(server.url, trajectory("4"), logits=False)[0].whole == 0.75
        assert server.bodies[0]["use_activation"] is True
    said = r"the reward 1.25, expected one in \[0, 1\], as logits: false"
    with (
        serving(lambda body, number: replied({"probs": [1.25]})) as server,
        pytest.raises(EngineError, match=said),
    ):
        ask(server.url, trajectory("4"), logits=False)


def test_tokens_are_the_servers_or_unknown() -> None:
    with serving(lambda body, number: replied({"probs": [0.0]}, prompt=-1)) as server:
        with pytest.raises(
            EngineError, match=r"usage\.prompt_tokens is -1, no count: tokens cannot be accounted"
        ):
            ask(server.url, trajectory("4"))
        (found,) = ask(server.url, trajectory("4"), require_usage=False)
    assert found == Reward(whole=0.5, prompt_tokens=None, cached_prompt_tokens=None)


def test_refusals_are_those_of_any_request() -> None:
    for status, kind, said in (
        (400, EngineError, "said the server"),
        (404, EngineLostError, "no such model"),
    ):
        with (
            serving(lambda body, number, status=status: error(status)) as server,
            pytest.raises(kind, match=said),
        ):
            ask(server.url, trajectory("4"))


@pytest.mark.parametrize(
    ("options", "offers"),
    [
        ({"use": "rewards"}, {"rewards"}),
        (STEPS, {"step_rewards"}),
        ({"use": "embed"}, {"embed"}),
    ],
)
def test_what_a_server_offers_is_what_it_is_used_for(options: dict[str, Any], offers: set[str]) -> None:
    made = OpenAIOptions(model="m", **options)
    assert list(entry.check(made)) == []
    assert entry.configured is not None
    assert entry.configured(made) == offers


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reward": {"marker": "x"}}, "use: found generate and options of a reward model"),
        ({"use": "embed", "endpoint": "score"}, "use: found embed and options of a reward model"),
        (
            {"use": "rewards", "endpoint": "score", "reward": {"marker": "x"}},
            "endpoint: found score, expected pool",
        ),
        ({"use": "rewards", "reward": {"labels": ["+", "-"]}}, "reward.labels: found two tokens"),
    ],
)
def test_options_that_contradict_each_other_are_refused_before_a_run(
    options: dict[str, Any], said: str
) -> None:
    assert any(line.startswith(said) for line in entry.check(OpenAIOptions(model="m", **options)))
