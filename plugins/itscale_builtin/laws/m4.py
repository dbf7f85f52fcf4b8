"""M4: a power law between a ceiling that is left and a floor that is reached, each at its own pace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import expit, logit

from itscale.outcomes import FloatArray
from itscale.plugins import LawEntry, Options
from itscale.plugins.laws import LawData
from itscale_builtin.laws._descents import curves_of, descend_all, with_fallback
from itscale_builtin.laws._least_squares import best_of, say, warn_of_identifiability, warn_of_span
from itscale_builtin.laws._points import Response, coverage_from_response, falling_points

__all__ = ["M4", "M4Options", "entry", "m4"]

FLOORS = (1e-6, 0.3, 0.7, 0.95)
"""Starts of E, in units of the smallest y."""
CEILINGS = (1.001, 1.1, 2.0, 10.0)
"""Starts of e0, in units of the largest y."""
LEAST_ALPHA = 1e-3
"""Of a start: at 0 there would be no slope to follow."""
LARGEST_ALPHA = 10.0
"""The published fits are below 2; far above, B and c grow without end and y hardly changes."""
COLD_STARTS, REFIT_STARTS = 8, 1
EVALUATIONS, REFIT_EVALUATIONS = 500, 60
NOTHING = 1e-9


class M4Options(Options):
    """Options of the M4 law."""

    response: Response = "failure"
    """What y is: `failure`, `negative_log_coverage`, or `value`, any falling positive series."""


class M4:
    """`(y - E) / (e0 - y)^alpha = B x^-c`, least squares in log y.

    y falls from e0 to E. alpha = 0 is the shifted power law. There is no closed form of y; each point is the
    root of an increasing function. The reference implementation fits log B as a non-negative coefficient,
    which forces B >= 1; here B > 0 is all.
    """

    parameters = ("E", "e0", "alpha", "B", "c")
    estimand = "effective slope"

    def __init__(self, options: M4Options) -> None:
        self.response = options.response
        self.unbounded = options.response == "value"

    def fit(self, data: LawData, start: FloatArray | None = None) -> FloatArray:
        """Return E, e0, alpha, B and c; FitFailure on fewer than five usable points."""
        x, y = falling_points(data, self.response)
        centre = float(np.log(x).mean())
        log_x, log_y = np.log(x) - centre, np.log(y)

        def starts() -> Iterator[FloatArray]:
            if start is not None:
                yield _inner(start, centre)
            yield from _starts(log_x, y)[: REFIT_STARTS if start is not None else COLD_STARTS]

        def residuals(inner: FloatArray) -> FloatArray:
            return np.asarray(log_y - np.log(_law(log_x, inner)[0]))

        def jacobian(inner: FloatArray) -> FloatArray:
            return -_jacobian(log_x, inner, *_law(log_x, inner))

        evaluations = EVALUATIONS if start is None else REFIT_EVALUATIONS
        optimum = best_of(residuals, jacobian, starts(), evaluations=evaluations)
        (parameters,) = _natural(np.clip(optimum.inner, -300, 300)[None], centre, y.min())
        if start is None:
            warn_of_span(x, 2, "a floor")
            warn_of_identifiability(optimum, self.parameters)
            if parameters[0] == 0:
                say("E is 0: only an upper bound")
            if parameters[2] > 0.999 * LARGEST_ALPHA:
                say(f"alpha is at its bound {LARGEST_ALPHA:g}")
        return np.asarray(parameters)

    def fit_resamples(self, resamples: Sequence[LawData], start: FloatArray) -> FloatArray:
        """Return the parameters of each resample, from the estimate and from a grid's best cell."""
        curves = curves_of(resamples, self.response, logs=True)
        known = curves.enough()
        curves = curves.only(known)
        if resamples[0].design != "fixed" or not known.any():
            return np.full((len(resamples), len(self.parameters)), np.nan)
        centre = float(np.log(curves.x).mean())
        log_x = np.log(curves.x) - centre
        whole = (curves.counts > 0).all(axis=0)
        middle = np.exp(curves.target[:, whole].mean(axis=0))

        def model(inner: FloatArray) -> tuple[FloatArray, FloatArray]:
            y, t = _law(log_x, inner)
            return np.log(y), _jacobian(log_x, inner, y, t)

        starts = [_inner(start, centre), *_starts(log_x[whole], middle)[:REFIT_STARTS]]
        tried = [descend_all(model, curves, at, steps=REFIT_EVALUATIONS) for at in starts]
        best = np.argmin([squares for _, squares in tried], axis=0)
        inner = np.clip(np.array([ends for ends, _ in tried])[best, np.arange(len(best))], -300, 300)
        least = np.where(curves.counts > 0, np.exp(curves.target), np.inf).min(axis=1)
        return with_fallback(_natural(inner, centre, least), known)

    def predict(self, parameters: FloatArray, budgets: FloatArray) -> FloatArray:
        """Return coverage (or the value) at each k."""
        return coverage_from_response(m4(parameters, budgets), self.response)

    def asymptotic_exponent(self, parameters: FloatArray) -> float:
        """Return c without a floor, NaN above one."""
        return float(parameters[4]) if parameters[0] == 0 else float("nan")


def m4(parameters: FloatArray, x: FloatArray) -> FloatArray:
    """Return y at each x for (E, e0, alpha, B, c); alpha may be 0."""
    floor, ceiling, alpha, scale, exponent = parameters
    log_right = np.log(scale) - exponent * np.log(np.asarray(x, dtype=np.float64))
    if alpha == 0:
        return np.asarray(floor + np.exp(log_right))
    span = ceiling - floor
    return np.asarray(floor + span * expit(_root(alpha, log_right - (1 - alpha) * np.log(span))))


