"""Runs that are killed, fail, or meet another run."""

import re
import subprocess

import pytest
from workspace import changed, environment, installed, itscale

from itscale.store.directory import hold


def test_a_second_run_beside_a_live_one_says_so(workspace):
    holder = """
import time
from pathlib import Path
from itscale.store.directory import hold
hold(Path.cwd())
print("held", flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [itscale()[0], "-c", holder], cwd=workspace.folder, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        for refused in (
            workspace.itscale("run", "study.yaml"),
            workspace.snakemake("--configfile", "study.yaml"),
        ):
            assert refused.returncode == 1
            assert f"another run (process {other.pid}) works here" in refused.stderr
        other.kill()
    assert not (workspace.folder / "results/tiny/completions").exists()


@pytest.mark.slow
def test_of_two_runs_that_start_at_once_one_works_and_the_other_says_so(workspace, finished):
    runs = [
        subprocess.Popen(
            itscale("run", "study.yaml", "--cores", "1"),
            cwd=workspace.folder,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [run.communicate()[1] for run in runs]
    [works] = [place for place, run in enumerate(runs) if run.returncode == 0]
    assert said[works] == ""
    assert re.fullmatch(
        rf"itscale: .*: another run \(process {runs[works].pid}\) works here; wait .*\n", said[1 - works]
    )
    assert workspace.hashes() == finished.hashes()


def test_holding_twice_is_holding_once(tmp_path):
    assert hold(tmp_path) == hold(tmp_path)


def test_a_failing_job_says_why_in_one_line_and_leaves_nothing_half_written(workspace, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(installed("brittle", tmp_path / "site")))
    monkeypatch.setenv("BRITTLE", "strategy")
    workspace.write(changed("strategies", {"brittle": {"completions": 8}}) | {"max_failures": 0})
    done = workspace.itscale("run", "study.yaml", "--cores", "2")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("itscale: sampling: ")
    assert "no answer of the kind that this strategy wants" in done.stderr
    assert "logs/tiny/run.log" in done.stderr
    assert not list((workspace.folder / "results/tiny/completions").rglob("p*.parquet"))
    assert not list((workspace.folder / "results").rglob("*.tmp"))
