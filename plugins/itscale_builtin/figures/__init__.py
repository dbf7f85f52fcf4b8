"""Built-in figures, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import FigureEntry

__all__ = ["itscale_register_figures"]


@hookimpl
def itscale_register_figures() -> Iterable[FigureEntry]:
    """Return the built-in figures."""
    return []
