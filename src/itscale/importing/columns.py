"""Mappings of the columns of imported results to fields, inside lists and objects too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Any, Final

import polars as pl

from itscale.errors import DataError, StudyError, nearest, nearest_name
from itscale.importing.values import elements_of, lists_in

__all__ = [
    "EACH",
    "FIELDS",
    "MISSING",
    "Columns",
    "Reached",
    "field_of",
    "matching",
    "metadata_keys",
    "no_column",
    "parse_columns",
    "parse_where",
    "pick",
    "reach",
    "refuse_lists_in_lists",
    "steps_of",
    "written",
]

FIELDS: Mapping[str, str] = {
    "problem": "the problem's id",
    "attempt": "which attempt at it; the order of rows if left out",
    "correct": "0 or 1, or how many of `n` are",
    "n": "attempts counted in a row: the file holds counts",
    "answer": "the answer; equal texts are equal answers, empty ones none",
    "reference": "the right answer, where an oracle is to judge `answer` by it",
    "score": "a scorer's score, higher is better; `score.LABEL` names the scorer",
    "prompt_tokens": "tokens of the prompt",
    "generated_tokens": "tokens generated",
    "cost": "what the attempt cost",
}
"""What a column can be."""

SYNONYMS = {"problem": ("problem_id", "task_id"), "attempt": ("index",)}
"""Names that columns of a field go by, beside the field's own, where no mapping is given."""

METADATA = re.compile(r"metadata\.(\w+(?:\.\w+)?)")
SCORE = re.compile(r"score(?:[._]([a-z][a-z0-9_]*))?")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(-?\d*)\]")

Columns = Mapping[str, str]
"""By field, the path of its column: `name`, `name.inside`, `name[0]`, `name[].inside` for each of a list."""


def parse_columns(text: str, where: str = "--columns") -> dict[str, str]:
    """Read `problem=idx,correct=infos[].r`.

    Raises
    ------
    StudyError
        At what is no `field=path`, and at an unknown field.
    """
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        field, equals, path = (piece.strip() for piece in part.partition("="))
        if not equals or not path:
            raise StudyError(f"{where}: found {part!r}, expected FIELD=COLUMN")
        if field in found:
            pairs = zip(found[field], path, strict=False)
            alike = "".join(one for one, other in takewhile(lambda pair: pair[0] == pair[1], pairs))
            pattern = f"{alike}*" if alike else "PREFIX*"
            raise StudyError(
                f"{where}: {field!r} stands twice; of several columns, an attempt each, give the pattern: "
                f"{field}={pattern}"
            )
        found[field] = path
    return check_columns(found, where)


def check_columns(columns: Mapping[str, str], where: str) -> dict[str, str]:
    """Refuse fields that there are not, or that do not go together.

    Raises
    ------
    StudyError
        With the field and the nearest right name.
    """
    for field in columns:
        if field not in FIELDS and not SCORE.fullmatch(field) and metadata_keys(field) is None:
            known = [*FIELDS, "score.LABEL", "metadata.NAME"]
            raise StudyError(f"{where}: no field {field!r}; {nearest(field, known)}")
    if "reference" in columns and "correct" in columns:
        raise StudyError(f"{where}: found 'reference' beside 'correct', expected one of them")
    beside = sorted(set(columns) - {"problem", "correct", "n"})
    if "n" in columns and beside:
        raise StudyError(
            f"{where}: found {beside[0]!r} beside 'n', expected none: counts have no single attempts"
        )
    return dict(columns)


def guess_columns(names: Iterable[str], where: str) -> dict[str, str]:
    """Take columns that go by the names of fields for those fields.

    Raises
    ------
    StudyError
        If there is no problem or no correctness.
    """
    names = list(names)
    found = {}
    for field in FIELDS:
        if field == "reference":  # many files have one beside their own verdict
            continue
        there = _named(field, names)
        if there:
            found[field] = there[0]
    found |= {f"score.{match[1]}": name for name in names if (match := SCORE.fullmatch(name)) and match[1]}
    return check_columns(complete_columns(found, names, where), where)


