"""Built-in strategies, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import StrategyEntry
from itscale_builtin.strategies import (
    ab_mcts,
    adaptive_sampling,
    archon,
    atom_of_thoughts,
    beam_search,
    budget_forcing,
    confidence_pruning,
    debate,
    dvts,
    dynamic_allocation,
    dynamic_allocation_oracle,
    early_stopping_vote,
    emulated_fine_tuning,
    iterative_deepening,
    lookahead,
    mcts,
    mixture_of_agents,
    parallel_tempering,
    particle_filter,
    particle_gibbs,
    plan_search,
    repeated_sampling,
    revision,
    rise,
    rise_oracle,
    rstar,
    self_refine,
    step_best_of_n,
    tree_of_thoughts,
    truncated_thinking,
    until_pass,
)

__all__ = ["itscale_register_strategies"]


@hookimpl
def itscale_register_strategies() -> Iterable[StrategyEntry]:
    """Return the built-in strategies."""
    return [
        ab_mcts.entry,
        adaptive_sampling.entry,
        archon.entry,
        atom_of_thoughts.entry,
        beam_search.entry,
        budget_forcing.entry,
        confidence_pruning.entry,
        debate.entry,
        dvts.entry,
        dynamic_allocation.entry,
        dynamic_allocation_oracle.entry,
        early_stopping_vote.entry,
        emulated_fine_tuning.entry,
        iterative_deepening.entry,
        lookahead.entry,
        mcts.entry,
        mixture_of_agents.entry,
        parallel_tempering.entry,
        particle_filter.entry,
        particle_gibbs.entry,
        plan_search.entry,
        repeated_sampling.entry,
        revision.entry,
        rise.entry,
        rise_oracle.entry,
        rstar.entry,
        self_refine.entry,
        step_best_of_n.entry,
        tree_of_thoughts.entry,
        truncated_thinking.entry,
        until_pass.entry,
    ]
