"""Valid values in imported results, and likely meanings of invalid ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import polars as pl

__all__ = ["FOUND", "MOST_ATTEMPTS", "MOST_TOKENS", "TOKENS", "WHOLE", "checks_of", "hint"]

MOST_ATTEMPTS = 10_000_000
"""Attempts at one problem: they are in memory while they are selected from."""

MOST_TOKENS = 2**31 - 1
"""Tokens of one attempt, as columns of outcomes hold them."""

TOKENS = ("prompt_tokens", "generated_tokens")
WHOLE = ("n", *TOKENS)
FOUND = "\0found"
"""Ends the names of columns as they were found, beside what they were read as."""


def checks_of(names: Sequence[str]) -> list[tuple[str, pl.Expr, str]]:
    """Return by field when a row is wrong, and what is expected instead.

    Each field is a column as it was read (null where it is not what it is meant to be), and one as it was
    found, whose name ends in `FOUND`.
    """
    checks: list[tuple[str, pl.Expr, str]] = [
        ("problem", (pl.col("problem").str.strip_chars() == "").fill_null(True), "an id")
    ]
    given = {name: pl.col(f"{name}{FOUND}").is_not_null() for name in names}
    if "attempt" in names:
        checks.append(("attempt", pl.col("attempt").is_null(), "a number"))
    for name in (name for name in TOKENS if name in names):
        bad = ~pl.col(name).is_between(0, MOST_TOKENS).fill_null(False)
        checks.append((name, given[name] & bad, f"0 or more, a whole number up to {MOST_TOKENS:,}"))
    if "cost" in names:
        bad = ~(pl.col("cost").is_finite() & (pl.col("cost") >= 0)).fill_null(False)
        checks.append(("cost", given["cost"] & bad, "0 or more, a finite number"))
    if "n" in names:
        n, correct = pl.col("n"), pl.col("correct")
        fine = n.is_between(1, MOST_ATTEMPTS).fill_null(False)
        checks.append(("n", ~fine, f"at least 1 attempt, a whole number up to {MOST_ATTEMPTS:,}"))
        checks.append(("correct", ~correct.is_between(0, n).fill_null(False), "0 to n, a whole number"))
    elif "correct" in names:
        checks.append(("correct", pl.col("correct").is_null(), "0 or 1"))
    checks += [
        (name, given[name] & ~pl.col(name).is_finite().fill_null(False), "a finite number")
        for name in names
        if name.startswith("score_")
    ]
    return checks


def hint(name: str, path: str, value: Any, *, counted: bool) -> str:
    """Say what a wrong value may have been meant as."""
    text = str(value).strip()
    if name == "correct" and not counted:
        if isinstance(value, str) and re.fullmatch("[01]{2,}", text):
            return f" (attempts, each a digit: correct={path}[])"
        if re.fullmatch(r"\d+(\.0)?", text):
            return " (how many are: map n as well)"
        if value is None or text.lower() in ("", "na", "nan", "none", "null"):
            return " (an attempt without a verdict is wrong, or left out by where)"
        if text and not re.match(r"[-+.\d]", text):
            return ", or a word for them: pass or fail, correct or incorrect, true or false, yes or no"
    if name == "n" and counted and re.fullmatch(r"\d+,\d+", text):
        return " (a number has no commas)"
    if re.fullmatch(r"-?\d+,\d+", text):
        return " (a decimal point, not a comma)"
    return ""
