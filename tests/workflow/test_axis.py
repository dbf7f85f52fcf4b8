"""Budgets that count something else than completions, from the strategy's entry to the report."""

import json
import re

import polars as pl
import pytest
from workspace import installed, new_workspace

STUDY = {
    "study": "library",
    "tasks": {
        "sums": {
            "plugin": "jsonl",
            "file": "questions.jsonl",
            "prompt": "{q}",
            "reference": "a",
            "material": ["documents"],
        },
    },
    "models": {"sim": {"plugin": "simulated", "success": 0.5}},
    "strategies": {
        "retrieval": {"budgets": [1, 2, 3, 4, 5, 6], "replicates": 2, "max_tokens": 100},
        "repeated_sampling": {"completions": 8, "max_tokens": 100},
    },
    "selectors": {"oracle": {}},
    "laws": {"log_linear": {}},
    "figures": {"coverage_curves": {}, "law_fits": {}, "difference_curves": {}, "search_trees": {}},
    "differences": {
        "documents": {"of": {"strategy": "retrieval"}, "minus": {"strategy": "repeated_sampling"}}
    },
}


@pytest.fixture
def library(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(installed("retrieval", tmp_path / "site")))
    made = new_workspace(tmp_path)
    questions = [
        {"q": f"What is {n}?", "a": f"{n}", "documents": [f"{m} is {m}." for m in range(6)]} for n in range(6)
    ]
    (made.folder / "questions.jsonl").write_text("".join(json.dumps(one) + "\n" for one in questions))
    return made


@pytest.mark.slow
def test_a_budget_of_documents_is_called_so_everywhere(library):
    library.write(STUDY)
    said = library.itscale("check", "study.yaml").stdout
    # 6 problems x 6 budgets x 2 replicates hand in a completion each, of at most 100 tokens
    assert re.search(r"retrieval +6 +\d+ +72 +7,200", said), said
    done = library.itscale("run", "study.yaml", "--cores", "2")
    assert done.returncode == 0, done.stderr
    results, reports = library.folder / "results/library", library.folder / "reports/library"
    completions = pl.concat(map(pl.read_parquet, results.glob("completions/sums/sim/retrieval/p*.parquet")))
    assert completions.group_by("budget").len().sort("budget").rows() == [(k, 12) for k in range(1, 7)]
    read = completions.group_by("budget").agg(pl.col("prompt_tokens").mean()).sort("budget")["prompt_tokens"]
    assert read.is_sorted()
    assert read.n_unique() == 6  # more documents are longer prompts
    for kind in ("curves/sums/sim/{}", "fits/sums/sim/{}/log_linear"):
        for strategy, axis in (("retrieval", "documents"), ("repeated_sampling", "completions")):
            table = pl.read_parquet(results / f"{kind.format(strategy)}.parquet")
            assert set(table["axis"]) == {axis}
    # an equal number of documents and of completions is no equal budget
    assert set(pl.read_parquet(results / "differences.parquet")["against"]) == {"tokens"}
    drawn = (reports / "figures/coverage_curves.svg").read_text()
    assert "documents per problem" in drawn
    assert "completions per problem, k" in drawn
    assert "documents per problem" in (reports / "figures/law_fits.svg").read_text()
    assert "6 documents" in (reports / "summary.tex").read_text()
    drawn = pl.read_csv(reports / "tables/search_trees.csv")
    assert drawn.filter(strategy="retrieval").select("kind", "budget", "correct").height == 1  # of one run
    assert drawn.filter(strategy="repeated_sampling", kind="drawn").height == 8  # of one pool
    assert drawn.filter(kind="drawn")["correct"].null_count() == 0  # each is a completion
    assert library.itscale("verify", "study.yaml").returncode == 0
