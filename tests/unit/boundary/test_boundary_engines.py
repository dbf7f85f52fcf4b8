"""Engines are believed in nothing: counts, rewards and embeddings are checked where they enter."""

import asyncio
import math
import re
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
import pytest
from hostile import GOOD, NAN, Obliging, hostile, refusal, sample

from itscale.boundary import CheckedEngine, Place
from itscale.types import Embedding, Reward, Step, Trajectory
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions


def engine(change=lambda made: made, **attributes):
    """Return a factory of the simulated engine that gives something else."""

    class Hostile(SimulatedEngine):
        async def generate(self, request):
            return change(await super().generate(request))

    def make(options, **_):
        made = Hostile(options)
        vars(made).update(attributes)
        return made

    return make


def each(**changes):
    return engine(lambda made: [replace(one, **changes) for one in made])


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (
            lambda options, **_: None,
            "factory: found None, expected an object with close()",
        ),
        (engine(lambda made: None), "generate(): found None, expected a list of generations"),
        (engine(lambda made: sys.exit(0)), "generate(): found SystemExit(0), expected an answer"),
        (engine(lambda made: made[:1]), "generate(): found 1 generations for 4 seeds"),
        (engine(lambda made: [one.text for one in made]), "expected a Generation per seed"),
        (engine(offers={"generate"}), "offers: found {'generate'}, expected a frozenset"),
        (engine(seed_scope="all"), "seed_scope: found 'all', expected completion or block"),
        (engine(simulated=None), "simulated: found None, expected True or False"),
        (each(text=None), "generate(): text: found None, expected a text"),
        (each(tokens=-3), "generate(): tokens: found -3, expected a whole number from 0 to 2147483647"),
        (each(tokens=3_000_000_000), "generate(): tokens: found 3000000000, expected"),
        (each(tokens=2.5), "generate(): tokens: found 2.5"),
        (each(tokens=True), "generate(): tokens: found True"),
        (each(tokens=0), "generate(): tokens: found 0 for the text"),
        (each(prompt_tokens=-1), "generate(): prompt_tokens: found -1"),
        (each(prompt_tokens=0), "generate(): prompt_tokens: found 0, expected the prompt charged once"),
        (each(context_tokens=0), "generate(): context_tokens: found 0, expected a whole number, at least 1"),
        (
            each(cached_prompt_tokens=10**6),
            "generate(): cached_prompt_tokens: found 1000000, expected at most",
        ),
        (each(logprob=NAN), "generate(): logprob: found nan, expected a finite number, at most 0, or None"),
        (each(logprob=-math.inf), "generate(): logprob: found -inf"),
        (each(logprob=0.5), "generate(): logprob: found 0.5"),
        (each(logprob=10**400), "expected a finite number, at most 0, or None"),
        (each(logprob=Obliging(1)), "generate(): logprob: found 1, expected a finite number"),
        (each(seconds=Obliging(-1)), "generate(): seconds: found -1"),
        (each(tokens=np.float64(3)), "generate(): tokens: found 3"),
        (each(logprob="-1"), "generate(): logprob: found '-1'"),
        (
            each(finish_reason="tool_calls"),
            "generate(): finish_reason: found 'tool_calls', expected eos or stop",
        ),
        (each(seconds=NAN), "generate(): seconds: found nan"),
        (each(counted=None), "generate(): counted: found None, expected True or False"),
        (each(token_ids=None), "generate(): token_ids: found None"),
        (each(tokens=3, token_ids=(1, 2, 3, 4)), "token_ids: found 4, expected at most one for each of 3"),
        (each(tokens=5000), "generate(): tokens: found 5000, expected at most"),
    ],
)
def test_engines(study, factory, said):
    line = refusal(
        lambda: sample(hostile(study, "models", "sim", factory)), "engines/simulated (label 'sim'): "
    )
    assert said in line


def test_rounding_of_a_logprob_is_no_fault_and_no_score_above_1(study):
    sample(hostile(study, "models", "sim", each(logprob=1e-9)))
    assert pl.read_parquet("block.parquet")["logprob"].to_list() == [0.0] * 12


