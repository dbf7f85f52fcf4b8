"""Built-in price tables, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import PriceEntry

__all__ = ["itscale_register_prices"]


@hookimpl
def itscale_register_prices() -> Iterable[PriceEntry]:
    """Return the built-in price tables."""
    # Imported here: jobs that have no use for them do without.
    from itscale_builtin.prices import per_token

    return [per_token.entry]
