"""Pydantic's complaints about a study or options, as mistakes that a user can act on."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from itscale.errors import nearest, nearest_name
from itscale.messages.mistakes import Mistake, Place, independent

__all__ = ["mistakes_of", "validate"]

M = TypeVar("M", bound=BaseModel)

LARGEST = 2**63 - 1
"""Largest whole number that tables hold."""

_EXPECTED: Mapping[str, str] = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "keys and values",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "int_type": "a whole number",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "mapping_type": "keys and values",
    "model_attributes_type": "keys and values",
    "model_type": "keys and values",
    "none_required": "nothing",
    "path_type": "a path",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "string_type": "a text",
    "string_unicode": "whole characters",
    "too_long": "at most {max_length}",
    "too_short": "at least {min_length}",
    "tuple_type": "a list",
}
"""By pydantic's type of error, what was expected instead."""

_DID_YOU_MEAN = re.compile(r"unknown key; did you mean '(.*)'\?")

_EXPONENT = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+")

_PATTERNS: Mapping[str, str] = {
    r"^[a-z][a-z0-9_]*$": "a name of lower-case letters, digits and '_', with a letter first",
}


def validate(
    model: type[M],
    data: Mapping[str, Any],
    *,
    place: Place = (),
    beside: Sequence[str] = (),
    instead: Mapping[str, Any] | None = None,
) -> tuple[M | None, list[Mistake]]:
    """Validate values, and go on without those that are wrong, so that all mistakes are found.

    Parameters
    ----------
    model
        What they should be.
    data
        The values.
    place
        Where they stand in a study.
    beside
        Keys that are also right in that place: a section's own, beside its plugin's options.
    instead
        What stands in for keys that are missing, so that the rest can be looked at; they are mistakes still.

    Returns
    -------
    validated
        The model without what is wrong, or None where something is missing that has no default.
    mistakes
        What is wrong.
    """
    left: Any = _copy(data)
    found: list[Mistake] = []
    while True:
        try:
            validated = model.model_validate(left)
        except ValidationError as error:
            mistakes = mistakes_of(error, model, left, beside)
            found += independent(found, mistakes)
            lacking = {key: value for key, value in (instead or {}).items() if key not in left}
            removed = [_remove(left, mistake.place) for mistake in mistakes]
            if not (any(removed) or lacking):
                validated = None
                break
            left |= lacking
        else:
            found += independent(found, _improper(left, validated, ()))
            break
    return validated, [replace(mistake, place=(*place, *mistake.place)) for mistake in found]


def mistakes_of(
    error: ValidationError, model: type[BaseModel], data: Any, beside: Sequence[str] = ()
) -> list[Mistake]:
    """Return what pydantic found, one mistake for each place of the data.

    Where a value may be one of several things, pydantic says of each why it is not: these are one mistake.
    """
    by_place: dict[Place, list[str]] = {}
    for detail in error.errors(include_url=False):
        place = _place(detail, data)
        messages = by_place.setdefault(place, [])
        if (message := _message(detail, model, place, beside)) not in messages:
            messages.append(message)
    return [
        Mistake(place, _joined(messages), _meant(messages[0]))
        for place, messages in by_place.items()
        # without its wrong elements, a list may be too short, too
        if not any(len(other) > len(place) and other[: len(place)] == place for other in by_place)
    ]


def _meant(message: str) -> str:
    match = _DID_YOU_MEAN.fullmatch(message)
    return match[1] if match else ""


def _place(detail: Any, data: Any) -> Place:
    """Return where in the data an error is: without the names of alternatives that pydantic puts between."""
    here, place = data, []
    location = detail["loc"]
    for number, part in enumerate(location):
        inside = (isinstance(here, Mapping) and part in here) or (
            isinstance(here, list | tuple) and isinstance(part, int) and part < len(here)
        )
        if inside:
            here = here[part]
            place.append(part)
        elif number == len(location) - 1 and detail["type"] == "missing":
            place.append(part)
    return tuple(place)


