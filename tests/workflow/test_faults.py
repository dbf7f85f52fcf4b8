"""Faults that really happen to a run; after each, running again ends where an undisturbed run ends."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import psutil
import pytest
import yaml
from workspace import (
    CHECKOUT,
    PLACE,
    STUDY,
    Workspace,
    environment,
    identities,
    installed,
    itscale,
    new_workspace,
    processes_in,
    wait_for,
)

RUN = ("run", "study.yaml", "--cores", "1")
COMPLETIONS = f"results/tiny/completions/{PLACE}"


def job_of(folder):
    """Return the process of the job that samples, None if there is none at the moment."""
    for process in processes_in(folder):
        try:
            if ".snakemake/scripts" in process.cmdline()[-1]:
                return process
        except (psutil.NoSuchProcess, IndexError):
            continue
    return None


def killed(workspace: Workspace, find, after: str) -> str:
    """Start a run, kill what `find` finds once a file is there, wait until all ended; return what it said."""
    run = subprocess.Popen(
        itscale(*RUN), cwd=workspace.folder, env=environment(), stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: any(workspace.folder.glob(after)) and find(workspace.folder) is not None)
    find(workspace.folder).send_signal(signal.SIGKILL)
    said = run.communicate()[1]
    assert run.returncode == 1
    wait_for(lambda: not processes_in(workspace.folder))
    return said


def finishes_like(workspace: Workspace, finished: Workspace) -> None:
    done = workspace.itscale(*RUN)
    assert done.returncode == 0, done.stderr
    assert workspace.hashes() == finished.hashes()
    assert identities(workspace).is_unique().all()


@pytest.mark.slow
def test_a_killed_job_and_a_killed_snakemake_say_so_and_lose_nothing(finished, workspace):
    journal = f"{COMPLETIONS}/.*.journal"
    said = killed(workspace, job_of, after=journal)
    assert said.startswith(
        "itscale: sampling: it was killed (SIGKILL), as the system does when memory runs out (log: "
    )
    (kept,) = workspace.folder.glob(journal)  # what was finished of the block is not sampled again
    assert kept.stat().st_size
    said = killed(workspace, snakemake_of, after=journal)
    assert said == "itscale: Snakemake was ended by SIGKILL; run again to resume here\n"
    finishes_like(workspace, finished)


def snakemake_of(folder):
    for process in processes_in(folder):
        try:
            if {"snakemake", "--report-after-run"} <= set(process.cmdline()):
                return process
        except psutil.NoSuchProcess:
            continue
    return None


@pytest.mark.slow
def test_a_full_disk_says_so_and_leaves_nothing_half_written(finished, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small file system can only be mounted by root")
    try:
        workspace = new_workspace(disk)
        ballast = disk / "ballast"
        with ballast.open("wb") as file:  # leaves room for Snakemake's own files, not for a block
            file.write(bytes(disk_free(disk) - 96 * 1024))
        done = workspace.itscale(*RUN)
        assert done.returncode == 1
        assert "No space left on device" in done.stderr
        assert not list(disk.rglob("*.tmp"))
        ballast.unlink()
        finishes_like(workspace, finished)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def engine_core_of(job: psutil.Process) -> psutil.Process:
    """Return the process that vLLM computes in: forked from the job's own, or spawned by it."""

    def computes(process: psutil.Process) -> bool:
        command = process.cmdline()
        named = any(name in " ".join(command) for name in ("EngineCore", "spawn_main"))
        return named or command == process.parent().cmdline()  # a fork keeps its parent's

    [core] = filter(computes, job.children())
    return core


@pytest.mark.vllm
def test_a_killed_engine_process_says_so_and_its_finished_problems_are_kept(tmp_path):
    """vLLM computes in a process of its own, which the system may kill and the job's own outlives."""
    pytest.importorskip("vllm")
    study = yaml.safe_load((CHECKOUT / "config" / "studies" / "ci.yaml").read_text())
    study["tasks"]["gcd"]["problems"] = 8
    study["models"]["smollm2"]["max_running"] = 4  # of 16: the first are finished long before the last
    study["strategies"]["repeated_sampling"] |= {"completions": 2, "max_tokens": 160}
    study |= {"laws": ["power_law"], "figures": ["law_fits"], "selectors": ["oracle"]}
    workspace = Workspace(tmp_path)
    workspace.write(study)
    run = subprocess.Popen(itscale(*RUN), cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True)
    wait_for(lambda: begun(workspace, "results/ci/completions"), 900)
    core = engine_core_of(job_of(tmp_path))
    core.send_signal(signal.SIGKILL)
    said = run.communicate(timeout=120)[1]
    assert said.startswith("itscale: sampling: vllm: the engine died while generating: "), said
    assert len(said.splitlines()) == 1
    wait_for(lambda: not processes_in(tmp_path))
    kept = begun(workspace, "results/ci/completions")
    assert 0 < len(kept) < 8
    done = workspace.itscale(*RUN)
    assert done.returncode == 0, done.stderr
    [block] = (tmp_path / "results").rglob("completions/**/p*.parquet")
    texts = pl.read_parquet(block)["text"].to_list()
    assert {row["text"] for line in kept for row in json.loads(line)["completions"]} <= set(texts)
    assert identities(workspace).is_unique().all()
    assert len(texts) == 8 * 2


