"""The manifest: every file of a study with its hash and its origin; and the check that all still matches."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from itscale.errors import DataError, UserError
from itscale.provenance.fingerprints import Fingerprints
from itscale.seeds import digest
from itscale.stages.declared import FIGURES, IMPORTED, PROBLEMS, TABLE_FITS
from itscale.store.parquet import payload_hash, read_metadata, read_table, write_text
from itscale.store.schemas import LEDGER, MISSING
from itscale.study.resolution import resolve
from itscale.study.study import Study

__all__ = ["Artifact", "Manifest", "find_mismatches", "read_manifest", "study_digest", "write_manifest"]

MADE_FROM_OUTSIDE = frozenset({PROBLEMS.name, IMPORTED, TABLE_FITS.name})
"""Stages whose inputs are files outside of the study."""

REWRITTEN = frozenset({"problems"})
"""Inputs that may be written anew without changing what was made from them: more problems keep the first."""


class Artifact(BaseModel):
    """One file of a study."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    hash: str
    """SHA-256 of its content; of a parquet file, without the footer."""
    stage: str = ""
    """The stage that made it."""
    fingerprint: str = ""
    """Key of `fingerprints`: what its content depends on beside its inputs."""
    inputs: dict[str, str] = {}
    """Hash of each file it was made from."""
    versions: dict[str, str] = {}
    """Versions of the distributions that made it."""


class Manifest(BaseModel):
    """What a study made. Everything but `timing` is the same in every run of the same study."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    manifest: str
    """Path of the manifest itself, relative, like all paths here, to where the workflow ran."""
    study: dict[str, Any]
    """The study as validated."""
    digest: str
    """SHA-256 of the study."""
    plugins: list[dict[str, Any]]
    """Kind, label, name, revision, distribution and version of every plugin that took part."""
    totals: list[dict[str, Any]]
    """The ledger, summed: calls, sequences and tokens by kind of call, by who was called, and by whether it
    came to nothing; what nobody counted apart, as null."""
    missing: list[dict[str, Any]] = []
    """What failed, and what is missing therefore, for each task, model and strategy that lacks something."""
    fingerprints: dict[str, Any]
    """What artifacts depend on, by digest."""
    artifacts: dict[str, Artifact]
    """Every file, by path."""
    timing: dict[str, Any]
    """Seconds, which no two runs share."""


def study_digest(study: Study) -> str:
    """Return the SHA-256 of a study as validated."""
    return digest(study.config.model_dump(mode="json"))


def write_manifest(study: Study, *, artifacts: Sequence[Path], output: Path) -> None:
    """Write the manifest of a finished study.

    Parameters
    ----------
    artifacts
        Every file of the study, relative to where the workflow runs.

    Raises
    ------
    DataError
        If a table is missing, damaged or carries no metadata.
    """
    fingerprints: dict[str, Any] = {}
    entries: dict[str, Artifact] = {}
    timing: dict[str, Any] = {}
    for path in sorted(artifacts):
        metadata = read_metadata(path) if path.suffix == ".parquet" else {}
        key = digest(metadata["fingerprint"]) if "fingerprint" in metadata else ""
        if key:
            fingerprints[key] = metadata["fingerprint"]
        if "timing" in metadata and _kind(_name(path)) == "completions":
            timing[_name(path)] = metadata["timing"]
        entries[_name(path)] = Artifact(
            hash=payload_hash(path),
            stage=metadata.get("stage", ""),
            fingerprint=key,
            inputs=metadata.get("inputs", {}),
            versions=metadata.get("versions", {}),
        )
    totals, seconds = _totals(path for path in artifacts if _kind(_name(path)) == "ledger")
    manifest = Manifest(
        manifest=output.as_posix(),
        study=study.config.model_dump(mode="json"),
        digest=study_digest(study),
        plugins=_plugins(study),
        totals=totals,
        missing=_missing([path for path in artifacts if _kind(_name(path)) == "missing"]),
        fingerprints=fingerprints,
        artifacts=entries | _drawn(study, entries),
        timing={"engine_seconds": seconds, "sampling": timing},
    )
    write_text(output, json.dumps(manifest.model_dump(mode="json"), indent=1, sort_keys=True) + "\n")


def _name(path: Path) -> str:
    """Return an artifact's path as it is without a storage provider, whose copies are in another folder."""
    parts = path.parts
    return Path(*parts[parts.index("results") if "results" in parts else 0 :]).as_posix()


def _kind(name: str) -> str:
    """Return the kind of a table: the folder of its study that it is in, whatever its labels are."""
    parts = Path(name).parts
    return Path(parts[2]).stem if parts[0] == "results" and len(parts) > 2 else ""


def _plugins(study: Study) -> list[dict[str, Any]]:
    found = {
        (ingredient.entry.kind, ingredient.label): {
            "kind": ingredient.entry.kind,
            "label": ingredient.label,
            "name": ingredient.entry.name,
            "revision": ingredient.entry.revision,
            "distribution": ingredient.distribution,
            "version": ingredient.version,
        }
        for ingredient in study.ingredients()
    }
    return [found[key] for key in sorted(found)]