def complete_columns(columns: Columns, names: Iterable[str], where: str) -> dict[str, str]:
    """Add the problem where a column goes by its name; nothing else, which `n` beside it could mean.

    Parameters
    ----------
    columns
        What is mapped.
    names
        Of the columns that there are.

    Raises
    ------
    StudyError
        If there is no problem, or neither correctness nor an answer and its reference.
    """
    names = list(names)
    found = dict(columns)
    for field in needed_fields(columns):
        if field == "problem" and (there := _named(field, names)):
            found.setdefault(field, there[0])
        if field not in found:
            lacking = f"{field!r} is not mapped" if field in names else f"no column {field!r}"
            raise StudyError(
                f"{where}: {lacking}; {nearest(field, names)} (columns: {field}=COLUMN, {FIELDS[field]})"
            )
    return found


def needed_fields(columns: Columns) -> tuple[str, str]:
    """Return the fields that a table must have."""
    return "problem", "answer" if "reference" in columns else "correct"


def _named(field: str, names: Sequence[str]) -> list[str]:
    return [name for name in (field, *SYNONYMS.get(field, ())) if name in names]


def parse_where(texts: Sequence[str], where: str = "--where") -> dict[str, tuple[str, ...]]:
    """Read `filter=strict-match`: by column, the values whose rows are kept.

    Raises
    ------
    StudyError
        At what is no `column=value`.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        column, equals, value = (piece.strip() for piece in text.partition("="))
        if not (column and equals):
            raise StudyError(f"{where}: found {text!r}, expected COLUMN=VALUE")
        found[column] = (*found.get(column, ()), value)
    return found


def score_label(field: str) -> str | None:
    """Return the scorer whose scores a field holds: `score` itself if it names none; None for others."""
    match = SCORE.fullmatch(field)
    return None if match is None else match[1] or "score"


def field_of(name: str) -> str:
    """Return the field that a column of a table under way holds: `score.rm` of `score_rm`."""
    label = score_label(name)
    return name if label is None else "score" if label == "score" else f"score.{label}"


def metadata_keys(field: str) -> tuple[str, ...] | None:
    """Return where in a problem's metadata a field goes: `metadata.choices.A`; None for other fields."""
    match = METADATA.fullmatch(field)
    return tuple(match[1].split(".")) if match else None


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Return the names that a pattern of columns (`pass_*`) stands for: pass_2 before pass_10.

    None where it has no `*`.
    """
    if "*" not in pattern:
        return []
    shape = re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
    found = [name for name in names if shape.fullmatch(name)]
    return sorted(found, key=lambda name: [int(part) if part.isdecimal() else part for part in _parts(name)])


def _parts(name: str) -> list[str]:
    return re.split(r"(\d+)", name)


def no_column(where: str, name: str, names: Iterable[str]) -> DataError:
    """Return the error that a column is missing; of numbered columns all are suggested, never one of them."""
    names = list(names)
    if "*" in name:
        return DataError(f"{where}: no column matches {name!r}; known: {', '.join(names)}")
    near = nearest_name(name, names)
    if near and (stem := near.rstrip("0123456789")) not in ("", near):
        alike = [one for one in matching(f"{stem}*", names) if one[len(stem) :].isdecimal()]
        if len(alike) > 1:
            told = f"did you mean '{stem}*', the {len(alike)} columns {alike[0]} to {alike[-1]}?"
            return DataError(f"{where}: no column {name!r}; {told}")
    return DataError(f"{where}: no column {name!r}; {nearest(name, names)}")


class _Each:
    """Stands for `[]` among the steps of a path."""


class _Missing:
    """Stands for what a path does not lead to."""


EACH: Final = _Each()
MISSING: Final = _Missing()


def refuse_lists_in_lists(path: str, where: str) -> None:
    """Refuse a path with two `[]`; DataError says how one of the lists is named."""
    if path.count("[]") > 1:
        raise DataError(
            f"{where}: {path!r}: found two [], expected one: a list in a list has no order of attempts (take "
            f"one of them: {path.replace('[]', '[0]', 1)})"
        )


def written(step: Any) -> str:
    """Return a step of a path as it is written there."""
    return "[]" if step is EACH else f"[{step}]" if isinstance(step, int) else f".{step}"


@lru_cache(maxsize=256)
def steps_of(path: str) -> tuple[Any, ...]:
    """Return the steps of a path: names, numbers of elements, `EACH`; of what is no path, itself."""
    name = re.split(r"[.\[]", path, maxsplit=1)[0]
    rest = path[len(name) :]
    matches = list(_STEP.finditer(rest))
    if not name or "".join(match[0] for match in matches) != rest:
        return (path,)
    return (
        name,
        *(match[1] if match[1] is not None else int(match[2]) if match[2] else EACH for match in matches),
    )


def pick(record: Any, path: str) -> Any:
    """Follow a path into a record that was read from JSON; `MISSING` where it leads nowhere.

    `[]` gives a list, of a text one of its characters.
    """
    if isinstance(record, dict):
        if path in record:
            return record[path]
        if "*" in path:
            return [record[name] for name in matching(path, record)] or MISSING
    return _pick(record, steps_of(path))


def _pick(here: Any, steps: tuple[Any, ...]) -> Any:
    for place, step in enumerate(steps):
        if here is None:
            return None
        if step is EACH:
            if not isinstance(here, list | str):
                return MISSING
            listed = elements_of(here) if isinstance(here, str) else here
            inner = [_pick(one, steps[place + 1 :]) for one in listed]
            return MISSING if inner and all(one is MISSING for one in inner) else inner or [None]
        if isinstance(step, int):
            if not isinstance(here, list):
                return MISSING
            here = here[step] if -len(here) <= step < len(here) else None
        elif not isinstance(here, dict) or step not in here:
            return MISSING
        else:
            here = here[step]
    return here


@dataclass(frozen=True)
class Reached:
    """A column that a path leads to: its values, their type, and whether they are a list's elements."""

    values: pl.Expr
    dtype: Any
    each: bool


