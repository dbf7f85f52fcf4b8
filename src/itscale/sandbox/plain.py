"""Plain data between a program and its judge: what arrives is data of exact built-in types, or nothing.

A program's own objects never reach the judge: an object that equals everything would pass every test. What a
subclass holds arrives as its base class, an iterable of another kind as an iterator, and anything else as an
`Opaque`, which equals nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from typing import Any

__all__ = ["NotPlainError", "Opaque", "pack", "unpack"]

DEEPEST = 100
MOST_ITEMS = 1_000_000
SAFE_INTEGER = 1 << 53
BASES: tuple[Any, ...] = (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset)


class NotPlainError(TypeError):
    """A value that has no plain form."""


class Opaque:
    """Stands for an object of the program that is no data."""

    __slots__ = ()


def pack(value: Any, *, lenient: bool = False) -> bytes:
    """Return a value as bytes.

    Parameters
    ----------
    lenient
        Whether what is not plain is replaced (see the module); otherwise it is refused.

    Raises
    ------
    NotPlainError
        If something in it is of another type, or it is nested too deeply.
    """
    return json.dumps(_packed(value, lenient, 0)).encode()


def unpack(content: bytes) -> Any:
    """Return what `pack` packed.

    Raises
    ------
    NotPlainError
        If the bytes are anything else.
    """
    try:
        return _unpacked(json.loads(content))
    except (ValueError, TypeError, LookupError, RecursionError, OverflowError, AttributeError) as error:
        raise NotPlainError(f"no plain data: {type(error).__name__}") from None


def _packed(value: Any, lenient: bool, depth: int) -> Any:
    if depth > DEEPEST:
        return _otherwise(value, lenient)
    kind = type(value)
    if lenient and kind not in BASES and value is not None:
        return _replaced(value, depth)
    if value is None or kind is bool or kind is str or (kind is int and -SAFE_INTEGER < value < SAFE_INTEGER):
        return value
    if kind is list:
        return [_packed(item, lenient, depth + 1) for item in value]
    if kind in (tuple, set, frozenset):
        return {kind.__name__: [_packed(item, lenient, depth + 1) for item in value]}
    if kind is dict:
        pairs = value.items()
        return {"dict": [[_packed(part, lenient, depth + 1) for part in pair] for pair in pairs]}
    return _scalar(value, kind, lenient)


def _scalar(value: Any, kind: type, lenient: bool) -> Any:
    if kind is int:
        return {"int": hex(value)}
    if kind is float:
        return {"float": value.hex()}
    if kind is complex:
        return {"complex": [value.real.hex(), value.imag.hex()]}
    if kind is bytes:
        return {"bytes": value.hex()}
    return _otherwise(value, lenient)


def _otherwise(value: Any, lenient: bool) -> Any:
    if lenient:
        return {"opaque": None}
    raise NotPlainError(f"{type(value).__name__} is no plain data")


def _replaced(value: Any, depth: int) -> Any:
    """Pack an object of a type of its own; runs beside the program, which may say what it likes."""
    for base in BASES:
        if isinstance(value, base):
            return _packed(base(value), True, depth)
    if isinstance(value, range):
        return {"range": [value.start, value.stop, value.step]}
    if isinstance(value, Iterable):
        items = list(islice(value, MOST_ITEMS + 1))
        if len(items) <= MOST_ITEMS:
            return {"iterator": [_packed(item, True, depth + 1) for item in items]}
    return {"opaque": None}


def _unpacked(value: Any) -> Any:
    if type(value) is list:
        return [_unpacked(item) for item in value]
    if type(value) is not dict:
        return value
    ((kind, content),) = value.items()
    if kind == "opaque":
        return Opaque()
    if kind in ("int", "float", "complex", "bytes", "range"):
        return _UNPACKED_SCALARS[kind](content)
    if kind == "dict":
        return {_unpacked(key): _unpacked(item) for key, item in content}
    items = [_unpacked(item) for item in content]
    return _COLLECTIONS[kind](items)


_COLLECTIONS: dict[str, Any] = {"tuple": tuple, "set": set, "frozenset": frozenset, "iterator": iter}
_UNPACKED_SCALARS: dict[str, Any] = {
    "int": lambda text: int(text, 16),
    "float": float.fromhex,
    "complex": lambda parts: complex(*map(float.fromhex, parts)),
    "bytes": bytes.fromhex,
    "range": lambda parts: range(*parts),
}
