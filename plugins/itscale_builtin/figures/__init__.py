"""Built-in figures, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import FigureEntry
from itscale_builtin.figures import compute_curves, coverage_curves, law_fits, selection_curves

__all__ = ["itscale_register_figures"]


@hookimpl
def itscale_register_figures() -> Iterable[FigureEntry]:
    """Return the built-in figures."""
    return [coverage_curves.entry, selection_curves.entry, compute_curves.entry, law_fits.entry]
