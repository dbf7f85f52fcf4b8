"""Reward models and embeddings under vLLM: what is read, what is refused, what transformers says of it."""

import asyncio
import json
import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from pydantic import ValidationError
from tiny_models import QUESTION, STEPS

from itscale.boundary import CheckedEngine, Place
from itscale.errors import EngineError
from itscale.types import Embedding, Problem, Reward, Step, Trajectory
from itscale_builtin.engines._rewards import RewardOptions, marked, places_of, probabilities
from itscale_builtin.engines.vllm import VllmOptions, entry

PROBLEM = Problem(problem_id="sum", messages=({"role": "user", "content": QUESTION},), reference="5")
SHEPHERD = {"marker": " ки\n", "labels": ["+", "-"], "template": "plain", "separator": " "}
VERDICT = {"use": "rewards", "reward": SHEPHERD}


def trajectory(*steps: str) -> Trajectory:
    made = Trajectory(PROBLEM.question)
    for node, text in enumerate(steps, 1):
        made = Trajectory(PROBLEM.question, made, Step(text=text, tokens=3, logprob=None, node=node))
    return made


def checkpoint(folder: Path, architecture: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}), encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize(
    ("architecture", "options", "offers"),
    [
        ("LlamaForCausalLM", {}, "generate"),
        ("LlamaForCausalLM", VERDICT, "step_rewards"),
        ("LlamaForCausalLM", {"use": "embed"}, "embed"),
        ("Qwen2ForSequenceClassification", {}, "rewards"),
        ("Qwen2ForSequenceClassification", {"reward": {"marker": "\n"}}, "step_rewards"),
        ("Qwen2ForRewardModel", {}, "rewards"),
        ("Qwen2ForProcessRewardModel", {}, "step_rewards"),
        ("Qwen2ForTokenClassification", {"reward": {"marker": "\n"}}, "step_rewards"),
    ],
)
def test_what_a_checkpoint_offers_is_known_before_it_is_started(
    tmp_path: Path, architecture: str, options: dict[str, Any], offers: str
) -> None:
    made = VllmOptions(model=checkpoint(tmp_path, architecture), **options)
    assert list(entry.check(made)) == []
    assert entry.configured is not None
    assert offers in entry.configured(made)
    assert (offers == "generate") == ("generate" in entry.configured(made))


@pytest.mark.parametrize(
    ("architecture", "options", "said"),
    [
        (
            "LlamaForCausalLM",
            {"use": "rewards"},
            "reward: found LlamaForCausalLM, which writes text",
        ),
        (
            "LlamaForCausalLM",
            {"reward": {"marker": "x"}},
            "reward: found options of a reward model",
        ),
        (
            "Qwen2ForRewardModel",
            {"use": "generate"},
            "use: found generate, but Qwen2ForRewardModel",
        ),
        ("LlamaForTokenClassification", {}, "reward.marker: found none, expected the text after each step"),
        ("LlamaForSequenceClassification", {"reward": SHEPHERD}, "reward.labels: found two tokens, but"),
    ],
)
def test_a_model_that_is_not_what_it_is_used_for_is_refused_before_it_is_started(
    tmp_path: Path, architecture: str, options: dict[str, Any], said: str
) -> None:
    made = VllmOptions(model=checkpoint(tmp_path, architecture), **options)
    assert [line.startswith(said) for line in entry.check(made)] == [True]


def test_options_of_a_reward_model_are_bounded() -> None:
    for wrong in ({"marker": ""}, {"temperature": 0}, {"labels": ["+"]}, {"label": -1}):
        with pytest.raises(ValidationError):
            RewardOptions(**wrong)


def test_a_marker_is_put_after_each_step_and_read_at_its_last_letter() -> None:
    text, ends = marked(trajectory("One.\n\n", "", " Two"), " ки\n")
    assert text == "One. ки\n ки\nTwo ки\n"
    assert [text[:end] for end in ends] == ["One. ки", "One. ки\n ки", "One. ки\n ки\nTwo ки"]
    assert marked(trajectory("a\nb"), "\n") == ("a\nb\n", [4])


def test_the_token_that_is_read_ends_with_the_marker_and_may_be_one_of_several_of_a_letter() -> None:
    offsets = [(0, 1), (1, 4), (4, 5), (4, 5), (5, 6)]
    assert places_of([4, 5, 6], offsets) == [1, 3, 4]
    with pytest.raises(LookupError):
        places_of([7], offsets)


