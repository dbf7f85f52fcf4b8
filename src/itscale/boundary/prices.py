"""Checks of price tables: USD per token, by call class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from itscale.errors import nearest
from itscale.plugins.place import Place, real
from itscale.sampling.ledger import Call

if TYPE_CHECKING:
    from itscale.plugins.entries import PriceEntry
    from itscale.plugins.ingredient import Ingredient

__all__ = ["check_prices", "make_prices"]


def make_prices(ingredient: Ingredient[PriceEntry]) -> Mapping[Call, float]:
    """Return a price table's USD per token by call class, checked."""
    place = Place.of(ingredient)
    with place.undisturbed("factory"):
        given = ingredient.entry.factory(ingredient.options.model_copy(deep=True))
    return check_prices(place, given)


def check_prices(place: Place, given: Any) -> Mapping[Call, float]:
    """Return prices; ContractError if they are no numbers from 0 by call class."""
    if not isinstance(given, Mapping) or not given:
        raise place.broken("factory", given, "a price per token by call class")
    prices: dict[Call, float] = {}
    for call, price in given.items():
        if call not in get_args(Call):
            raise place.broken("call class", call, nearest(str(call), get_args(Call)))
        number = real(price)
        if number is None or number < 0:
            raise place.broken(f"price of {call}", price, "USD per token, at least 0")
        prices[call] = number
    return prices
