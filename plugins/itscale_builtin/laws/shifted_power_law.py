"""A power law above a floor: y = E + A x^-a."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from itscale.outcomes import FloatArray
from itscale.plugins import LawEntry, Options
from itscale.plugins.laws import LawData
from itscale_builtin.laws._descents import curves_of, descend_all, with_fallback
from itscale_builtin.laws._least_squares import (
    EXACT,
    Optimum,
    best_of,
    say,
    warn_of_identifiability,
    warn_of_span,
)
from itscale_builtin.laws._points import Response, coverage_from_response, falling_points

__all__ = ["ShiftedPowerLaw", "ShiftedPowerLawOptions", "entry", "shifted_starts"]

EXPONENTS = np.geomspace(0.05, 5.0, 30)
RATIOS = np.geomspace(1e-5, 1e3, 33)
BOUNDS = (np.array([-12.0, 0.0, -np.inf]), np.array([3.0, np.inf, np.inf]))
"""Of (log a, E/A, log A). The floor is no exponential: that would run off to where nothing changes."""
LIKELIHOOD_FALL = 3.84
"""95 % quantile of chi-squared with one degree of freedom."""
NOTHING = 1e-9
"""A floor that is this share of y or less is 0."""


class ShiftedPowerLawOptions(Options):
    """Options of the shifted power law."""

    response: Response = "negative_log_coverage"
    """What y is: `negative_log_coverage` (the power law of `power_law` above a floor), `failure`, or `value`,
    any falling positive series."""


class ShiftedPowerLaw:
    """`y = E + A x^-a`, E >= 0, least squares in log y.

    By default y is -log coverage, so that E = 0 is `power_law` and exp(-E) is where coverage ends. Far from
    that floor data say only how high it can be; the fit says so. a is the slope above the floor and has no
    meaning where the two are hardly told apart.
    """

    parameters = ("E", "A", "a")
    estimand = "effective slope"

    def __init__(self, options: ShiftedPowerLawOptions) -> None:
        self.response = options.response
        self.unbounded = options.response == "value"

    def fit(self, data: LawData, start: FloatArray | None = None) -> FloatArray:
        """Return E >= 0, A > 0 and a; FitFailure on fewer than five usable points."""
        x, y = falling_points(data, self.response)
        centre = float(np.exp(np.log(x).mean()))
        log_x, log_y = np.log(x / centre), np.log(y)

        def residuals(inner: FloatArray) -> FloatArray:
            return np.asarray(log_y - _log_law(log_x, inner))

        def jacobian(inner: FloatArray) -> FloatArray:
            above = np.exp(-np.exp(inner[0]) * log_x)
            shape = above + inner[1]
            by_exponent = -above / shape * log_x * np.exp(inner[0])
            return -np.column_stack([by_exponent, 1 / shape, np.ones_like(log_x)])

        def starts() -> Iterator[FloatArray]:
            if start is not None:
                scale = start[1] * centre ** -start[2]
                yield np.array([np.log(start[2]), start[0] / scale, np.log(scale)])
            yield from shifted_starts(log_x, log_y)[: 1 if start is not None else 2]

        optimum = best_of(residuals, jacobian, starts(), bounds=BOUNDS)
        if start is None:
            _warn(x, optimum, _straight(log_x, log_y, centre)[0])
        return _pick(log_x, log_y, optimum.inner, optimum.squares, centre)

    def fit_resamples(self, resamples: Sequence[LawData], start: FloatArray) -> FloatArray:
        """Return E, A and a of each resample, from the estimate and from a grid's best cell."""
        curves = curves_of(resamples, self.response, logs=True)
        known = curves.enough() & (curves.counts > 0).all(axis=1)
        curves = curves.only(known)
        if resamples[0].design != "fixed" or not known.any():
            return np.full((len(resamples), len(self.parameters)), np.nan)
        centre = float(np.exp(np.log(curves.x).mean()))
        log_x = np.log(curves.x / centre)

        def model(inner: FloatArray) -> tuple[FloatArray, FloatArray]:
            exponent, ratio, scale = np.moveaxis(inner, -1, 0)[..., None]
            above = np.exp(-np.exp(exponent) * log_x)
            shape = above + ratio
            by_exponent = -above / shape * log_x * np.exp(exponent)
            derivatives = np.stack([by_exponent, 1 / shape, np.ones_like(shape)], axis=-1)
            return scale + np.log(shape), derivatives

        scale = start[1] * centre ** -start[2]
        near = np.array([np.log(start[2]), start[0] / scale, np.log(scale)])
        starts = [near, shifted_starts(log_x, curves.target.mean(axis=0))[0]]
        tried = [descend_all(model, curves, at, bounds=BOUNDS, steps=60) for at in starts]
        best = np.argmin([squares for _, squares in tried], axis=0)
        inner = np.array([ends for ends, _ in tried])[best, np.arange(len(best))]
        squares = np.min([squares for _, squares in tried], axis=0)
        found = [_pick(log_x, *row, centre) for row in zip(curves.target, inner, squares, strict=True)]
        return with_fallback(np.array(found), known)

    def predict(self, parameters: FloatArray, budgets: FloatArray) -> FloatArray:
        """Return coverage (or the value) at each k."""
        floor, scale, exponent = parameters
        y = floor + scale * np.asarray(budgets, dtype=np.float64) ** -exponent
        return coverage_from_response(y, self.response)

    def asymptotic_exponent(self, parameters: FloatArray) -> float:
        """Return a without a floor, NaN above one or where coverage falls."""
        return float(parameters[2]) if parameters[0] == 0 and parameters[2] > 0 else float("nan")