def test_logits_become_probabilities() -> None:
    def of(*logits: float, **options: Any) -> float:
        return probabilities(RewardOptions(**options), [logits])[0]

    assert of(2.0) == pytest.approx(1 / (1 + math.exp(-2)))
    assert of(2.0, temperature=4.0) == pytest.approx(1 / (1 + math.exp(-0.5)))
    assert of(0.0, math.log(3)) == pytest.approx(0.75)
    assert of(math.log(3), 0.0, labels=("+", "-")) == pytest.approx(0.75)
    assert of(0.0, math.log(2), 0.0, label=1) == pytest.approx(0.5)
    assert of(1e4) == 1.0
    for logits, options in (((math.nan,), {}), ((0.0,) * 3, {}), ((0.0,) * 3, {"label": 3}), ((), {})):
        with pytest.raises(EngineError):
            of(*logits, **options)


# Under vLLM ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny checkpoints, and what transformers says of them."""
    if find_spec("vllm") is None:  # to import it here would keep engines from being forked
        pytest.skip("vllm is not installed")
    folder = tmp_path_factory.mktemp("tiny")
    subprocess.run([sys.executable, tiny_models.__file__, folder], check=True, capture_output=True)
    return folder


def ask(model: Path, work: Any, **options: Any) -> Any:
    made = VllmOptions(model=str(model), dtype="float32", max_model_len=256, max_running=8, **options)
    assert list(entry.check(made)) == []

    async def run() -> Any:
        engine = CheckedEngine(entry.factory(made, seed=1, model_directory=None), Place("engines", "vllm"))
        try:
            assert entry.configured is not None
            assert engine.offers == entry.configured(made)
            return await work(engine)
        finally:
            await engine.close()

    return asyncio.run(run())


def expected(tiny: Path, name: str) -> Any:
    return json.loads((tiny / "expected.json").read_text(encoding="utf-8"))[name]


def softmax(row: list[float], column: int) -> float:
    return math.exp(row[column]) / sum(map(math.exp, row))


@pytest.mark.vllm
@pytest.mark.parametrize(
    ("name", "column", "options"),
    [
        ("llama", 0, {}),
        ("llama3", 2, {"reward": {"label": 2}}),
        ("qwen2", 0, {}),
        ("prm", 1, {}),
        ("shepherd", 0, VERDICT),
    ],
)
def test_rewards_are_those_of_transformers(
    tiny: Path, name: str, column: int, options: dict[str, Any]
) -> None:
    given = [trajectory(*(f"{step}\n\n" for step in STEPS[:-1]), STEPS[-1]), trajectory(STEPS[0])]
    told = expected(tiny, name)

    async def work(engine: CheckedEngine) -> list[Reward]:
        return await engine.rewards([*given, given[0]])

    whole, beginning, again = ask(tiny / name, work, **options)
    rows = told["logits"]
    if name in ("llama", "llama3", "qwen2"):
        wanted = [1 / (1 + math.exp(-rows[0])) if len(rows) == 1 else softmax(rows, column)]
        assert [whole.whole] == pytest.approx(wanted, abs=1e-3)
        assert [again.whole] == pytest.approx(wanted, abs=1e-3)
    else:
        wanted = [softmax(row, column) for row in rows]
        assert whole.steps == pytest.approx(wanted, abs=1e-3)
        assert again.steps == pytest.approx(wanted, abs=1e-3)
        assert beginning.steps == pytest.approx(wanted[:1], abs=1e-3)
    assert (whole.prompt_tokens, again.prompt_tokens) == (told["tokens"], told["tokens"])


@pytest.mark.vllm
def test_embeddings_are_those_of_transformers(tiny: Path) -> None:
    async def work(engine: CheckedEngine) -> list[Embedding]:
        with pytest.raises(EngineError, match=r"what is read has \d+ tokens, expected from 1 to 256"):
            await engine.embed(["long " * 100])
        return await engine.embed([QUESTION, "another"])

    found, other = ask(tiny / "shepherd", work, use="embed")
    told = expected(tiny, "embedding")
    assert found.vector == pytest.approx(told["vector"], abs=1e-3)
    assert found.prompt_tokens == told["tokens"]
    assert other.vector != found.vector


@pytest.mark.vllm
def test_what_only_the_start_can_tell_is_refused_in_one_line(tiny: Path) -> None:
    spelt = {**VERDICT, "reward": {**SHEPHERD, "labels": ["good", "bad"]}}
    with pytest.raises(EngineError, match=r"labels: found 'good', which is 4 tokens .* expected one"):
        ask(tiny / "shepherd", None, **spelt)
    with pytest.raises(EngineError, match=r"label: found none, expected which of the 3 labels"):
        ask(tiny / "llama3", None)
