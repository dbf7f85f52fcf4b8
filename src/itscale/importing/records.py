"""JSON as people write it: lines, an array, an object of lists; values are reached by paths."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import polars as pl
from pydantic_core import from_json

from itscale.errors import DataError, nearest
from itscale.importing.columns import (
    EACH,
    MISSING,
    field_of,
    metadata_keys,
    no_column,
    pick,
    refuse_lists_in_lists,
    steps_of,
    written,
)
from itscale.importing.files import ROW, UNREADABLE, lines_of

__all__ = ["extract", "names_in", "read_records"]

Record = dict[str, Any]
LOOKED_AT = 10_000
"""Records in which names are looked for."""
CHUNK = 20_000
"""Records that are turned into columns at a time."""

IDS = ("problem", "problem_id", "task_id", "id")
"""Names that a record has its problem's id under: where it is not the key above, the keys are no problems."""

SUMMARIES = {
    ("results", "configs"): "lm-eval's summary, which has no attempts; give the samples_*.jsonl that "
    "--log_samples writes",
    ("eval", "plan"): "a log of inspect without samples; expected one that has them",
}
"""What an object with such keys, and no list of records, is."""


def read_records(path: Path, kind: str, wanted: Sequence[str]) -> Iterator[tuple[int, Record]]:
    """Yield each record with its number (of JSON lines: of its line), from 1.

    Parameters
    ----------
    wanted
        Paths that are looked for: an object that has them is a record itself, or holds columns.

    Raises
    ------
    DataError
        At what is no JSON or holds no records, with the place.
    """
    lines = lines_of(path)
    roots = [f'"{steps_of(one)[0]}"' for one in wanted]
    first = next((line.strip() for line in lines if line.strip()), "")
    if not first:
        raise DataError(f"{path}: found no records, expected at least one")
    if kind != ".json" and not first.startswith("[") and _is_object(first):
        yield from _lines(lines, path, roots)
        return
    try:
        document = _loaded("\n".join(lines))
    except RecursionError:
        raise DataError(f"{path}: found JSON nested too deeply, expected records") from None
    except ValueError as error:
        if _is_object(first):  # JSON lines under another name
            yield from _lines(lines, path, roots)
            return
        where = f"line {error.lineno}: " if isinstance(error, json.JSONDecodeError) else ""
        raise DataError(f"{path}: {where}no JSON: {_said(error)}") from None
    yield from enumerate(_records_of(document, path, wanted), start=1)


def _said(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg[0].lower()}{error.msg[1:]} at column {error.colno}; is the file whole?"
    return "a number of more digits than can be read"  # Python's own limit


def _is_object(line: str) -> bool:
    try:
        return isinstance(_loaded(line), dict)
    except (ValueError, RecursionError):
        return False


def _lines(lines: Sequence[str], path: Path, roots: Sequence[str]) -> Iterator[tuple[int, Record]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = _loaded(line)
        except RecursionError:
            raise DataError(f"{path}: line {number}: found JSON nested too deeply") from None
        except ValueError as error:
            raise DataError(f"{path}: line {number}: no JSON: {_said(error)}") from None
        if not isinstance(record, dict):
            raise DataError(f"{path}: line {number}: found {_what(record)}, expected an object")
        if any(line.count(root) > 1 for root in roots):
            json.loads(line, object_pairs_hook=partial(_once, path=path, number=number))
        yield number, record


def _once(pairs: Sequence[tuple[str, Any]], path: Path, number: int) -> Record:
    """Return an object; refuse a name that stands twice in it, of which the first would be lost."""
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}: line {number}: {twice!r} stands twice, expected once")
    return record


def _loaded(text: str) -> Any:
    """Return the value of a JSON text; ValueError (or RecursionError) if it is none."""
    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)  # which takes halves of characters, and says better what is wrong


