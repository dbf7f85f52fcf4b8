"""YAML that means what it says: keys stand once, numbers are decimal, and every value knows its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from itscale.messages.mistakes import Lines, Mistake, Place

__all__ = ["Document", "NotYaml", "read_yaml"]

MOST_VALUES = 100_000
"""Values of a text, those that an alias repeats counted each time."""

DEEPEST = 100
"""Levels of values inside of values."""

_OCTAL = re.compile(r"[-+]?0[0-9_]+")
_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_PLAIN = (*_NUMBERS, _TEXT, *(f"tag:yaml.org,2002:{name}" for name in ("bool", "null", "timestamp", "value")))
_COLLECTIONS = tuple(f"tag:yaml.org,2002:{name}" for name in ("map", "seq"))


class NotYaml(Exception):  # noqa: N818 - the caller says whose text it is
    """A text that cannot be read as YAML at all; the message says why, in one line."""


@dataclass(frozen=True)
class Document:
    """What a text holds.

    Attributes
    ----------
    data
        Its values, read as YAML 1.1.
    lines
        The line of every value.
    mistakes
        Values that YAML reads as something else than a reader would.
    """

    data: Any
    lines: Lines
    mistakes: tuple[Mistake, ...]


def read_yaml(text: str) -> Document:
    """Read a YAML text and find what in it is not what it seems.

    Of a key that stands twice the last value is kept, so that the rest can be looked at, too.

    Raises
    ------
    NotYaml
        If it is not YAML, or nested too deeply.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return Document(None, {}, ())
        walk = _Walk(loader)
        mistakes = tuple(walk.look(node, (), ()))
        return Document(loader.construct_document(node), walk.lines, mistakes)
    except yaml.MarkedYAMLError as error:
        raise NotYaml(_said(error)) from None
    except (yaml.YAMLError, ValueError, UnicodeError) as error:
        raise NotYaml(" ".join(str(error).replace(' in "<unicode string>",', "").split())[:300]) from None


def _said(error: yaml.MarkedYAMLError) -> str:
    """Return what is wrong and where, both as numbers of lines and columns from 1."""
    parts = []
    for said, mark in ((error.context, error.context_mark), (error.problem, error.problem_mark)):
        where = "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
        parts += [f"{said}{where}"] if said else []
    return " ".join(": ".join(parts).split())[:300]


class _Loader(yaml.SafeLoader):
    """Stops where values are nested more deeply than any study: PyYAML would recurse until Python ends it."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > DEEPEST:
            raise NotYaml(f"it is nested more than {DEEPEST} levels deep")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


class _Walk:
    """Goes through a tree of nodes, notes lines and yields mistakes."""

    def __init__(self, loader: yaml.SafeLoader) -> None:
        self.lines: dict[Place, int] = {}
        self._loader = loader
        self._seen = 0

    def look(self, node: yaml.Node, place: Place, above: tuple[int, ...]) -> Iterator[Mistake]:
        self._seen += 1
        if self._seen > MOST_VALUES:
            raise NotYaml(f"it holds more than {MOST_VALUES:,} values")
        if id(node) in above:
            raise NotYaml("a value contains itself")
        self.lines.setdefault(place, node.start_mark.line + 1)
        if node.tag not in (*_PLAIN, *_COLLECTIONS):
            yield Mistake(place, f"found the tag {node.tag.rpartition(':')[2]}, expected a plain value")
        elif isinstance(node, yaml.MappingNode):
            yield from self._keys(node, place)
            for key, value in node.value:
                if key.tag != _MERGE:
                    yield from self.look(value, (*place, _name(key)), (*above, id(node)))
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                yield from self.look(value, (*place, number), (*above, id(node)))
        elif isinstance(node, yaml.ScalarNode):
            yield from self._scalar(node, place)

    def _keys(self, node: yaml.MappingNode, place: Place) -> Iterator[Mistake]:
        first: dict[str, int] = {}
        for key, _ in node.value:
            name, line = _name(key), key.start_mark.line + 1
            if key.tag == _MERGE:
                continue
            if name in first:
                yield Mistake((*place, name), f"stands twice, in lines {first[name]} and {line}; keep one")
            self.lines[(*place, name)] = line
            first.setdefault(name, line)
            if key.tag != _TEXT:
                yield Mistake(
                    (*place, name), f"the key {name!r} is no text to YAML, expected a name; put it in quotes"
                )
                if isinstance(key, yaml.ScalarNode):
                    key.tag = _TEXT  # what is said of it is said; the rest is read as if it were meant
            else:
                yield from _unfit(name, (*place, name))

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Iterator[Mistake]:
        written = node.value
        if node.tag in _NUMBERS and node.style is None and (_OCTAL.fullmatch(written) or ":" in written):
            value = self._loader.construct_object(node)
            yield Mistake(
                place,
                f"found {written}, which YAML reads as {value}; write {value} if that is meant, or put it in "
                "quotes if it is a text",
            )
        yield from _unfit(written, place)


def _name(key: yaml.Node) -> str:
    return key.value if isinstance(key, yaml.ScalarNode) else "?"


def _unfit(text: str, place: Place) -> Iterator[Mistake]:
    """Yield what no file, no server and no file system takes: half characters, and the null character."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        yield Mistake(place, "found half of a character (a lone surrogate), expected whole ones")
    if "\0" in text:
        yield Mistake(place, "found the null character, expected text without it")
