"""Somebody's results, opened: CSV, JSON lines, JSON or parquet, as one lazy table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import and_, or_
from pathlib import Path

import polars as pl

from itscale.errors import DataError, nearest
from itscale.importing.columns import (
    Columns,
    Reached,
    complete_columns,
    field_of,
    guess_columns,
    metadata_keys,
    needed_fields,
    reach,
    score_label,
    steps_of,
)
from itscale.importing.delimited import open_delimited
from itscale.importing.files import ROW, UNREADABLE, check_file, reason
from itscale.importing.records import extract, names_in, read_records
from itscale.importing.values import LISTS, TEXTS_OF_ATTEMPTS, is_value, lists_in, plain

__all__ = ["Where", "columns_of", "open_sources"]

Where = Mapping[str, Sequence[str]]
"""By path of a column, the values whose rows are kept."""

DIVIDING = (
    *("filter", "scorer", "metric", "model", "model_name", "task", "task_name", "dataset", "split"),
    *("temperature", "doc_hash"),
)
"""Names of columns by which results of several kinds lie in one file: filters of lm-eval, models ..."""

_WHERE, _BESIDE = "where\0", "beside\0"
_LISTED = 10


def columns_of(path: Path, mapped: Columns | None = None) -> dict[str, str]:
    """Return what the columns of a file are: as they are mapped, or by their names where nothing is said."""
    if mapped is not None and all(field in mapped for field in needed_fields(mapped)):
        return dict(mapped)
    names = _names_in(path)
    if mapped is None:
        return guess_columns(names, str(path))
    return complete_columns(mapped, names, str(path))


def _names_in(path: Path) -> list[str]:
    """Return the names of a file's columns."""
    kind = check_file(path)
    if kind == ".parquet":
        return _parquet(path).collect_schema().names()
    if kind in (".csv", ".tsv"):
        return [name for name in open_delimited(path, kind).collect_schema().names() if name != ROW]
    names = names_in(read_records(path, kind, ()))
    if not names:
        raise DataError(f"{path}: found no records, expected at least one")
    return list(names)


def open_sources(paths: Sequence[Path], columns: Columns | None, where: Where | None = None) -> pl.LazyFrame:
    """Open files of results as one table with a column per field, one row per attempt (or per count).

    Returns
    -------
    polars.LazyFrame
        `source` (number of the file) and `row` (number of the record in it, from 1), then the fields that
        are mapped (scores as `score_LABEL`), as found: text, numbers or truth values.

    Raises
    ------
    DataError
        If a file is missing or not what its ending says, a column is missing, no row is as `where` says, or
        rows of one problem differ in what divides them (`DIVIDING`) and `where` does not say which are meant.
    """
    if not paths:
        raise DataError("found no file of results, expected at least one")
    tables = [_opened(path, at, columns or columns_of(path), where or {}) for at, path in enumerate(paths)]
    names = [set(table.collect_schema().names()) for table in tables]
    for path, found in zip(paths, names, strict=True):
        here, there = ({name for name in one if not name.startswith(_BESIDE)} for one in (found, names[0]))
        if here != there:
            told, wanted = (", ".join(sorted(map(field_of, one))) for one in (here, there))
            raise DataError(f"{path}: found the fields {told}, expected those of {paths[0]}: {wanted}")
    schemas = [table.collect_schema() for table in tables]
    alike = all(
        len({str(schema[name]) for schema in schemas if name in schema}) == 1 for name in set().union(*names)
    )
    if not alike:  # numbers here, texts there: all of them are read as text
        tables = [table.with_columns(pl.exclude("source", "row").cast(pl.String)) for table in tables]
    table = pl.concat(tables, how="diagonal")
    _refuse_divided(table, paths, columns or {}, where or {})
    return table.select(pl.exclude(f"^{_BESIDE}.*$"))


