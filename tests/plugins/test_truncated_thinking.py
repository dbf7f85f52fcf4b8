"""Truncated thinking: points of one curve are prefixes of one thinking."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError
from scripted_engine import Scripted, run

from itscale.errors import PluginError, StudyError
from itscale.sampling.blocks import Block
from itscale.stages.problems import write_problems
from itscale.stages.sampling import sample_block
from itscale.study import resolve
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions
from itscale_builtin.strategies.iterative_deepening import entry as deepening
from itscale_builtin.strategies.truncated_thinking import entry

LENGTHS = (4, 8, 16, 32)


def dreamer(ends_after=None):
    """A model whose words depend on the seed of each request alone."""

    def script(request, before, seed):
        if "</think>" in before:
            return f" answer{seed % 1000}"
        begun = len(before.split())
        words = "".join(f" w{seed % 1000}.{at}" for at in range((ends_after or 100) - begun))
        return words + (" </think>" if ends_after else "")

    return Scripted(script)


def curve(engine, replicate=0, paired=None, **given):
    """Thinking and completion at each budget."""
    given = {"lengths": LENGTHS, "answer_tokens": 5, **given}
    made = {}
    for budget in LENGTHS:
        (one,), _ = run(entry, engine, budget=budget, replicate=replicate, paired=paired, **given)
        made[budget] = one
    return made


def thought(one, end="</think>"):
    return one.text.partition(f"\n{end}")[0]


def test_longer_budgets_extend_the_thinking_of_shorter_ones_token_by_token():
    made = curve(dreamer())
    for shorter, longer in ((4, 8), (8, 16), (16, 32)):
        assert thought(made[longer]).startswith(thought(made[shorter]))
        pieces = LENGTHS.index(shorter) + 1
        assert made[longer].nodes[:pieces] == made[shorter].nodes[:pieces]
    assert [len(thought(one).split()) for one in made.values()] == list(LENGTHS)
    assert all("Final Answer:" in one.text for one in made.values())


def test_without_paired_streams_they_would_be_other_thinkings():
    made = curve(dreamer(), paired=False)
    assert not thought(made[8]).startswith(thought(made[4]))


def test_replicates_think_anew():
    assert thought(curve(dreamer(), replicate=0)[4]) != thought(curve(dreamer(), replicate=1)[4])


def test_a_thinking_that_ends_has_one_answer_at_every_budget_beyond():
    made = curve(dreamer(ends_after=9))
    assert made[16].text == made[32].text
    assert "Final Answer:" not in made[16].text
    assert "Final Answer:" in made[8].text


def test_an_end_at_a_boundary_is_seen():
    made = curve(dreamer(ends_after=7))  # the marker is token 8
    assert made[8].text == made[32].text
    assert "Final Answer:" not in made[8].text


def test_an_end_that_a_boundary_splits_is_seen_at_the_next_one():
    engine = Scripted(lambda request, before, seed: " a b c </ think> 7".removeprefix(before))
    made = curve(engine, end_of_think="</ think>")
    assert made[8].text == made[16].text == " a b c </ think> 7"


def test_the_simulated_engine_gives_paired_points():
    engine = SimulatedEngine(SimulatedOptions(success=0.5, steps=8))
    made = curve(engine, end_of_think="never")
    for shorter, longer in ((4, 8), (8, 16), (16, 32)):
        assert thought(made[longer], "never").startswith(thought(made[shorter], "never"))


def test_blocks_of_a_study_are_paired(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("sums.jsonl").write_text('{"prompt": "1?", "reference": "1"}\n{"prompt": "2?", "reference": "2"}\n')
    thinking = {"plugin": "truncated_thinking", "budgets": LENGTHS, "lengths": LENGTHS, "replicates": 2}
    study = resolve(
        {
            "study": "paired",
            "tasks": {"sums": {"plugin": "jsonl", "file": "sums.jsonl", "prompt": "{prompt}"}},
            "models": {"sim": {"plugin": "simulated", "steps": 8}},
            "strategies": {"thinking": {**thinking, "end_of_think": "never"}},
        }
    )
    write_problems(study, "sums", Path("problems.parquet"))
    given = {"problems": Path("problems.parquet"), "model_directories": {}}
    for budget in LENGTHS:
        paths = {kind: Path(f"{kind}{budget}.parquet") for kind in ("completions", "ledger", "trees")}
        sample_block(study, "sums", "sim", "thinking", Block(budget, 0, 2, 0, 2), **given, **paths)
    texts = {
        budget: [
            text.partition("\nnever")[0]
            for text in pl.read_parquet(f"completions{budget}.parquet").sort("problem_id", "replicate")[
                "text"
            ]
        ]
        for budget in LENGTHS
    }
    assert len(set(texts[32])) == 4
    for shorter, longer in ((4, 8), (8, 16), (16, 32)):
        assert all(b.startswith(a) for a, b in zip(texts[shorter], texts[longer], strict=True))


def test_a_run_costs_its_budget_and_an_answer():
    for budget in LENGTHS:
        engine = dreamer()
        run(entry, engine, budget=budget, lengths=LENGTHS, answer_tokens=5)
        assert engine.written == budget + 2


def test_a_budget_that_is_no_length_is_refused():
    options = entry.options(lengths=LENGTHS)
    entry.admits(options, 16)
    with pytest.raises(StudyError, match="found budget 12, expected one of the lengths: 4, 8, 16, 32"):
        entry.admits(options, 12)


@pytest.mark.parametrize("lengths", [[], [4, 4], [8, 4], [0, 4]])
def test_lengths_increase(lengths):
    with pytest.raises(ValidationError):
        entry.options(lengths=lengths)


def test_pools_have_no_budgets_to_pair():
    with pytest.raises(PluginError, match="paired"):
        replace(deepening, paired=True).validate()


def test_a_marker_across_two_pieces_ends_the_thinking():
    """The fourth word ends within the marker; the next piece completes it and would run on."""
    words = "w1 w2 w3 </ think> 7 8 9 10 11 12 13 14 15 16"

    def script(request, before, seed):
        return words[len(before) :] if "\n</ think>" not in before else " forced"

    (one,), session = run(
        entry, Scripted(script), budget=16, lengths=(4, 16), answer_tokens=5, end_of_think="</ think>"
    )
    assert one.text.startswith("w1 w2 w3 </ think>")
    assert len(one.text.partition("</ think>")[2].split()) <= 5  # an answer of five tokens, no more thinking
    assert session.ledger.rows()[0]["generated_tokens"] > 4


def test_what_a_provider_withheld_is_not_gone_on_from():
    class Filtering(Scripted):
        async def generate(self, request):
            return [replace(one, finish_reason="filtered") for one in await super().generate(request)]

    (one,), _ = run(entry, Filtering(lambda request, before, seed: " hm hm"), budget=16, lengths=LENGTHS)
    assert one.finish_reason == "filtered"
    assert one.text == " hm hm"
