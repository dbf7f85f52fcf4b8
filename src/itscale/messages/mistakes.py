"""Mistakes in a study: each has a place, says what would be right, and all of them are shown at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from itscale.errors import StudyError
from itscale.messages.printable import one_line

__all__ = ["Lines", "Mistake", "MistakesError", "Place", "dotted", "in_order", "independent"]

Place = tuple[str | int, ...]
"""Keys, and positions in lists, from the top of a study down."""

Lines = Mapping[Place, int]
"""The line of the file, from 1, on which the value of a place begins."""

LONGEST_KEY = 80
"""Characters of a key that are shown."""


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong.

    Attributes
    ----------
    place
        Where.
    message
        In words, what was found and what was expected.
    meant
        The key beside it that was meant, of one that is unknown: what it lacks follows from this mistake.
    """

    place: Place
    message: str
    meant: str = ""

    def __str__(self) -> str:
        """Return the mistake in one line."""
        said = f"{dotted(self.place)}: {self.message}" if self.place else self.message
        return " ".join(said.split())


class MistakesError(StudyError):
    """All that is wrong with a study, a line each, in the order of the file.

    Attributes
    ----------
    mistakes
        What is wrong.
    """

    def __init__(self, where: str, mistakes: Iterable[Mistake], lines: Lines | None = None) -> None:
        self.mistakes = in_order(mistakes, lines or {})
        super().__init__("\n".join(one_line(_said(where, one, lines or {})) for one in self.mistakes))

    def lines(self) -> list[str]:
        """Return a line for every mistake."""
        return str(self).splitlines()


def dotted(place: Place) -> str:
    """Return a place as it is written in messages: `strategies.search.budgets.1`."""
    keys = (str(key) for key in place)
    return ".".join(key if len(key) <= LONGEST_KEY else f"{key[:LONGEST_KEY]}..." for key in keys)


def in_order(mistakes: Iterable[Mistake], lines: Lines) -> list[Mistake]:
    """Return mistakes by their line where it is known, then by their place; equal ones once."""

    def key(found: Mistake) -> tuple[int, list[str], str]:
        return _line(found.place, lines) or 0, [str(key) for key in found.place], found.message

    return sorted(set(mistakes), key=key)


def independent(earlier: Sequence[Mistake], later: Iterable[Mistake]) -> list[Mistake]:
    """Return the mistakes that may not follow from earlier ones.

    None of them is at the place of an earlier one or below it, nor says of a whole section what may be so
    because something in it is wrong.
    """
    known = [place for found in earlier for place in _covered(found)]
    sections = {place[:1] for place in known}
    return [
        found
        for found in later
        if not any(found.place[: len(place)] == place for place in known) and found.place not in sections
    ]


def _covered(mistake: Mistake) -> list[Place]:
    """Return the places about which nothing is known: of a list with a wrong element, all of it."""
    place = mistake.place
    while place and isinstance(place[-1], int):
        place = place[:-1]
    beside = [(*place[:-1], mistake.meant)] if mistake.meant else []
    return [place, *beside] if place else []


def _said(where: str, mistake: Mistake, lines: Lines) -> str:
    line = _line(mistake.place, lines)
    return f"{where}:{line}: {mistake}" if line else f"{where}: {mistake}"


def _line(place: Place, lines: Lines) -> int | None:
    """Return the line of a place, or of the nearest one above that stands in the file."""
    for length in range(len(place), 0, -1):
        if place[:length] in lines:
            return lines[place[:length]]
    return None
