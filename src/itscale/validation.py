"""What pydantic finds wrong with a study or with options, in one line a user can act on."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from itscale.errors import nearest

__all__ = ["first_error", "parse_yaml"]


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one place: the first would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark
                )
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def parse_yaml(text: str) -> Any:
    """Return the values of a YAML text; yaml.YAMLError if it is none, or has a key twice in one place."""
    return yaml.load(text, Loader=_Loader)


def first_error(error: ValidationError, model: type[BaseModel], beside: Sequence[str] = ()) -> str:
    """Say the first thing wrong in one line: the key, what was found, what was expected.

    `beside` are keys that are also right in that place: a section's own, beside its plugin's options.
    """
    detail = error.errors()[0]
    place = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        above = detail["loc"][:-1]
        known = [*_fields_at(model, above), *(() if above else beside)]
        return f"{place}: unknown key; {nearest(str(detail['loc'][-1]), known)}"
    if detail["type"] == "missing":
        return f"{place}: missing, expected {_description(model, detail['loc'])}"
    if detail["type"] == "value_error":
        return f"{place}: {detail['ctx']['error']}".removeprefix(": ")
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
