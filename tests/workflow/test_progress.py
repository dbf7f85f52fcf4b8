"""What is shown while a study runs, from Snakemake's events and the notes of sampling jobs."""

import json
import os
from dataclasses import asdict
from types import SimpleNamespace

import pytest

from itscale.running.events import Event
from itscale.running.failures import JobFailure, failures_of
from itscale.running.job import LOADING, by_folder, optional_path, paths, progress_file, progress_writer
from itscale.running.snakemake import planned
from itscale.running.watch import RunProgress, Watch, clock, display
from itscale.sampling.progress import BlockExtent, Sampled

EXTENT = BlockExtent(completions=32, expected=50, limit=100)
BLOCKS = {"t/m/s/p00000-00004_c00000-00008": EXTENT, "t/m/s/p00000-00004_c00008-00016": EXTENT}

DRY_RUN = [
    Event(kind="run_info", counts={"sampling": 1, "verification": 1, "all": 1, "total": 3}),
    Event(
        kind="job_info",
        rule="sampling",
        wildcards={"task": "t", "model": "m", "strategy": "s", "block": "p00000-00004_c00000-00008"},
    ),
    Event(
        kind="job_info",
        rule="verification",
        wildcards={"task": "t", "model": "m", "strategy": "s", "verifier": "v", "block": "b"},
    ),
    Event(kind="run_info", counts={"sampling": 1, "verification": 1, "all": 1, "total": 3}),
]


@pytest.fixture
def watch(tmp_path):
    return Watch(tmp_path / "run.events.jsonl", tmp_path, BLOCKS, jobs=3, started=1000.0)


def note(logs, block, at=2000.0, **state):
    path = progress_file(logs / "sampling" / f"{block}.log")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(Sampled(**state)) if state else LOADING))
    os.utime(path, (at, at))


def test_jobs_are_counted_as_snakemake_says_them(watch):
    assert watch.look().jobs == 0  # and no file is there yet
    one, two, four = (Event(kind="progress", done=done).line() for done in (1, 2, 4))
    watch.events.write_text(f"{Event(kind='job_info', rule='sampling').line()}\n{one}\n{two[:9]}")
    assert (watch.look().jobs, watch.look().all_jobs, watch.look().rule) == (1, 3, "sampling")
    with watch.events.open("a") as file:
        file.write(f"{two[9:]}\n{four[:9]}\n{four}\n")  # one of them was cut short by a full disk
    assert watch.look().jobs == 3  # the target is no job of the study's
    said = (
        "Job 4 has been submitted with SLURM jobid 7 (log: /x/.snakemake/slurm_logs/rule_verification/7.log)."
    )
    with watch.events.open("a") as file:
        file.write(f"{Event(message=said).line()}\n")
    assert watch.look().rule == "verification"


def test_completions_are_those_of_this_run(tmp_path):
    first, second = BLOCKS
    note(tmp_path, first, completions=32, tokens=900)
    note(tmp_path, second, completions=32, tokens=700)
    watch = Watch(tmp_path / "run.events.jsonl", tmp_path, BLOCKS, jobs=3)
    assert watch.look().completions == 0
    note(tmp_path, first, completions=20, tokens=500, at=900.0)  # the clock was set back meanwhile
    assert watch.look().completions == 20
    assert watch.look().all_completions == 64


@pytest.fixture
def clock_of(monkeypatch):
    """Set what the watch takes for the time."""
    return lambda now: monkeypatch.setattr("itscale.running.watch.time.monotonic", lambda: now)


def test_what_an_earlier_run_left_of_a_block_does_not_tell_how_long_whole_ones_take(watch, clock_of):
    first, second = BLOCKS
    for now, tokens in ((2000.0, 0), (2010.0, 60)):  # two of 32 were left, and run alone
        clock_of(now)
        note(watch.logs, first, completions=30, tokens=tokens, running=2, running_tokens=tokens)
        seen = watch.look()
    assert (seen.tokens_per_second, seen.seconds_left) == (6, None)
    clock_of(2020.0)
    note(
        watch.logs,
        second,
        completions=8,
        tokens=800,
        running=20,
        running_tokens=60,
        ended=8,
        ended_tokens=740,
    )
    assert watch.look().seconds_left is not None  # some wait although others ended: that is its width