def _root(alpha: float | FloatArray, right: FloatArray) -> FloatArray:
    """Solve w = f (b - w)^alpha: with w = b sigmoid(t) it is t + (alpha - 1) log(1 + e^t) = right.

    The left side increases and is convex (alpha > 1) or concave (alpha < 1), and t = `right` is on the side
    from which Newton's method can only approach the root.
    """
    t = np.array(right, dtype=np.float64)
    for _ in range(100):
        step = (t + (alpha - 1) * np.logaddexp(0.0, t) - right) / (expit(-t) + alpha * expit(t))
        t -= step
        if np.all(np.abs(step) <= 1e-13 * (1 + np.abs(t))):
            break
    return t


def _law(log_x: FloatArray, inner: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return y and t for (log E, log (e0 - E), logit alpha, log B, log c)."""
    log_floor, log_range, logit_alpha, log_scale, log_exponent = _each(inner)
    alpha = _alpha(logit_alpha)
    t = _root(alpha, log_scale - np.exp(log_exponent) * log_x - (1 - alpha) * log_range)
    return np.exp(log_floor) + np.exp(log_range) * expit(t), t


def _each(inner: FloatArray) -> FloatArray:
    """Return inner parameters, shape (..., 5), as five arrays of shape (..., 1)."""
    return np.moveaxis(inner, -1, 0)[..., None]


def _natural(inner: FloatArray, centre: float, least: FloatArray | float) -> FloatArray:
    """Return (E, e0, alpha, B, c) of each set, shape (sets, 5); a floor that is nothing of y's least is 0."""
    log_floor, log_range, logit_alpha, log_scale, log_exponent = inner.T
    floor, exponent = np.exp(log_floor), np.exp(log_exponent)
    floor = np.where(floor < NOTHING * least, 0.0, floor)
    scale = np.exp(np.clip(log_scale + exponent * centre, -300, 300))
    return np.column_stack([floor, floor + np.exp(log_range), _alpha(logit_alpha), scale, exponent])


def _jacobian(log_x: FloatArray, inner: FloatArray, y: FloatArray, t: FloatArray) -> FloatArray:
    """Return the derivatives of log y, shape (..., m, 5), by the implicit function theorem; see `_law`."""
    log_floor, log_range, logit_alpha, _, log_exponent = _each(inner)
    floor, span, exponent = np.exp(log_floor), np.exp(log_range), np.exp(log_exponent)
    alpha = _alpha(logit_alpha)
    rise = expit(t)
    by_t = span * rise * (1 - rise) / ((1 - rise) + alpha * rise)
    columns = [
        floor * np.ones_like(y),
        span * rise - (1 - alpha) * by_t,
        alpha * (1 - alpha / LARGEST_ALPHA) * (log_range - np.logaddexp(0.0, t)) * by_t,
        by_t,
        -exponent * log_x * by_t,
    ]
    return np.asarray(np.stack(columns, axis=-1) / y[..., None])


def _starts(log_x: FloatArray, y: FloatArray) -> list[FloatArray]:
    """Return inner parameters, best first: E and e0 on a grid, the others by linear least squares."""
    found: list[tuple[float, FloatArray]] = []
    for floor in np.multiply(FLOORS, y.min()):
        for ceiling in np.multiply(CEILINGS, y.max()):
            inner = _solved(log_x, y, floor, ceiling)
            with np.errstate(all="ignore"):
                squares = float(np.sum((np.log(y) - np.log(_law(log_x, inner)[0])) ** 2))
            found.append((squares if np.isfinite(squares) else np.inf, inner))
    return [inner for _, inner in sorted(found, key=lambda each: each[0])]


def _solved(log_x: FloatArray, y: FloatArray, floor: float, ceiling: float) -> FloatArray:
    """Return the inner parameters that solve log(y - E) = log B - c log x + alpha log(e0 - y) best."""
    log_left, target = np.log(ceiling - y), np.log(y - floor)
    line = np.column_stack([np.ones_like(y), log_x])
    log_scale, slope, alpha = np.linalg.lstsq(np.column_stack([line, log_left]), target, rcond=None)[0]
    if alpha <= LEAST_ALPHA:
        alpha = LEAST_ALPHA
        log_scale, slope = np.linalg.lstsq(line, target - alpha * log_left, rcond=None)[0]
    log_floor, log_range, log_exponent = np.log([floor, ceiling - floor, max(-slope, 1e-3)])
    return np.array([log_floor, log_range, _logit_alpha(alpha), log_scale, log_exponent])


def _alpha(inner: FloatArray) -> FloatArray:
    """Return alpha in (0, LARGEST_ALPHA) from the number that the optimiser sees."""
    return np.asarray(LARGEST_ALPHA * expit(inner))


def _logit_alpha(alpha: float) -> float:
    return float(logit(np.clip(alpha / LARGEST_ALPHA, 1e-13, 1 - 1e-3)))


def _inner(parameters: FloatArray, centre: float) -> FloatArray:
    floor, ceiling, alpha, scale, exponent = np.maximum(parameters, 1e-300)
    least = max(floor, 1e-12 * ceiling)
    return np.array(
        [
            np.log(least),
            np.log(ceiling - floor),
            _logit_alpha(alpha),
            np.log(scale) - exponent * centre,
            np.log(exponent),
        ]
    )


entry = LawEntry(
    name="m4",
    factory=M4,
    options=M4Options,
    revision=2,
    takes="curve",
    summary="(y - E) / (e0 - y)^alpha = B k^-c of failure, from a ceiling to a floor, least squares in logs.",
    reference="Alabdulmohsin et al. 2022, arXiv:2209.06640, equation 4 (M4)",
)
