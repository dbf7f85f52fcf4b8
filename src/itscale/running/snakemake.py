"""Snakemake as a subprocess: where the workflow is, how it is called, what it plans, what it complains of."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from snakemake_interface_logger_plugins.common import LogEvent

from itscale.errors import UserError
from itscale.running.events import Event, events_of, read_events, with_events
from itscale.running.failures import last_line
from itscale.running.profiles import runs_elsewhere, with_own_profiles
from itscale.stages.declared import SAMPLING, VERIFICATION

__all__ = [
    "DryRun",
    "command",
    "complaint",
    "dry_run",
    "start",
    "workflow_folder",
]

TARGETS = ("total", "all", "default")
"""What Snakemake counts among the jobs, and is no work."""
PR_SET_PDEATHSIG = 1


@dataclass
class DryRun:
    """What a run would do.

    Attributes
    ----------
    jobs
        How many, by rule.
    blocks
        Those to sample, as `task/model/strategy/block`.
    verdicts
        Those to verify, as `task/model/strategy/verifier/block`.
    """

    jobs: dict[str, int] = field(default_factory=dict)
    blocks: list[str] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)


def workflow_folder() -> Path:
    """Return the workflow's folder: of the checkout, or of the installed wheel."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package.parents[1] / "workflow", package / "_workflow"):
        if (folder / "Snakefile").is_file():
            return folder
    raise UserError(f"{package}: the workflow is not beside it; install itscale again")


def command(study: Path, cores: int | None, *extra: str) -> list[str]:
    """Return the command line of Snakemake for a study, with the default profile.

    Parameters
    ----------
    cores
        How many to use. If left out, all of this machine; or, where jobs run on others, as many as they ask.
    extra
        Arguments for Snakemake; a profile of ours goes by its name alone, too.
    """
    folder = workflow_folder()
    default = folder / "profiles" / "default"
    fixed = [
        "--snakefile",
        folder / "Snakefile",
        "--workflow-profile",
        default,
        "--configfile",
        _no_option(study),
    ]
    arguments = with_own_profiles(extra, default.parent)
    if cores is None and not runs_elsewhere(arguments):
        cores = os.cpu_count() or 1
    limit = [] if cores is None else ["--cores", str(cores)]
    return [sys.executable, "-P", "-m", "snakemake", *map(str, fixed), *limit, "--nocolor", *arguments]


def _no_option(path: Path) -> str:
    """Return a path that no program takes for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def start(arguments: Sequence[str], log: Path, keep_open: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """Start Snakemake with all its output in a log and its events beside it, in `events_of(log)`.

    On Linux it dies with this process, however that dies.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    events = events_of(log)
    events.unlink(missing_ok=True)  # those of an earlier call would be believed if this one wrote none
    with log.open("wb") as file:
        return subprocess.Popen(
            with_events(arguments, events),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            pass_fds=keep_open,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def dry_run(arguments: Sequence[str], log: Path) -> DryRun:
    """Ask Snakemake what there is to do.

    Raises
    ------
    UserError
        If Snakemake refuses.
    """
    process = start([*arguments, "--dry-run"], log)
    if process.wait() != 0:
        raise UserError(f"Snakemake refused the study: {complaint(log)} (all it says: {log})")
    events = read_events(events_of(log))
    if not events:
        raise UserError(
            f"{events_of(log)}: found no events, expected those of a dry run of Snakemake's; "
            f"an argument may keep it from planning (all it says: {log})"
        )
    return planned(events)


def planned(events: Iterable[Event]) -> DryRun:
    """Return what a dry run would do, from its events."""
    found = DryRun()
    listed = {SAMPLING.name: (SAMPLING, found.blocks), VERIFICATION.name: (VERIFICATION, found.verdicts)}
    for event in events:
        if event.kind == LogEvent.JOB_INFO and event.rule in listed:
            stage, paths = listed[event.rule]
            paths.append("/".join(event.wildcards[name] for name in stage.each))
        elif event.kind == LogEvent.RUN_INFO:  # it comes twice, with the same numbers
            found.jobs = {rule: count for rule, count in event.counts.items() if rule not in TARGETS}
    return found


def complaint(log: Path) -> str:
    """Return what Snakemake says is wrong: the line of its first error, with the one after a colon.

    Parameters
    ----------
    log
        Its output; what it finds wrong before it starts its loggers stands there alone.
    """
    for event in read_events(events_of(log)):
        if event.kind == LogEvent.ERROR:
            lines = [line for line in event.message.splitlines() if line.strip()]
            named = [place for place, line in enumerate(lines) if line.startswith(event.exception)]
            line, *following = lines[named[0] if named else 0 :] or [event.exception]
            return f"{line} {following[0].strip()}" if line.endswith(":") and following else line
    return last_line(log)
