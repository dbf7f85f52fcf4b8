"""A judge as scorer, from the study to its curves: started, charged, killed and resumed."""

import polars as pl
import pytest
from workspace import installed, new_workspace

MODEL = {"plugin": "counted", "success": 0.5, "step_tokens": 5}
STUDY = {
    "study": "judged",
    "tasks": {"sums": {"plugin": "jsonl", "file": "problems.jsonl", "prompt": "{prompt}", "problems": 4}},
    "models": {
        "sim": {**MODEL, "name": "sim", "prices": "small"},
        "critic": {**MODEL, "name": "critic", "truth_seed": 1, "helper": True, "prices": "large"},
    },
    "prices": {
        "small": {"plugin": "per_token", "prompt": 1.0, "generated": 4.0},
        "large": {"plugin": "per_token", "prompt": 10.0, "generated": 40.0},
    },
    "strategies": {"repeated_sampling": {"completions": 6, "max_tokens": 100}},
    # A judge that is cut short of its last step says nothing: such scores fail.
    "verifiers": {
        "judge": {
            "plugin": "llm_judge/llm_judge",
            "judge": "critic",
            "yes": "Step 4 holds",
            "no": "Step 4 fails",
            "max_tokens": 20,
        }
    },
    "selectors": {"oracle": {}, "best_of_n": {"scorer": "judge"}},
    "block": {"completions": 3},
    "max_failures": 1.0,
}


@pytest.fixture
def judged(tmp_path, monkeypatch):
    site = installed("llm_judge", tmp_path / "site")
    installed("counted", site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    workspace = new_workspace(tmp_path)
    workspace.write(STUDY)
    return workspace


def counted(workspace, model):
    lines = (workspace.folder / f"{model}.counted").read_text().splitlines()
    pairs = [tuple(map(int, line.split())) for line in lines]
    return {
        "sequences": len(pairs),
        "prompt_tokens": sum(prompt for prompt, _ in pairs),
        "generated_tokens": sum(made for _, made in pairs),
    }


@pytest.mark.slow
def test_a_killed_judge_is_neither_paid_twice_nor_forgotten(judged, monkeypatch):
    monkeypatch.setenv("DIE_critic", "7")
    assert judged.itscale("run", "study.yaml", "--cores", "1").returncode == 1
    assert counted(judged, "critic")["sequences"] == 7
    monkeypatch.delenv("DIE_critic")
    done = judged.itscale("run", "study.yaml", "--cores", "1")
    assert done.returncode == 0, done.stderr
    results = judged.folder / "results/judged"
    ledger = pl.concat(pl.read_parquet(path) for path in (results / "ledger").rglob("p*.parquet"))
    for model, scorer in (("sim", None), ("critic", "judge")):
        spent = ledger.filter(pl.col("by") == model)
        assert spent["scorer"].unique().to_list() == [scorer]
        assert {name: spent[name].sum() for name in counted(judged, model)} == counted(judged, model)
    verdicts = pl.concat(pl.read_parquet(path) for path in (results / "verdicts").rglob("judge/p*.parquet"))
    assert len(verdicts) == 24
    assert set(verdicts["score"].drop_nulls()) == {0.0, 1.0}
    assert (verdicts["score"].is_null() == (verdicts["status"] == "error")).all()
    assert (verdicts["status"] == "error").any()
    curves = pl.read_parquet(results / "curves/sums/sim/repeated_sampling.parquet")
    whole = curves.filter(budget=6).select("selector", "scorer_tokens", "usd")
    whole = {selector: (tokens, usd) for selector, tokens, usd in whole.iter_rows()}
    drawn = counted(judged, "sim")
    kept = verdicts.filter(pl.col("status") != "error")  # what failed is no cost of what there is
    asked = kept.select(pl.col("asked").explode().struct.unnest())
    of_judge = {name: asked[name].sum() for name in ("prompt_tokens", "generated_tokens")}
    # six completions are of two blocks, of which each read the prompt: it counts once
    usd = (drawn["prompt_tokens"] / 2 + 4 * drawn["generated_tokens"]) / 4e6
    usd_of_judge = (10 * of_judge["prompt_tokens"] + 40 * of_judge["generated_tokens"]) / 4e6
    assert whole["oracle"] == pytest.approx((0, usd))
    tokens = (of_judge["prompt_tokens"] + of_judge["generated_tokens"]) / 4
    assert whole["best_of_n"] == pytest.approx((tokens, usd + usd_of_judge))
    summary = (judged.folder / "reports/judged/summary.tex").read_text()
    assert "USD per problem" in summary
    assert judged.itscale("verify", "reports/judged/manifest.json").returncode == 0


def test_what_a_judge_may_generate_is_said_beside_what_is_sampled(judged):
    done = judged.itscale("check", "study.yaml")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["sums", "sim", "repeated_sampling", "4", "2", "24", "2,400"] in lines
    assert ["judge", "critic", "24", "480"] in lines
    assert "What they read comes on top, and is not known before" in done.stdout


def test_a_judge_that_is_nowhere_is_said_before_anything_runs(judged):
    judge = {**STUDY["verifiers"]["judge"], "judge": "crtic"}
    judged.write({**STUDY, "verifiers": {"judge": judge}})
    done = judged.itscale("check", "study.yaml")
    assert done.returncode != 0
    assert "verifiers.judge.judge: no model 'crtic'; did you mean 'critic'?" in done.stderr
    assert "models.critic.helper: found true, but no strategy or verifier names this model" in done.stderr
