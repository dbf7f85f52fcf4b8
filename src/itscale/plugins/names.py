"""Names of plugins as people write them, and the registered ones that they mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from itscale.errors import are_opposite, nearest_name
from itscale.plugins.entries import Entry

__all__ = ["identifier", "meant"]

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])")
_NUMBER = re.compile(r"(?<=_)\d+$")
LETTERS = ("k", "n")
"""What stands for a number in names: `maj@64` is `maj@k`."""


def identifier(text: str) -> str:
    """Return a name as labels are written: `pass@k` is `pass_at_k`, `Best-of-N` is `best_of_n`.

    Empty where nothing is left of it.
    """
    spelt = _CAMEL.sub("_", text).lower().replace("@", "_at_").replace("^", "_hat_")
    return re.sub(r"_+", "_", re.sub(r"[^a-z0-9]", "_", spelt)).strip("_")


def meant(name: str, entries: Mapping[str, Entry]) -> str | None:
    """Return the name of the entry that a name was meant as, None if none is near.

    Parameters
    ----------
    entries
        By every name they answer to.
    """
    for spelling in _spellings(name):
        if spelling in entries:
            return entries[spelling].name
    opposite = {entry.name for known, entry in entries.items() if are_opposite(identifier(name), known)}
    fit = {known: entry for known, entry in entries.items() if entry.name not in opposite}
    near = next(filter(None, (nearest_name(spelling, fit) for spelling in _spellings(name))), None)
    return None if near is None else fit[near].name


def _spellings(name: str) -> Iterator[str]:
    """Yield a name as it would be registered, and with a letter for the number at its end."""
    yield (own := identifier(name))
    for letter in LETTERS:
        if (other := _NUMBER.sub(letter, own)) != own:
            yield other
