"""A language model and a reward model under vLLM in one job, from the study to the report."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
import yaml
from workspace import CHECKOUT, Workspace, environment, itscale

from itscale.store.parquet import read_table
from itscale.store.schemas import COMPLETIONS, LEDGER, PROBLEMS, VERDICTS

SEARCH = {"plugin": "beam_search", "budgets": [4], "width": 2, "scorer": "steps", "step_tokens": 16}


def table(workspace: Workspace, kind: str, strategy: str, schema: Mapping[str, Any]) -> pl.DataFrame:
    files = sorted((workspace.folder / "results").glob(f"rewarded/{kind}/**/{strategy}/**/*.parquet"))
    return pl.concat([read_table(path, schema) for path in files])


def read_by_the_reward_model(workspace: Workspace, completions: pl.DataFrame) -> int:
    """Return how many tokens its own tokenizer makes of each distinct completion of a problem."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(workspace.folder / "prm")
    (path,) = (workspace.folder / "results/rewarded/problems").glob("*.parquet")
    rows = read_table(path, PROBLEMS).select("problem_id", "messages").iter_rows()
    chats = {name: list(messages) for name, messages in rows}
    total = 0
    for name, text in set(completions.select("problem_id", "text").iter_rows()):
        chat = [*chats[name], {"role": "assistant", "content": f"{text.strip()}<extra_0>"}]
        total += len(tokenizer.apply_chat_template(chat, tokenize=True, return_dict=False))
    return total


@pytest.mark.vllm
@pytest.mark.slow
def test_a_reward_model_guides_a_search_and_ranks_completions(tmp_path) -> None:
    pytest.importorskip("vllm")
    models = [sys.executable, str(CHECKOUT / "tests/plugins/tiny_models.py"), str(tmp_path)]
    subprocess.run(models, check=True, capture_output=True)
    study = yaml.safe_load((CHECKOUT / "config" / "studies" / "ci.yaml").read_text(encoding="utf-8"))
    study["models"]["smollm2"] |= {"gpu_memory": 0.2, "max_running": 16, "max_model_len": 512}
    study["models"]["prm"] = {
        "plugin": "vllm",
        "model": str(tmp_path / "prm"),
        "dtype": "float32",
        "gpu_memory": 0.1,
        "max_running": 16,
        "helper": True,
    }
    study |= {
        "study": "rewarded",
        "tasks": {"gcd": {"plugin": "reasoning_gym", "dataset": "gcd", "problems": 2}},
        "strategies": {
            "repeated_sampling": {"completions": 2, "max_tokens": 16},
            "beam_search": {**SEARCH, "delimiter": "\n", "max_steps": 3, "max_tokens": 48},
        },
        "verifiers": {"steps": {"plugin": "process_reward", "model": "prm", "aggregate": "product"}},
        "selectors": {"oracle": None, "best_of_n": {"scorer": "steps"}},
        "laws": ["power_law"],
        "figures": ["selection_curves"],
    }
    workspace = Workspace(tmp_path)
    run = itscale("run", workspace.write(study), "--cores", "2")
    done = subprocess.run(run, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    drawn = table(workspace, "completions", "repeated_sampling", COMPLETIONS)
    scores = table(workspace, "verdicts", "repeated_sampling/**/steps", VERDICTS)["score"]
    assert len(drawn) == 4
    assert scores.is_between(0, 1).all()
    ledger = table(workspace, "ledger", "repeated_sampling", LEDGER).filter(pl.col("call") == "score")
    assert set(ledger.select("by", "scorer").iter_rows()) == {("prm", "steps")}
    assert ledger["prompt_tokens"].sum() == read_by_the_reward_model(workspace, drawn)
    # In the search it was asked while the other model wrote, and nobody asked it again.
    found = table(workspace, "completions", "beam_search", COMPLETIONS)
    assert found["step_scores"].list.drop_nulls().list.len().min() >= 1
    spent = table(workspace, "ledger", "beam_search", LEDGER)
    assert set(spent.select("call", "by").iter_rows()) == {("generate", "smollm2"), ("score", "prm")}