def reach(path: str, schema: Mapping[str, Any], where: str) -> Reached:
    """Follow a path into a table.

    Raises
    ------
    DataError
        Where there is no such column or field, or it is no list or object.
    """
    if path in schema:
        return Reached(pl.col(path), schema[path], each=False)
    if several := matching(path, schema):
        dtypes = {schema[name] for name in several}
        dtype = dtypes.pop() if len(dtypes) == 1 else pl.String()
        return Reached(pl.concat_list(pl.col(name).cast(dtype) for name in several), dtype, each=True)
    name = re.split(r"[.\[]", path, maxsplit=1)[0]
    steps = path[len(name) :]
    if name not in schema or "".join(match[0] for match in _STEP.finditer(steps)) != steps:
        if name in schema:
            raise DataError(f"{where}: no column {path!r}; {nearest(path, schema)}")
        raise no_column(where, path if "*" in path else name if steps else path, schema)
    if "[]" not in steps:
        return Reached(*_follow(pl.col(name), schema[name], steps, path, where), each=False)
    refuse_lists_in_lists(path, where)
    before, after = steps.split("[]", 1)
    outer, dtype = _follow(pl.col(name), schema[name], before, path, where)
    if dtype == pl.String and not after:
        return Reached(lists_in(outer), pl.String(), each=True)
    if not isinstance(dtype, pl.List | pl.Array):
        raise DataError(f"{where}: {path!r}: found {dtype} before [], expected a list")
    inner, inside = _follow(pl.element(), dtype.inner, after, path, where)
    lists = outer.arr.to_list() if isinstance(dtype, pl.Array) else outer
    return Reached(lists.list.eval(inner) if after else lists, inside, each=True)


def _follow(values: pl.Expr, dtype: Any, steps: str, path: str, where: str) -> tuple[pl.Expr, Any]:
    """Follow `.name` and `[number]`, one after the other."""
    for match in _STEP.finditer(steps):
        field, number = match[1], match[2]
        if field is not None:
            fields = {one.name: one.dtype for one in dtype.fields} if isinstance(dtype, pl.Struct) else {}
            if field not in fields:
                raise DataError(f"{where}: {path!r}: no field {field!r} in {dtype}; {nearest(field, fields)}")
            values, dtype = values.struct.field(field), fields[field]
        else:
            if not isinstance(dtype, pl.List | pl.Array):
                raise DataError(f"{where}: {path!r}: found {dtype} before [{number}], expected a list")
            access = values.arr if isinstance(dtype, pl.Array) else values.list
            values, dtype = access.get(int(number), null_on_oob=True), dtype.inner
    return values, dtype
