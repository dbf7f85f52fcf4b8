"""Reward models as helpers of a study: what they must offer, what is asked of them, and who is charged."""

import pytest

from itscale.messages.mistakes import MistakesError
from itscale.sampling.blocks import Block
from itscale.stages.problems import write_problems
from itscale.stages.sampling import sample_block
from itscale.stages.verification import verify_block
from itscale.store.parquet import read_table
from itscale.store.schemas import COMPLETIONS, LEDGER, VERDICTS
from itscale.study import resolve

SCORER = {"plugin": "process_reward", "model": "prm", "delimiter": "\n\n"}
PRM = {"plugin": "simulated", "helper": True, "process_reward": {"right": 0.9, "wrong": 0.2}}


def study(aggregate="product", **changes):
    return {
        "study": "rewarded",
        "tasks": {"sums": {"plugin": "jsonl", "file": "problems.jsonl"}},
        "models": {"toy": {"plugin": "simulated", "success": 0.5}, "prm": PRM},
        "strategies": {
            "repeated_sampling": {"completions": 4},
            "beam_search": {"budgets": [4], "width": 2, "scorer": "steps"},
        },
        "verifiers": {"steps": {**SCORER, "aggregate": aggregate}},
        **changes,
    }


def mistakes(**changes):
    with pytest.raises(MistakesError) as caught:
        resolve(study(**changes))
    return {".".join(map(str, one.place)): one.message for one in caught.value.mistakes}


SERVER = {"plugin": "openai", "model": "m", "helper": True, "use": "rewards"}


def test_a_model_that_gives_other_rewards_than_are_wanted_is_refused_before_the_study_runs():
    models = {"toy": {"plugin": "simulated"}, "prm": SERVER}
    found = mistakes(models=models)
    assert found["verifiers.steps.model"] == (
        "found 'prm', which offers rewards as it is configured (see its options), expected a model that "
        "offers step_rewards"
    )
    resolve(study("model", models=models))
    resolve(study(models={**models, "prm": {**SERVER, "reward": {"marker": "<extra_0>"}}}))
    # Without a label, the model that is sampled is asked: it has to give rewards itself.
    plain = {"toy": {"plugin": "openai", "model": "m", "continues": True}}
    found = mistakes(models=plain, verifiers={"steps": {"plugin": "process_reward"}})
    assert found["verifiers.steps"].startswith("needs step_rewards of the engine; models.toy (openai) offers")


def product(text):
    """Return the product of the rewards of a completion's steps, each of which a blank line ends."""
    steps = text.split("\n\n")
    right = next((at for at, step in enumerate(steps) if "fails" in step), len(steps))
    return 0.9**right * 0.2 ** (len(steps) - right)


@pytest.mark.parametrize(("strategy", "block"), [("repeated_sampling", "pool"), ("beam_search", "runs")])
def test_a_reward_model_is_charged_for_what_it_reads(tmp_path, monkeypatch, strategy, block):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "problems.jsonl").write_text('{"prompt": "What is 1 + 1?", "reference": "2"}\n')
    made, problems = resolve(study()), tmp_path / "problems.parquet"
    write_problems(made, "sums", problems)
    extent = {"problem_start": 0, "problem_stop": 1, "start": 0}
    block = Block(**extent, stop=4, budget=0) if block == "pool" else Block(**extent, stop=1, budget=4)
    completions, spent = tmp_path / "block.parquet", tmp_path / "ledger.parquet"
    sample_block(
        made, "sums", "toy", strategy, block,
        problems=problems, model_directories={}, completions=completions, ledger=spent,
        trees=tmp_path / "trees.parquet",
    )  # fmt: skip
    verdicts, asked = tmp_path / "verdicts.parquet", tmp_path / "asked.parquet"
    verify_block(
        made, "sums", "toy", strategy, "steps",
        problems=problems, completions=completions, model_directories={}, output=verdicts, ledger=asked,
    )  # fmt: skip
    drawn = read_table(completions, COMPLETIONS)
    scores = read_table(verdicts, VERDICTS)["score"].to_list()
    assert scores == pytest.approx([product(text) for text in drawn["text"]])
    rows = [row for path in (spent, asked) for row in read_table(path, LEDGER).iter_rows(named=True)]
    (charged,) = (row for row in rows if row["call"] == "score")
    assert (charged["by"], charged["scorer"]) == ("prm", "steps")
    distinct = set(drawn.select("text", "prompt_tokens", "generated_tokens").iter_rows())
    read = sum(prompt + generated for _, prompt, generated in distinct)
    if strategy == "repeated_sampling":
        assert charged["prompt_tokens"] == read
    else:  # every prefix was read while the search went on, and nothing afterwards
        assert charged["prompt_tokens"] > read
        assert not any(row["call"] == "score" for row in read_table(asked, LEDGER).iter_rows(named=True))
