"""Coverage is a logistic function of log k, from chance to a ceiling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import Field
from scipy.special import expit

from itscale.outcomes import FloatArray
from itscale.plugins import LawEntry, Options
from itscale.plugins.laws import FitFailure, LawData
from itscale_builtin.laws._descents import curves_of, descend_all, with_fallback
from itscale_builtin.laws._least_squares import best_of, say, warn_of_identifiability
from itscale_builtin.laws._points import coverage_from_response, plain_points

__all__ = ["Logistic", "LogisticOptions", "entry"]

SLOPES = np.geomspace(0.1, 10.0, 25)
MIDPOINTS = 30


class LogisticOptions(Options):
    """Options of the logistic law."""

    chance: float = Field(default=0.0, ge=0)
    """Where the curve starts: what guessing gets. Not fitted."""
    response: Literal["coverage", "value"] = "coverage"
    """What y is: `coverage`, whose ceiling is at most 1, or `value`, any rising series."""


class Logistic:
    """`y = chance + (ceiling - chance) / (1 + (x / midpoint)^-slope)`, least squares in y.

    The ceiling is solved for at each midpoint and slope (variable projection). Before the midpoint a logistic
    function is a power law and says nothing of its ceiling: the fit says where that is so.
    """

    parameters = ("ceiling", "midpoint", "slope")
    estimand = "effective slope"

    def __init__(self, options: LogisticOptions) -> None:
        self.options = options
        self.unbounded = options.response == "value"
        self._highest = 1 - options.chance if options.response == "coverage" else np.inf

    def fit(self, data: LawData, start: FloatArray | None = None) -> FloatArray:
        """Return ceiling, midpoint and slope; FitFailure where y does not rise above chance."""
        x, y = plain_points(data, self.options.response)
        log_x, above = np.log(x), y - self.options.chance
        if not np.any(above > 0):
            raise FitFailure(f"no point is above chance, {self.options.chance:g}")
        centre = float(log_x.mean())

        def residuals(inner: FloatArray) -> FloatArray:
            rise = _rise(log_x - centre, inner)
            return np.asarray(above - self._height(above, rise) * rise)

        def jacobian(inner: FloatArray) -> FloatArray:
            rise, slope = _rise(log_x - centre, inner), np.exp(inner[1])
            steep = slope * rise * (1 - rise)
            by_inner = np.column_stack([-steep, steep * (log_x - centre - inner[0])])
            height = self._height(above, rise)
            by_height = np.zeros(2)
            if 0 < height < self._highest:
                by_height = (above @ by_inner - 2 * height * (rise @ by_inner)) / (rise @ rise)
            return np.asarray(-height * by_inner - np.outer(rise, by_height))

        def starts() -> Iterator[FloatArray]:
            if start is not None:
                yield np.array([np.log(start[1]) - centre, np.log(start[2])])
            yield from self._grid(log_x - centre, above)[: 1 if start is not None else 3]

        optimum = best_of(residuals, jacobian, starts())
        rise = _rise(log_x - centre, optimum.inner)
        height = self._height(above, rise)
        midpoint, slope = np.exp(np.clip(optimum.inner + np.array([centre, 0.0]), -600, 600))
        if start is None:
            warn_of_identifiability(optimum, ("midpoint", "slope"))
            if x[-1] <= midpoint:
                say(f"no data beyond the midpoint, {midpoint:.3g}: the ceiling is not determined")
            if height == self._highest:
                say("ceiling is at its bound 1")
        return np.array([self.options.chance + height, midpoint, slope])

    def fit_resamples(self, resamples: Sequence[LawData], start: FloatArray) -> FloatArray:
        """Return ceiling, midpoint and slope of each resample, from the estimate and a grid's best cell."""
        curves = curves_of(resamples, self.options.response, logs=False)
        known = curves.enough() & (curves.counts > 0).all(axis=1)
        known &= (curves.target > self.options.chance).any(axis=1)
        curves = curves.only(known)
        if resamples[0].design != "fixed" or not known.any():
            return np.full((len(resamples), len(self.parameters)), np.nan)
        centre = float(np.log(curves.x).mean())
        log_x = np.log(curves.x) - centre

        def model(inner: FloatArray) -> tuple[FloatArray, FloatArray]:
            place, log_slope, height = np.moveaxis(inner, -1, 0)[..., None]
            slope = np.exp(log_slope)
            rise = expit(slope * (log_x - place))
            steep = height * slope * rise * (1 - rise)
            derivatives = np.stack([-steep, steep * (log_x - place), rise], axis=-1)
            return self.options.chance + height * rise, derivatives

        middle = curves.target.mean(axis=0) - self.options.chance
        cell = self._grid(log_x, middle)[0]
        height = self._height(middle, _rise(log_x, cell))
        near = [np.log(start[1]) - centre, np.log(start[2]), start[0] - self.options.chance]
        bounds = np.array([-np.inf, -np.inf, 0.0]), np.array([np.inf, np.inf, self._highest])
        starts = [np.array(near), np.append(cell, height)]
        tried = [descend_all(model, curves, at, bounds=bounds, steps=60) for at in starts]
        best = np.argmin([squares for _, squares in tried], axis=0)
        inner = np.array([ends for ends, _ in tried])[best, np.arange(len(best))]
        natural = np.exp(np.clip(inner[:, :2] + np.array([centre, 0.0]), -600, 600))
        return with_fallback(np.column_stack([self.options.chance + inner[:, 2], natural]), known)

    def predict(self, parameters: FloatArray, budgets: FloatArray) -> FloatArray:
        """Return coverage (or the value) at each k."""
        ceiling, midpoint, slope = parameters
        rise = expit(slope * (np.log(np.asarray(budgets, dtype=np.float64)) - np.log(midpoint)))
        y = self.options.chance + (ceiling - self.options.chance) * rise
        return coverage_from_response(y, self.options.response)

    def _height(self, above: FloatArray, rise: FloatArray) -> float:
        """Return ceiling - chance, the best there is for the rest."""
        return float(np.clip((above @ rise) / max(float(rise @ rise), 1e-300), 0.0, self._highest))

    def _grid(self, log_x: FloatArray, above: FloatArray) -> list[FloatArray]:
        """Return (log midpoint, log slope) of the best cells of a grid, best first."""
        span = float(np.ptp(log_x))
        midpoints = np.linspace(log_x[0] - span / 2, log_x[-1] + 2 * span, MIDPOINTS)
        cells = np.stack(np.meshgrid(midpoints, np.log(SLOPES), indexing="ij"), axis=-1).reshape(-1, 2)
        rises = expit(np.exp(cells[:, 1:]) * (log_x - cells[:, :1]))
        heights = rises @ above / np.maximum(np.square(rises).sum(axis=1), 1e-300)
        gaps = above - np.clip(heights, 0.0, self._highest)[:, None] * rises
        return list(cells[np.argsort(np.square(gaps).sum(axis=1))[:4]])


def _rise(log_x: FloatArray, inner: FloatArray) -> FloatArray:
    return np.asarray(expit(np.exp(inner[1]) * (log_x - inner[0])))


entry = LawEntry(
    name="logistic",
    aliases=("sigmoid",),
    factory=Logistic,
    options=LogisticOptions,
    revision=2,
    takes="curve",
    extrapolates=False,
    summary="Coverage is logistic in log k, from chance to a ceiling.",
    reference="Ruan et al. 2024, arXiv:2405.10938 (sigmoid of log compute)",
)
