"""Correctness that a file does not give: each answer judged by its reference."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from itscale.boundary.verifiers import CheckedOracle
from itscale.errors import DataError, StudyError, UserError, nearest
from itscale.importing.columns import metadata_keys
from itscale.messages.mistakes import MistakesError
from itscale.messages.validation import validate
from itscale.plugins.entries import VerifierEntry
from itscale.plugins.names import meant
from itscale.plugins.registry import registry
from itscale.types import Problem, Verdict

if TYPE_CHECKING:
    from itscale.plugins.ingredient import Ingredient

__all__ = ["judged", "options_in", "oracle_named"]

Judge = Callable[[Any, Problem, Sequence[str], str], list[tuple[str | None, Verdict]]]
"""`itscale.stages.verification.judge`: the answer in each text and the verdict on it."""


def oracle_named(name: str, where: str, options: dict[str, Any] | None = None) -> Ingredient[VerifierEntry]:
    """Return an installed oracle.

    Raises
    ------
    StudyError, PluginError
        If there is none of that name, it is a scorer, or an option is wrong.
    """
    from itscale.plugins.ingredient import Ingredient

    oracles = {
        known: entry
        for known, entry in registry().entries(("verifiers",)).items()
        if isinstance(entry, VerifierEntry) and entry.role == "oracle"
    }
    if name.rpartition("/")[2] not in oracles:
        near = meant(name, oracles)
        hint = f"did you mean {near!r}?" if near else nearest(name, {one.name for one in oracles.values()})
        raise StudyError(f"{where}: no oracle {name!r}; {hint}")
    plugin = registry().get("verifiers", name)
    checked, mistakes = validate(plugin.entry.options, options or {})
    if mistakes or checked is None:
        raise MistakesError(where, mistakes)
    found: Any = plugin.entry
    return Ingredient(name, found, checked, plugin.distribution, plugin.version)


def options_in(text: str, where: str) -> dict[str, Any]:
    """Return options that are written as a JSON object.

    Raises
    ------
    StudyError
        If they are anything else.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{where}: found {text[:60]!r}, expected a JSON object ({error})") from None
    if not isinstance(found, dict):
        raise StudyError(f"{where}: found {text[:60]}, expected a JSON object")
    return found


def judged(rows: pl.DataFrame, oracle: CheckedOracle, label: str, judge: Judge, path: str) -> pl.DataFrame:
    """Put correctness, status and the class of each answer beside attempts with `answer` and `reference`.

    Parameters
    ----------
    rows
        Attempts of whole problems; a problem has one reference.
    oracle, label
        What judges, and what messages call it.
    judge
        What finds the answer in a text and judges it.

    Raises
    ------
    DataError
        If a problem has no reference or several, or the oracle cannot judge.
    """
    parts = []
    for part in rows.partition_by("problem", maintain_order=True):
        name = part["problem"][0]
        references = part["reference"].unique(maintain_order=True).to_list()
        if len(references) > 1 or not (references[0] or "").strip():
            found = f"{len(references)} ({references[:2]})" if len(references) > 1 else "nothing"
            raise DataError(f"{path}: problem {name!r}: reference: found {found}, expected one right answer")
        metadata = _metadata(part, f"{path}: problem {name!r}")
        problem = Problem(problem_id=name, messages=(), reference=references[0], metadata=metadata)
        texts = part["answer"].fill_null("").to_list()
        try:
            said = judge(oracle, problem, texts, label)
            known = sorted({answer for answer, _ in said if answer is not None})
            classes = dict(zip(known, oracle.classes(known, name), strict=True))
        except UserError:
            raise
        except Exception as error:  # a plugin's, on data that are not of its own task
            words = " ".join(str(error).split())[:120]
            raise DataError(
                f"{path}: problem {name!r}: {label} cannot judge it ({type(error).__name__}: "
                f"{words}); expected an oracle that needs no more than answer, reference and the metadata "
                "that are mapped (metadata.NAME=COLUMN)"
            ) from None
        parts.append(
            part.with_columns(
                pl.Series("answer", [None if a is None else classes[a] for a, _ in said], dtype=pl.String),
                pl.Series("correct", [int(bool(verdict.correct)) for _, verdict in said], dtype=pl.Int64),
                pl.Series("status", [verdict.status for _, verdict in said], dtype=pl.String),
            )
        )
    return pl.concat(parts)


def _metadata(attempts: pl.DataFrame, where: str) -> dict[str, Any]:
    """Return the metadata of a problem, by the fields that say where they go.

    Raises
    ------
    DataError
        If its attempts differ in them.
    """
    found: dict[str, Any] = {}
    for field in attempts.columns:
        if (keys := metadata_keys(field)) is None:
            continue
        texts = attempts[field].unique(maintain_order=True).to_list()
        if len(texts) > 1:
            raise DataError(
                f"{where}: {field}: found {len(texts)} ({texts[:2]}), expected the same throughout"
            )
        inside = found
        for key in keys[:-1]:
            inside = inside.setdefault(key, {})
        inside[keys[-1]] = _value(texts[0])
    return found


def _value(text: str | None) -> Any:
    """Return a list or an object that a text holds, as JSON or Python writes them; else the text."""
    if text and text.lstrip()[:1] in ("[", "{"):
        for read in (json.loads, ast.literal_eval):
            try:
                return read(text.strip())
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
    return text
