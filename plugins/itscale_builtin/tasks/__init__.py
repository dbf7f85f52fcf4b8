"""Built-in tasks, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import TaskEntry
from itscale_builtin.tasks import gsm8k, jsonl, math500, reasoning_gym

__all__ = ["itscale_register_tasks"]


@hookimpl
def itscale_register_tasks() -> Iterable[TaskEntry]:
    """Return the built-in tasks."""
    return [module.entry for module in (gsm8k, jsonl, math500, reasoning_gym)]
