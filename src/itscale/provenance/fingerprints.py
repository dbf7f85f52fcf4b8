"""Checks that a table is what its place in the results says, by its footer and its content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from itscale.errors import DataError
from itscale.stages.declaration import Stage
from itscale.stages.declared import IMPORTED, OUTCOMES, SAMPLING, STAGES
from itscale.store.parquet import content_fault, read_metadata
from itscale.study.study import Study

__all__ = ["Fingerprints", "differences", "table_at"]


def table_at(path: Path, study: str = "") -> tuple[Stage, dict[str, str]] | None:
    """Return the stage that leaves a table at a path, and the labels of its job; None of any other file.

    Models may be labelled `fits`, and so may the study, whose name the folder of its results mostly has.
    """
    parts = path.with_suffix("").parts if path.suffix == ".parquet" else ()
    found = [
        ((study in parts[-len(names) - 1 : -len(names)], len(names)), stage, labels)
        for stage in STAGES
        for names in (table.split("/") for table in stage.tables)
        if (labels := _labels(names, parts[-len(names) :])) is not None
    ]
    if not found:
        return None
    _, stage, labels = max(found, key=lambda one: one[0])
    return stage, labels


def _labels(names: Sequence[str], parts: Sequence[str]) -> dict[str, str] | None:
    """Return the labels in a path, whose pattern has them in braces; None if it is of another pattern."""
    if len(names) != len(parts):
        return None
    both = list(zip(names, parts, strict=True))
    if any(name != part for name, part in both if not name.startswith("{")):
        return None
    return {name[1:-1]: part for name, part in both if name.startswith("{")}


class Fingerprints:
    """What the tables of a study have to say of themselves.

    Parameters
    ----------
    hashes
        What the study's manifest says that its tables' content is, by path: it counts for tables that keep no
        record of it themselves.
    """

    def __init__(self, study: Study, hashes: Mapping[str, str] | None = None) -> None:
        self.study = study
        self.hashes = hashes or {}

    def check(self, path: Path) -> None:
        """Refuse a table that does not belong to its place in the results, or was changed there.

        Raises
        ------
        DataError
            With the file, in what it differs, and what to do.
        """
        self.check_content(path)
        if fault := self._origin_fault(path):
            raise DataError(
                f"{path}: {fault}; move it elsewhere if somebody put it there, and `itscale run` makes the "
                "right one"
            )

    def check_content(self, path: Path) -> None:
        """Refuse a table whose rows were changed since it was written; errors as in `check`."""
        if fault := self.content_fault(path):
            raise DataError(
                f"{path}: {fault}; put back the file that was written, or move this one elsewhere, and "
                "`itscale run` makes it anew"
            )

    def fault(self, path: Path) -> str:
        """Say in what a table differs from what the study made, or makes, there; nothing if in nothing.

        Raises
        ------
        DataError
            If it is missing, damaged or not written by itscale.
        """
        return self.content_fault(path) or self._origin_fault(path)

    def content_fault(self, path: Path) -> str:
        """Say that a table's rows were changed since it was written; nothing of any other file."""
        return content_fault(path, self.hashes.get(path.as_posix())) if self._table(path) else ""

    def _table(self, path: Path) -> tuple[Stage, dict[str, str]] | None:
        return table_at(path, self.study.name)

    def _origin_fault(self, path: Path) -> str:
        known = self._table(path)
        if known is None:
            return ""
        stage, labels = known
        metadata = read_metadata(path)
        name = IMPORTED if stage is OUTCOMES and self.study.source(labels) else stage.name
        if metadata.get("stage") != name:
            return f"found a table of the stage {metadata.get('stage')!r}, expected one of {name!r}"
        fingerprint = metadata.get("fingerprint", {})
        expected = stage.fingerprint(self.study, labels)
        if stage is SAMPLING:  # blocks of before do not say it
            expected = {key: value for key, value in expected.items() if key != "task" or key in fingerprint}
        given = {key: fingerprint.get(key) for key in expected}
        for key, found, wanted in differences(given, expected):
            return f"of another study: {key}: found {found!r}, expected {wanted!r}"
        return ""


def differences(found: Any, expected: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the dotted name and both values of everything in which two JSON values differ."""
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        for key in dict.fromkeys([*expected, *found]):
            yield from differences(found.get(key), expected.get(key), f"{name}.{key}" if name else key)
    elif found != expected:
        yield name, found, expected
