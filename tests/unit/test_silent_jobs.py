"""A job that ends without a word is named, with its rule, its log and what it had to write."""

from pathlib import Path

import pytest

from itscale.running.events import Event
from itscale.running.failures import failures_of
from itscale.running.watch import Watch

VERDICTS = "results/s/verdicts/t/m/r/mine/p0.parquet"
LOG = "logs/s/verification/t/m/r/mine/p0.log"
EVENTS = [
    Event(kind="job_started", jobs=["2", "3"]),
    Event(kind="job_info", jobs=["2"], rule="sampling", output=["results/s/completions/t/m/r/p0.parquet"]),
    Event(kind="job_info", jobs=["3"], rule="verification", output=[VERDICTS], logs=[LOG]),
    Event(
        kind="error",
        exception="MissingOutputException",
        message='MissingOutputException in rule verification in file "verification.smk", line 5:\n'
        "Job 3 completed successfully, but some output files are missing. Missing files after 5 seconds:\n"
        f"{VERDICTS} (missing locally, parent dir contents: )",
    ),
]


@pytest.mark.parametrize("announced", [True, False], ids=["with its events", "by its error alone"])
def test_a_job_whose_process_a_plugin_ended_is_named(announced: bool) -> None:
    (failure,) = failures_of(EVENTS if announced else EVENTS[-1:])
    assert (failure.rule, failure.log) == ("verification", LOG if announced else "none")
    assert "ended without a word" in failure.reason
    assert VERDICTS in failure.reason
    assert not failure.tried_again


def test_a_silent_job_that_is_started_again_was_tried_again() -> None:
    (failure,) = failures_of([*EVENTS, Event(kind="job_started", jobs=["3"])])
    assert failure.tried_again


def test_progress_names_the_verifier_that_is_waited_for(tmp_path: Path) -> None:
    events = tmp_path / "run.events.jsonl"
    job = Event(
        kind="job_info", rule="verification", wildcards={"task": "t", "verifier": "mine", "block": "p0"}
    )
    events.write_text(f"{job.line()}\n")
    assert Watch(events, tmp_path, {}, 3).look().line().endswith("verification by mine")
