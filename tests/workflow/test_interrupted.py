"""Runs that are killed, fail, or meet another run."""

import subprocess

from workspace import PLACE, itscale

from itscale.directory import hold


def test_a_second_run_beside_a_live_one_says_so(workspace):
    holder = """
import time
from pathlib import Path
from itscale.directory import hold
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


def test_holding_twice_is_holding_once(tmp_path):
    assert hold(tmp_path) == hold(tmp_path)


def test_a_failing_job_says_why_in_one_line_and_leaves_nothing_half_written(finished, tmp_path):
    copy = finished.copy(tmp_path)
    block = copy.folder / f"results/tiny/completions/{PLACE}/p00000-00006_c00000-00008.parquet"
    block.write_bytes(block.read_bytes()[:-100])
    done = copy.itscale("run", "study.yaml", "--cores", "2")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("itscale: verify: ")
    assert "not a whole parquet file" in done.stderr
    assert "logs/tiny/run.log" in done.stderr
    assert not (copy.folder / f"results/tiny/verdicts/{PLACE}/exact_match/{block.name}").exists()
    assert not list((copy.folder / "results").rglob("*.tmp"))
