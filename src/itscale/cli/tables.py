"""The files of a study before it runs: what is damaged is set aside, what is not what it says is refused."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from itscale.errors import DamagedError, DataError
from itscale.store.parquet import payload_hash, read_metadata
from itscale.store.snakemake import snakemake_record

if TYPE_CHECKING:
    from itscale.planning.plan import Plan

__all__ = ["ASIDE", "refuse_strangers", "restore_problems", "set_aside"]

ASIDE = ".damaged"
"""What is added to the name of a file that is not whole."""

CHANGED = ".changed"
"""What is added to the name of a figure or table of the reports that is not what was written."""


def set_aside(plan: Plan, results: Path, manifest: Path, *, only_say: bool = False) -> list[str]:
    """Rename what is not whole, tables and the manifest, so that it is made again; return a line for each.

    Nothing is deleted: what can be read of it may be worth something to somebody.

    Parameters
    ----------
    only_say
        Rename nothing: return what would be.
    """
    from itscale.provenance.manifest import read_manifest

    said = []
    for path in _there(plan, results):
        try:
            read_metadata(path)
        except DamagedError as error:
            said.append(_aside(path, error, only_say=only_say))
        except DataError:
            continue  # somebody else's file: it is refused where it is read
    if manifest.is_file():
        try:
            artifacts = read_manifest(manifest).artifacts
        except DataError as error:
            said.append(_aside(manifest, error, only_say=only_say))
        else:
            hashes = {Path(name): artifact.hash for name, artifact in artifacts.items()}
            said += _changed_reports(hashes, manifest.parent, only_say=only_say)
    return said


def _aside(path: Path, error: object, ending: str = ASIDE, *, only_say: bool) -> str:
    aside = path.with_name(path.name + ending)
    if only_say:
        return f"{error}: a run sets it aside as {aside.name} and makes it again"
    path.replace(aside)
    return f"{error}: set aside as {aside.name}, made again"


def _changed_reports(hashes: Mapping[Path, str], reports: Path, *, only_say: bool) -> Iterator[str]:
    """Rename what of the reports is not what the manifest says, which the next one would take as it is."""
    for path, expected in hashes.items():
        inside = path.is_relative_to(reports) and ".." not in path.parts
        if inside and path.is_file() and payload_hash(path) != expected:
            yield _aside(path, f"{path}: changed since the manifest was written", CHANGED, only_say=only_say)


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


def refuse_strangers(plan: Plan, results: Path, made_again: Collection[str], everything: bool) -> None:
    """Refuse tables that are not what their place says, or were changed there, before anything runs.

    Parameters
    ----------
    made_again
        Blocks (`task/model/strategy/block`) that are sampled anew, as other options of the study want it:
        what this study made there is written over. What somebody put there is not.
    everything
        Look at the origin of all tables, not of blocks alone: nothing else is made again.

    Raises
    ------
    DataError
        With the first file that is refused, and how many more are.
    """
    from itscale.provenance.fingerprints import Fingerprints, table_at
    from itscale.stages.declared import SAMPLING

    fingerprints = Fingerprints(plan.study, _hashes(plan))
    faults: list[DataError] = []
    for path in _there(plan, results):
        _, _, block = path.relative_to(results).with_suffix("").as_posix().partition("/")
        stage, _ = table_at(path, plan.study.name) or (None, {})
        sampled = stage is SAMPLING
        replaced = (
            block in made_again and snakemake_record(Path(), path).is_file() if sampled else not everything
        )
        try:
            (fingerprints.check_content if replaced else fingerprints.check)(path)
        except DamagedError:
            continue  # a run sets it aside
        except DataError as error:
            faults.append(error)
    if faults:
        more = f" (and {len(faults) - 1} more like it)" if len(faults) > 1 else ""
        raise DataError(f"{faults[0]}{more}")


def _hashes(plan: Plan) -> dict[str, str]:
    """Return the hash of each file of a study that was finished, by path."""
    from itscale.provenance.manifest import read_manifest

    try:
        manifest = read_manifest(Path("reports", plan.study.name, "manifest.json"))
    except DataError:
        return {}
    return {name: artifact.hash for name, artifact in manifest.artifacts.items()}


def _there(plan: Plan, results: Path) -> Iterator[Path]:
    return (path for path in (results / table for table in plan.tables()) if path.is_file())