def test_no_speed_and_no_time_left_are_shown_while_sampling_waits(watch, clock_of):
    first, _ = BLOCKS
    for now, done in ((2000.0, 0), (2004.0, 20), (2008.0, 32)):
        clock_of(now)
        note(watch.logs, first, completions=done, tokens=50 * done, ended=done, ended_tokens=50 * done)
        watch.look()
    for now in (2012.0, 2027.0):  # curves are computed, and the second block has not begun
        clock_of(now)
        seen = watch.look()
        assert (seen.tokens_per_second, seen.seconds_left) == (None, None)
        assert "sampling left" not in seen.line()


def test_speed_and_time_left_are_those_of_this_run(watch, clock_of):
    first, _ = BLOCKS
    clock_of(2000.0)
    note(watch.logs, first, completions=10)  # ten were in the journal
    assert watch.look().seconds_left is None
    clock_of(2010.0)
    note(watch.logs, first, completions=28, tokens=1800, ended=18, ended_tokens=1800)
    seen = watch.look()
    assert seen.tokens_per_second == 180
    assert seen.seconds_left == 20  # 4 and 32 to go, of 100 tokens each, at 180 a second
    assert "180 tokens/s" in seen.line()
    assert "0:20 of sampling left" in seen.line()
    note(watch.logs, first, completions=28, tokens=40)  # the job was lost and is tried again
    clock_of(2012.0)
    assert watch.look().tokens_per_second is None


def test_sequences_that_all_run_at_once_tell_before_any_ends(watch, clock_of):
    """32 of 32 are under way and none has ended: what is left follows from how far they are."""
    first, _ = BLOCKS
    clock_of(2000.0)
    note(watch.logs, first, running=32, running_tokens=32, tokens=32)
    watch.look()
    clock_of(2010.0)
    note(watch.logs, first, running=32, running_tokens=320, tokens=320)
    seen = watch.look()
    assert seen.tokens_per_second == pytest.approx(28.8)
    shared, own = 32 * 40 / 28.8, 90 * 32 / 28.8  # 40 more each on average, 90 more at most
    waiting = 32 * 50 / 28.8
    assert seen.seconds_left == pytest.approx(waiting + 2 * shared * own / (shared + own))


def test_what_failed_is_shown_and_not_waited_for(watch, clock_of):
    clock_of(2000.0)
    for at, block in enumerate(BLOCKS):
        note(watch.logs, block, completions=20, failed=12 if at else 0, tokens=0)
    assert "12 failed" in watch.look().line()


def test_a_model_that_is_loaded_is_said(watch, clock_of):
    first, _ = BLOCKS
    clock_of(2000.0)
    note(watch.logs, first)
    watch.look()
    clock_of(2012.0)
    assert "loading m 12 s" in watch.look().line()
    note(watch.logs, first, running=1, at=2001.0)
    assert "loading" not in watch.look().line()


def test_a_half_written_note_is_passed_over(watch):
    path = progress_file(watch.logs / "sampling" / f"{next(iter(BLOCKS))}.log")
    path.parent.mkdir(parents=True)
    path.write_text('{"completions": 1')
    assert watch.look().completions == 0


def test_notes_come_at_the_start_and_at_most_once_a_second(tmp_path):
    log = tmp_path / "p.log"
    write = progress_writer(log)
    assert json.loads(progress_file(log).read_text()) == LOADING
    write(Sampled())
    write(Sampled(completions=5, tokens=60))
    assert json.loads(progress_file(log).read_text()) == asdict(Sampled())


def test_a_dry_run_is_read():
    found = planned(DRY_RUN)
    assert found.jobs == {"sampling": 1, "verification": 1}
    assert found.blocks == ["t/m/s/p00000-00004_c00000-00008"]


def test_nothing_to_do_is_read():
    found = planned([Event(message="Nothing to be done (all requested files are present and up to date).")])
    assert (found.jobs, found.blocks) == ({}, [])


def failed(rule, *logs, job="1", **facts):
    return Event(kind="job_error", jobs=[job], rule=rule, logs=list(map(str, logs)), **facts)


def test_a_failure_is_read_with_the_reason_from_its_log(tmp_path):
    log, other = tmp_path / "a.log", tmp_path / "b.log"
    log.write_text("loading\nerror: no such model\nbye\n")
    other.write_text("Traceback\nKeyError: 'x'\n")
    assert failures_of([failed("sampling", log), failed("fits", other)]) == [
        JobFailure("sampling", "no such model", str(log)),
        JobFailure("fits", "KeyError: 'x'", str(other)),
    ]


