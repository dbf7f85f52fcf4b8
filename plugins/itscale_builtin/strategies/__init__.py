"""Built-in strategies, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import Deferred, deferred

__all__ = ["itscale_register_strategies"]

NAMES = (
    "ab_mcts",
    "adaptive_sampling",
    "archon",
    "atom_of_thoughts",
    "beam_search",
    "budget_forcing",
    "confidence_pruning",
    "debate",
    "dvts",
    "dynamic_allocation",
    "dynamic_allocation_oracle",
    "early_stopping_vote",
    "emulated_fine_tuning",
    "iterative_deepening",
    "lookahead",
    "mcts",
    "mixture_of_agents",
    "parallel_tempering",
    "particle_filter",
    "particle_gibbs",
    "plan_search",
    "repeated_sampling",
    "revision",
    "rise",
    "rise_oracle",
    "rstar",
    "self_refine",
    "step_best_of_n",
    "tree_of_thoughts",
    "truncated_thinking",
    "until_pass",
)


@hookimpl
def itscale_register_strategies() -> Iterable[Deferred]:
    """Return the built-in strategies."""
    return deferred(__name__, *NAMES)
