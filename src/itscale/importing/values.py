"""Values of imported texts and numbers: whole numbers, finite ones, right or wrong."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

import polars as pl

__all__ = [
    "LISTS",
    "PARTIAL",
    "TEXTS_OF_ATTEMPTS",
    "correctness",
    "elements_of",
    "is_value",
    "lists_in",
    "number",
    "plain",
    "shown",
    "whole",
]

EXACT = 2.0**53
"""Beyond it, not every whole number is a float."""

_RIGHT = ("1", "true", "t", "yes", "y", "pass", "passed", "p", "correct", "c", "right", "success", "solved")
_WRONG = (
    *("0", "false", "f", "no", "n", "fail", "failed", "incorrect", "i", "wrong", "failure", "unsolved"),
)
WORDS: Mapping[str, int] = dict.fromkeys(_RIGHT, 1) | dict.fromkeys(_WRONG, 0)
"""Texts that say whether an attempt is correct, capital or small. `n` is `no`, or inspect's `no answer`."""

PARTIAL = ("c", "i", "n")
"""Words of inspect's, beside which `p` is a partial success, not a pass."""

TEXTS_OF_ATTEMPTS = r"(?i)^[pf]{2,}$"
"""What can only be the passes and failures of several attempts."""


LISTS = r"(?s)^\s*\[.*\]\s*$"
"""A list as a table of texts has it: Python's, JSON's or NumPy's."""


def elements_of(text: str) -> list[Any]:
    """Return what a text lists: `[0, 0, 1]` its elements, any other text its characters."""
    if not re.match(LISTS, text):
        return list(text.strip())
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list):
            return found
    inner = text.strip()[1:-1].replace(",", " ").split()  # NumPy prints [0 0 1]
    return [one.strip("'\"") for one in inner]


def lists_in(texts: pl.Expr) -> pl.Expr:
    """Return the elements of each text, as texts; see `elements_of`."""
    text = texts.str.strip_chars()
    listed = text.map_elements(_elements, return_dtype=pl.List(pl.String), skip_nulls=True)
    return pl.when(text.str.contains(LISTS)).then(listed).otherwise(text.str.split(""))


def _elements(text: str) -> list[str | None]:
    return [None if one is None else str(one) for one in elements_of(text)]


def is_value(dtype: Any) -> bool:
    """Return whether a column holds a text, a number or a truth value in each row."""
    return dtype.is_numeric() or dtype in (pl.Boolean, pl.String, pl.Null, pl.Categorical, pl.Enum)


def plain(values: pl.Expr, dtype: Any) -> pl.Expr:
    """Return what is given as one of a set of texts as text."""
    return values.cast(pl.String) if dtype in (pl.Categorical, pl.Enum) else values


def number(name: str, dtype: Any) -> pl.Expr:
    """Return a column as Float64, null where it is no number."""
    found = pl.col(name)
    if dtype == pl.String:
        found = found.str.strip_chars()
    return found.cast(pl.Float64, strict=False)


def whole(name: str, dtype: Any) -> pl.Expr:
    """Return a column as Int64, null where it is no whole number (or too large to be told from others)."""
    found = pl.col(name)
    if dtype == pl.String:
        found = found.str.strip_chars()
    if dtype.is_float() or dtype == pl.String:
        real = found.cast(pl.Float64, strict=False)
        rounded = (
            pl.when((real == real.floor()) & (real.abs() < EXACT)).then(real).cast(pl.Int64, strict=False)
        )
        return pl.coalesce(found.cast(pl.Int64, strict=False), rounded) if dtype == pl.String else rounded
    return found.cast(pl.Int64, strict=False)


def correctness(name: str, dtype: Any) -> pl.Expr:
    """Return whether attempts are correct as 1 or 0, null where a value does not say."""
    number = whole(name, dtype)
    said: pl.Expr = pl.when(number.is_in([0, 1])).then(number)
    if dtype == pl.String:
        words = pl.col(name).str.strip_chars().str.to_lowercase()
        said = pl.coalesce(said, words.replace_strict(WORDS, default=None, return_dtype=pl.Int64))
    return said


def shown(value: Any) -> str:
    """Return a value as messages show it: a number as it is, also where it was read as text."""
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return repr(value if len(value) <= 60 else value[:57] + "...")
        return value.strip()
    return repr(value)
