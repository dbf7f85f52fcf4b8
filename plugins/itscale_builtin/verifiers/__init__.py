"""Built-in verifiers, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import VerifierEntry
from itscale_builtin.verifiers import (
    exact_match,
    llm_judge,
    logprob,
    math,
    multiple_choice,
    outcome_reward,
    process_reward,
    reasoning_gym,
)

__all__ = ["itscale_register_verifiers"]


@hookimpl
def itscale_register_verifiers() -> Iterable[VerifierEntry]:
    """Return the built-in verifiers."""
    judges = (exact_match, math, multiple_choice, reasoning_gym)
    return [module.entry for module in (*judges, llm_judge, logprob, outcome_reward, process_reward)]
