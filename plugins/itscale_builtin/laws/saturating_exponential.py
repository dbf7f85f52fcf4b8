"""Exponential approach to a ceiling: y = E + A exp(-x / t)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.optimize import minimize_scalar

from itscale.outcomes import FloatArray
from itscale.plugins import LawEntry, Options
from itscale.plugins.laws import LawData
from itscale_builtin.laws._descents import curves_of, with_fallback
from itscale_builtin.laws._least_squares import say
from itscale_builtin.laws._points import coverage_from_response, plain_points

__all__ = ["SaturatingExponential", "SaturatingExponentialOptions", "entry"]

SCALES = 60
ZOOMED = 1e-5
"""Width in log t of the last of ever finer grids."""


class SaturatingExponentialOptions(Options):
    """Options of the saturating exponential."""

    response: Literal["failure", "value"] = "failure"
    """What y is: `failure` = 1 - coverage (or 1 - a selector's accuracy), or `value`, any falling series."""


class SaturatingExponential:
    """`y = E + A exp(-x / t)`, E and A >= 0, least squares in y.

    Best-of-n and voting stop improving after some ten to a hundred completions: 1 - E is where. E and A are
    solved for at each t, so that one dimension is left to search: all of it.
    """

    parameters = ("E", "A", "t")
    estimand = "effective slope"

    def __init__(self, options: SaturatingExponentialOptions) -> None:
        self.response = options.response
        self.unbounded = options.response == "value"

    def fit(self, data: LawData, start: FloatArray | None = None) -> FloatArray:
        """Return E, A and t; FitFailure on fewer than five points."""
        x, y = plain_points(data, self.response)
        low, high = np.log(np.min(np.diff(x)) / 10), np.log(30 * x[-1])
        grid = np.linspace(low, high, SCALES)
        at = int(np.argmin(_squares(np.exp(grid), x, y)))
        brackets = [(grid[max(at - 1, 0)], grid[min(at + 1, SCALES - 1)])]
        if start is not None:
            near = float(np.clip(np.log(start[2]), low + 0.1, high - 0.1))
            brackets.append((near - 0.1, near + 0.1))
        ends = [
            minimize_scalar(
                lambda log_t: float(_squares(np.exp([log_t]), x, y)[0]),
                bounds=bracket,
                method="bounded",
                options={"xatol": 1e-10 if start is None else 1e-6},
            )
            for bracket in brackets
        ]
        t = float(np.exp(min(ends, key=lambda end: float(end.fun)).x))
        floor, drop = (float(part[0]) for part in _linear(np.array([t]), x, y))
        if start is None:
            _warn(x, floor, t, at)
        return np.array([floor, drop, t])

    def fit_resamples(self, resamples: Sequence[LawData], start: FloatArray) -> FloatArray:
        """Return E, A and t of each resample, from ever finer grids of t about the best."""
        curves = curves_of(resamples, self.response, logs=False)
        known = curves.enough() & (curves.counts > 0).all(axis=1)
        if resamples[0].design != "fixed" or not known.any():
            return np.full((len(resamples), len(self.parameters)), np.nan)
        x, targets = curves.x, curves.target[known]
        low, high = np.log(np.min(np.diff(x)) / 10), np.log(30 * x[-1])
        found = [_zoomed(x, y, low, high) for y in targets]
        return with_fallback(np.array(found), known)

    def predict(self, parameters: FloatArray, budgets: FloatArray) -> FloatArray:
        """Return coverage (or the value) at each k."""
        floor, drop, t = parameters
        return coverage_from_response(
            floor + drop * np.exp(-np.asarray(budgets, dtype=np.float64) / t), self.response
        )


def _linear(t: FloatArray, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the best E and A, both >= 0, at each t: the constrained best is on an edge if not inside."""
    shapes = np.exp(-x / t[:, None])
    centred = shapes - shapes.mean(axis=1, keepdims=True)
    spread = np.maximum(np.square(centred).sum(axis=1), 1e-300)
    drop = np.maximum(centred @ (y - y.mean()) / spread, 0.0)
    floor = y.mean() - drop * shapes.mean(axis=1)
    alone = shapes @ y / np.maximum(np.square(shapes).sum(axis=1), 1e-300)
    return np.maximum(floor, 0.0), np.where(floor < 0, np.maximum(alone, 0.0), drop)


def _zoomed(x: FloatArray, y: FloatArray, low: float, high: float) -> FloatArray:
    """Return (E, A, t), t to a relative error of 1e-6, by grids that zoom in on the best t."""
    ends = low, high
    while True:
        grid = np.linspace(*ends, SCALES)
        at = int(np.argmin(_squares(np.exp(grid), x, y)))
        if ends[1] - ends[0] < ZOOMED:
            t = np.exp(grid[at : at + 1])
            floor, drop = _linear(t, x, y)
            return np.concatenate([floor, drop, t])
        ends = grid[max(at - 1, 0)], grid[min(at + 1, SCALES - 1)]


def _squares(t: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    floor, drop = _linear(t, x, y)
    gaps = y - floor[:, None] - drop[:, None] * np.exp(-x / t[:, None])
    return np.asarray(np.square(gaps).sum(axis=1))


def _warn(x: FloatArray, floor: float, t: float, at: int) -> None:
    if at in (0, SCALES - 1):
        say(f"t is at its bound {t:.3g}")
    elif x[-1] < 2 * t:
        say(f"the points end before the plateau (t = {t:.3g}): E is only an upper bound")
    elif floor == 0:
        say("E is at its bound 0")


entry = LawEntry(
    name="saturating_exponential",
    aliases=("exponential", "saturated_exponential"),
    factory=SaturatingExponential,
    options=SaturatingExponentialOptions,
    revision=2,
    takes="curve",
    extrapolates=False,
    summary="1 - coverage falls exponentially in k to a floor.",
    reference="Stroebl et al. 2024, arXiv:2411.17501 (plateaus of resampling)",
)
