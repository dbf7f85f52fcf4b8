"""A study of imported outcomes runs through the same workflow, from selection on."""

import re

import polars as pl
import pytest

STUDY = {
    "study": "elsewhere",
    "outcomes": {
        "theirs": {
            "path": "results.csv",
            "task": "sums",
            "columns": {"problem": "id", "n": "runs", "correct": "ok"},
        }
    },
    "curves": {"resamples": 100},
}


def test_counts_from_elsewhere_run_to_the_report(workspace):
    rows = [(f"p{at:02}", 50, at) for at in range(25)]
    pl.DataFrame(rows, schema=["id", "runs", "ok"], orient="row").write_csv(workspace.folder / "results.csv")
    name = workspace.write(STUDY)
    done = workspace.itscale("run", name, "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"pass@1 +24.0 %", done.stdout)
    curve = pl.read_parquet(
        workspace.folder / "results/elsewhere/curves/sums/theirs/repeated_sampling.parquet"
    )
    assert set(curve["selector"]) == {"oracle", "first"}
    assert curve.filter(pl.col("selector") == "first")["estimate"].to_numpy() == pytest.approx(0.24)
    done = workspace.itscale("verify", name)
    assert done.returncode == 0, done.stderr
