"""What a killed run left in Slurm is told from everything else in the queue, by name and directory."""

import sys

import pytest

from itscale.running import leftovers
from itscale.store.directory import DirectoryBusyError

SQUEUE = """#!{python}
import pathlib
for line in pathlib.Path({queue!r}).read_text().splitlines():
    print(line)
"""
SCANCEL = """#!{python}
import pathlib, sys
queue = pathlib.Path({queue!r})
kept = [line for line in queue.read_text().splitlines() if line.split("|")[0] not in sys.argv[1:] or {deaf}]
queue.write_text("".join(line + "\\n" for line in kept))
"""


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """Put a `squeue` that shows the lines of a file, and a `scancel` that removes them, on the path."""

    def make(lines, deaf=False):
        path = tmp_path / "queue"
        path.write_text("".join(f"{line}\n" for line in lines))
        for name, text in (("squeue", SQUEUE), ("scancel", SCANCEL)):
            program = tmp_path / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(text.format(python=sys.executable, queue=str(path), deaf=deaf))
            program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        return path

    return make


def test_only_our_jobs_in_this_directory_are_cancelled(queue, tmp_path, monkeypatch):
    others = [
        f"2|someones|{tmp_path}",  # not ours
        f"3|itscale_sample|{tmp_path}-elsewhere",  # another study
        f"4|itscale_run|{tmp_path}",  # the allocation that this very run is in
    ]
    path = queue([f"1|itscale_0f3a|{tmp_path}", *others, f"5|itscale_sample|{tmp_path}"])
    monkeypatch.setenv("SLURM_JOB_ID", "4")
    assert leftovers.cancel_leftovers(tmp_path) == ["1", "5"]
    assert path.read_text().splitlines() == others


def test_a_job_that_does_not_end_stops_the_run(queue, tmp_path, monkeypatch):
    queue([f"1|itscale_sample|{tmp_path}"], deaf=True)
    monkeypatch.setattr(leftovers, "PATIENCE", 0.0)
    with pytest.raises(DirectoryBusyError, match="Slurm job 1 of an earlier run"):
        leftovers.cancel_leftovers(tmp_path)


def test_without_slurm_there_is_nothing_to_cancel(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert leftovers.cancel_leftovers(tmp_path) == []
