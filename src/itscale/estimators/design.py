"""Sampling designs, the estimators that are unbiased under each, and what to take instead of others."""

from itscale.errors import DesignError
from itscale.outcomes import Design

__all__ = ["require_fixed"]

INSTEAD = {
    "until_success": "take the coverage of until_success data (selector oracle, or "
    "itscale.estimators.until_success_coverage)",
    "adaptive": "take the law beta_binomial, whose likelihood does not mind (for these very problems, "
    "itscale.estimators.posterior_coverage)",
}


def require_fixed(design: Design, estimator: str) -> None:
    """Raise unless the number of completions was fixed beforehand.

    Parameters
    ----------
    design
        How the number of completions came about.
    estimator
        Who asks, for the message.

    Raises
    ------
    DesignError
        Naming an estimator that is not biased on such data.
    """
    if design != "fixed":
        raise DesignError(
            f"{estimator}: found completions of the design {design!r}, expected a number of them fixed "
            f"beforehand, or the result is biased; {INSTEAD[design]}"
        )
