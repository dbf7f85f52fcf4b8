"""Files as they are found: which kind, compressed or not, and what is no table of results at all."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import polars as pl

from itscale.errors import DataError, describe_os_error, nearest

__all__ = ["ENDINGS", "ROW", "UNREADABLE", "check_file", "kind_of", "lines_of", "reason"]

ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")
ROW = "\0row"
"""Name of the column that numbers records; no column of a file is called so."""

COMPRESSED = (".gz", ".zst")
"""Endings of compressed text; what is compressed is told by its content."""

# Some damage makes polars panic: that is no Exception, and would pass every handler up to the user.
UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)

SPREADSHEET = "a spreadsheet; save the sheet as CSV"
INSPECT = "a log of inspect; turn it into JSON: inspect log convert FILE --to json --output-dir DIR"
PICKLE = "a pickle, which could run code; write the table as parquet or CSV"
COMPRESSIONS = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
"""First bytes of gz and of zst."""

OTHER_ENDINGS: Mapping[str, str] = (
    dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods"), SPREADSHEET)
    | dict.fromkeys((".pkl", ".pickle", ".pt", ".joblib"), PICKLE)
    | {".eval": INSPECT}
)
MAGIC: Mapping[bytes, str] = {
    b"PK\x03\x04": f"a zip archive: {INSPECT}; of a spreadsheet, save the sheet as CSV",
    b"PAR1": "parquet; give it the ending .parquet",
    b"\xd0\xcf\x11\xe0": SPREADSHEET,
    b"SQLite format 3": "a database; write the table as CSV or parquet",
    b"\x89HDF": "HDF5; write the table as parquet",
    b"ARROW1": "Arrow IPC; write the table as parquet",
    b"\x93NUMPY": "a numpy array; write the table as CSV or parquet",
    b"\x80\x04": PICKLE,
    b"\x80\x05": PICKLE,
    b"BZh": "compressed by bzip2; expected gz or zst, or the file itself",
    b"\xfd7zXZ": "compressed by xz; expected gz or zst, or the file itself",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE > NEW",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE > NEW",
}
"""First bytes of what is no table of results, or not as it is called."""


def kind_of(path: Path) -> str:
    """Return the ending that says how a file is read, one of `ENDINGS`.

    Raises
    ------
    DataError
        If it is another, with what to do about it where that is known.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    ending = suffixes[-1] if suffixes else ""
    if ending in ENDINGS:
        return ending
    expected = f"expected one of {', '.join(ENDINGS)}, as it is or as .gz or .zst"
    if ending in OTHER_ENDINGS:
        raise DataError(f"{path}: found {OTHER_ENDINGS[ending]}")
    raise DataError(f"{path}: found the ending {path.suffix!r}, {expected}")


def check_file(path: Path) -> str:
    """Refuse what is missing, empty, or no table of results by its first bytes; return its kind.

    Raises
    ------
    DataError
        With what was found and what to do.
    """
    try:
        kind = _kind_of_file(path)
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:  # a name that is too long, a folder that nobody may look into
        raise DataError(describe_os_error(error)) from None
    if not start:
        raise DataError(f"{path}: found an empty file, expected rows of results")
    if kind != ".parquet":
        for magic, what in MAGIC.items():
            if start.startswith(magic):
                raise DataError(f"{path}: found {what}")
        if b"\0" in start and not start.startswith(COMPRESSIONS):
            raise DataError(f"{path}: found binary data, expected text in UTF-8")
    return kind


def _kind_of_file(path: Path) -> str:
    """Return the kind of a file that is there."""
    if path.is_dir():
        raise DataError(f"{path}: found a folder, expected a file of results")
    kind = kind_of(path)
    if not path.is_file():
        siblings = []
        if path.parent.is_dir():
            siblings = [str(one) for one in path.parent.iterdir() if set(one.suffixes) & set(ENDINGS)]
        raise DataError(
            f"{path}: no such file; {nearest(str(path), siblings) if siblings else 'none is near'}"
        )
    return kind


def lines_of(path: Path, first: int | None = None) -> list[str]:
    """Return a text file's lines, decompressed, without a byte-order mark.

    Raises
    ------
    DataError
        If it is no UTF-8, or is compressed and not whole.
    """
    try:
        lines = pl.scan_lines(path, n_rows=first, glob=False).collect()["line"]
    except UNREADABLE as error:
        raise DataError(f"{path}: {reason(error)}") from None
    found = lines.to_list()
    if found:
        found[0] = found[0].removeprefix("\ufeff")
    return found


def reason(error: BaseException) -> str:
    """Return why a file cannot be read, in one line a user can act on."""
    said = " ".join(str(error).split())
    if "utf-8" in said.lower() or "utf8" in said.lower():
        return (
            "found bytes that are no UTF-8; save it as UTF-8, of Latin-1 by: "
            "iconv -f LATIN1 -t UTF-8 FILE > NEW"
        )
    if "incomplete frame" in said or "unexpected end of file" in said or "corrupt deflate" in said:
        return f"found compressed data that are not whole ({said}); copy or download it again"
    if "found more fields" in said:
        return "found a row with more fields than the header has names, expected as many"
    if "could not parse" in said:
        return "found a quotation mark that opens and does not close, expected both"
    return "; ".join(islice((part.strip() for part in said.split("Consider")), 1))[:160]
