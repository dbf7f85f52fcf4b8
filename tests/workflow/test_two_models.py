"""A strategy of two models, from the study to its curves: started, charged, cut and resumed."""

import polars as pl
import pytest
from workspace import installed, new_workspace

STUDY = {
    "study": "talk",
    "tasks": {
        "sums": {"plugin": "jsonl", "file": "problems.jsonl", "prompt": "{prompt}", "problems": 4},
    },
    "models": {
        "sim": {"plugin": "simulated", "success": 0.4},
        "other": {"plugin": "simulated", "success": 0.2, "truth_seed": 1, "helper": True},
    },
    "strategies": {
        "debate": {
            "plugin": "debate/debate",  # the probe, not the built-in
            "completions": 6,
            "rounds": 1,
            "max_tokens": 200,
            "opponent": "other",
        }
    },
    "selectors": {"oracle": {}, "majority_vote": {}},
}


@pytest.fixture
def talk(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(installed("debate", tmp_path / "site")))
    return new_workspace(tmp_path)


def run(talk, width, name):
    """Return the completions, the ledger and the curves of a study in blocks of so many completions."""
    talk.write({**STUDY, "study": name, "block": {"completions": width}})
    done = talk.itscale("run", "study.yaml", "--cores", "2")
    assert done.returncode == 0, done.stderr
    results = talk.folder / "results" / name
    drawn, ledger = (
        pl.concat(pl.read_parquet(path) for path in sorted((results / kind).rglob("p*.parquet")))
        for kind in ("completions", "ledger")
    )
    curves = pl.read_parquet(results / "curves/sums/sim/debate.parquet")
    return drawn.sort("problem_id", "index"), ledger, curves


@pytest.mark.slow
def test_two_models_are_charged_apart_and_a_cut_changes_nothing(talk):
    whole, ledger, curves = run(talk, 6, "whole")
    calls = dict(ledger.group_by("by").agg(pl.col("calls").sum()).iter_rows())
    assert calls == {"sim": 4 * 6 * 2, "other": 4 * 6 * 2}
    oracle = curves.filter(selector="oracle")
    each = ledger["prompt_tokens"].sum() / (4 * 6)
    assert oracle["prompt_tokens"].to_list() == pytest.approx([k * each for k in oracle["budget"]])
    cut, parts, _ = run(talk, 2, "cut")
    assert cut.equals(whole)
    assert parts["generated_tokens"].sum() == ledger["generated_tokens"].sum()


def test_a_model_that_is_nowhere_is_said_before_anything_runs(talk):
    strategies = {"debate": {**STUDY["strategies"]["debate"], "opponent": "othr"}}
    talk.write({**STUDY, "strategies": strategies})
    done = talk.itscale("check", "study.yaml")
    assert done.returncode != 0
    assert "strategies.debate.opponent: no model 'othr'; did you mean 'other'?" in done.stderr
    assert "models.other.helper: found true, but no strategy or verifier names this model" in done.stderr