def _totals(ledgers: Iterator[Path]) -> tuple[list[dict[str, Any]], float]:
    """Sum ledgers by call, by who was called and by whether it failed; seconds apart.

    Calls of which some tokens are not known have a row of their own, with null for these.
    """
    frames = [read_table(path, LEDGER) for path in ledgers]
    if not frames:
        return [], 0.0
    table, counts = pl.concat(frames), [name for name, kind in LEDGER.items() if kind == pl.Int64]
    table = table.with_columns(counted=pl.all_horizontal(pl.col(counts).is_not_null()))
    key = ("call", "by", "failed", "counted")
    known = [pl.when(pl.col(name).null_count() == 0).then(pl.col(name).sum()) for name in counts]
    summed = table.group_by(key).agg(*known, pl.col("seconds").sum()).sort(key)
    return summed.drop("counted", "seconds").to_dicts(), float(summed["seconds"].sum())


def _missing(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the rows of tables of what is missing in which something is."""
    tables = [read_table(path, MISSING) for path in paths]
    lacking = pl.any_horizontal(pl.col(name) > 0 for name in MISSING if name.startswith(("failed_", "not_")))
    return [row for table in tables for row in table.filter(lacking).iter_rows(named=True)]


def _drawn(study: Study, entries: Mapping[str, Artifact]) -> dict[str, Artifact]:
    """Tie each figure and its tables to the tables of the study that the figure reads."""
    drawn = {}
    for path, artifact in entries.items():
        figure = study.figures.get(Path(path).stem)
        if path.endswith(".parquet") or figure is None or Path(path).parent.name not in ("figures", "tables"):
            continue
        read = {
            source: found.hash
            for source, found in entries.items()
            if source.endswith(".parquet") and _kind(source) in figure.entry.reads
        }
        key = digest(figure.fingerprint())
        drawn[path] = artifact.model_copy(update={"stage": FIGURES.name, "fingerprint": key, "inputs": read})
    return drawn


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises
    ------
    DataError
        If it is missing, damaged or no manifest.
    """
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path}: missing, expected the manifest a finished run writes") from None
    except (OSError, ValidationError) as error:
        raise DataError(f"{path}: not a manifest ({str(error).splitlines()[0]})") from None


def find_mismatches(manifest: Manifest, path: Path) -> list[str]:
    """Return a line for every file that is missing, changed, or made from other inputs than are there.

    Parameters
    ----------
    path
        Where the manifest lies; files are looked for relative to the directory the workflow ran in.
    """
    root = path.resolve().parents[len(Path(manifest.manifest).parts) - 1]
    problems = {name: _mismatch(root / name, name, artifact) for name, artifact in manifest.artifacts.items()}
    fingerprints = _fingerprints(manifest)
    for name, artifact in manifest.artifacts.items():
        problems[name] = problems[name] or _misplaced(root / name, name, artifact, fingerprints)
    there = Counter(artifact.hash for name, artifact in manifest.artifacts.items() if not problems[name])
    lines = [line for line in problems.values() if line]
    for name, artifact in manifest.artifacts.items():
        if artifact.stage in MADE_FROM_OUTSIDE or not artifact.stage:  # which carries no record
            continue
        missing = [
            given for given, hash_ in artifact.inputs.items() if given not in REWRITTEN and hash_ not in there
        ]
        if missing and not problems[name]:
            lost = [
                made
                for made, one in manifest.artifacts.items()
                if one.hash == artifact.inputs[missing[0]] and not (root / made).exists()
            ]
            lines.append(
                f"{name}: made from {lost[0]}, which is missing"
                if lost
                else f"{name}: made from another {missing[0]} than the one there"
            )
    return lines


def _fingerprints(manifest: Manifest) -> Fingerprints | None:
    """Return what the study's tables have to say of themselves; None where its plugins are not installed."""
    stated = {key: value for key, value in manifest.study.items() if value not in ({}, [], None)}
    try:
        return Fingerprints(resolve(stated))
    except UserError:
        return None


def _misplaced(path: Path, name: str, artifact: Artifact, fingerprints: Fingerprints | None) -> str:
    """Say whether a table's footer is that of another study, though its manifest may bless it."""
    if path.suffix != ".parquet":
        return ""
    found = read_metadata(path).get("fingerprint")
    if artifact.fingerprint and digest(found) != artifact.fingerprint:
        return f"{name}: made with other options than the manifest says"
    try:
        fault = fingerprints.fault(path) if fingerprints else ""
    except UserError:
        fault = ""  # a file that the study reads is gone: the check of the digest stands
    return fault and f"{name}: {fault}"


def _mismatch(path: Path, name: str, artifact: Artifact) -> str:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        return f"{name}: found in the manifest, expected files of its study's own folders"
    if not path.is_file():
        return f"{name}: missing"
    if path.suffix == ".parquet":
        try:
            metadata = read_metadata(path)
        except DataError as error:
            return f"{name}: {str(error).removeprefix(f'{path}: ')}"
        if metadata.get("inputs", {}) != artifact.inputs:
            return f"{name}: made from other inputs than the manifest says"
    return "" if payload_hash(path) == artifact.hash else f"{name}: changed since the manifest was written"
