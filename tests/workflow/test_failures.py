"""A strategy, an oracle and a scorer that fail on one problem each: the study goes on and says so."""

import polars as pl
import pytest
from workspace import changed, installed

from itscale.provenance.manifest import read_manifest

RUN = ("run", "study.yaml", "--cores", "2")
PLACE = "sums/toy/brittle"
WANTS = "no answer of the kind that this strategy wants"


@pytest.fixture
def brittle(workspace, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(installed("brittle", tmp_path / "site")))
    study = changed("strategies", {"brittle": {"completions": 8}})
    study["models"]["toy"]["seconds_per_token"] = 0
    study["tasks"]["sums"]["oracle"] = "brittle_oracle"
    study["verifiers"] = ["brittle_scorer"]
    study["selectors"] = {"oracle": {}, "best_of_n": {"scorer": "brittle_scorer"}}
    study["figures"] = ["selection_curves"]
    del study["laws"]
    workspace.write(study)
    return workspace


@pytest.mark.slow
def test_what_fails_is_a_row_with_its_reason_and_is_done_again_when_asked(brittle, monkeypatch):
    monkeypatch.setenv("BRITTLE", "strategy oracle scorer")
    first = brittle.itscale(*RUN)
    assert first.returncode == 0, first.stdout + first.stderr
    failures = pl.read_parquet(brittle.folder / "results/tiny/failures.parquet")
    found = failures.with_columns(pl.col("reason").str.replace(r", line \d+\)$", ")"))
    assert found.select("stage", "by", "problem_id", "start", "stop", "completions", "reason").rows() == [
        ("sampling", "brittle", "2", 0, 8, 8, f"ValueError: {WANTS} (brittle.py)"),
        (
            "verification",
            "brittle_oracle",
            "4",
            0,
            8,
            8,
            "ZeroDivisionError: the reference is 0 (brittle.py)",
        ),
        ("verification", "brittle_scorer", "1", 0, 8, 8, "RuntimeError: the judge is out (brittle.py)"),
    ]
    units = "1 of 6 units failed (8 completions missing)"
    said = f"{PLACE}: {units}, 8 of 40 completions not judged, 8 scores missing"
    assert f"\n  {said}; " in first.stdout
    assert "itscale run --retry-failures tries it again" in first.stdout
    manifest = read_manifest(brittle.folder / "reports/tiny/manifest.json")
    assert manifest.missing[0]["failed_units"] == 1
    outcomes = pl.read_parquet(brittle.folder / f"results/tiny/outcomes/{PLACE}.parquet")
    assert set(outcomes["problem_id"]) == {"0", "1", "3", "4", "5"}
    assert not outcomes.filter(pl.col("problem_id") == "4")["correct"].any()
    assert outcomes.filter(pl.col("score_brittle_scorer").is_null())["problem_id"].unique().to_list() == ["1"]

    monkeypatch.delenv("BRITTLE")
    assert brittle.itscale(*RUN).stdout.startswith("tiny: nothing to do")
    asked = len((brittle.folder / "asked.txt").read_text().splitlines())
    again = brittle.itscale(*RUN, "--retry-failures")
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.startswith("trying again: 1 unit, 16 verdicts\n")
    assert "incomplete" not in again.stdout
    assert len((brittle.folder / "asked.txt").read_text().splitlines()) - asked == 16
    assert pl.read_parquet(brittle.folder / "results/tiny/failures.parquet").is_empty()
