"""Built-in price tables, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import Deferred, deferred

__all__ = ["itscale_register_prices"]

NAMES = ("per_token",)


@hookimpl
def itscale_register_prices() -> Iterable[Deferred]:
    """Return the built-in price tables."""
    return deferred(__name__, *NAMES)
