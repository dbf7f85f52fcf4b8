"""Runs that are killed, fail, or meet another run."""

import signal
import subprocess
import time

import psutil
from workspace import PLACE, environment, itscale

from itscale.directory import hold


def processes_in(folder):
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_killed_run_goes_on_and_ends_with_the_same_results(finished, workspace):
    command = itscale("run", "study.yaml", "--cores", "2")
    run = subprocess.Popen(command, cwd=workspace.folder, env=environment(), stdout=subprocess.DEVNULL)
    sampling = workspace.folder / "logs/tiny/sampling" / PLACE
    wait_for(lambda: any(sampling.glob("*.json")))
    run.send_signal(signal.SIGKILL)
    run.wait()
    wait_for(
        lambda: not processes_in(workspace.folder), seconds=20
    )  # Snakemake and its jobs end by themselves
    assert any((workspace.folder / ".snakemake/locks").glob("*"))
    again = workspace.itscale("run", "study.yaml", "--cores", "2")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "an earlier run was killed here" in again.stdout
    assert workspace.hashes() == finished.hashes()
    assert not list((workspace.folder / "results").rglob(".*.journal"))


def test_a_second_run_beside_a_live_one_says_so(workspace):
    command = ["import sys, time; from pathlib import Path; from itscale.directory import hold; "]
    command[0] += "hold(Path.cwd()); print('held', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [itscale()[0], "-c", command[0]], cwd=workspace.folder, stdout=subprocess.PIPE, text=True
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
    block.unlink()  # what the line asks for
    assert copy.itscale("run", "study.yaml", "--cores", "2").returncode == 0
    assert copy.hashes() == finished.hashes()
