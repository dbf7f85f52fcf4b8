"""A study through a real Slurm, with jobs cancelled and nodes lost: the results are those of a local run."""

import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from one_machine import OneMachineSlurm, call
from workspace import (
    CHECKOUT,
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

FAST = ("--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1")
FAST += ("--latency-wait", "10")
GPU = ("--set-resources", "sampling:gpu=1")


def start(workspace: Workspace, *arguments: str) -> "subprocess.Popen[str]":
    """Start `itscale run`; what it says goes to said.txt."""
    return subprocess.Popen(
        itscale("run", "study.yaml", *arguments),
        cwd=workspace.folder,
        env=environment(),
        stdout=(workspace.folder / "said.txt").open("w"),
        stderr=subprocess.STDOUT,
    )


def during(run: "subprocess.Popen[str]", condition: Callable[[], object]) -> None:
    """Wait until something holds while a run goes on."""
    wait_for(lambda: bool(condition()) or run.poll() is not None, 240)
    assert run.poll() is None, "the run ended before its time"


def said(workspace: Workspace) -> str:
    return (workspace.folder / "said.txt").read_text()


def begun(workspace: Workspace) -> list[Path]:
    """Return journals with at least one finished unit."""
    journals = (workspace.folder / "results").rglob(".p*.journal")
    return [path for path in journals if b'"completions"' in path.read_bytes()]


def sampling(slurm: OneMachineSlurm, node: str) -> str | None:
    """Return the id of the sampling job that runs on a node."""
    jobs = slurm.jobs("RUNNING").items()
    return next(
        (job for job, facts in jobs if facts["node"] == node and "rule_sampling" in facts["comment"]), None
    )


def local_run(folder: Path, study: dict) -> Workspace:
    workspace = new_workspace(folder)
    workspace.write(study)
    done = workspace.snakemake("--configfile", "study.yaml", "--cores", "4")
    assert done.returncode == 0, done.stderr
    return workspace


@pytest.fixture(scope="module")
def default_study() -> dict:
    """The default study on the simulated engine, in four blocks of some ten seconds."""
    study = yaml.safe_load((CHECKOUT / "config/study.yaml").read_text())
    study["models"] = {"smollm2": {"plugin": "simulated", "seconds_per_token": 0.1}}
    study |= {
        "block": {"problems": 16, "completions": 16},
        "curves": {"resamples": 100},
        "fits": {"refits": 20},
    }
    return study


@pytest.fixture(scope="module")
def tiny_study() -> dict:
    return STUDY | {"models": {"toy": STUDY["models"]["toy"] | {"seconds_per_token": 0.1}}}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, tiny_study: dict) -> Workspace:
    """The tiny study, run on this machine."""
    return local_run(tmp_path_factory.mktemp("tiny"), tiny_study)


def test_the_default_study_survives_a_cancelled_job_a_drained_and_a_lost_node(slurm, tmp_path, default_study):
    (tmp_path / "local").mkdir()
    expected = local_run(tmp_path / "local", default_study)
    (tmp_path / "slurm").mkdir()
    workspace = new_workspace(tmp_path / "slurm")
    workspace.write(default_study)
    run = start(workspace, "--profile", "slurm", *FAST, *GPU)

    during(run, lambda: sampling(slurm, "n1") and sampling(slurm, "n2") and len(begun(workspace)) == 2)
    cancelled = sampling(slurm, "n1")
    call("scontrol", "update", "nodename=n2", "state=drain", "reason=test")
    call("scancel", cancelled)
    during(run, lambda: slurm.state("n2") == "drained")  # the job there ends in peace, no other begins
    call("scontrol", "update", "nodename=n2", "state=resume")

    during(run, lambda: sampling(slurm, "n1") not in (None, cancelled) and begun(workspace))
    lost = sampling(slurm, "n1")
    slurm.stop_node("n1")
    during(run, lambda: lost not in slurm.jobs("RUNNING"))
    slurm.start_node("n1")

    assert run.wait() == 0, said(workspace)
    assert workspace.hashes() == expected.hashes()
    found = identities(workspace)
    assert len(found) == 2 * 16 * 32
    assert found.is_duplicated().sum() == 0
    # each fault cost one job, of which what the journal held was not sampled again
    jobs = slurm.jobs().items()
    ours = [job for job, facts in jobs if facts["directory"] == str(workspace.folder)]
    sampled = [job for job, facts in jobs if job in ours and "rule_sampling" in facts["comment"]]
    assert len(sampled) == 4 + 2
    assert all("gres/gpu=1" in slurm.allocated(job) for job in sampled)
    assert f"sampling: Slurm job {cancelled} " in said(workspace)
    assert re.search(rf"sampling: Slurm job {lost} .*NODE.FAIL.*; tried again", said(workspace))
    again = workspace.itscale("run", "study.yaml", "--profile", "slurm")
    assert again.stdout.startswith("demo: nothing to do"), again.stdout + again.stderr


