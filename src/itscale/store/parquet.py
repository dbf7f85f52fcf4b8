"""Parquet in and out: atomic writes, checked columns, and metadata that says where a file comes from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import IO, Any

import polars as pl
import polars.selectors
from polars.io.plugins import register_io_source

from itscale.errors import DamagedError, DataError, nearest, nearest_file
from itscale.messages.printable import spelt_out
from itscale.messages.secrets import masked_words, remembered_words
from itscale.store.schemas import Schema

__all__ = [
    "atomic_path",
    "content_fault",
    "literal",
    "payload_hash",
    "read_metadata",
    "read_table",
    "scan_table",
    "whole_table",
    "without_noise",
    "write_batches",
    "write_csv",
    "write_table",
    "write_text",
]

METADATA_KEY = "itscale"

DIGITS = 12
"""Significant digits of numbers for readers: what sums of floats leave behind them says nothing."""

CONTENT = "content"
"""In the metadata of a table: the SHA-256 of all that comes before the footer, as `payload_hash` has it."""

UNSEALED = "0" * 64
"""What stands for the hash of the content until that is written."""

ROW_GROUP = 1 << 18
"""Rows of a row group of what is written in batches."""

# Some damage makes polars panic: that is no Exception, and would pass every handler up to the user.
_UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


def literal(path: Path) -> str:
    """Return a path for polars, to which a leading `~` or `s3:` then means nothing.

    What reads by it says `glob=False`, too: `r[1].csv` is not `r1.csv`.
    """
    return str(path.absolute())


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success sync it and rename it to `path`, else remove it.

    What a killed writer of the same file left is removed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        left.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename == str(temporary):  # nobody knows it by that name
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file so that it is whole or absent."""
    with atomic_path(path) as temporary:
        temporary.write_text(masked_words(text), encoding="utf-8")


def without_noise(frame: pl.DataFrame) -> pl.DataFrame:
    """Round the numbers of a table so that equal ones are equal however they were summed."""
    return frame.with_columns(polars.selectors.float().round_sig_figs(DIGITS))


def write_csv(frame: pl.DataFrame, path: Path) -> None:
    """Write a table for readers as CSV, whole or absent: numbers rounded, what a terminal obeys spelt out.

    Texts can be told apart, and joined with where they come from: see `itscale.messages.printable.spelt_out`.
    """
    written = without_noise(frame).rename(spelt_out)
    texts = polars.selectors.string().map_batches(_spelt_out, return_dtype=pl.String)
    write_text(path, written.with_columns(texts).write_csv())


def _spelt_out(texts: pl.Series) -> pl.Series:
    return pl.Series(
        texts.name, [text if text is None else spelt_out(text) for text in texts], dtype=pl.String
    )


def write_table(frame: pl.DataFrame, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write a table so that it is whole or absent, with `metadata` (JSON values) in its footer.

    The hash of the content is beside them: rows that somebody changes later are found out.
    """
    footer = _footer(metadata)
    with atomic_path(path) as temporary:
        _masked(frame).rechunk().write_parquet(literal(temporary), compression="zstd", metadata=footer)
        _seal(temporary, footer)


def write_batches(
    batches: Iterable[pl.DataFrame], schema: Schema, path: Path, metadata: Mapping[str, Any]
) -> None:
    """Write a table like `write_table`, from batches of rows of which few are in memory at a time.

    Equal rows give equal bytes, however they come in batches. An error of `batches` is raised as it is, and
    leaves no file.
    """
    footer = _footer(metadata)

    def source(*_: object) -> Iterator[pl.DataFrame]:
        for batch in batches:
            yield _masked(batch).select(pl.col(name).cast(dtype) for name, dtype in schema.items())

    with atomic_path(path) as temporary:
        table = register_io_source(source, schema=dict(schema))
        options: dict[str, Any] = {"compression": "zstd", "row_group_size": ROW_GROUP, "metadata": footer}
        table.sink_parquet(literal(temporary), maintain_order=True, **options)
        _seal(temporary, footer)


def _footer(metadata: Mapping[str, Any]) -> dict[str, str]:
    return {METADATA_KEY: masked_words(json.dumps({**metadata, CONTENT: UNSEALED}, sort_keys=True))}


def _seal(path: Path, footer: Mapping[str, str]) -> None:
    """Write the hash of a table's content over what stands for it in the footer, of the same length."""
    unsealed = footer[METADATA_KEY].encode()
    with path.open("rb+") as file:
        start = _footer_start(file)
        record = f'"{CONTENT}": "'.encode()
        sealed = unsealed.replace(record + UNSEALED.encode(), record + _hash(file, start).encode())
        file.seek(start)
        at = file.read().rindex(unsealed)
        file.seek(start + at)
        file.write(sealed)


def _masked(frame: pl.DataFrame) -> pl.DataFrame:
    """Mask in texts what was remembered: a server may have written a key into what it answered."""
    words = remembered_words()
    if not words:
        return frame
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    return (
        frame.with_columns(pl.col(texts).str.replace_many(words, ["*" * len(word) for word in words]))
        if texts
        else frame
    )


def read_table(path: Path, schema: Schema, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read a table and check that it has the columns of `schema`; further columns are kept.

    Only `columns` are read, if they are given.

    Raises
    ------
    DataError
        If the file is missing, truncated, no parquet, or has other columns.
    """
    with whole_table(path):
        if columns is None:
            frame = pl.read_parquet(literal(path), glob=False)
            _check_columns(path, frame.schema, schema)
            return frame
        _check_columns(path, _schema(path), schema)
        return pl.read_parquet(literal(path), columns=list(columns), glob=False)


def scan_table(path: Path, schema: Schema) -> pl.LazyFrame:
    """Open a table of which not everything is wanted at once; checks and errors as in `read_table`."""
    with whole_table(path):
        _check_columns(path, _schema(path), schema)
        return pl.scan_parquet(literal(path), glob=False)


def _schema(path: Path) -> Mapping[str, Any]:
    return pl.scan_parquet(literal(path), glob=False).collect_schema()


@contextmanager
def whole_table(path: Path) -> Iterator[None]:
    """Say in one line that a table is missing or damaged."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path}: missing, expected the table an earlier stage writes") from None
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())[:120]
        raise DamagedError(
            f"{path}: not a whole parquet file ({reason}); move it away, and `itscale run` makes it again"
        ) from None


