"""Built-in engines, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import EngineEntry
from itscale_builtin.engines import openai, simulated, vllm

__all__ = ["itscale_register_engines"]


@hookimpl
def itscale_register_engines() -> Iterable[EngineEntry]:
    """Return the built-in engines."""
    return [openai.entry, simulated.entry, vllm.entry]
