"""Built-in laws, one module each."""

from collections.abc import Iterable

from itscale import hookimpl
from itscale.plugins import Deferred, deferred

__all__ = ["itscale_register_laws"]

NAMES = (
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
def itscale_register_laws() -> Iterable[Deferred]:
    """Return the built-in laws."""
    return deferred(__name__, *NAMES)
