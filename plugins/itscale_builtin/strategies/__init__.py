"""Built-in strategies, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import StrategyEntry
from itscale_builtin.strategies import (
    beam_search,
    budget_forcing,
    iterative_deepening,
    particle_filter,
    repeated_sampling,
    revision,
    rise,
    rise_oracle,
    self_refine,
    truncated_thinking,
)

__all__ = ["itscale_register_strategies"]


@hookimpl
def itscale_register_strategies() -> Iterable[StrategyEntry]:
    """Return the built-in strategies."""
    return [
        beam_search.entry,
        budget_forcing.entry,
        iterative_deepening.entry,
        particle_filter.entry,
        repeated_sampling.entry,
        revision.entry,
        rise.entry,
        rise_oracle.entry,
        self_refine.entry,
        truncated_thinking.entry,
    ]
