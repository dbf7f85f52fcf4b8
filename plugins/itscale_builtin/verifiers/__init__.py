"""Built-in verifiers, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import Deferred, deferred

__all__ = ["itscale_register_verifiers"]

NAMES = (
    "exact_match",
    "llm_judge",
    "logprob",
    "math",
    "multiple_choice",
    "outcome_reward",
    "process_reward",
    "reasoning_gym",
)


@hookimpl
def itscale_register_verifiers() -> Iterable[Deferred]:
    """Return the built-in verifiers."""
    return deferred(__name__, *NAMES)