def _opened(path: Path, number: int, columns: Columns, where: Where) -> pl.LazyFrame:
    kind = check_file(path)
    fields = {_named(field): way for field, way in columns.items()}
    fields |= {f"{_WHERE}{way}": way for way in where}
    beside = {f"{_BESIDE}{name}": name for name in DIVIDING if name not in where}
    try:
        if kind == ".parquet":
            table = _reached(_parquet(path).with_row_index(ROW, offset=1), fields, beside, path)
        elif kind in (".csv", ".tsv"):
            table = _reached(open_delimited(path, kind), fields, beside, path)
        else:
            table = extract(read_records(path, kind, list(fields.values())), fields, beside, path).lazy()
        table = _split_texts(table, fields, path)
        kept = _kept(table, where, path)
        return kept.select(
            pl.lit(number).alias("source"),
            pl.col(ROW).cast(pl.Int64).alias("row"),
            pl.exclude(ROW, *(f"{_WHERE}{way}" for way in where)),
        )
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read as {kind[1:]}: {reason(error)}") from None


def _parquet(path: Path) -> pl.LazyFrame:
    try:
        table = pl.scan_parquet(path, glob=False)
        table.collect_schema()
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read as parquet: {reason(error)}") from None
    return table


def _named(field: str) -> str:
    label = score_label(field)
    return field if label is None else f"score_{label}"


def _reached(
    table: pl.LazyFrame, fields: Mapping[str, str], beside: Mapping[str, str], path: Path
) -> pl.LazyFrame:
    """Select what the paths lead to in a table with types; lists are exploded."""
    schema = {name: dtype for name, dtype in table.collect_schema().items() if name != ROW}
    reached = {name: reach(way, schema, str(path)) for name, way in fields.items()}
    reached |= {
        name: Reached(pl.col(column), schema[column], each=False)
        for name, column in beside.items()
        if column in schema and is_value(schema[column])
    }
    if isinstance(reached.get("correct", Reached(pl.lit(0), pl.Null(), False)).dtype, pl.List | pl.Array):
        found = reached["correct"]
        values = found.values.arr.to_list() if isinstance(found.dtype, pl.Array) else found.values
        reached["correct"] = Reached(values, found.dtype.inner, each=True)
    for name, found in reached.items():
        if metadata_keys(name) and not is_value(found.dtype):
            reached[name] = Reached(_as_json(found.values), pl.String(), each=False)
        elif not is_value(found.dtype):
            way = fields[name]
            hint = ""
            if isinstance(found.dtype, pl.List | pl.Array):
                hint = (
                    f" (one of its elements: {way}[0])"
                    if "[]" in way
                    else f" (each of its elements: {way}[])"
                )
            raise DataError(f"{path}: {way}: found {found.dtype}, expected texts, numbers or 0 and 1{hint}")
    lists = [name for name, found in reached.items() if found.each]
    mapped = table.select(ROW, *(_typed(found).alias(name) for name, found in reached.items()))
    if len(lists) > 1:
        _same_lengths(mapped, lists, path)
    return mapped.explode(lists) if lists else mapped


def _as_json(values: pl.Expr) -> pl.Expr:
    """Return lists and objects as JSON texts."""
    inside = pl.struct(values.alias("v")).struct.json_encode()
    return inside.str.strip_prefix('{"v":').str.strip_suffix("}")


def _typed(found: Reached) -> pl.Expr:
    if not found.each:
        return plain(found.values, found.dtype)
    return found.values.list.eval(plain(pl.element(), found.dtype))


def _same_lengths(table: pl.LazyFrame, lists: Sequence[str], path: Path) -> None:
    lengths = table.select(ROW, *(pl.col(name).list.len() for name in lists))
    differ = pl.any_horizontal(pl.col(name) != pl.col(lists[0]) for name in lists[1:])
    bad = lengths.filter(differ).head(1).collect()
    if len(bad):
        found = ", ".join(f"{bad[name][0]} of {field_of(name)}" for name in lists)
        raise DataError(f"{path}: record {bad[ROW][0]}: found {found}, expected lists of one length")


