"""Broken neural scaling law: a power law whose slope changes smoothly at breaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import Field
from scipy.special import expit

from itscale.outcomes import FloatArray
from itscale.plugins import LawEntry, Options
from itscale.plugins.laws import FitFailure, LawData
from itscale_builtin.laws._descents import Curves, curves_of, descend_all, with_fallback
from itscale_builtin.laws._least_squares import AGREEMENT, EXACT, best_of, say, warn_of_identifiability
from itscale_builtin.laws._points import Response, coverage_from_response, falling_points

__all__ = ["BrokenPowerLaw", "BrokenPowerLawOptions", "broken_power_law", "entry"]

STEEPEST = 20.0
SCREENED = 10
"""Random points looked at per start."""
POLISHED = 10
"""Starts that go to the end: the best ones after a few steps."""
LAST = 3
"""Starts that go there exactly, if so many are known to end at the same height; else all of them."""
REFIT_STARTS = 2
FEW = 30
"""Steps of a start that is only looked at."""
ENTERED, POINTS_BEYOND = 3.0, 2
"""A break is passed where (x / d)^(1/f) > e^3: 95 % of the change of slope is done."""
NOTHING = 1e-9


class BrokenPowerLawOptions(Options):
    """Options of the broken power law."""

    n_breaks: int = Field(default=1, ge=0, le=3)
    """How often the slope changes; the law has 3 n_breaks + 3 parameters."""
    response: Response = "negative_log_coverage"
    """What y is: `negative_log_coverage` or `failure`, which only fall, or `value`, any positive series."""
    starts: int = Field(default=200, ge=2, le=10_000)
    """Random starts of a fit, each polished; refits to resampled problems use a few."""
    points_per_parameter: float = Field(default=2.0, ge=1)
    """Fewer points give no fit."""


class BrokenPowerLaw:
    """`y = a + b x^-c0 prod_i (1 + (x / d_i)^(1 / f_i))^(-c_i f_i)`, least squares in log y (BNSL).

    The slope is -c0 before the first break, at d_1, and -(c0 + ... + c_i) after the i-th; small f is a sharp
    break. A break cannot be foreseen before it is entered: where too few points lie beyond the last one, the
    fit says so, however well starts agree.
    """

    estimand = "effective slope"

    def __init__(self, options: BrokenPowerLawOptions) -> None:
        self.options = options
        self.unbounded = options.response == "value"
        names = ["a", "b", "c0"]
        for i in range(1, options.n_breaks + 1):
            names += [f"c{i}", f"d{i}", f"f{i}"]
        self.parameters = tuple(names)

    def fit(self, data: LawData, start: FloatArray | None = None) -> FloatArray:
        """Return the parameters; FitFailure on fewer points than `points_per_parameter` of each."""
        x, y = falling_points(data, self.options.response)
        least = int(np.ceil(self.options.points_per_parameter * len(self.parameters)))
        if len(x) < least:
            raise FitFailure(f"{len(x)} points for {len(self.parameters)} parameters, expected {least}")
        centre = float(np.log(x).mean())
        log_x, log_y = np.log(x) - centre, np.log(y)
        shape = _Shape(self.options.n_breaks, log_x)
        bounds = self._bounds(log_x)

        def residuals(inner: FloatArray) -> FloatArray:
            return log_y - shape.log_law(inner)

        def jacobian(inner: FloatArray) -> FloatArray:
            return -shape.jacobian(inner)

        count = self.options.starts if start is None else REFIT_STARTS
        starts = np.array(list(self._random(shape, log_y, bounds, count)))
        many = Curves(log_x, np.tile(log_y, (count, 1)), np.ones((count, len(log_y))))
        ends, squares = descend_all(shape.model, many, starts, bounds=bounds, steps=FEW, tolerance=1e-3)
        best = ends[np.argsort(squares, kind="stable")[: POLISHED if start is None else 1]]
        if start is None:
            some = Curves(log_x, many.target[: len(best)], many.counts[: len(best)])
            ends, squares = descend_all(shape.model, some, best, bounds=bounds, steps=400, tolerance=1e-12)
            if np.sum(squares <= squares.min() * (1 + AGREEMENT) + EXACT * len(x)) >= LAST:
                best = ends[np.argsort(squares, kind="stable")[:LAST]]
            optimum = best_of(residuals, jacobian, best, bounds=bounds, evaluations=1000)
        else:
            tried = [_inner(start, centre), *best]
            optimum = best_of(residuals, jacobian, tried, bounds=bounds, evaluations=40, tolerance=1e-7)
        parameters = _natural(optimum.inner, centre, self.options.n_breaks, log_x)
        if start is None:
            self._warn(x, parameters)
            warn_of_identifiability(optimum, _inner_names(self.options.n_breaks))
        return parameters

    def predict(self, parameters: FloatArray, budgets: FloatArray) -> FloatArray:
        """Return coverage (or the value) at each k."""
        return coverage_from_response(broken_power_law(parameters, budgets), self.options.response)

    def asymptotic_exponent(self, parameters: FloatArray) -> float:
        """Return the sum of all c where a is 0, NaN where y levels off."""
        slope = float(parameters[2] + parameters[3::3].sum())
        return slope if parameters[0] == 0 and slope > 0 else float("nan")

    def fit_resamples(self, resamples: Sequence[LawData], start: FloatArray) -> FloatArray:
        """Return the parameters of each resample, from the estimate and from random starts."""
        curves = curves_of(resamples, self.options.response, logs=True)
        known = curves.enough(int(np.ceil(self.options.points_per_parameter * len(self.parameters))))
        curves = curves.only(known)
        if resamples[0].design != "fixed" or not known.any():
            return np.full((len(resamples), len(self.parameters)), np.nan)
        centre = float(np.log(curves.x).mean())
        log_x = np.log(curves.x) - centre
        shape, bounds = _Shape(self.options.n_breaks, log_x), self._bounds(log_x)
        middle = curves.target.sum(axis=0) / np.maximum(curves.counts.sum(axis=0), 1)
        starts = [_inner(start, centre), *self._random(shape, middle, bounds, REFIT_STARTS)]
        tried = [descend_all(shape.model, curves, at, bounds=bounds, steps=60) for at in starts]
        best = np.argmin([squares for _, squares in tried], axis=0)
        ends = np.array([points for points, _ in tried])[best, np.arange(len(best))]
        natural = [_natural(inner, centre, self.options.n_breaks, log_x) for inner in ends]
        return with_fallback(np.array(natural), known)

    def _bounds(self, log_x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return bounds of (log a/b, slopes, log d_1, log d_i / d_(i-1), log f, log b)."""
        n = self.options.n_breaks
        flattest = -STEEPEST if self.options.response == "value" else 0.0
        first, last = log_x[0], log_x[-1] + 1.5
        low = [-40.0, *[flattest] * (n + 1), *[first, 0.0, 0.0][:n], *[np.log(5e-3)] * n, -50.0]
        high = [20.0, *[STEEPEST] * (n + 1), *[last, *[last - first] * 2][:n], *[np.log(5.0)] * n, 50.0]
        return np.array(low), np.array(high)

    def _random(
        self, shape: _Shape, log_y: FloatArray, bounds: tuple[FloatArray, FloatArray], count: int
    ) -> Iterator[FloatArray]:
        """Yield the best of `SCREENED` random points for each start, log b solved for."""
        n = self.options.n_breaks
        rng = np.random.default_rng(0)  # the same starts for all data: a fit is a function of its data
        for _ in range(count):
            cells = rng.uniform(*bounds, (SCREENED, len(bounds[0])))
            cells[:, 0] = rng.uniform(-8, 3, SCREENED)
            # slopes are mostly small, with either sign where that is allowed
            cells[:, 1 : n + 2] *= rng.uniform(0, 1, (SCREENED, n + 1)) ** 4
            cells[:, -1] = 0.0
            gaps = log_y - shape.log_law(cells)
            cells[:, -1] = gaps.mean(axis=1)
            yield cells[int(np.argmin(gaps.var(axis=1)))]

    def _warn(self, x: FloatArray, parameters: FloatArray) -> None:
        """Say where a break is not seen from both sides."""
        for i in range(1, self.options.n_breaks + 1):
            change, place, width = parameters[3 * i : 3 * i + 3]
            if abs(change) < NOTHING:
                say(f"break {i} changes nothing: the points show fewer breaks")
                continue
            begins, ends = place * np.exp([-ENTERED * width, ENTERED * width])
            if np.sum(x > ends) < POINTS_BEYOND:
                which = "the last break" if i == self.options.n_breaks else f"break {i}"
                say(f"no data beyond {which}: it is at {place:.3g} and ends at {ends:.3g}")
            if np.sum(x < begins) < POINTS_BEYOND:
                say(f"no data before break {i}: it is at {place:.3g} and begins at {begins:.3g}")


