"""References: options that name another part of the study by its label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel

__all__ = ["ModelLabel", "Referent", "ScorerLabel", "StrategyLabel", "references", "referring"]

Referent = Literal["models", "scorers", "strategies"]


@dataclass(frozen=True)
class _Refers:
    """Marks a text as the label of a part of the study."""

    to: Referent


ModelLabel = Annotated[str, _Refers("models")]
"""Label of a model of the study: it is started with the job, and is a part of the fingerprint."""

ScorerLabel = Annotated[str, _Refers("scorers")]
"""Label of a verifier of the study that gives scores."""

StrategyLabel = Annotated[str, _Refers("strategies")]
"""Label of an exchangeable strategy of the study, of which completions are drawn (`session.inner`)."""


def references(options: BaseModel, to: Referent) -> Iterator[tuple[str, str]]:
    """Yield each option that names a part of the study, and the label it names.

    An option may hold one label, several in a list or as values by key, or None; or options of its own, one
    or several, in lists or not, which name parts.
    """
    named = set(referring(type(options), to))
    for name in type(options).model_fields:
        value = getattr(options, name)
        if name in named:
            yield from ((name, label) for label in _labels(value))
        for one in _nested(value):
            yield from ((name, label) for _, label in references(one, to))


def referring(options: type[BaseModel], to: Referent) -> Iterator[str]:
    """Yield the options that name a part of the study themselves."""
    for name, field in options.model_fields.items():
        marks = [*field.metadata, *_marks(field.annotation)]
        if any(isinstance(mark, _Refers) and mark.to == to for mark in marks):
            yield name


def _marks(annotation: Any) -> Iterator[Any]:
    yield from getattr(annotation, "__metadata__", ())
    for part in get_args(annotation):
        yield from _marks(part)


def _nested(value: Any) -> Iterator[BaseModel]:
    """Yield options among the values of one, in lists of lists and by key, too."""
    if isinstance(value, BaseModel):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _nested(one)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for one in value:
            yield from _nested(one)


def _labels(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from value.values()
    elif value is not None:
        yield from value