def ended(state, *logs):
    """A job as the executor for Slurm says that it failed."""
    said = f"SLURM-job '7' failed, SLURM status is: '{state}'. Detailed failure reason unavailable."
    return failed("sampling", *logs, job="3", message=said, external_job="7")


@pytest.mark.parametrize(
    ("own", "slurm", "state", "reason"),
    [
        (
            "sampling",
            "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-11-24T20:00:00 ***",
            "CANCELLED",
            "Slurm job 7 on n1: CANCELLED AT 2026-11-24T20:00:00",
        ),
        ("sampling", "", "NODE_FAIL", "Slurm job 7 ended as NODE_FAIL"),
        (
            "sampling",
            "slurmstepd-n1: error: StepId=7.batch exceeded memory limit (960376832 > 838860800), "
            "being killed\n"
            "slurmstepd-n1: error: *** JOB 7 ON n1 CANCELLED AT 2026-11-24T20:00:00 ***",
            "FAILED",
            "Slurm job 7 on n1: out of memory: CANCELLED AT 2026-11-24T20:00:00",
        ),
        (
            "sampling",
            "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0. Some of the step tasks have been "
            "OOM Killed.",
            "FAILED",
            "Slurm job 7: out of memory",
        ),
        ("error: no such model", "", "FAILED", "no such model"),
        ("KeyError: 'x'", "", "FAILED", "KeyError: 'x'"),
    ],
    ids=["cancelled", "node", "memory", "memory of a cgroup", "user's error", "bug"],
)
def test_how_slurm_ended_a_job_is_said(tmp_path, own, slurm, state, reason):
    (tmp_path / "own.log").write_text(own)
    (tmp_path / "slurm.log").write_text(slurm)
    event = ended(state, tmp_path / "own.log", tmp_path / "slurm.log")
    assert failures_of([event]) == [JobFailure("sampling", reason, str(tmp_path / "own.log"))]


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        ("SIGKILL", "it was killed (SIGKILL), as the system does when memory runs out"),
        ("SIGTERM", "it was ended by SIGTERM"),
    ],
)
def test_which_signal_ended_a_job_is_said_of_that_job_only(tmp_path, signal, reason):
    log, other = tmp_path / "log", tmp_path / "other"
    log.write_text("sampling\n")
    other.write_text("KeyError: 'x'\n")
    said = (
        'CalledProcessError in file "sampling.smk", line 34:\n'
        f"Command 'set -euo pipefail;  python sample.py' died with <Signals.{signal}: 9>."
    )
    found = failures_of(
        [
            Event(kind="error", exception="RuleException", message=said, thread=7),
            failed("verification", other, job="8", thread=8),  # it failed at the same time
            failed("sampling", log, job="7", thread=7),
        ]
    )
    assert [failure.reason for failure in found] == ["KeyError: 'x'", reason]


def test_a_job_that_was_tried_again_is_told_from_one_that_was_not(tmp_path):
    started, event = Event(kind="job_started", jobs=["3"]), ended("TIMEOUT", tmp_path / "own.log", "none")
    found = failures_of([started, event, started, event])
    assert [failure.tried_again for failure in found] == [True, False]


def test_inputs_are_paths_whether_one_or_several():
    assert [path.name for path in paths("a/b")] == ["b"]
    assert [path.name for path in paths(["a/b", "c"])] == ["b", "c"]
    assert optional_path([]) is None
    assert by_folder(["v/x/2", "v/w/1", "v/x/1"]).keys() == {"w", "x"}


def test_a_line_comes_when_a_speed_is_first_known_and_every_ten_seconds():
    said = []
    console = SimpleNamespace(is_terminal=False, print=lambda line, markup: said.append(line))
    with display(console) as show:
        for now in range(31):
            speed = 50.0 if now >= 12 else None
            show(RunProgress(0, 1, 0, 9, speed, None, float(now), "sampling"))
    assert [line.split()[0] for line in said] == ["0:10", "0:12", "0:22"]


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (3725, "1:02:05")])
def test_clock(seconds, shown):
    assert clock(seconds) == shown