def _split_texts(table: pl.LazyFrame, fields: Mapping[str, str], path: Path) -> pl.LazyFrame:
    """Make an attempt of each letter where correctness is a text like PPFPF."""
    if "correct" not in fields or "n" in fields or "[]" in fields["correct"]:
        return table
    if table.collect_schema()["correct"] != pl.String:
        return table
    text = pl.col("correct").str.strip_chars()
    several = text.str.contains(TEXTS_OF_ATTEMPTS) | text.str.contains(LISTS)
    if not table.select(several.any()).collect().item():
        return table
    of_problems = {"problem", *(name for name in fields if metadata_keys(name) or "\0" in name)}
    others = sorted(set(fields) - {"correct"} - of_problems)
    if others:
        raise DataError(
            f"{path}: {fields['correct']}: found texts of several attempts, expected no {others[0]!r} beside "
            "them: it is one attempt's"
        )
    return table.with_columns(lists_in(text).alias("correct")).explode("correct")


def _kept(table: pl.LazyFrame, where: Where, path: Path) -> pl.LazyFrame:
    """Keep the rows that are as is wanted; refuse a value that no row has."""
    for way, values in where.items():
        found = pl.col(f"{_WHERE}{way}").cast(pl.String)
        for value in values:
            if not table.select(_alike(found, value).any()).collect().item():
                there = (
                    table.select(found.alias("v")).drop_nulls().unique().head(1000).collect()["v"].to_list()
                )
                shown = nearest(value, there) if len(there) <= _LISTED else f"it has {len(there)} others"
                raise DataError(f"{path}: no row with {way} = {value!r}; {shown}")
    if not where:
        return table
    wanted = [
        reduce(or_, (_alike(pl.col(f"{_WHERE}{way}").cast(pl.String), value) for value in values))
        for way, values in where.items()
    ]
    kept = table.filter(reduce(and_, wanted))
    if not kept.select(pl.len()).collect().item():
        told = " and ".join(f"{way} = {' or '.join(values)}" for way, values in where.items())
        raise DataError(f"{path}: no row with {told}, expected at least one")
    return kept


def _alike(found: pl.Expr, value: str) -> pl.Expr:
    """Return whether texts say the same as a value: as text, as numbers, or both true (or false)."""
    same = found.str.strip_chars() == value
    try:
        same |= found.str.strip_chars().cast(pl.Float64, strict=False) == float(value)
    except ValueError:
        if value.lower() in ("true", "false"):
            same |= found.str.strip_chars().str.to_lowercase() == value.lower()
    return same.fill_null(False)


def _refuse_divided(table: pl.LazyFrame, paths: Sequence[Path], columns: Columns, where: Where) -> None:
    """Refuse several kinds of rows on one problem: they would count as attempts without a word."""
    mapped = {steps_of(way)[0] for way in columns.values()}
    there = [name for name in table.collect_schema().names() if name.startswith(_BESIDE)]
    for name in there:
        column = name.removeprefix(_BESIDE)
        if column in mapped:
            continue
        counts = table.group_by("problem").agg(pl.col(name).drop_nulls().unique().sort())
        mixed = counts.filter(pl.col(name).list.len() > 1).sort("problem").head(1).collect()
        if len(mixed):
            values = [str(value) for value in mixed[name][0]][:_LISTED]
            raise DataError(
                f"{paths[0]}: problem {mixed['problem'][0]!r} has rows of {len(values)} values of {column!r} "
                f"({', '.join(values)}), which are no attempts at one thing; " + _advice(column, values[0])
            )


def _advice(column: str, value: str) -> str:
    if column == "doc_hash":
        return "its id stands for several documents: import each task on its own"
    return f"choose with --where {column}={value} (where: in a study); name several if they are one"
