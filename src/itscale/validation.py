"""What pydantic finds wrong with a study or with options, in one line a user can act on."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from itscale.errors import nearest

__all__ = ["first_error"]


def first_error(error: ValidationError, model: type[BaseModel], beside: Sequence[str] = ()) -> str:
    """Say the first thing wrong in one line: the key, what was found, what was expected.

    `beside` are keys that are also right in that place: a section's own, beside its plugin's options.
    """
    detail = error.errors()[0]
    place = ".".join(str(part) for part in detail["loc"]) or "study"
    if detail["type"] == "extra_forbidden":
        above = detail["loc"][:-1]
        known = [*_fields_at(model, above), *(() if above else beside)]
        return f"{place}: unknown key; {nearest(str(detail['loc'][-1]), known)}"
    if detail["type"] == "missing":
        return f"{place}: missing, expected {_description(model, detail['loc'])}"
    if detail["type"] == "value_error":
        return f"{place}: {detail['ctx']['error']}"
    return f"{place}: found {reprlib.repr(detail['input'])}: {detail['msg'][0].lower()}{detail['msg'][1:]}"


def _fields_at(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    here: Any = model
    for part in place:
        fields = getattr(here, "model_fields", {})
        here = fields[part].annotation if part in fields else None
    return list(getattr(here, "model_fields", {}))


def _description(model: type[BaseModel], place: tuple[int | str, ...]) -> str:
    field = model.model_fields.get(str(place[0])) if len(place) == 1 else None
    return (field.description or "a value").rstrip(".").lower() if field else "a value"
