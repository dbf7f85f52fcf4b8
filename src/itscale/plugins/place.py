"""The plugin that a message names, and the checks that all kinds share."""

from __future__ import annotations

import logging
import math
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set, Sized
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Protocol, TypeVar

import numpy as np

from itscale.errors import ContractError
from itscale.outcomes import FloatArray
from itscale.plugins.process import EVERYTHING, LASTING, Part, ProcessState

__all__ = ["LARGEST", "Place", "is_count", "is_number", "real", "shown", "textual"]

LARGEST = 2**31 - 1
"""Largest number of tokens that tables hold."""

NUMBERS = "an array of numbers"

T = TypeVar("T")

logger = logging.getLogger(__name__)
_TOLD: set[tuple[Place, str]] = set()


class _Ingredient(Protocol):
    """An ingredient, as far as it is named and made here."""

    @property
    def label(self) -> str: ...

    @property
    def entry(self) -> Any: ...

    @property
    def options(self) -> Any: ...


@dataclass(frozen=True)
class Place:
    """A plugin, as messages name it.

    Attributes
    ----------
    kind, name
        Of the plugin.
    label
        What the study calls it; shown where it is another than the name.
    """

    kind: str
    name: str
    label: str = ""

    @classmethod
    def of(cls, ingredient: _Ingredient) -> Place:
        """Return the place of an ingredient of a study."""
        return cls(ingredient.entry.kind, ingredient.entry.name, ingredient.label)

    def __str__(self) -> str:
        own = f"{self.kind}/{self.name}"
        return own if self.label in ("", self.name) else f"{own} (label {self.label!r})"

    def broken(self, what: str, found: Any, expected: str, problem: str | None = None) -> ContractError:
        """Return the error that says what a plugin gave.

        Parameters
        ----------
        what
            Which of its words it broke: the method, the field.
        found
            The value it gave; a `str` that `shown` returned is shown as it is.
        expected
            In words.
        problem
            Id of the problem it was about.
        """
        about = "" if problem is None else f"problem {shown(problem)}: "
        return ContractError(f"{self}: {about}{what}: found {shown(found)}, expected {expected}")

    def changed(self, what: str, problem: str) -> ContractError:
        """Return the error that says that a plugin changed the problem that it was given."""
        return self.broken(
            what, Shown("a change of the problem itself"), "the problem as it was given", problem
        )

    def make(self, ingredient: _Ingredient, methods: Iterable[str], **arguments: Any) -> Any:
        """Return what a factory makes of its options; refuse what lacks a method of its kind."""
        with self.undisturbed("factory", LASTING):
            made = ingredient.entry.factory(ingredient.options.model_copy(deep=True), **arguments)
        lacking = [name for name in methods if not callable(getattr(made, name, None))]
        if lacking:
            names = ", ".join(f"{name}()" for name in lacking)
            raise self.broken("factory", made, f"an object with {names}")
        return made

    @contextmanager
    def undisturbed(self, what: str, parts: Sequence[Part] = EVERYTHING) -> Iterator[None]:
        """Put back what a plugin changes of the process, which it shares with others, and say so."""
        state = ProcessState.now(parts)
        try:
            yield
        finally:
            self.put_back(state, what)

    def put_back(self, state: ProcessState, what: str) -> None:
        """Put back what the process was, if it is another now; say once who changed it."""
        for name in state.put_back():
            if (self, name) not in _TOLD:
                _TOLD.add((self, name))
                logger.warning("%s: %s: changed %s, which others share: it was put back", self, what, name)

    @contextmanager
    def kept_alive(self, what: str, problem: str | None = None) -> Iterator[None]:
        """Make an end of the process an error like any other: in a task, it would end the event loop."""
        try:
            yield
        except SystemExit as error:
            raise self.broken(what, error, "an answer, and no end of the process", problem) from None

    def said(self, what: str, ask: Callable[[], T], expected: str) -> T:
        """Return what a callable of an entry says of its options; ContractError if it raises."""
        try:
            return ask()
        except (Exception, SystemExit) as error:  # it is somebody's plugin: it may raise anything
            raise self.broken(what, error, expected) from None

    def as_many(
        self, what: str, things: str, found: Any, of: tuple[int, str], problem: str | None = None
    ) -> list[Any]:
        """Return what was given as a list; refuse what is none, or of another length.

        Parameters
        ----------
        what
            The method that gave it.
        things
            What it should be a list of.
        found
            What was given.
        of
            How many there should be, and one of what for each: `(2, "answers")`.
        problem
            Id of the problem it was about.
        """
        number, each = of
        unordered = isinstance(found, str | bytes | Mapping | Set)
        if unordered or not (isinstance(found, Iterable) and isinstance(found, Sized)):
            raise self.broken(what, found, f"a list of {things}, one for each of {number} {each}", problem)
        values = list(found)
        if len(values) != number:
            counted = Shown(f"{len(values)} {things} for {number} {each} ({shown(values)})")
            raise self.broken(what, counted, "one for each", problem)
        return values

    def numbers(self, what: str, given: Any, problem: str | None = None) -> FloatArray:
        """Return the numbers that were given, in an array that is nobody else's.

        Refused is what NumPy would make numbers of: text, truth values, objects, complex numbers (whose
        imaginary part it drops), masked values (whose number is the one under the mask).
        """
        try:
            values = np.asarray(given)
        except (TypeError, ValueError):
            raise self.broken(what, given, NUMBERS, problem) from None
        if values.dtype.kind not in "iuf" or np.ma.is_masked(given):
            raise self.broken(what, given, NUMBERS, problem)
        return np.array(values, dtype=np.float64)


class Shown(str):
    """A text that stands in a message as it is."""

    __slots__ = ()


class _Short(reprlib.Repr):
    """Representations short enough for a line, of arrays too."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 60
        self.maxlist = self.maxtuple = 4


_SHORT = _Short()


def shown(value: Any) -> str:
    """Return a value as a message shows it: short, in one line."""
    if isinstance(value, Shown):
        return str(value)
    if isinstance(value, Real) and not isinstance(value, bool):  # of numpy's, without their type
        with suppress(Exception):  # more digits than Python writes, or than a float has
            return _SHORT.repr(int(value)) if isinstance(value, Integral) else f"{float(value) + 0.0:.6g}"
        return f"a number of {type(value).__name__}"
    try:
        return " ".join(_SHORT.repr(value).split())
    except Exception:  # a plugin's own class may not even be able to show itself
        return f"an object of {type(value).__name__}"


def real(value: Any) -> float | None:
    """Return a finite number as a plain float, whose comparisons nobody overrides; None of anything else.

    True and False are no numbers, and neither is what no float can hold: 10**400.
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except Exception:  # of a plugin's own class, or too large
        return None
    return number if math.isfinite(number) else None


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number; see `real`."""
    return real(value) is not None


def is_count(value: Any, least: int = 0) -> bool:
    """Return whether a value is a whole number that tables can hold, at least so large."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    return whole and least <= int(value) <= LARGEST


def textual(value: Any) -> bool:
    """Return whether a value is text that can be stored: no half of a character (surrogate) in it."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
