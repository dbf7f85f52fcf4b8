"""-log coverage is a power law in k: a straight line on two logarithmic axes."""

from __future__ import annotations

import numpy as np

from itscale.outcomes import FloatArray
from itscale.plugins import LawEntry, Options
from itscale.plugins.laws import LawData
from itscale_builtin.laws._points import usable_points

__all__ = ["PowerLaw", "entry"]


class PowerLaw:
    """`-log coverage(k) = a k^-b`, by ordinary least squares of `log(-log coverage)` on `log k`.

    a is -log coverage at k = 1. Papers write the exponent with either sign; here b > 0. Least squares in logs
    weighs relative errors of -log coverage alike at every k, so the tails count most. Points at different k
    depend on each other: the interval must come from resampling problems. Points with coverage 0 or 1 have no
    place on the axes and are left out, with a warning.
    """

    parameters = ("a", "b")
    estimand = "effective slope"

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: LawData, start: FloatArray | None = None) -> FloatArray:
        """Return a > 0 and b > 0; FitFailure on fewer than five points with coverage in (0, 1)."""
        k, coverage = usable_points(data, (data.coverage > 0) & (data.coverage < 1))
        x, y = np.log(k), np.log(-np.log(coverage))
        centred = x - x.mean()
        slope = centred @ (y - y.mean()) / (centred @ centred)
        return np.array([np.exp(y.mean() - slope * x.mean()), -slope])

    def predict(self, parameters: FloatArray, budgets: FloatArray) -> FloatArray:
        """Return coverage at each k."""
        a, b = parameters
        return np.asarray(np.exp(-a * np.asarray(budgets, dtype=np.float64) ** -b))

    def asymptotic_exponent(self, parameters: FloatArray) -> float:
        """Return b: where coverage is near 1, -log coverage and failure are alike. NaN where it falls."""
        return float(parameters[1]) if parameters[1] > 0 else float("nan")


entry = LawEntry(
    name="power_law",
    factory=PowerLaw,
    revision=2,
    takes="curve",
    ensemble="far",
    summary="-log coverage = a k^-b, least squares in logs.",
    reference="Schaeffer et al. 2025, arXiv:2502.17578; Brown et al. 2024, arXiv:2407.21787, equation 2",
)
