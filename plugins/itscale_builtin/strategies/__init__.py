"""Built-in strategies, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import StrategyEntry
from itscale_builtin.strategies import (
    beam_search,
    particle_filter,
    repeated_sampling,
)

__all__ = ["itscale_register_strategies"]


@hookimpl
def itscale_register_strategies() -> Iterable[StrategyEntry]:
    """Return the built-in strategies."""
    return [
        beam_search.entry,
        particle_filter.entry,
        repeated_sampling.entry,
    ]
