"""Built-in laws, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import LawEntry

__all__ = ["itscale_register_laws"]


@hookimpl
def itscale_register_laws() -> Iterable[LawEntry]:
    """Return the built-in laws."""
    return []
