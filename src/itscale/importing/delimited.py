"""CSV as people write it: commas, semicolons, tabs or bars, marks and blanks, all of it text at first."""

from __future__ import annotations

import csv
from pathlib import Path

import polars as pl

from itscale.errors import DataError
from itscale.importing.files import ROW, lines_of

__all__ = ["open_delimited"]

SEPARATORS = (",", ";", "\t", "|")
SAMPLED = 50
"""Lines by which the separator is told."""


def open_delimited(path: Path, kind: str) -> pl.LazyFrame:
    """Open a CSV as a lazy table of text; blanks around names and values, and blank lines, are dropped.

    `row` is the number of the record, from 1, the header not counted.

    Raises
    ------
    DataError
        If the separator cannot be told, or a name stands twice in the header.
    """
    lines = lines_of(path, SAMPLED)
    if any("\r" in line for line in lines):
        raise DataError(f"{path}: found lines that end in CR alone, expected LF: tr '\\r' '\\n' < FILE > NEW")
    separator = _separator(lines, "\t" if kind == ".tsv" else ",", path)
    header = next((row for row in csv.reader(lines, delimiter=separator) if row), [])
    names = [name.strip() for name in header]
    for name in names:
        if name and names.count(name) > 1:
            raise DataError(f"{path}: the header names {name!r} twice, expected each column once")
    table = pl.scan_csv(
        path,
        separator=separator,
        infer_schema=False,
        glob=False,
        with_column_names=lambda found: names if len(found) == len(names) else found,
    )
    numbered = table.with_columns(pl.all().str.strip_chars()).with_row_index(ROW, offset=1)
    return numbered.filter(~pl.all_horizontal(pl.exclude(ROW).fill_null("") == ""))


def _separator(lines: list[str], usual: str, path: Path) -> str:
    """Return what separates the fields: the usual sign of the ending, or the only other one that fits."""
    fits = {sign for sign in SEPARATORS if _fits(lines, sign)}
    if usual in fits:
        return usual
    if len(fits) == 1:
        return fits.pop()
    if len(fits) > 1:
        raise DataError(
            f"{path}: fields are separated by {' or by '.join(map(repr, sorted(fits)))}, expected {usual!r}: "
            "both fit"
        )
    others = [sign for sign in SEPARATORS if lines and sign in lines[0]]
    if usual not in others and others:
        raise DataError(
            f"{path}: found {others[0]!r} in the header and another number of fields below, expected fields "
            f"separated by {usual!r}"
        )
    return usual


def _fits(lines: list[str], sign: str) -> bool:
    """Return whether a sign cuts every line into as many fields as the header has names, at least two."""
    try:
        # A text in quotes may go on beyond the lines that are looked at: the last record is not counted.
        rows = [len(row) for row in csv.reader(lines, delimiter=sign) if row]
    except csv.Error:
        return False
    whole = rows if len(lines) < SAMPLED else rows[:-1]
    return bool(whole) and whole[0] > 1 and all(length == whole[0] for length in whole)
