"""Coverage is the exponential of a power law in k, fitted where coverage itself is read."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

from itscale.outcomes import FloatArray
from itscale.plugins import LawEntry, Options
from itscale.plugins.laws import FitFailure, LawData
from itscale_builtin.laws._points import usable_points

__all__ = ["ExponentiatedPowerLaw", "entry"]

START_EXPONENT = 0.4


class ExponentiatedPowerLaw:
    """`coverage(k) = exp(-a k^-b)`, by nonlinear least squares in coverage, started at b = 0.4.

    The curve of `power_law`, weighed otherwise: an error of one point of coverage counts alike at every k, so
    the middle of the curve counts most. In the papers' sign convention, log coverage = (-a) k^(-b). Points
    with coverage 0 are left out, with a warning; they would only say that k is small.
    """

    parameters = ("a", "b")
    estimand = "effective slope"

    def __init__(self, options: Options) -> None:
        self.options = options

    def fit(self, data: LawData, start: FloatArray | None = None) -> FloatArray:
        """Return a > 0 and b > 0; FitFailure on fewer than five points with coverage above 0."""
        k, coverage = usable_points(data, data.coverage > 0)
        cold = np.array([max(-np.log(coverage[0]) * k[0] ** START_EXPONENT, 1e-6), START_EXPONENT])
        ends = [_descend(k, coverage, guess) for guess in ([cold] if start is None else [start, cold])]
        found = min(ends, key=lambda end: float(np.sum((_coverage(k, *end) - coverage) ** 2)))
        a, b = found
        if not (np.all(np.isfinite(found)) and a > 0 and b > 0):
            raise FitFailure(f"least squares ended at a = {a:.3g}, b = {b:.3g}, expected both above 0")
        return found

    def predict(self, parameters: FloatArray, budgets: FloatArray) -> FloatArray:
        """Return coverage at each k."""
        return _coverage(np.asarray(budgets, dtype=np.float64), *parameters)

    def asymptotic_exponent(self, parameters: FloatArray) -> float:
        """Return b: where coverage is near 1, -log coverage and failure are alike."""
        return float(parameters[1])


def _descend(k: FloatArray, coverage: FloatArray, guess: FloatArray) -> FloatArray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)  # about a covariance that is not used
        try:
            return np.asarray(curve_fit(_coverage, k, coverage, p0=guess, jac=_jacobian)[0])
        except RuntimeError as error:
            raise FitFailure(f"least squares did not converge: {error}") from None


def _coverage(k: FloatArray, a: float, b: float) -> FloatArray:
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(-a * k**-b))


def _jacobian(k: FloatArray, a: float, b: float) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        slope = -_coverage(k, a, b) * k**-b
        jacobian = np.column_stack([slope, -slope * a * np.log(k)])
    return np.asarray(np.nan_to_num(jacobian))


entry = LawEntry(
    name="exponentiated_power_law",
    factory=ExponentiatedPowerLaw,
    takes="curve",
    summary="coverage = exp(-a k^-b), least squares in coverage.",
    reference="Brown et al. 2024, arXiv:2407.21787, section 3 and appendix C.1",
)
