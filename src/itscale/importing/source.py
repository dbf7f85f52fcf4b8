"""One source of outcomes: its files, what their columns are, and what can be selected by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itscale.errors import DataError, StudyError
from itscale.importing.columns import metadata_keys, score_label
from itscale.importing.readers import Where, columns_of
from itscale.outcomes import Design
from itscale.store.parquet import content_fault, read_metadata, scan_table
from itscale.store.schemas import OUTCOMES

if TYPE_CHECKING:
    from itscale.plugins.entries import VerifierEntry
    from itscale.plugins.ingredient import Ingredient

__all__ = ["Source", "table_metadata"]

TABLES = ("import", "outcomes")
"""Stages whose tables need no mapping."""


@dataclass(frozen=True)
class Source:
    """Imported outcomes, as a study or a command names them.

    Attributes
    ----------
    paths
        Files of results, or one table that `itscale import` (or a study) wrote.
    columns
        By field, the path of its column; None for a table of ours.
    design
        How the number of attempts came about; None: what a table of ours says, else fixed.
    successes
        After how many correct attempts a problem was left, of the design `until_success`; None: what a table
        of ours says, else as many as any problem has, if that proves it.
    answers
        Whether there are answers to vote for.
    scorers
        Labels of the scorers whose scores there are.
    where
        By path of a column, the values whose rows are kept.
    oracle
        What judges each answer by its reference; None where correctness is given.
    """

    paths: tuple[Path, ...]
    columns: Mapping[str, str] | None
    design: Design | None
    answers: bool
    scorers: frozenset[str]
    where: Where = field(default_factory=dict)
    oracle: Ingredient[VerifierEntry] | None = None
    successes: int | None = None

    @classmethod
    def find(
        cls,
        paths: Sequence[Path],
        columns: Mapping[str, str] | None = None,
        design: Design | None = None,
        where: Where | None = None,
        oracle: Ingredient[VerifierEntry] | None = None,
        successes: int | None = None,
    ) -> Source:
        """Describe a source; no more is read of it than the names of its columns.

        Raises
        ------
        DataError, StudyError
            If there is no such file or one is named twice, its columns have to be named, or a reference has
            no oracle (or an oracle no reference).
        """
        _refuse_twice(paths)
        if columns is None and len(paths) == 1 and (metadata := table_metadata(paths[0])):
            names = scan_table(paths[0], OUTCOMES).collect_schema().names()
            scorers = frozenset(name.removeprefix("score_") for name in names if name.startswith("score_"))
            known = design or metadata.get("design")
            if where or oracle:
                raise StudyError(
                    f"{paths[0]}: found outcomes of itscale, expected no where or oracle for them"
                )
            if successes is None and known == metadata.get("design"):
                successes = metadata.get("successes")
            _check_successes(paths[0], known, successes)
            answers = bool(metadata.get("answers", True))
            return cls(tuple(paths), None, known, answers, scorers, successes=successes)
        _check_successes(paths[0], design, successes)
        found = columns_of(paths[0], columns)
        labels = frozenset(label for field in found if (label := score_label(field)))
        if oracle is None and "reference" in found:
            raise StudyError(
                f"{paths[0]}: found a reference and no oracle, expected one to judge by it: exact_match, math"
            )
        if oracle is not None and "reference" not in found:
            raise StudyError(
                f"{paths[0]}: found the oracle {oracle.label!r} and no reference, expected "
                "columns answer=COLUMN,reference=COLUMN"
            )
        if oracle is None and (beside := [field for field in found if metadata_keys(field)]):
            raise StudyError(f"{paths[0]}: found {beside[0]} and no oracle, expected one that reads it")
        answers, rows = "answer" in found, dict(where or {})
        return cls(tuple(paths), found, design, answers, labels, rows, oracle, successes)

    def fingerprint(self) -> dict[str, Any]:
        """Return what the imported outcomes depend on beside the files, as JSON values."""
        found: dict[str, Any] = {
            "columns": None if self.columns is None else dict(self.columns),
            "design": self.design,
        }
        if self.successes is not None:
            found["successes"] = self.successes
        if self.where:
            found["where"] = {way: list(values) for way, values in self.where.items()}
        if self.oracle is not None:
            found["oracle"] = self.oracle.fingerprint()
        return found


def _check_successes(path: Path, design: Design | None, successes: int | None) -> None:
    if successes is not None and design != "until_success":
        raise StudyError(
            f"{path}: successes: found {successes} with the design {design or 'fixed'!r}, expected the "
            "design 'until_success' beside it"
        )


def _refuse_twice(paths: Sequence[Path]) -> None:
    known: dict[Path, Path] = {}
    for path in paths:
        real = path.resolve()
        if real in known:
            raise DataError(
                f"{path}: the same file as {known[real]}, expected each once: attempts would double"
            )
        known[real] = path


def table_metadata(path: Path) -> dict[str, Any] | None:
    """Return the metadata of a table of outcomes that is ours, None of any other file.

    Raises
    ------
    DataError
        If it is ours, and its rows were changed since.
    """
    if path.suffix != ".parquet":
        return None
    try:
        metadata = read_metadata(path)
    except DataError:
        return None
    if metadata.get("stage") not in TABLES:
        return None
    if fault := content_fault(path):
        raise DataError(
            f"{path}: {fault}; name the table that was written, or save this one without the metadata of "
            "itscale and name its columns"
        )
    return metadata
