"""Common parts of the laws of curves: usable points, and what of the curve is modelled."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import numpy.typing as npt

from itscale.messages.numbers import counted
from itscale.outcomes import FloatArray
from itscale.plugins.laws import FitFailure, FitWarning, LawData

__all__ = [
    "LEAST_POINTS",
    "Response",
    "coverage_from_response",
    "falling_points",
    "plain_points",
    "usable_points",
]

LEAST_POINTS = 5
"""Fewer points than this give no fit."""

Response = Literal["coverage", "failure", "negative_log_coverage", "value"]
"""What y is: coverage, 1 - coverage, -log coverage, or the series itself, which may be any with y > 0."""


def usable_points(data: LawData, usable: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Return k and coverage where `usable`, saying how many points that leaves out.

    Raises
    ------
    FitFailure
        If the design biases the curve, coverage is zero throughout, doesn't grow with k, or fewer than
        `LEAST_POINTS` points are left.
    """
    _refuse_design(data)
    if outside := data.coverage[(data.coverage < 0) | (data.coverage > 1)].tolist():
        raise FitFailure(
            f"found {outside[0]:g} on the curve, expected coverage in [0, 1]; a law with the option "
            "`response: value` takes any series"
        )
    if not np.any(data.coverage > 0):
        raise FitFailure("coverage is 0 at every k: no completion is correct")
    if np.all(data.coverage >= 1):
        raise FitFailure("coverage is 1 at every k: nothing is left to scale")
    return _usable(data.budgets, data.coverage, usable, "coverage 0 or 1", "coverage")


def falling_points(data: LawData, response: Response) -> tuple[FloatArray, FloatArray]:
    """Return x and y > 0 of a curve for laws whose residuals are of log y; errors as `usable_points`."""
    if response == "value":
        _refuse_design(data)
        usable = np.isfinite(data.coverage) & (data.coverage > 0)
        return _usable(data.budgets, data.coverage, usable, "values that are not positive", "the series")
    zero = response == "negative_log_coverage"
    usable = (data.coverage > 0) & (data.coverage < 1) if zero else data.coverage < 1
    k, coverage = usable_points(data, usable)
    return k, -np.log(coverage) if zero else 1 - coverage


def plain_points(data: LawData, response: Response) -> tuple[FloatArray, FloatArray]:
    """Return x and y of a curve for laws whose residuals are of y itself; errors as `usable_points`."""
    finite = np.isfinite(data.coverage)
    if response == "value":
        _refuse_design(data)
        return _usable(data.budgets, data.coverage, finite, "values that are not finite", "the series")
    k, coverage = usable_points(data, finite)
    return k, 1 - coverage if response == "failure" else coverage


def coverage_from_response(y: FloatArray, response: Response) -> FloatArray:
    """Return coverage, in [0, 1], of what was modelled; of `value` the value itself."""
    if response == "value":
        return y
    if response == "negative_log_coverage":
        return np.asarray(np.exp(-np.maximum(y, 0.0)))
    return np.asarray(np.clip(1 - y if response == "failure" else y, 0.0, 1.0))


def _refuse_design(data: LawData) -> None:
    if data.design != "fixed":
        how = data.design.replace("_", " ")
        raise FitFailure(f"completions were drawn {how}: the curve is biased; fit the counts (beta_binomial)")


def _usable(
    budgets: npt.NDArray[np.int64] | FloatArray,
    values: FloatArray,
    usable: npt.NDArray[np.bool_],
    unusable: str,
    what: str,
) -> tuple[FloatArray, FloatArray]:
    dropped = int(np.sum(~usable))
    if np.sum(usable) < LEAST_POINTS:
        found = f"{counted(int(np.sum(usable)), 'usable point')} of {len(usable)} on the curve"
        raise FitFailure(f"{found}, expected at least {LEAST_POINTS}")
    if np.ptp(values[usable]) == 0:
        raise FitFailure(f"{what} is the same at every k: it does not scale")
    if dropped:
        warnings.warn(f"{counted(dropped, 'point')} with {unusable} left out", FitWarning, stacklevel=3)
    return budgets[usable].astype(np.float64), values[usable]
