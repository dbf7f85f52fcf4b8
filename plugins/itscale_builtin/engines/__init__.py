"""Built-in engines, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import Deferred, deferred

__all__ = ["itscale_register_engines"]

NAMES = (
    "openai",
    "simulated",
    "vllm",
)


@hookimpl
def itscale_register_engines() -> Iterable[Deferred]:
    """Return the built-in engines."""
    return deferred(__name__, *NAMES)
