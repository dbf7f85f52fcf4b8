"""Rows as tables of a schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from itscale.store.schemas import Schema

__all__ = ["named_rows"]


def named_rows(
    rows: Iterable[Mapping[str, Any]], schema: Schema, identity: Mapping[str, Any] | None = None
) -> pl.DataFrame:
    """Return rows as a table of a schema, `identity` on each of them; what is in neither is null."""
    known = [{name: {**(identity or {}), **row}.get(name) for name in schema} for row in rows]
    return pl.DataFrame(known, schema=dict(schema), orient="row")
