"""Labels that cannot be some: what was meant, where the label also names the plugin."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from itscale.messages.mistakes import Mistake
from itscale.plugins.entries import KINDS, NAME, Kind
from itscale.plugins.names import identifier
from itscale.plugins.registry import Registry
from itscale.study.config import INGREDIENTS

__all__ = ["kind_of", "with_names"]


def kind_of(key: str) -> Kind:
    """Return the kind of the plugins under a key of a study: models are engines."""
    return next((kind for kind in KINDS if kind == key), "engines")


def with_names(
    mistakes: Iterable[Mistake], sections: Mapping[str, Any], registry: Registry
) -> Iterator[Mistake]:
    """Yield mistakes; of labels that are none, with the nearest right name.

    Parameters
    ----------
    mistakes
        What is wrong with the values of a study.
    sections
        The study, a section by the label of each ingredient.
    registry
        Where plugins are looked up.
    """
    for mistake in mistakes:
        place = mistake.place
        if len(place) != 2 or place[0] not in INGREDIENTS or NAME.fullmatch(label := str(place[1])):
            yield mistake
            continue
        section = sections[str(place[0])].get(place[1])
        plugin = section.get("plugin") if isinstance(section, Mapping) else None
        if plugin in (None, label):
            hint = registry.nearest(label, [kind_of(str(place[0]))])
        else:
            hint = f"as {own!r}" if NAME.fullmatch(own := identifier(label)) else ""
        yield replace(mistake, message="; ".join(filter(None, (mistake.message, hint))))
