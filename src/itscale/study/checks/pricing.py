"""Price tables: every model names one or none does, and each gives prices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from itscale.boundary import make_prices
from itscale.errors import PluginError, nearest
from itscale.messages.mistakes import Mistake

if TYPE_CHECKING:
    from itscale.study.study import Study

__all__ = ["check_prices"]


def check_prices(study: Study) -> Iterator[Mistake]:
    """Every model of a study with price tables names one of them; every table is named, and gives prices."""
    tables, models = study.config.prices, study.config.models
    known = ", ".join(sorted(tables))
    for label, section in models.items():
        place = ("models", label, "prices")
        if section.prices is None:
            if tables:
                yield Mistake(place, f"missing, expected the label of a price table ({known})")
        elif section.prices not in tables:
            hint = nearest(section.prices, tables) if tables else "expected it among the prices of the study"
            yield Mistake(place, f"no price table {section.prices!r}; {hint}")
    named = {section.prices for section in models.values()}
    for label in tables:
        if label not in named:
            yield Mistake(("prices", label), f"no model names it; expected `prices: {label}` under a model")
    for label, table in study.prices.items():
        try:
            make_prices(table)
        except PluginError as error:
            yield Mistake(("prices", label), str(error))