def _pick(
    log_x: FloatArray, log_y: FloatArray, inner: FloatArray, squares: float, centre: float
) -> FloatArray:
    """Return (E, A, a) of an optimum, or those of the law without a floor where it is as good."""
    (exponent, scale), ratio = np.exp(inner[[0, 2]]), inner[1]
    without_floor, parameters = _straight(log_x, log_y, centre)
    if ratio > NOTHING * np.exp(-exponent * log_x[-1]) and squares < without_floor:
        return np.array([ratio * scale, scale * centre**exponent, exponent])
    return parameters


def shifted_starts(log_x: FloatArray, log_y: FloatArray) -> list[FloatArray]:
    """Return (log a, E/A, log A) of the best cells of a grid, best first; A is solved for in each."""
    exponents, ratios = np.meshgrid(EXPONENTS, RATIOS, indexing="ij")
    shapes = np.log(np.exp(-exponents[..., None] * log_x) + ratios[..., None])
    gaps = log_y - shapes
    scales = gaps.mean(axis=-1)
    squares = np.square(gaps - scales[..., None]).sum(axis=-1)
    best = np.argsort(squares, axis=None)[:4]
    return list(
        np.column_stack([np.log(exponents.ravel()[best]), ratios.ravel()[best], scales.ravel()[best]])
    )


def _log_law(log_x: FloatArray, inner: FloatArray) -> FloatArray:
    return np.asarray(inner[2] + np.log(np.exp(-np.exp(inner[0]) * log_x) + inner[1]))


def _straight(log_x: FloatArray, log_y: FloatArray, centre: float) -> tuple[float, FloatArray]:
    """Return the sum of squares and the parameters of the law without a floor (log_x is centred)."""
    slope = log_x @ log_y / (log_x @ log_x)
    squares = float(np.sum((log_y - log_y.mean() - slope * log_x) ** 2))
    return squares, np.array([0.0, np.exp(log_y.mean()) * centre**-slope, -slope])


def _warn(x: FloatArray, optimum: Optimum, without_floor: float) -> None:
    """Say what the points do not determine."""
    warn_of_span(x, 2, "a floor")
    warn_of_identifiability(optimum, ("a", "E", "A"))
    # twice the log-likelihood of log-normal errors falls by n log of the ratio of the sums of squares
    if without_floor <= (optimum.squares + EXACT * len(x)) * np.exp(LIKELIHOOD_FALL / len(x)):
        say("E is only an upper bound: without a floor the points are fitted as well")


entry = LawEntry(
    name="shifted_power_law",
    aliases=("offset_power_law", "power_law_with_offset"),
    factory=ShiftedPowerLaw,
    options=ShiftedPowerLawOptions,
    revision=2,
    takes="curve",
    summary="-log coverage = E + A k^-a, least squares in logs: a power law above a floor.",
    reference="Hoffmann et al. 2022, arXiv:2203.15556, section 3.3 (the form, in one variable)",
)
