"""Built-in verifiers, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import VerifierEntry

__all__ = ["itscale_register_verifiers"]


@hookimpl
def itscale_register_verifiers() -> Iterable[VerifierEntry]:
    """Return the built-in verifiers."""
    return []