def _records_of(document: Any, path: Path, wanted: Sequence[str]) -> list[Record]:
    """Return the records of a whole document: an array's, or those that an object holds."""
    if isinstance(document, list):
        for number, record in enumerate(document, start=1):
            if not isinstance(record, dict):
                raise DataError(f"{path}: element {number}: found {_what(record)}, expected an object")
        return document
    if not isinstance(document, dict):
        raise DataError(f"{path}: found {_what(document)}, expected an array of objects")
    roots = {steps_of(one)[0] for one in wanted}
    if roots and roots <= document.keys():
        return _columns(document, roots)
    inner = document.get("eval")  # as evalplus calls it
    if found := _by_problem(inner if isinstance(inner, dict) and inner else document):
        return found
    held = [key for key, value in document.items() if _are_records(value)]
    fit = [key for key in held if any(roots <= record.keys() for record in document[key])]
    for chosen in (fit, held):
        if len(chosen) == 1:
            return list(document[chosen[0]])
    for keys, what in SUMMARIES.items():
        if document.keys() >= set(keys):
            raise DataError(f"{path}: found {what}")
    if not held and {"problem", "correct"} <= document.keys():
        return _columns(document, {"problem", "correct"})
    if not held and not any(isinstance(value, dict | list) for value in document.values()):
        return [document]
    raise DataError(
        f"{path}: found an object with {', '.join(map(repr, held or list(document)[:6]))}, expected an array "
        "of records, or an object that holds one"
    )


def _are_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _by_problem(document: Mapping[str, Any]) -> list[Record]:
    """Return the records of an object that holds a list for each problem: of records, or of verdicts."""
    lists = list(document.values())
    if lists and all(_are_records(one) for one in lists):
        pairs = [(key, record) for key, attempts in document.items() for record in attempts]
        named = all(str(record[name]) == key for key, record in pairs for name in IDS if name in record)
        alike = frozenset.intersection(*(frozenset(record) for _, record in pairs))
        if named and alike and (len(lists) > 1 or any(name in pairs[0][1] for name in IDS)):
            return [{"problem": key} | record for key, record in pairs]
    if lists and all(isinstance(one, list) and one and _are_verdicts(one) for one in lists):
        return [{"problem": key, "correct": attempts} for key, attempts in document.items()]
    return []


def _are_verdicts(values: Sequence[Any]) -> bool:
    return all(isinstance(value, bool) or (type(value) is int and value in (0, 1)) for value in values)


def _columns(document: Record, roots: set[str]) -> list[Record]:
    """Return the records of an object of columns, or the object itself where it is one record."""
    columns = {
        key: list(value.values()) if isinstance(value, dict) else value for key, value in document.items()
    }
    problem = next((columns[key] for key in ("problem", "problem_id", "task_id") if key in columns), None)
    if isinstance(problem, list):
        kept = {
            key: value
            for key, value in columns.items()
            if isinstance(value, list) and len(value) == len(problem)
        }
        if roots <= kept.keys():
            return [dict(zip(kept, row, strict=True)) for row in zip(*kept.values(), strict=True)]
    return [document]


def names_in(records: Iterator[tuple[int, Record]]) -> list[str]:
    """Return the names at the top of the first records."""
    names: dict[str, None] = {}
    for place, (_, record) in enumerate(records):
        if place == LOOKED_AT:
            break
        names |= dict.fromkeys(record)
    return list(names)


def extract(
    records: Iterator[tuple[int, Record]], fields: Mapping[str, str], optional: Mapping[str, str], path: Path
) -> pl.DataFrame:
    """Return what the paths lead to, as text, one row per attempt, with the number of the record (`ROW`).

    Parameters
    ----------
    fields
        By the name it is to have, the path of each column; a list it leads to (`[]`, or a list of verdicts)
        makes a row of each element.
    optional
        Those that need not be anywhere.

    Raises
    ------
    DataError
        If a path leads nowhere in any record, to what is no value, or to lists of several lengths.
    """
    parts: list[pl.DataFrame] = []
    first: Record = {}
    while chunk := list(islice(records, CHUNK)):
        first = first or chunk[0][1]
        names = set(chain.from_iterable(record for _, record in chunk))
        there = {name: way for name, way in optional.items() if way in names}
        parts.append(_extracted(chunk, {**fields, **there}, path))
    table = pl.concat(parts, how="diagonal") if parts else pl.DataFrame(schema={ROW: pl.Int64})
    for name, way in fields.items():
        if name not in table.columns:
            raise _nowhere(way, first, path)
    return table


