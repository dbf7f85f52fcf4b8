"""Coverage is a straight line in log k."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from itscale.outcomes import FloatArray
from itscale.plugins import LawEntry, Options
from itscale.plugins.laws import FitFailure, LawData
from itscale_builtin.laws._least_squares import say
from itscale_builtin.laws._points import coverage_from_response, plain_points

__all__ = ["LogLinear", "LogLinearOptions", "entry"]


class LogLinearOptions(Options):
    """Options of the log-linear law."""

    response: Literal["coverage", "value"] = "coverage"
    """What y is: `coverage`, clipped to [0, 1], or `value`, any series."""
    reach: float = Field(default=100.0, ge=1)
    """How far beyond the last k it is said where the line leaves [0, 1]."""


class LogLinear:
    """`y = a + b ln x`, by ordinary least squares.

    For accuracy over a limited range; no line stays within [0, 1], and where it leaves is said with the fit.
    """

    parameters = ("a", "b")
    estimand = "effective slope"

    def __init__(self, options: LogLinearOptions) -> None:
        self.options = options
        self.unbounded = options.response == "value"

    def fit(self, data: LawData, start: FloatArray | None = None) -> FloatArray:
        """Return a and b; FitFailure on fewer than five points."""
        x, y = plain_points(data, self.options.response)
        log_x = np.log(x)
        centred = log_x - log_x.mean()
        slope = float(centred @ y / (centred @ centred))
        intercept = float(y.mean() - slope * log_x.mean())
        if self.options.response == "coverage":
            if slope <= 0:
                raise FitFailure(f"coverage does not grow with k: slope {slope:.3g}")
            if start is None:
                self._warn(x, intercept, slope)
        return np.array([intercept, slope])

    def _warn(self, x: FloatArray, intercept: float, slope: float) -> None:
        ends = np.exp(np.clip([-intercept / slope, (1 - intercept) / slope], -700, 700))
        if ends[0] > x[0]:
            say(f"below 0 for k < {ends[0]:.3g}: clipped")
        if ends[1] < self.options.reach * x[-1]:
            say(f"above 1 for k > {ends[1]:.3g}: clipped")

    def predict(self, parameters: FloatArray, budgets: FloatArray) -> FloatArray:
        """Return coverage (or the value) at each k."""
        y = parameters[0] + parameters[1] * np.log(np.asarray(budgets, dtype=np.float64))
        return coverage_from_response(y, self.options.response)


entry = LawEntry(
    name="log_linear",
    aliases=("loglinear", "logarithmic"),
    factory=LogLinear,
    options=LogLinearOptions,
    takes="curve",
    extrapolates=False,
    summary="Coverage is a straight line in log k, least squares.",
    reference="Brown et al. 2024, arXiv:2407.21787 (accuracy against log k)",
)
