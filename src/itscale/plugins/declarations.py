"""Declarations of an entry: every field of its annotated type, every callable callable as it will be."""

from __future__ import annotations

import inspect
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, ClassVar, Protocol, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from itscale.errors import PluginError, nearest

__all__ = ["check_declaration"]

_QUOTED = re.compile(r"'([^']*)'")


class Declared(Protocol):
    """What is checked of an entry beside the types of its fields."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    kind: ClassVar[Any]
    calls: ClassVar[Mapping[str, tuple[str, ...]]]

    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> int: ...
    @property
    def summary(self) -> str: ...


def check_declaration(entry: Declared) -> None:
    """Refuse an entry that could not be used, or would be used for something else than it says.

    Raises
    ------
    PluginError
        With kind, name and field, what was found and what was expected.
    """
    place = f"{entry.kind}/{entry.name}"
    for name, adapter in _adapters(type(entry)).items():
        try:
            adapter.validate_python(getattr(entry, name))
        except ValidationError as error:
            raise PluginError(f"{place}: {name}: {_said(error, getattr(entry, name))}") from None
    if entry.revision < 1:
        raise PluginError(f"{place}: revision: found {entry.revision}, expected at least 1")
    if len(entry.summary.splitlines()) > 1:
        raise PluginError(f"{place}: summary: found {reprlib.repr(entry.summary)}, expected one line")
    for name, arguments in entry.calls.items():
        _check_call(getattr(entry, name), arguments, f"{place}: {name}")


@cache
def _adapters(record: Any) -> Mapping[str, TypeAdapter[Any]]:
    """Return what each field of a record must be, by its annotation."""
    hints = get_type_hints(record)
    config = ConfigDict(arbitrary_types_allowed=True, strict=True)
    return {one.name: TypeAdapter(hints[one.name], config=config) for one in fields(record)}


def _said(error: ValidationError, value: Any) -> str:
    """Say in words what is wrong with a field."""
    detail = error.errors()[0]
    found = detail["input"] if detail["loc"] else value
    expected = detail.get("ctx", {}).get("expected")
    if detail["type"] == "literal_error" and isinstance(found, str) and expected:
        known = _QUOTED.findall(expected)
        hint = nearest(found, known)
        return f"found {found!r}, expected {expected}" + (f"; {hint}" if hint.startswith("did") else "")
    wanted = detail["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return f"found {reprlib.repr(found)}, expected {wanted}"


def _check_call(function: Callable[..., Any] | None, arguments: tuple[str, ...], place: str) -> None:
    """Refuse a callable that cannot take the arguments it will get; one not written in Python is let pass."""
    if function is None or getattr(function, "__module__", None) == "builtins":
        return
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    by_name = {name.removesuffix("="): None for name in arguments if name.endswith("=")}
    by_place = [name for name in arguments if not name.endswith("=")]
    try:
        signature.bind(*by_place, **by_name)
    except TypeError as error:
        called = ", ".join(name + "..." * name.endswith("=") for name in arguments)
        raise PluginError(
            f"{place}: found the signature {signature}, expected one to be called as ({called}): {error}"
        ) from None