def _extracted(chunk: Sequence[tuple[int, Record]], paths: Mapping[str, str], path: Path) -> pl.DataFrame:
    """Return the columns that paths lead to in some records; those that lead nowhere are left out."""
    numbers = [number for number, _ in chunk]
    values: dict[str, list[Any]] = {}
    for name, way in paths.items():
        flat = len(steps_of(way)) == 1 and "*" not in way
        if not flat and not any(way in record for _, record in chunk):
            refuse_lists_in_lists(way, str(path))
        found = [record.get(way, MISSING) if flat else pick(record, way) for _, record in chunk]
        if any(value is not MISSING for value in found):
            values[name] = found
    listed = [
        name for name, found in values.items() if re.search(r"\[\]|\*", paths[name]) or name == "correct"
    ]
    lists = [name for name in listed if any(isinstance(value, list) for value in values[name])]
    if lists:
        numbers, values = _exploded(numbers, values, lists, path)
    ways = {name: paths[name] for name in values}
    ways |= {name: f"{paths[name]}[]" for name in lists if "[]" not in paths[name]}
    for name in filter(metadata_keys, values):
        values[name] = [json.dumps(one) if isinstance(one, list | dict) else one for one in values[name]]
    texts = {name: _texts(found, numbers, ways[name], path) for name, found in values.items()}
    return pl.DataFrame({ROW: pl.Series(numbers, dtype=pl.Int64), **texts})


def _exploded(
    numbers: Sequence[int], values: Mapping[str, list[Any]], lists: Sequence[str], path: Path
) -> tuple[list[int], dict[str, list[Any]]]:
    """Make a row of each element of lists that lie beside each other."""
    rows: list[int] = []
    columns: dict[str, list[Any]] = {name: [] for name in values}
    for place, number in enumerate(numbers):
        here = {name: values[name][place] for name in lists if isinstance(values[name][place], list)}
        lengths = {len(value) for value in here.values()}
        if len(lengths) > 1:
            told = ", ".join(f"{len(value)} of {field_of(name)}" for name, value in here.items())
            raise DataError(f"{path}: record {number}: found {told}, expected lists of one length")
        many = lengths.pop() if lengths else 1
        rows += [number] * many
        for name, found in values.items():
            columns[name] += here[name] if name in here else [found[place]] * many
    return rows, columns


def _texts(values: list[Any], numbers: Sequence[int], way: str, path: Path) -> pl.Series:
    """Return values of JSON as text; a column of one kind is turned into text at once."""
    kinds = set(map(type, values))
    if len(kinds) == 1 and kinds <= {str, int, bool, float}:
        try:
            return pl.Series(values).cast(pl.String)
        except (UnicodeEncodeError, OverflowError, *UNREADABLE):
            pass  # halves of characters, numbers beyond 64 bits
    texts = [_text(value, path, number, way) for value, number in zip(values, numbers, strict=True)]
    return pl.Series(texts, dtype=pl.String)


def _text(value: Any, path: Path, number: int, way: str) -> str | None:
    if value is None or value is MISSING:
        return None
    if isinstance(value, str):
        # halves of characters (surrogates) cannot be stored
        return (
            value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        )
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if not isinstance(value, list):
        hint = f" (a part of it: {way}.NAME)"
    elif "[]" in way:  # a second [] is refused
        hint = f" (one of its elements: {way}[0])"
    else:
        hint = f" (each of its elements: {way}[])"
    raise DataError(f"{path}: record {number}: {way}: found {_what(value)}, expected a value{hint}")


def _nowhere(way: str, record: Record, path: Path) -> DataError:
    """Say how far a path leads, and what there is instead."""
    here: Any = record
    for step in steps_of(way):
        if isinstance(step, str) and isinstance(here, dict):
            if step not in here:
                if here is record:
                    return no_column(str(path), way if "*" in way else step, record)
                return DataError(f"{path}: no column {step!r} of {way!r}; {nearest(step, here)}")
            here = here[step]
        elif isinstance(here, list) and not isinstance(step, str):
            here = here[0] if here else None
        else:
            wanted = "a list" if step is EACH or isinstance(step, int) else "an object"
            return DataError(
                f"{path}: {way!r}: found {_what(here)} before {written(step)}, expected {wanted}"
                f"{_instead(here)}"
            )
    return no_column(str(path), way, record)


def _instead(found: Any) -> str:
    """Say by which names records that lie under their problems are reached."""
    records = _by_problem(found) if isinstance(found, dict) else []
    return f" (its records are read by their own names: {', '.join(records[0])})" if records else ""


def _what(value: Any) -> str:
    """Name the kind of a JSON value."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
