"""Tabular laws in the workflow: a rule of their own, which a changed table runs again."""

import numpy as np
import polars as pl
import pytest
from workspace import STUDY


def write_runs(path, rows=40):
    rng = np.random.default_rng(0)
    n, d = 10 ** rng.uniform(7, 10, rows), 10 ** rng.uniform(9, 11, rows)
    pl.DataFrame({"n": n, "d": d, "response": 1.8 + 480 * n**-0.35 + 2100 * d**-0.37}).write_csv(path)


@pytest.mark.slow
def test_a_table_is_fitted_beside_the_curves_and_again_when_it_changes(finished, tmp_path):
    workspace = finished.copy(tmp_path)
    write_runs(tmp_path / "runs.csv")
    laws = {"power_law": {}, "chinchilla": {"file": "runs.csv"}}
    study = STUDY | {"laws": laws}
    jobs = workspace.dry_run(study).jobs
    assert jobs["table_fits"] == 1
    assert not jobs.keys() & {"sampling", "curves", "fits"}  # nothing of the curves is done again
    workspace.write({"study": "losses", "laws": {"chinchilla": {"file": "runs.csv"}}, "fits": study["fits"]})
    done = workspace.snakemake("--configfile", "study.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    fits = pl.read_parquet(tmp_path / "results/losses/fits/tables/chinchilla.parquet")
    assert np.allclose(fits["estimate"][3:5], [0.35, 0.37], atol=1e-4)
    again = workspace.snakemake("--configfile", "study.yaml", "--dry-run")
    assert "Nothing to be done" in again.stdout + again.stderr
    write_runs(tmp_path / "runs.csv", rows=39)
    changed = workspace.snakemake("--configfile", "study.yaml", "--dry-run")
    assert "table_fits" in changed.stdout