def _message(detail: Any, model: type[BaseModel], place: Place, beside: Sequence[str]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        known = [*_fields_at(model, place[:-1]), *(() if place[:-1] else beside)]
        return f"unknown key; {nearest(str(place[-1]), known)}"
    if kind == "missing":
        return f"missing, expected {_description(model, place)}"
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    found = f"found {_shown(detail['input'])}"
    if kind == "string_pattern_mismatch":
        pattern = detail["ctx"]["pattern"]
        return f"{found}, expected {_PATTERNS.get(pattern, f'a text that matches {pattern}')}"
    if kind == "literal_error" and isinstance(detail["input"], str):
        known = [name.strip("'") for name in detail["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        near = nearest_name(detail["input"], known)
        hint = f"; did you mean {near!r}?" if near else ""
        return f"{found}, expected {detail['ctx']['expected']}{hint}"
    if kind in _EXPECTED:
        return f"{found}, expected {_EXPECTED[kind].format_map(_Numbers(detail.get('ctx', {})))}"
    return f"{found}: {detail['msg'][0].lower()}{detail['msg'][1:]}"


class _Numbers(dict[str, Any]):
    """Values of a message: numbers as people write them."""

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if isinstance(value, float):
            return f"{value:,.15g}"
        return f"{value:,}" if isinstance(value, int) else value


def _joined(messages: Sequence[str]) -> str:
    """Put what was expected of one value into one sentence."""
    first, *others = messages
    head = first.partition(", expected ")[0] + ", expected "
    if others and all(message.startswith(head) for message in messages):
        return first + "".join(f", or {message.removeprefix(head)}" for message in others)
    return "; ".join(messages)


def _shown(value: Any) -> str:
    """Return a value as YAML writes it, shortened."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    return reprlib.repr(value)


def _improper(raw: Any, value: Any, place: Place) -> Iterator[Mistake]:
    """Yield values that pydantic takes and no study means.

    A text or truth for a number, a text or a number for truth, what is not finite, 10^400.
    """
    if isinstance(raw, Mapping):
        for key, part in raw.items():
            inner = value.get(key) if isinstance(value, Mapping) else getattr(value, str(key), part)
            yield from _improper(part, inner, (*place, key))
    elif isinstance(raw, list | tuple):
        same = isinstance(value, list | tuple) and len(value) == len(raw)
        for number, part in enumerate(raw):
            yield from _improper(part, value[number] if same else part, (*place, number))
    elif isinstance(raw, bool):
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield Mistake(place, f"found {_shown(raw)}, expected a number")
    elif isinstance(raw, str | int | float) and isinstance(value, bool):
        yield Mistake(place, f"found {_shown(raw)}, expected true or false")
    elif isinstance(raw, str) and isinstance(value, int | float) and _says_a_number(raw):
        yield Mistake(place, f"found the text {_shown(raw)}, expected a number, without quotes")
    else:
        yield from (Mistake(place, f"found {_shown(raw)}, expected {it}") for it in _bounds((raw, value)))


def _says_a_number(text: str) -> bool:
    """Return whether a text is a number in quotes; `1e-3`, a text to YAML 1.1, is meant as one."""
    try:
        float(text)
    except ValueError:
        return False  # an option may turn it into a number by itself
    return _EXPONENT.fullmatch(text) is None


def _bounds(values: Iterable[Any]) -> list[str]:
    numbers = [one for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
    if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
        return ["a finite number"]
    if any(isinstance(number, int) and abs(number) > LARGEST for number in numbers):
        return [f"at most {LARGEST:,}"]
    return []


def _copy(value: Any) -> Any:
    """Return plain values that can be taken apart."""
    if isinstance(value, Mapping):
        return {key: _copy(part) for key, part in value.items()}
    return [_copy(part) for part in value] if isinstance(value, list | tuple) else value


def _remove(data: Any, place: Place) -> bool:
    """Take a value out of the data, or what it is missing from; return whether there was something."""
    above = [data]
    for part in place:
        try:
            above.append(above[-1][part])
        except (KeyError, IndexError, TypeError):
            break
    if len(above) < 2:
        return False
    key = place[len(above) - 2]
    # an element of a list is not taken out: those behind it would move
    if isinstance(above[-2], list):
        return _remove(data, place[: len(above) - 2])
    del above[-2][key]
    return True


def _models_at(model: type[BaseModel], place: Place) -> list[type[BaseModel]]:
    """Return the models that the values at a place may be."""
    models = [model]
    for part in place:
        types = [one.model_fields[part].annotation for one in models if part in one.model_fields]
        if types:  # else it is a label: the models of the values of a mapping are those of the mapping
            models = [found for one in types for found in _models_in(one)]
    return models


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _models_in(part)]


def _fields_at(model: type[BaseModel], place: Place) -> list[str]:
    return [name for one in _models_at(model, place) for name in one.model_fields]


def _description(model: type[BaseModel], place: Place) -> str:
    for one in _models_at(model, place[:-1]):
        if (field := one.model_fields.get(str(place[-1]))) and field.description:
            return _begun(field.description).rstrip(".").partition(": ")[0]
    return "a value"


def _begun(sentence: str) -> str:
    """Return a sentence to go on with: its first letter is small, unless that of an acronym."""
    return sentence if sentence[1:2].isupper() else f"{sentence[0].lower()}{sentence[1:]}"
