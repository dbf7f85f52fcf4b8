"""Checks of price tables: USD per token, by class of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from itscale.errors import nearest
from itscale.plugins.place import Place, real
from itscale.sampling.ledger import TokenClass

if TYPE_CHECKING:
    from itscale.plugins.entries import PriceEntry
    from itscale.plugins.ingredient import Ingredient

__all__ = ["check_prices", "make_prices"]

CLASSES: tuple[TokenClass, ...] = get_args(TokenClass)


def make_prices(ingredient: Ingredient[PriceEntry]) -> Mapping[TokenClass, float]:
    """Return a price table's USD per token, of every class of tokens, checked."""
    place, options = Place.of(ingredient), ingredient.options.model_copy(deep=True)
    with place.undisturbed("factory"):
        given = place.said("factory", lambda: ingredient.entry.factory(options), "prices by class of tokens")
    return check_prices(place, given)


def check_prices(place: Place, given: Any) -> Mapping[TokenClass, float]:
    """Return prices of every class; ContractError if they are no numbers from 0.

    Where none is given of cached tokens of prompts, they cost what others of prompts do.
    """
    if not isinstance(given, Mapping) or not given:
        raise place.broken("factory", given, f"a price per token by class ({', '.join(CLASSES)})")
    prices: dict[TokenClass, float] = {}
    for name, price in given.items():
        if name not in CLASSES:
            raise place.broken("class of tokens", name, nearest(str(name), CLASSES))
        number = real(price)
        if number is None or number < 0:
            raise place.broken(f"price of {name}", price, "USD per token, at least 0")
        prices[name] = number
    for name in ("prompt", "generated"):
        if name not in prices:
            raise place.broken("factory", given, f"a price of {name} tokens, too")
    return {"cached_prompt": prices["prompt"], **prices}
