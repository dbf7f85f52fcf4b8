"""What laws are fitted to and what they return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from itscale.selection import FloatArray, IntArray

__all__ = ["FitFailure", "FitWarning", "Law", "LawData"]


class FitFailure(Exception):  # noqa: N818 - a result with a reason, not an error
    """A law cannot be fitted to these data; the message is the reason, kept in the table of fits."""


class FitWarning(UserWarning):
    """A law was fitted, but its reader must know something: a bound was hit, a point was left out.

    A law gives it with `warnings.warn`; the message stands beside the fit in the table of fits.
    """


@dataclass(frozen=True, kw_only=True)
class LawData:
    """Coverage of one (task, model, strategy), as points and as counts.

    Attributes
    ----------
    budgets
        k of each point of the curve, increasing, shape (m,).
    coverage
        Coverage (or a selector's accuracy) at each k, shape (m,), in [0, 1].
    sampled, correct
        Per problem: completions sampled and how many are correct, shape (problems,). Empty where the
        strategy is run anew at each budget: its runs are no pool of independent completions.
    """

    budgets: IntArray
    coverage: FloatArray
    sampled: IntArray
    correct: IntArray


class Law(Protocol):
    """A parametric family with a fitter.

    Attributes
    ----------
    parameters
        Names of the parameters, in order.
    estimand
        What the exponent means: `asymptotic`, or `effective slope` over the fitted range.
    """

    parameters: tuple[str, ...]
    estimand: str

    def fit(self, data: LawData) -> FloatArray:
        """Return the parameters, shape (len(parameters),).

        Raises
        ------
        FitFailure
            With the reason, where the data do not determine them.
        """
        ...

    def predict(self, parameters: FloatArray, budgets: FloatArray) -> FloatArray:
        """Return coverage at each k (real, >= 1), same shape, clipped to [0, 1]."""
        ...
