"""Built-in strategies, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import StrategyEntry

__all__ = ["itscale_register_strategies"]


@hookimpl
def itscale_register_strategies() -> Iterable[StrategyEntry]:
    """Return the built-in strategies."""
    return []
