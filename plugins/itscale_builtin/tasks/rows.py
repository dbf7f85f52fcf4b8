"""Tasks that read rows: JSON lines or a hub data set in, problems out, errors by row."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

from itscale.errors import ColumnsError, DataError, PluginError, nearest, nearest_file
from itscale.types import Message, Problem

__all__ = ["Row", "chat", "hub_rows", "jsonl_rows", "local_file", "problem", "rows_of"]


@dataclass(frozen=True)
class Row:
    """One row: its values, its number from 0, and how messages call its place."""

    values: Mapping[str, Any]
    number: int
    where: str

    def value(self, column: str) -> Any:
        """Return a column's value; DataError with the nearest column if there is none."""
        if column not in self.values:
            raise DataError(f"{self.where}: no column {column!r}; {nearest(column, self.values)}")
        return self.values[column]

    def require(self, columns: Iterable[str]) -> None:
        """Refuse a row without some columns; ColumnsError names all of them."""
        if absent := [column for column in dict.fromkeys(columns) if column not in self.values]:
            raise ColumnsError(self.where, absent, self.values)

    def text(self, column: str) -> str:
        """Return a column's text or number as text; DataError if it is empty or anything else."""
        value = self.value(column)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            found = "null" if value is None else type(value).__name__
            raise DataError(f"{self.where}: {column}: found {found}, expected a text or a number")
        if isinstance(value, float) and not math.isfinite(value):
            raise DataError(f"{self.where}: {column}: found {value}, expected a text or a finite number")
        if not str(value).strip():
            raise DataError(f"{self.where}: {column}: found nothing, expected a text or a number")
        return str(value)

    def fill(self, template: str) -> str:
        """Replace every `{column}` of a template; `{{` and `}}` stand for braces."""
        pieces = []
        for literal, column, _, _ in Formatter().parse(template):
            pieces += [literal, "" if column is None else self.text(column)]
        return "".join(pieces)


def chat(prompt: str, system: str | None = None) -> tuple[Message, ...]:
    """Return the messages that put a prompt to a model."""
    before = () if system is None else ({"role": "system", "content": system},)
    return (*before, {"role": "user", "content": prompt})


def local_file(options: Any) -> dict[str, Path]:
    """Return the local file that the option `file` names, as a task's `files`."""
    return {} if options.file is None else {"file": options.file}


def jsonl_rows(path: Path) -> Iterator[Row]:
    """Yield the objects of a file of JSON lines (`.gz` is unpacked); blank lines are skipped.

    Raises
    ------
    DataError
        If the file is missing or unreadable, or a line is not a JSON object.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            numbered = ((line, text) for line, text in enumerate(file, start=1) if text.strip())
            for number, (line, text) in enumerate(numbered):
                where = f"{path}: line {line}"
                yield Row(_object(text, where), number, where)
    except FileNotFoundError:
        hint = f"{nearest_file(path)} (looked from {Path.cwd().name!r})"
        raise DataError(f"{path}: no such file; {hint}") from None
    except IsADirectoryError:
        raise DataError(f"{path}: found a folder, expected a file of JSON lines") from None
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None


def _object(text: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON ({error})") from None
    if not isinstance(value, dict):
        raise DataError(f"{where}: found {type(value).__name__}, expected a JSON object")
    return value


def hub_rows(name: str, subset: str | None, revision: str) -> Iterator[Row]:
    """Yield the test split of a data set of the hub, through `datasets`.

    Raises
    ------
    PluginError, DataError
        If `datasets` is not installed, or the data set cannot be fetched.
    """
    try:
        import datasets
    except ImportError:
        raise PluginError(
            f"tasks: {name} from the hub needs datasets, not installed here: pip install 'itscale[hub]', "
            "or name a local copy with `file`"
        ) from None
    try:
        rows = datasets.load_dataset(name, subset, split="test", revision=revision)
    except Exception as error:  # the hub client has no common class of errors
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{name} at {revision}: cannot be fetched ({reason}); name a local copy with `file`"
        ) from None
    for number, values in enumerate(rows):
        yield Row(values, number, f"{name} at {revision}: row {number}")


def rows_of(file: Path | None, name: str, subset: str | None, revision: str) -> Iterator[Row]:
    """Yield the rows of a local copy, or of the hub where there is none."""
    return hub_rows(name, subset, revision) if file is None else jsonl_rows(file)


def problem(row: Row, problem_id: str, prompt: str, reference: str, **metadata: Any) -> Problem:
    """Return a row as a problem without a system message."""
    return Problem(
        problem_id=problem_id, messages=chat(row.fill(prompt)), reference=reference, metadata=metadata
    )
