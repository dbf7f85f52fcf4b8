"""Built-in figures, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import Deferred, deferred

__all__ = ["itscale_register_figures"]

NAMES = (
    "compute_curves",
    "coverage_curves",
    "difference_curves",
    "law_fits",
    "search_trees",
    "selection_curves",
)


@hookimpl
def itscale_register_figures() -> Iterable[Deferred]:
    """Return the built-in figures."""
    return deferred(__name__, *NAMES)
