"""Slurm jobs that a killed run left behind: found by name and directory, and cancelled before others begin.

Slurm knows nothing of the Snakemake that submitted a job. After `kill -9` of that one its jobs go on,
and a new run would submit others that write the same files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from itscale.store.directory import DirectoryBusyError, hold

__all__ = ["JOB_NAME", "cancel_leftovers", "take_over"]

JOB_NAME = "itscale_"
"""What names of our jobs begin with: the profiles for Slurm see to it."""
PATIENCE = 60.0  # seconds until a job that is cancelled has to be gone
TIMEOUT = 30.0  # seconds that Slurm may take to answer


def take_over(directory: Path) -> None:
    """Hold a directory and end what a killed run left running there.

    Raises
    ------
    DirectoryBusyError
        If another run works there, or a job of an earlier one does not end.
    """
    hold(directory)
    cancel_leftovers(directory)


def cancel_leftovers(directory: Path) -> list[str]:
    """Cancel our Slurm jobs that work in a directory, wait until they are gone, and return their ids.

    Whoever calls it holds the directory, so whatever job works there was left by a run that is gone. Where
    there is no Slurm, or it does not answer, there is nothing to cancel.

    Raises
    ------
    DirectoryBusyError
        If a job does not end.
    """
    if shutil.which("squeue") is None:
        return []
    found = left = _jobs_in(directory)
    end = time.monotonic() + PATIENCE
    if found:
        _ask("scancel", *found)
    while left := [job for job in left if job in _jobs_in(directory)]:
        if time.monotonic() > end:
            raise DirectoryBusyError(
                f"{directory}: Slurm job {', '.join(left)} of an earlier run was cancelled {PATIENCE:.0f} s "
                "ago and still runs; wait until squeue no longer shows it"
            )
        time.sleep(0.5)
    return found


def _jobs_in(directory: Path) -> list[str]:
    """Return ids of our jobs in the queue that work in a directory, without the one this process is in."""
    rows = [
        line.split("|", 2) for line in _ask("squeue", "--me", "--noheader", "--format=%A|%j|%Z").splitlines()
    ]
    return [
        job
        for job, name, folder in (row for row in rows if len(row) == 3)
        if name.startswith(JOB_NAME)
        and job != os.environ.get("SLURM_JOB_ID")
        and Path(folder).resolve() == directory.resolve()
    ]


def _ask(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