def broken_power_law(parameters: FloatArray, x: FloatArray) -> FloatArray:
    """Return y at each x for (a, b, c0, c1, d1, f1, ...), stable however sharp a break is."""
    offset, scale, first = parameters[:3]
    log_x = np.log(np.asarray(x, dtype=np.float64))
    log_shape = -first * log_x
    for change, place, width in np.reshape(parameters[3:], (-1, 3)):
        log_shape = log_shape - change * width * np.logaddexp(0.0, (log_x - np.log(place)) / width)
    return np.asarray(offset + scale * np.exp(log_shape))


class _Shape:
    """log y and its Jacobian in (log a/b, slopes, log d_1, log d_i / d_(i-1), log f, log b), x centred.

    Slopes are those before and after each break, breaks are in order: bounds of slopes are bounds of y's.
    """

    def __init__(self, breaks: int, log_x: FloatArray) -> None:
        self.breaks = breaks
        self.log_x = log_x

    def _parts(self, inner: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return changes of slope and f, how far past each break in units of f, and log shape.

        Of inner parameters of shape (..., parameters): (..., breaks, 1), (..., breaks, m) and (..., m).
        """
        n = self.breaks
        slopes, widths = inner[..., 1 : n + 2], np.exp(inner[..., 2 * n + 2 : -1])[..., None]
        places = np.cumsum(inner[..., n + 2 : 2 * n + 2], axis=-1)[..., None]
        changes = np.diff(slopes, axis=-1)[..., None]
        past = (self.log_x - places) / widths
        bends = (changes * widths * np.logaddexp(0.0, past)).sum(axis=-2)
        return changes, widths, past, -slopes[..., :1] * self.log_x - bends

    def log_law(self, inner: FloatArray) -> FloatArray:
        """Return log y, shape (..., m)."""
        return np.asarray(inner[..., -1:] + np.logaddexp(inner[..., :1], self._parts(inner)[-1]))

    def jacobian(self, inner: FloatArray) -> FloatArray:
        """Return its derivatives, shape (..., m, parameters)."""
        return self.model(inner)[1]

    def model(self, inner: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return log y and its derivatives."""
        changes, widths, past, log_shape = self._parts(inner)
        share = expit(log_shape - inner[..., :1])  # of y that is not the offset
        bends = widths * np.logaddexp(0.0, past)
        line = np.broadcast_to(self.log_x, log_shape.shape)[..., None, :]
        by_slopes = np.concatenate([-line, -bends], axis=-2)
        by_slopes = by_slopes + np.concatenate([bends, np.zeros_like(line)], axis=-2)
        entered = expit(past)
        moved = (changes * entered)[..., ::-1, :]
        by_places = np.cumsum(moved, axis=-2)[..., ::-1, :]  # later ones move along
        by_widths = -changes * (bends - widths * past * entered)
        columns = np.concatenate([by_slopes, by_places, by_widths], axis=-2) * share[..., None, :]
        ends = (1 - share)[..., None, :], columns, np.ones_like(share)[..., None, :]
        derivatives = np.swapaxes(np.concatenate(ends, axis=-2), -1, -2)
        return np.asarray(inner[..., -1:] + np.logaddexp(inner[..., :1], log_shape)), derivatives


def _natural(inner: FloatArray, centre: float, n: int, log_x: FloatArray) -> FloatArray:
    """Return (a, b, c0, c1, d1, f1, ...); an offset that is nothing of y anywhere is 0."""
    log_shape = _Shape(n, log_x)._parts(inner)[-1]
    slopes, widths = inner[1 : n + 2], inner[2 * n + 2 : -1]
    places = np.cumsum(inner[n + 2 : 2 * n + 2]) + centre
    offset = np.exp(inner[0] + inner[-1]) if inner[0] > np.log(NOTHING) + log_shape.min() else 0.0
    breaks = np.column_stack([np.diff(slopes), np.exp(places), np.exp(widths)])
    return np.array([offset, np.exp(inner[-1] + slopes[0] * centre), slopes[0], *breaks.ravel()])


def _inner(parameters: FloatArray, centre: float) -> FloatArray:
    offset, scale, first = parameters[:3]
    changes, places, widths = np.reshape(parameters[3:], (-1, 3)).T
    log_scale = np.log(scale) - first * centre
    ratio = np.log(offset) - log_scale if offset > 0 else -40.0
    slopes = first + np.concatenate([[0.0], np.cumsum(changes)])
    gaps = np.diff(np.log(places) - centre, prepend=0.0)
    return np.concatenate([[ratio], slopes, gaps, np.log(widths), [log_scale]])


def _inner_names(n: int) -> list[str]:
    each = range(1, n + 1)
    slopes = [f"slope {i}" for i in range(n + 1)]
    return ["a", *slopes, *(f"d{i}" for i in each), *(f"f{i}" for i in each), "b"]


entry = LawEntry(
    name="broken_power_law",
    aliases=("bnsl", "broken_neural_scaling_law", "smoothly_broken_power_law"),
    factory=BrokenPowerLaw,
    options=BrokenPowerLawOptions,
    revision=2,
    takes="curve",
    summary="-log coverage is a power law whose slope changes at breaks (BNSL), least squares in logs.",
    reference="Caballero et al. 2023, arXiv:2210.14891, equation 1",
)