def test_what_was_not_counted_is_unknown_and_never_zero(study):
    nothing = {"tokens": 0, "prompt_tokens": 0, "context_tokens": 0}
    sample(hostile(study, "models", "sim", each(counted=False, finish_reason="filtered", **nothing)))
    completions, ledger = pl.read_parquet("block.parquet"), pl.read_parquet("ledger.parquet")
    assert completions["generated_tokens"].null_count() == completions["prompt_tokens"].null_count() == 12
    assert ledger["generated_tokens"].null_count() == len(ledger)


def reward(**changes):
    return Reward(**{"whole": 0.5, "steps": (0.5,), "prompt_tokens": 3, **changes})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (0.5, "found 0.5, expected a Reward for each"),
        *(
            (reward(whole=wrong), "whole: found .*, expected a reward in")
            for wrong in (NAN, 1.5, -0.1, "0.5")
        ),
        *((reward(steps=(wrong,)), "steps: found .*, expected a reward in") for wrong in (NAN, 1.5, None)),
        (reward(steps=(0.5, 0.5)), "steps: found 2, expected one for each of 1"),
        (reward(steps=0.5), "steps: found 0.5, expected a tuple of numbers"),
        (reward(whole=None, steps=()), "expected a number for the whole, or for each step"),
        (reward(prompt_tokens=-1), "prompt_tokens: found -1, expected a whole number, or None"),
        (reward(cached_prompt_tokens=50), "cached_prompt_tokens: found 50, expected at most the 3 of the"),
    ],
)
def test_rewards_of_engines(given, said):
    class Rewarding(SimulatedEngine):
        async def rewards(self, trajectories, **_):
            return [given] * len(trajectories)

    checked = CheckedEngine(Rewarding(SimulatedOptions()), Place("engines", "x"))
    begun = Trajectory(GOOD, Trajectory(GOOD), Step(text="s", tokens=1, logprob=None, node=1))
    wasted = []
    ask = partial(checked.rewards, [begun], on_waste=lambda *spent: wasted.append(spent))
    line = refusal(lambda: asyncio.run(ask()), "engines/x: problem '1': rewards()")
    assert re.search(said, line)
    counted = isinstance(given, Reward) and 0 <= given.cached_prompt_tokens <= given.prompt_tokens
    assert wasted == ([(3, 0, 0)] if counted else [])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([0.5, 0.5], "found 0.5, expected an Embedding for each text"),
        ([Embedding(vector=(1.0,), prompt_tokens=1)], "found 1 embeddings for 2 texts"),
        (
            [Embedding(vector=(1.0,) * length, prompt_tokens=1) for length in (1, 2)],
            "vector: found lengths [1, 2], expected vectors of one length",
        ),
        ([Embedding(vector=(NAN,), prompt_tokens=1)] * 2, "vector: found nan, expected a finite number"),
        ([Embedding(vector=(), prompt_tokens=1)] * 2, "vector: found (), expected a tuple of numbers"),
    ],
)
def test_embeddings_of_engines(given, said):
    class Embedder(SimulatedEngine):
        async def embed(self, texts, **_):
            return given

    checked = CheckedEngine(Embedder(SimulatedOptions()), Place("engines", "x"))
    assert said in refusal(lambda: asyncio.run(checked.embed(["a", "b"])), "engines/x: embed()")


def test_embeddings_are_of_one_length_over_all_calls():
    class Growing(SimulatedEngine):
        async def embed(self, texts, **_):
            return [Embedding(vector=(1.0,) * len(text), prompt_tokens=1) for text in texts]

    checked = CheckedEngine(Growing(SimulatedOptions()), Place("engines", "x"))
    asyncio.run(checked.embed(["ab", "cd"]))
    assert "lengths [2, 3]" in refusal(lambda: asyncio.run(checked.embed(["abc"])), "engines/x: embed()")


def test_an_engine_is_asked_for_nothing_that_it_does_not_offer():
    class Plain:
        offers, seed_scope, simulated = frozenset({"generate"}), "block", False

        async def generate(self, request):
            raise AssertionError

    checked = CheckedEngine(Plain(), Place("engines", "x"))
    for asked, needs in ((checked.rewards, "rewards or step_rewards"), (checked.embed, "embed")):
        said = refusal(lambda asked=asked: asyncio.run(asked([])), "engines/x: ")
        assert f"an engine that offers generate, expected an engine that offers {needs}" in said
    Plain.offers = frozenset({"generate", "embed"})
    refusal(lambda: CheckedEngine(Plain(), Place("engines", "x")), "engines/x: offers: found frozenset(")