@contextmanager
def memory_limit(megabytes: int) -> Iterator[Path]:
    """Make a control group whose processes share so much memory; to its file of processes one writes."""
    root = Path("/sys/fs/cgroup")
    unified = (root / "cgroup.controllers").exists()
    group = root / ("" if unified else "memory") / f"itscale-test-{os.getpid()}"
    try:
        if unified:
            (root / "cgroup.subtree_control").write_text("+memory")
        group.mkdir()
        limit = "memory.max" if unified else "memory.limit_in_bytes"
        (group / limit).write_text(str(megabytes << 20))
    except OSError as error:
        pytest.skip(f"memory can only be limited by root, where control groups are: {error}")
    try:
        yield group / "cgroup.procs"
    finally:
        wait_for(lambda: not (group / "cgroup.procs").read_text().strip())
        group.rmdir()


@pytest.mark.slow
def test_a_job_that_runs_out_of_memory_says_so_and_goes_on_where_there_is_more(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(installed("hungry", tmp_path / "plugins")))
    model = STUDY["models"]["toy"] | {"plugin": "hungry", "megabytes": 2000, "seconds_per_token": 0.05}
    folders = [tmp_path / name for name in ("calm", "hungry")]
    for folder in folders:
        folder.mkdir()
    calm, workspace = map(new_workspace, folders)
    for each in (calm, workspace):
        each.write(STUDY | {"models": {"toy": model}})
    assert calm.itscale(*RUN).returncode == 0

    refused = workspace.call("sh", "-c", f"ulimit -v {1 << 21}; exec {shlex.join(itscale(*RUN))}")
    assert refused.stderr.startswith("itscale: sampling: out of memory; give the job more"), refused.stderr
    kept = begun(workspace)
    with memory_limit(1200) as processes:
        killed = workspace.call("sh", "-c", f"echo $$ > {processes}; exec {shlex.join(itscale(*RUN))}")
        wait_for(lambda: not processes_in(workspace.folder))
    assert killed.stderr.startswith(
        "itscale: sampling: it was killed (SIGKILL), as the system does when memory"
    )
    assert 0 < len(kept) < len(begun(workspace))  # what was finished each time is not sampled again
    finishes_like(workspace, calm)


def begun(workspace: Workspace, folder: str = COMPLETIONS) -> list[bytes]:
    """Return the finished units in the journals of a workspace."""
    journals = (workspace.folder / folder).rglob(".*.journal")
    lines = [line for journal in journals for line in journal.read_bytes().splitlines()[1:]]
    return [line for line in lines if b'"completions"' in line]  # others say what was spent


def disk_free(path) -> int:
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


@pytest.mark.slow
def test_a_clock_that_is_set_while_a_run_goes_on_changes_nothing(finished, workspace, tmp_path, monkeypatch):
    """A day ahead while the first block is sampled, a day back in the second: in every process of the run."""
    clock = tmp_path / "clock"
    (tmp_path / "site").mkdir()
    shutil.copy(Path(__file__).with_name("set_clock.py"), tmp_path / "site" / "sitecustomize.py")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.setenv("CLOCK_AHEAD", str(clock))
    run = subprocess.Popen(
        itscale(*RUN), cwd=workspace.folder, env=environment(), stdout=subprocess.PIPE, text=True
    )
    wait_for(lambda: any(workspace.folder.glob(f"{COMPLETIONS}/.*.journal")))
    clock.write_text("86400")
    wait_for(lambda: any(workspace.folder.glob(f"{COMPLETIONS}/p*.parquet")))
    clock.write_text("-86400")
    said, _ = run.communicate()
    assert run.returncode == 0
    assert not re.search(r"(^|\s)-\d", said, re.MULTILINE)  # no time, rate or count below 0
    assert workspace.hashes() == finished.hashes()
    assert identities(workspace).is_unique().all()
    assert workspace.itscale(*RUN).stdout.startswith("tiny: nothing to do")


def test_a_clock_that_jumps_redoes_and_skips_nothing(finished, tmp_path):
    """A machine whose clock was a day ahead sampled one block, then its clock was set right."""
    copy = finished.copy(tmp_path)
    ahead = time.time() + 86400
    block = "p00000-00006_c00000-00008.parquet"
    for kind in ("completions", "ledger", "trees"):
        os.utime(copy.folder / f"results/tiny/{kind}/{PLACE}" / block, (ahead, ahead))
    assert "sampling" not in copy.dry_run(STUDY).jobs
    before = copy.hashes()
    done = copy.snakemake("--configfile", "study.yaml")
    assert done.returncode == 0, done.stderr
    assert copy.hashes() == before