def test_jobs_that_a_killed_run_left_are_cancelled_before_it_goes_on(slurm, tmp_path, tiny_study, tiny):
    workspace = new_workspace(tmp_path)
    workspace.write(tiny_study)
    run = start(workspace, "--profile", "slurm-generic", *FAST[2:], *GPU)
    during(run, lambda: len(begun(workspace)) == 2)
    run.send_signal(signal.SIGKILL)
    run.wait()
    left = [
        job for job, facts in slurm.jobs("RUNNING").items() if facts["directory"] == str(workspace.folder)
    ]
    assert len(left) == 2  # Slurm does not know that nobody waits for them

    again = workspace.itscale("run", "study.yaml", "--profile", "slurm-generic", *FAST[2:], *GPU)
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"cancelled what an earlier run left in Slurm: job {', '.join(left)}\n" in again.stdout
    states = {job: facts["state"] for job, facts in slurm.jobs().items()}
    assert {states[job] for job in left} == {"CANCELLED"}
    assert workspace.hashes() == tiny.hashes()
    assert identities(workspace).is_duplicated().sum() == 0
    assert not processes_in(workspace.folder)


def test_a_whole_run_in_one_allocation(slurm, tmp_path, tiny_study, tiny):
    workspace = new_workspace(tmp_path)
    workspace.write(tiny_study)
    done = workspace.call(
        "srun", "--cpus-per-task=2", "--mem=4000", *itscale("run", "study.yaml", "--cores", "2")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cancelled" not in done.stdout  # its own job is no leftover
    assert workspace.hashes() == tiny.hashes()


def test_a_job_that_outgrows_its_memory_is_tried_again_with_more(slurm, tmp_path, monkeypatch, tiny_study):
    monkeypatch.setenv("PYTHONPATH", str(installed("hungry", tmp_path / "plugins")))
    model = tiny_study["models"]["toy"] | {"plugin": "hungry", "megabytes": 600}
    study = tiny_study | {"models": {"toy": model}}
    for name in ("local", "slurm"):
        (tmp_path / name).mkdir()
    expected = local_run(tmp_path / "local", study)
    workspace = new_workspace(tmp_path / "slurm")
    workspace.write(study)
    # beside what the engine takes, a job holds a Snakemake and the libraries: some 400 MB
    memory = ("--set-resources", "sampling:gpu=1", "sampling:mem_mb=800 * attempt")
    done = workspace.itscale("run", "study.yaml", "--profile", "slurm-generic", *FAST[2:], *memory)
    assert done.returncode == 0, done.stdout + done.stderr
    lost = re.findall(r"^sampling: Slurm job \d+ on n\d: out of memory: .*; tried again$", done.stdout, re.M)
    assert len(lost) == 2  # each block once
    assert workspace.hashes() == expected.hashes()
    assert identities(workspace).is_unique().all()
