"""Built-in figures, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import FigureEntry

__all__ = ["itscale_register_figures"]


@hookimpl
def itscale_register_figures() -> Iterable[FigureEntry]:
    """Return the built-in figures."""
    # Imported here: jobs that have no use for them do without.
    from itscale_builtin.figures import (
        compute_curves,
        coverage_curves,
        difference_curves,
        law_fits,
        search_trees,
        selection_curves,
    )

    curves = [coverage_curves, selection_curves, compute_curves, difference_curves]
    return [module.entry for module in (*curves, law_fits, search_trees)]
