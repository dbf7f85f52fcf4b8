"""The manifest tells tables by the folder of their study, whatever labels are called."""

import json
from pathlib import Path

import polars as pl

from itscale.provenance.manifest import write_manifest
from itscale.store.parquet import write_table
from itscale.store.schemas import LEDGER, MISSING
from itscale.study import resolve


def test_labels_like_folders_are_no_kinds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = ("ledger", "completions", "missing")
    study = resolve(
        {
            "study": "results",
            "tasks": {"ledger": {"plugin": "jsonl", "file": "x.jsonl"}},
            "models": {"completions": {"plugin": "simulated"}},
            "strategies": {"missing": {"plugin": "repeated_sampling", "completions": 4}},
        }
    )
    tables = {"ledger": LEDGER, "completions": {"a": pl.Int64}, "outcomes": {"a": pl.Int64}}
    row = dict.fromkeys(LEDGER, 1) | {"problem_id": "p", "call": "generate", "by": "m", "scorer": None}
    for kind, schema in tables.items():
        row |= {"failed": False, "seconds": 2.0}
        rows = [row, row | {"generated_tokens": None}] if kind == "ledger" else [{"a": 1}]
        path = Path("results/results", kind, *named).with_suffix(".parquet")
        path.parent.mkdir(parents=True)
        write_table(pl.DataFrame(rows, schema=dict(schema)), path, {"timing": {"of": kind}})
    lacking = dict.fromkeys(MISSING, 1) | dict(zip(("task", "model", "strategy"), named, strict=True))
    write_table(pl.DataFrame([lacking], schema=dict(MISSING)), Path("results/results/missing.parquet"), {})
    write_manifest(study, artifacts=sorted(Path("results").rglob("*.parquet")), output=Path("manifest.json"))
    made = json.loads(Path("manifest.json").read_text())
    sums = [(one["calls"], one["prompt_tokens"], one["generated_tokens"]) for one in made["totals"]]
    assert sums == [(1, 1, None), (1, 1, 1)]  # what nobody counted is apart
    assert len(made["missing"]) == 1
    (timed,) = made["timing"]["sampling"].items()
    assert timed == ("results/results/completions/ledger/completions/missing.parquet", {"of": "completions"})
