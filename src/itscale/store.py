"""Parquet in and out: atomic writes, fixed schemas, and metadata that says where a file comes from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from itscale.errors import DataError, nearest

__all__ = [
    "COMPLETIONS",
    "CURVES",
    "FITS",
    "FORECASTS",
    "LEDGER",
    "OUTCOMES",
    "PROBLEMS",
    "VERDICTS",
    "Schema",
    "atomic_path",
    "payload_hash",
    "read_metadata",
    "read_table",
    "write_table",
    "write_text",
]

Schema = Mapping[str, pl.DataType | type[pl.DataType]]

_MESSAGE = pl.Struct({"role": pl.String, "content": pl.String})

PROBLEMS: Schema = {
    "problem_id": pl.String,
    "messages": pl.List(_MESSAGE),
    "reference": pl.String,
    "metadata": pl.String,  # JSON
}

COMPLETIONS: Schema = {
    "problem_id": pl.String,
    "budget": pl.Int32,
    "replicate": pl.Int32,
    "index": pl.Int32,
    "text": pl.String,
    "finish_reason": pl.String,
    "prompt_tokens": pl.Int32,
    "generated_tokens": pl.Int32,
    "logprob": pl.Float64,
    "step_ends": pl.List(pl.Int32),
    "step_tokens": pl.List(pl.Int32),
    "step_logprobs": pl.List(pl.Float64),
    "step_scores": pl.List(pl.Float64),
    "nodes": pl.List(pl.Int32),
    "weight": pl.Float64,
}

LEDGER: Schema = {
    "problem_id": pl.String,
    "budget": pl.Int32,
    "replicate": pl.Int32,
    "start": pl.Int32,  # first completion index of the block (exchangeable), else 0
    "call": pl.String,  # generate, score
    "by": pl.String,  # label of the model, or of the scorer
    "calls": pl.Int64,
    "sequences": pl.Int64,
    "prompt_tokens": pl.Int64,
    "cached_prompt_tokens": pl.Int64,
    "generated_tokens": pl.Int64,
    "seconds": pl.Float64,
}

VERDICTS: Schema = {
    "problem_id": pl.String,
    "budget": pl.Int32,
    "replicate": pl.Int32,
    "index": pl.Int32,
    "answer": pl.String,  # canonical answer, null if unparsable; null from a scorer
    "correct": pl.Boolean,
    "score": pl.Float64,
    "status": pl.String,
    "detail": pl.String,
}

OUTCOMES: Schema = {
    "problem_id": pl.String,
    "budget": pl.Int32,
    "replicate": pl.Int32,
    "index": pl.Int32,
    "answer": pl.String,  # representative of the answer's class, null if unparsable
    "correct": pl.Boolean,
    "status": pl.String,
    "prompt_tokens": pl.Int32,
    "generated_tokens": pl.Int32,
    # one Float64 column `score_{scorer}` per scorer follows
}

CURVES: Schema = {
    "task": pl.String,
    "model": pl.String,
    "strategy": pl.String,
    "selector": pl.String,
    "budget": pl.Int64,  # k: completions per problem
    "generated_tokens": pl.Float64,  # mean per problem at that k, from the ledger
    "prompt_tokens": pl.Float64,
    "estimate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "monte_carlo_error": pl.Float64,
    "problems": pl.Int64,
    "simulated": pl.Boolean,
}

FITS: Schema = {
    "task": pl.String,
    "model": pl.String,
    "strategy": pl.String,
    "law": pl.String,
    "status": pl.String,  # ok, or failed
    "message": pl.String,
    "parameter": pl.String,  # null where the fit failed
    "estimate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "estimand": pl.String,
    "points": pl.Int64,  # points of the curve used
    "problems": pl.Int64,
    "refits": pl.Int64,  # bootstrap refits that succeeded
    "refits_failed": pl.Int64,
    "holdout_from": pl.Int64,  # largest k of the fit that the hold-out error belongs to
    "holdout_error": pl.Float64,  # mean absolute error of coverage at the held-out larger k
    "simulated": pl.Boolean,
}

FORECASTS: Schema = {
    "task": pl.String,
    "model": pl.String,
    "strategy": pl.String,
    "law": pl.String,
    "fitted_to": pl.Int64,  # largest k the fit has seen
    "budget": pl.Float64,
    "role": pl.String,  # fit (inside the data), holdout (data withheld), extrapolation (beyond the data)
    "estimate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "observed": pl.Float64,  # the curve's own estimate, null beyond the data
    "simulated": pl.Boolean,
}

METADATA_KEY = "itscale"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success sync it and rename it to `path`, else remove it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file so that it is whole or absent."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_table(frame: pl.DataFrame, path: Path, metadata: Mapping[str, Any]) -> None:
    """Write a table so that it is whole or absent, with `metadata` (JSON values) in its footer."""
    footer = {METADATA_KEY: json.dumps(metadata, sort_keys=True)}
    with atomic_path(path) as temporary:
        frame.rechunk().write_parquet(temporary, compression="zstd", metadata=footer)


def read_table(path: Path, schema: Schema) -> pl.DataFrame:
    """Read a table and check that it has the columns of `schema`; further columns are kept.

    Raises
    ------
    DataError
        If the file is missing, truncated, no parquet, or has other columns.
    """
    try:
        frame = pl.read_parquet(path)
    except FileNotFoundError:
        raise DataError(f"{path}: missing, expected the table an earlier stage writes") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: not a whole parquet file ({reason}); delete it and run again") from None
    for name, dtype in schema.items():
        if name not in frame.columns:
            raise DataError(f"{path}: no column {name!r}; {nearest(name, frame.columns)}")
        if frame.schema[name] != dtype:
            raise DataError(f"{path}: column {name!r}: found {frame.schema[name]}, expected {dtype}")
    return frame


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata `write_table` put into a file's footer.

    Raises
    ------
    DataError
        If the file is missing, damaged or not written by itscale.
    """
    try:
        return dict(json.loads(pl.read_parquet_metadata(path)[METADATA_KEY]))
    except FileNotFoundError:
        raise DataError(f"{path}: missing") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: not a whole parquet file ({str(error).splitlines()[0]})") from None
    except (KeyError, ValueError):
        raise DataError(f"{path}: carries no itscale metadata") from None


def payload_hash(path: Path) -> str:
    """Return the SHA-256 of a file's content; of a parquet file, of its data without the footer.

    The footer holds versions and timings, so two runs with equal data have equal hashes.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if path.suffix == ".parquet" and size > 12:
            file.seek(-8, os.SEEK_END)
            footer, magic = int.from_bytes(file.read(4), "little"), file.read(4)
            if magic == b"PAR1":  # else it is not whole, and all of it is hashed
                size -= 8 + footer
            file.seek(0)
        sha = hashlib.sha256()
        for piece in _pieces(file, size):
            sha.update(piece)
    return sha.hexdigest()


def _pieces(file: Any, size: int) -> Iterable[bytes]:
    while size > 0:
        piece = file.read(min(size, 1 << 20))
        if not piece:
            return
        size -= len(piece)
        yield piece
