"""Built-in selectors, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import SelectorEntry

__all__ = ["itscale_register_selectors"]


@hookimpl
def itscale_register_selectors() -> Iterable[SelectorEntry]:
    """Return the built-in selectors."""
    return []
