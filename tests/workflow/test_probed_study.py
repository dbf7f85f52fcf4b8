"""A study of third-party plugins: several models, a search, chosen tokens, prices, a figure of problems."""

import polars as pl
import pytest
from workspace import Workspace, installed, new_workspace

MODEL = {"plugin": "counted", "success": 0.5, "step_tokens": 5, "prices": "list"}
STUDY = {
    "study": "probed",
    "tasks": {"sums": {"plugin": "jsonl", "file": "problems.jsonl", "prompt": "{prompt}", "problems": 4}},
    "models": {
        "sim": {**MODEL, "name": "sim", "process_reward": {"noise": 1.0}},
        "large": {**MODEL, "name": "large", "truth_seed": 1, "helper": True, "prices": "dear"},
        "critic": {**MODEL, "name": "critic", "truth_seed": 2, "helper": True},
    },
    "strategies": {
        "archon": {
            "plugin": "archon/archon",  # the probes, not the built-ins
            "completions": 4,
            "max_tokens": 60,
            "generators": ["large", "critic"],
            "critic": "critic",
            "ranker": "critic",
            "fuser": "large",
        },
        "emulated_fine_tuning": {
            "plugin": "emulated_fine_tuning/emulated_fine_tuning",
            "completions": 4,
            "max_tokens": 60,
            "tuned": "large",
            "untuned": "critic",
        },
        "mcts": {"plugin": "mcts/mcts", "budgets": [1, 4], "max_tokens": 60, "scorer": "value"},
    },
    "verifiers": {"value": {"plugin": "process_reward"}},
    "selectors": {"oracle": {}},
    "prices": {
        "list": {"plugin": "listed", "model": "small"},
        "dear": {"plugin": "listed", "model": "large"},
    },
    "figures": ["histogram"],
    "curves": {"resamples": 100},
}
USD = {"sim": (0.05, 0.2), "critic": (0.05, 0.2), "large": (1.0, 4.0)}
"""Per million tokens read and generated, as the list has it."""


@pytest.fixture
def probed(tmp_path, monkeypatch):
    for module in ("archon", "mcts", "emulated_fine_tuning", "prices", "histogram", "counted"):
        installed(module, tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))

    def workspace(name, **block):
        folder = tmp_path / name
        folder.mkdir()
        found = new_workspace(folder)
        found.write({**STUDY, "block": block})
        return found

    return workspace


def tables(workspace: Workspace, kind: str) -> pl.DataFrame:
    files = sorted((workspace.folder / "results/probed" / kind).rglob("p*.parquet"))
    table = pl.concat(
        pl.read_parquet(file).with_columns(strategy=pl.lit(file.relative_to(workspace.folder).parts[5]))
        for file in files
    )
    if "failed" in table.columns:
        table = table.filter(~pl.col("failed"))
    keys = [name for name in ("strategy", "problem_id", "budget", "index") if name in table.columns]
    return table.sort(keys)


def counted(workspace: Workspace, model: str) -> tuple[int, int]:
    lines = (workspace.folder / f"{model}.counted").read_text().splitlines()
    pairs = [tuple(map(int, line.split())) for line in lines]
    return sum(prompt for prompt, _ in pairs), sum(made for _, made in pairs)


@pytest.mark.slow
def test_a_killed_study_of_probes_comes_out_as_one_that_was_not(probed, monkeypatch):
    whole, killed = probed("whole"), probed("killed", completions=1)
    done = whole.itscale("run", "study.yaml", "--cores", "1")
    assert done.returncode == 0, done.stderr
    ledger = tables(whole, "ledger")
    for model in STUDY["models"]:
        spent = ledger.filter(pl.col("call") != "score", by=model)
        sums = spent["prompt_tokens"].sum(), spent["generated_tokens"].sum()
        assert sums == counted(whole, model)
    monkeypatch.setenv("DIE_critic", "9")
    assert killed.itscale("run", "study.yaml", "--cores", "1").returncode == 1
    monkeypatch.delenv("DIE_critic")
    done = killed.itscale("run", "study.yaml", "--cores", "1")
    assert done.returncode == 0, done.stderr
    assert tables(killed, "completions").equals(tables(whole, "completions"))
    # Equal completions of a block are scored once: a finer cut pays for more of them.
    tokens = pl.col("prompt_tokens", "generated_tokens").filter(pl.col("call") != "score").sum()
    assert tables(killed, "ledger").select(tokens).equals(ledger.select(tokens))
    curve = pl.read_parquet(whole.folder / "results/probed/curves/sums/sim/archon.parquet")
    sampled = ledger.filter(pl.col("scorer").is_null(), strategy="archon")  # coverage reads no scores
    rows = sampled.select("by", "prompt_tokens", "generated_tokens").rows()
    usd = sum(USD[by][0] * read + USD[by][1] * made for by, read, made in rows) / 1e6
    assert curve.filter(budget=4)["usd"].item() == pytest.approx(usd / 4)
    drawn = pl.read_csv(whole.folder / "reports/probed/tables/histogram.csv")
    assert drawn.filter(strategy="archon")["problems"].sum() == 4
