"""Built-in laws, one module each."""

from collections.abc import Iterable
from importlib import import_module

from itscale import hookimpl
from itscale.plugins import LawEntry

__all__ = ["itscale_register_laws"]

MODULES = (
    "beta_binomial",
    "broken_power_law",
    "chinchilla",
    "discretised_beta",
    "exponentiated_power_law",
    "kaplan",
    "kumaraswamy_binomial",
    "log_linear",
    "logistic",
    "m4",
    "observational",
    "power_law",
    "rag_allocation",
    "saturating_exponential",
    "scaled_beta_binomial",
    "shifted_power_law",
    "smooth_mixture",
    "task_scaling",
    "zero_inflated_beta_binomial",
)


@hookimpl
def itscale_register_laws() -> Iterable[LawEntry]:
    """Return the built-in laws."""
    # Imported here: jobs that have no use for them do without.
    return [import_module(f"{__name__}.{name}").entry for name in MODULES]
