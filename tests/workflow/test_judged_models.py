"""Two real models in one study: one answers, the other judges, while a search samples and after sampling."""

import subprocess
from pathlib import Path

import polars as pl
import pytest
import yaml
from workspace import CHECKOUT, environment, installed, itscale, new_workspace

STUDY = CHECKOUT / "config" / "studies" / "judged-smollm2.yaml"
LABELS = ("smollm2", "qwen")


def metered(folder: Path, model: str) -> tuple[int, int]:
    """Tokens read and generated, by vLLM's own statistics of a model's engines."""
    lines = (folder / f"{model}.meter").read_text().splitlines()
    pairs = [tuple(map(int, line.split())) for line in lines]
    return sum(read for read, _ in pairs), sum(made for _, made in pairs)


@pytest.mark.vllm
@pytest.mark.slow
def test_each_model_is_charged_what_its_engine_says(tmp_path, monkeypatch):
    pytest.importorskip("vllm")
    monkeypatch.setenv("PYTHONPATH", str(installed("metered", tmp_path / "site")))
    workspace = new_workspace(tmp_path)
    study = yaml.safe_load(STUDY.read_text(encoding="utf-8"))
    study["tasks"]["gcd"]["problems"] = 2
    study["strategies"]["repeated_sampling"]["completions"] = 4
    for label in LABELS:
        study["models"][label] |= {"plugin": "metered", "meter": f"{label}.meter"}
    workspace.write(study)
    command = itscale("run", "study.yaml", "--cores", "2")
    where = {"cwd": workspace.folder, "env": environment()}
    done = subprocess.run(command, capture_output=True, text=True, check=False, **where)
    assert done.returncode == 0, done.stderr
    results = workspace.folder / "results" / "judged_smollm2"
    ledger = pl.concat(pl.read_parquet(path) for path in (results / "ledger").rglob("p*.parquet"))
    for label in LABELS:
        spent = ledger.filter(by=label)
        read, made = metered(workspace.folder, label)
        assert spent["generated_tokens"].sum() == made > 0
        if label == "qwen":  # asked one by one: a request of several seeds reads its prompt once
            assert spent["prompt_tokens"].sum() == read
            assert spent["scorer"].unique().to_list() == ["judge"]
    verdicts = pl.concat(pl.read_parquet(path) for path in (results / "verdicts").rglob("judge/p*.parquet"))
    assert set(verdicts["score"].drop_nulls()) <= {0.0, 1.0}
    assert verdicts["score"].null_count() < len(verdicts) / 2