def _check_columns(path: Path, found: Mapping[str, Any], expected: Schema) -> None:
    for name, dtype in expected.items():
        if name not in found:
            raise DataError(f"{path}: no column {name!r}; {nearest(name, found)}")
        if found[name] != dtype:
            raise DataError(f"{path}: column {name!r}: found {found[name]}, expected {dtype}")


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata `write_table` put into a file's footer.

    Raises
    ------
    DataError
        If the file is missing, damaged or not written by itscale.
    """
    metadata = _metadata(path)
    metadata.pop(CONTENT, None)
    return metadata


def content_fault(path: Path, otherwise: str | None = None) -> str:
    """Say that rows of a table were changed since it was written; nothing if they were not.

    A table of a version that kept no record of its content is taken as it is, or has to have the hash
    `otherwise`, as its study's manifest may know it.

    Raises
    ------
    DataError
        If the file is missing, damaged or not written by itscale.
    """
    recorded = _metadata(path).get(CONTENT, otherwise)
    if recorded is None or recorded == (found := payload_hash(path)):
        return ""
    return f"changed since it was written: found content of SHA-256 {found[:12]}, expected {recorded!s:.12}"


def _metadata(path: Path) -> dict[str, Any]:
    try:
        metadata = dict(json.loads(pl.read_parquet_metadata(literal(path))[METADATA_KEY]))
    except FileNotFoundError:
        raise DataError(f"{path}: missing") from None
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())[:120]
        raise DamagedError(f"{path}: not a whole parquet file ({reason})") from None
    except (KeyError, ValueError, TypeError, RecursionError):
        raise DataError(f"{path}: carries no itscale metadata") from None
    for name in ("fingerprint", "inputs"):
        if not isinstance(metadata.get(name, {}), Mapping):
            raise DataError(f"{path}: metadata: {name}: found {metadata[name]!r}, expected keys and values")
    return metadata


def payload_hash(path: Path) -> str:
    """Return the SHA-256 of a file's content; of a parquet file, of its data without the footer.

    The footer holds versions and timings, so two runs with equal data have equal hashes.

    Raises
    ------
    DataError
        If there is no such file.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; {nearest_file(path)}")
    with path.open("rb") as file:
        return _hash(file, _footer_start(file) if path.suffix == ".parquet" else path.stat().st_size)


def _hash(file: IO[bytes], size: int) -> str:
    """Return the SHA-256 of the first bytes of a file."""
    file.seek(0)
    sha = hashlib.sha256()
    for piece in _pieces(file, size):
        sha.update(piece)
    return sha.hexdigest()


def _footer_start(file: IO[bytes]) -> int:
    """Return where the footer of a parquet file begins; the end of a file that is not whole, or is none."""
    size = file.seek(0, os.SEEK_END)
    if size <= 12:
        return size
    file.seek(-8, os.SEEK_END)
    footer, magic = int.from_bytes(file.read(4), "little"), file.read(4)
    return size - 8 - footer if magic == b"PAR1" else size


def _pieces(file: Any, size: int) -> Iterable[bytes]:
    while size > 0:
        piece = file.read(min(size, 1 << 20))
        if not piece:
            return
        size -= len(piece)
        yield piece
