"""The tables of a study before it runs: what is damaged is set aside, what belongs elsewhere is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from itscale.errors import DamagedError, DataError
from itscale.store import read_metadata

if TYPE_CHECKING:
    from itscale.plan import Plan

__all__ = ["ASIDE", "refuse_strangers", "restore_problems", "set_aside"]

ASIDE = ".damaged"
"""What is added to the name of a file that is not whole."""


def set_aside(plan: Plan, results: Path, manifest: Path) -> list[str]:
    """Rename what is not whole, tables and the manifest, so that it is made again; return a line for each.

    Nothing is deleted: what can be read of it may be worth something to somebody.
    """
    from itscale.manifest import read_manifest

    said = []
    for path in _there(plan, results):
        try:
            read_metadata(path)
        except DamagedError as error:
            said.append(_aside(path, error))
        except DataError:
            continue  # somebody else's file: it is refused where it is read
    if manifest.is_file():
        try:
            read_manifest(manifest)
        except DataError as error:
            said.append(_aside(manifest, error))
    return said


def _aside(path: Path, error: DataError) -> str:
    aside = path.with_name(path.name + ASIDE)
    path.replace(aside)
    return f"{error}: set aside as {aside.name}, made again"


def restore_problems(plan: Plan, results: Path) -> list[str]:
    """Write problems anew that were deleted; return a line for each table.

    Snakemake would sample again whatever was sampled from them, though it is what it was.
    """
    from itscale.stages.problems import write_problems

    said = []
    for task in plan.study.tasks:
        path = results / "problems" / f"{task}.parquet"
        if not path.is_file() and any((results / "completions" / task).rglob("p*.parquet")):
            write_problems(plan.study, task, path)
            said.append(f"{path}: missing, made again")
    return said


def refuse_strangers(plan: Plan, results: Path, made_again: Sequence[str], everything: bool) -> None:
    """Refuse tables that are not what their place says, before anything runs.

    Parameters
    ----------
    made_again
        Blocks (`task/model/strategy/block`) that are sampled anew: whatever is there is written over.
    everything
        Look at all tables, not at blocks alone: nothing else is made again.

    Raises
    ------
    DataError
        With the first file that belongs elsewhere, and how many more do.
    """
    from itscale.fingerprints import Fingerprints

    fingerprints = Fingerprints(plan.study)
    faults: list[DataError] = []
    for path in _there(plan, results):
        kind, _, block = path.relative_to(results).with_suffix("").as_posix().partition("/")
        sampled = kind in ("completions", "ledger")
        if block in made_again if sampled else not everything:
            continue
        try:
            fingerprints.check(path)
        except DataError as error:
            faults.append(error)
    if faults:
        more = f" (and {len(faults) - 1} more like it)" if len(faults) > 1 else ""
        raise DataError(f"{faults[0]}{more}")


def _there(plan: Plan, results: Path) -> Iterator[Path]:
    return (path for path in (results / table for table in plan.tables()) if path.is_file())
