"""Snakemake as a subprocess: where its files are, how it is called, and what its output says."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from itscale.errors import UserError
from itscale.running.failures import last_line
from itscale.running.profiles import runs_elsewhere, with_own_profiles

__all__ = [
    "DryRun",
    "command",
    "complaint",
    "dry_run",
    "start",
    "workflow_folder",
]

DONE = re.compile(r"^(\d+) of \d+ steps \(")
_STATISTICS = re.compile(r"^(\w+)\s+(\d+)$")
_WILDCARD = re.compile(r"(\w+)=([\w-]+)")
_ERROR = re.compile(r"\w*(Error|Exception)\b")
PR_SET_PDEATHSIG = 1


@dataclass
class DryRun:
    """What a run would do: jobs by rule, and `task/model/strategy/block` of the blocks to sample."""

    jobs: dict[str, int] = field(default_factory=dict)
    blocks: list[str] = field(default_factory=list)


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
    """Start a command with all its output in a log; on Linux it dies with this process, however that dies."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        return subprocess.Popen(
            arguments,
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
    return parse_dry_run(log.read_text(encoding="utf-8", errors="replace"))


def parse_dry_run(text: str) -> DryRun:
    """Read jobs and blocks from what a dry run says."""
    found = DryRun()
    rule, counting = "", False
    for line in text.splitlines():
        if line.startswith("rule "):
            rule = line[5:].rstrip(":")
        elif rule == "sample" and line.startswith("    wildcards: "):
            place = dict(_WILDCARD.findall(line))
            found.blocks.append("/".join(place[name] for name in ("task", "model", "strategy", "block")))
        elif line.startswith("Job stats:"):
            counting = True
            found.jobs.clear()
        elif counting and (match := _STATISTICS.match(line)):
            found.jobs[match[1]] = int(match[2])
        elif counting and not line.strip():
            counting = False
    for name in ("total", "all", "default"):  # the targets are no work
        found.jobs.pop(name, None)
    return found


def complaint(log: Path) -> str:
    """Return what Snakemake says is wrong: the line of its first error, with the one after a colon."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    for line, following in pairwise([*lines, ""]):
        if _ERROR.match(line):
            return f"{line} {following.strip()}" if line.endswith(":") else line
    return last_line(log)
