"""Around the body of a job: why it failed is the last line of its log, whole, printable and without a key."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from itscale.running.events import Event
from itscale.running.failures import JobFailure, failures_of

JOB = """
import os, subprocess, sys
from types import SimpleNamespace
from itscale.running import job as jobs

jobs.study_of = lambda *_, **__: None
from itscale.messages.secrets import remember
remember("a-very-long-secret")
with jobs.job(SimpleNamespace(log=[sys.argv[1]], config={}, input={}, rule="sampling")):
"""


def log_of(body, folder):
    code = JOB + textwrap.indent(textwrap.dedent(body), "    ")
    done = subprocess.run([sys.executable, "-P", "-c", code, "job.log"], cwd=folder, check=False)
    assert done.returncode == 1
    return (folder / "job.log").read_text()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise RuntimeError('first line\\nsecond line')", "error: RuntimeError: first line second line"),
        ("raise ValueError('\\x1b[2Jgone a-very-long-secret')", "error: ValueError: gone ***"),
        ("raise KeyboardInterrupt", "error: interrupted; run again to resume here"),
        ("open('absent')", "error: absent: No such file or directory"),
        ("raise MemoryError", "error: out of memory; give the job more, or choose smaller blocks"),
        (
            "raise OSError(28, 'No space left on device', 'x')",
            "error: x: No space left on device; free some space and run again; what is finished is kept",
        ),
    ],
)
def test_why_a_job_failed_is_one_line(tmp_path, body, said):
    log = log_of(body, tmp_path)
    assert log.splitlines()[-1] == said


def test_keys_are_masked_whoever_writes_them(tmp_path):
    log = log_of(
        """
        print("python: a-very-long-secret", flush=True)
        subprocess.run(["sh", "-c", "echo child: a-very-long-secret"])
        os.write(2, b"library: a-very-long-secret\\n")
        raise KeyboardInterrupt
        """,
        tmp_path,
    )
    assert log.splitlines()[:-1] == ["python: ***", "child: ***", "library: ***"]


@pytest.mark.parametrize("status", ["0", "None", "3", "'a text'"])
@pytest.mark.parametrize("ending", ["sys.exit({})", "asyncio.run(asyncio.sleep(0, sys.exit({})))"])
def test_a_plugin_that_ends_the_process_is_one_line_whatever_its_status(tmp_path, ending, status):
    (line,) = log_of(f"import asyncio\n{ending.format(status)}", tmp_path).splitlines()
    said = "" if status == "None" else f": {status.strip(chr(39))}"
    assert line.startswith(f"error: a plugin ended the process: SystemExit{said} (")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_is_full_when_a_job_starts_is_said_to_snakemake(tmp_path):
    (tmp_path / "job.log").symlink_to("/dev/full")
    code = JOB + "    print('never')\n    sys.stdout.flush()\n"
    command = [sys.executable, "-P", "-c", code, "job.log"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said = "error: No space left on device; free some space and run again; what is finished is kept"
    assert done.stderr.splitlines()[0] == said
    failed = Event(kind="job_error", jobs=["1"], rule="sampling", logs=["absent.log"])
    assert failures_of([failed], done.stderr) == [
        JobFailure("sampling", said.removeprefix("error: "), "absent.log")
    ]
