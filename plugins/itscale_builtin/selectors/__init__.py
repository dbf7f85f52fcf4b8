"""Built-in selectors, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import Deferred, deferred

__all__ = ["itscale_register_selectors"]

NAMES = (
    "all_correct",
    "best_of_n",
    "first",
    "first_pass",
    "majority_vote",
    "oracle",
    "weighted_vote",
)


@hookimpl
def itscale_register_selectors() -> Iterable[Deferred]:
    """Return the built-in selectors."""
    return deferred(__name__, *NAMES)
