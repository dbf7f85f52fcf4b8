"""Built-in tasks, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import Deferred, deferred

__all__ = ["itscale_register_tasks"]

NAMES = (
    "gsm8k",
    "jsonl",
    "math500",
    "reasoning_gym",
)


@hookimpl
def itscale_register_tasks() -> Iterable[Deferred]:
    """Return the built-in tasks."""
    return deferred(__name__, *NAMES)
