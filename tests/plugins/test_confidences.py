"""How sure a model was of what it wrote: exact where its truth is known, read with suspicion elsewhere."""

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from openai_server import choice, generate, serving
from openai_server import reply as reply_of

from itscale.boundary import CheckedEngine, Place
from itscale.errors import ContractError, EngineLostError
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.types import Problem, SamplingParams
from itscale_builtin.engines._replies import MalformedReply, read_choices
from itscale_builtin.engines._vllm_requests import Output
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions

PROBLEM = Problem(problem_id="p", messages=({"role": "user", "content": "How many?"},), reference="7")
STEP = SamplingParams(max_tokens=500, stop=("\n\n",), confidence_top=2)


def session(engine=None):
    unit = Unit(problem_id="p", budget=20, stop=20)
    return Session(
        PROBLEM, unit, engine or SimulatedEngine(SimulatedOptions(success=0.4)),
        model="m", stream=(0,), token_limit=2000,
    )  # fmt: skip


def test_the_simulated_model_is_as_sure_of_a_step_as_its_next_logprobs_say():
    async def work():
        made, seen = session(), []
        for _ in range(20):
            trajectory = made.start()
            while not trajectory.finished:
                found = await made.next_logprobs(trajectory, top=2)
                (trajectory,) = await made.extend([trajectory], STEP)
                seen.append((trajectory.step.confidence, -float(np.mean(found.logprobs))))
        return seen

    seen = asyncio.run(work())
    assert len({round(found, 6) for found, _ in seen}) > 2, "sound, flawed and last steps differ"
    assert [found for found, _ in seen] == pytest.approx([expected for _, expected in seen])


def test_a_whole_text_is_as_sure_as_its_steps_by_their_tokens():
    async def work():
        made = session()
        whole = replace(STEP, stop=())
        return made.complete(await made.extend([made.start()] * 20, whole))

    engine = SimulatedEngine(SimulatedOptions(success=0.4))
    for one in asyncio.run(work()):
        writer, before, total = engine._writer(PROBLEM), "", []
        for sentence in one.text.split("\n\n"):
            likely = sorted((found.probability for found in writer.after(before)), reverse=True)[:2]
            total.append(-np.mean(np.log(likely)))
            before += sentence + "\n\n"
        (found,) = one.step_confidences
        assert min(total) - 1e-9 <= found <= max(total) + 1e-9


def test_nobody_who_does_not_ask_is_told():
    async def work():
        made = session()
        return made.complete(await made.extend([made.start()], replace(STEP, confidence_top=0)))

    (one,) = asyncio.run(work())
    assert list(one.step_confidences) == [None]


def test_completions_keep_it_by_step_for_who_reads_them_later():
    async def work():
        made = session()
        (first,) = await made.extend([made.start()], STEP)
        (second,) = await made.extend([first], STEP)
        return made.complete([second]), second

    (one,), trajectory = asyncio.run(work())
    assert list(one.step_confidences) == [step.confidence for step in trajectory.steps]
    rebuilt = one.trajectory(PROBLEM.question).steps
    assert [step.confidence for step in rebuilt] == list(one.step_confidences)


class Mute(SimulatedEngine):
    """An engine that does not say how sure it was."""

    def __init__(self, offers, confidence=None):
        super().__init__(SimulatedOptions())
        self.offers, self.confidence = frozenset(offers), confidence

    async def generate(self, request):
        return [replace(one, confidence=self.confidence) for one in await super().generate(request)]


def test_an_engine_that_does_not_offer_it_is_not_asked():
    made = session(Mute({"generate"}))
    with pytest.raises(ContractError, match="generated_confidences"):
        asyncio.run(made.extend([made.start()], STEP))


@pytest.mark.parametrize("confidence", [None, -1.0, float("nan"), "sure"])
def test_what_cannot_be_a_confidence_is_refused_by_name(confidence):
    engine = Mute({"generate", "generated_confidences"}, confidence)
    made = session(CheckedEngine(engine, Place("engines", "mute")))
    with pytest.raises(ContractError, match="confidence"):
        asyncio.run(made.extend([made.start()], STEP))


def test_vllm_counts_the_most_probable_tokens_and_not_a_less_probable_choice():
    def piece(*places):
        found = [
            {token: SimpleNamespace(logprob=value) for token, value in enumerate(place)} for place in places
        ]
        one = SimpleNamespace(
            text="a", token_ids=[1] * len(places), cumulative_logprob=-1.0, logprobs=found,
            finish_reason=None, stop_reason=None,
        )  # fmt: skip
        return SimpleNamespace(outputs=[one], num_cached_tokens=0)

    made = Output(confidence_top=2)
    made.add(piece([-5.0, -0.1, -3.0]))  # what was chosen comes first, and is none of the two
    made.add(piece([-0.2, -2.0], [-1.0, float("-inf")]))
    assert made.confidence == pytest.approx(np.mean([1.55, 1.1, 1.0]))
    assert Output().confidence is None


def reply(*places):
    content = [
        {"logprob": max(place), "top_logprobs": [{"logprob": one} for one in place]} for place in places
    ]
    message = {"role": "assistant", "content": "some text"}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"content": content}}
    return json.dumps({"choices": [choice]}).encode()


def test_a_server_lists_what_is_most_probable_in_any_order():
    (choice,), _ = read_choices(reply([-3.0, -0.1, -9999.0], [-1.0, -2.0]), ())
    assert choice.confidence(2) == pytest.approx(np.mean([1.55, 1.5]))
    assert choice.confidence(1) == pytest.approx(np.mean([0.1, 1.0]))
    assert choice.confidence(0) is None


def test_a_server_that_lists_none_of_them_says_nothing():
    (choice,), _ = read_choices(reply([-0.5], [-1.0]).replace(b'"top_logprobs"', b'"others"'), ())
    assert choice.logprob == pytest.approx(-1.5)
    assert choice.confidence(2) is None


@pytest.mark.parametrize("value", [b"0.5", b"NaN", b'"x"', b"true"])
def test_a_server_that_lists_what_cannot_be_is_asked_again(value):
    with pytest.raises(MalformedReply):
        read_choices(reply([-0.25]).replace(b'[{"logprob": -0.25}]', b'[{"logprob": %s}]' % value), ())


def listing(*places):
    return {"content": json.loads(reply(*places))["choices"][0]["logprobs"]["content"]}


def test_a_server_is_asked_for_as_many_tokens_as_a_strategy_wants():
    answer = choice("two words", logprobs=listing([-0.1, -3.0], [-1.0, -2.0]))
    with serving(lambda body, number: reply_of(answer, generated=2)) as server:
        asked, plain = SamplingParams(confidence_top=2), SamplingParams()
        (one,) = generate(server.url, params=asked, logprobs=True)
        (other,) = generate(server.url, params=plain, logprobs=True)
    assert [body.get("top_logprobs") for body in server.bodies] == [2, None]
    assert one.confidence == pytest.approx(1.525)
    assert (other.confidence, other.logprob) == (None, one.logprob)


def test_a_server_that_lists_no_other_tokens_is_refused_with_what_to_do():
    answer = choice("one", logprobs={"content": [{"token": "t", "logprob": -0.5, "top_logprobs": []}]})
    with (
        serving(lambda body, number: reply_of(answer, generated=1)) as server,
        pytest.raises(EngineLostError, match=r"without the 2 most probable tokens .* set logprobs: false"),
    ):
        generate(server.url, params=SamplingParams(confidence_top=2), logprobs=True)
