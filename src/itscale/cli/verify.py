"""`itscale verify`: recompute the hashes of what a study made, and say what no longer matches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from itscale.cli.terminal import complain, say
from itscale.errors import DataError

__all__ = ["verify"]


def verify(
    place: Annotated[
        Path | None,
        typer.Argument(help="a study file, or a folder with a manifest; all of reports/ if left out"),
    ] = None,
) -> None:
    """Recompute the hash of every file of a study; exit status 1 if anything no longer matches."""
    from itscale.provenance.manifest import find_mismatches, read_manifest

    mismatches = 0
    for path in _manifests(place):
        manifest = read_manifest(path)
        found = find_mismatches(manifest, path)
        if place is not None and place.is_file() and place != path:
            found = [*_changed_study(place, manifest.digest), *found]
        for line in found:
            complain(line)
        mismatches += len(found)
        if not found:
            say(f"{path}: {len(manifest.artifacts)} files, all as they were made")
    if mismatches:
        complain(
            "`itscale run STUDY` makes again what is missing or not whole, and what comes from it; move "
            "elsewhere what was changed or belongs to another study"
        )
        raise typer.Exit(1)


def _changed_study(path: Path, digest: str) -> list[str]:
    from itscale.provenance.manifest import study_digest
    from itscale.study.resolution import load_study

    if study_digest(load_study(path)) == digest:
        return []
    return [f"{path}: not the study the files were made from; run it again"]


def _manifests(place: Path | None) -> list[Path]:
    if place is None:
        found = sorted(Path("reports").glob("*/manifest.json"))
        if not found:
            raise DataError("reports: no manifest.json in any folder there; run a study first")
        return found
    if place.is_dir():
        here = [place / "manifest.json", *sorted(place.glob("reports/*/manifest.json"))]
        found = [path for path in here if path.is_file()]
        if not found:
            raise DataError(f"{place}: no manifest.json there; run the study first")
        return found
    if place.name == "manifest.json":
        return [place]
    from itscale.study.resolution import load_study

    return [Path("reports", load_study(place).name, "manifest.json")]
