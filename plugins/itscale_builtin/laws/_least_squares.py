"""Least squares from several starts, and what must be said of the result (identifiability gates)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, least_squares

from itscale.outcomes import FloatArray
from itscale.plugins.laws import FitFailure, FitWarning

__all__ = [
    "AGREEMENT",
    "EXACT",
    "Optimum",
    "best_of",
    "say",
    "warn_of_identifiability",
    "warn_of_span",
]

AGREEMENT = 1e-6
"""Starts agree when their sums of squares differ by less, relative to the smallest."""
EXACT = 1e-16
"""Mean squares below this are those of data that follow the law exactly."""
LARGEST_CONDITION, LARGEST_CORRELATION = 1e8, 0.98


@dataclass(frozen=True)
class Optimum:
    """The best of several starts.

    Attributes
    ----------
    inner
        Parameters as the optimiser sees them, shape (p,).
    squares
        Sum of squared residuals.
    jacobian
        Of the residuals there, shape (m, p).
    agreeing, tried
        How many starts ended there, of how many.
    """

    inner: FloatArray
    squares: float
    jacobian: FloatArray
    agreeing: int
    tried: int


def best_of(
    residuals: Callable[[FloatArray], FloatArray],
    jacobian: Callable[[FloatArray], FloatArray],
    starts: Iterable[FloatArray],
    *,
    bounds: tuple[FloatArray, FloatArray] | None = None,
    evaluations: int = 500,
    tolerance: float = 1e-15,
) -> Optimum:
    """Minimise the sum of squares from every start; say it where no two of them agree.

    Without bounds Levenberg-Marquardt (MINPACK), with bounds the trust-region reflective method. The sum is
    never divided by the number of points: `tolerance` (relative, of the sum) would mean something else.

    Raises
    ------
    FitFailure
        If no start leads anywhere.
    """
    results = []
    tried = 0
    for start in starts:
        tried += 1
        result = _descend(residuals, jacobian, start, bounds, evaluations, tolerance)
        if result is not None:
            results.append(result)
    if not results:
        raise FitFailure(f"least squares: none of {tried} starts leads anywhere")
    best = min(results, key=lambda result: float(result.cost))
    allowed = AGREEMENT * best.cost + EXACT * len(best.fun)
    agreeing = sum(result.cost - best.cost <= allowed for result in results)
    if agreeing < 2 <= tried:
        warnings.warn(f"not converged: no two of {tried} starts agree", FitWarning, stacklevel=3)
    return Optimum(best.x, 2 * float(best.cost), np.asarray(best.jac), agreeing, tried)


def _descend(
    residuals: Callable[[FloatArray], FloatArray],
    jacobian: Callable[[FloatArray], FloatArray],
    start: FloatArray,
    bounds: tuple[FloatArray, FloatArray] | None,
    evaluations: int,
    tolerance: float,
) -> OptimizeResult | None:
    """Return where one start ends, None where residuals are not finite."""
    at = start if bounds is None else np.clip(start, bounds[0] + 1e-9, bounds[1] - 1e-9)
    try:
        with np.errstate(all="ignore"):
            result = least_squares(
                residuals,
                at,
                jac=jacobian,
                method="lm" if bounds is None else "trf",
                bounds=bounds or (-np.inf, np.inf),
                ftol=tolerance,
                xtol=1e-13,
                gtol=1e-13,
                max_nfev=evaluations,
            )
    except (ValueError, np.linalg.LinAlgError):
        return None
    return result if np.all(np.isfinite(result.x)) and np.isfinite(result.cost) else None


def warn_of_identifiability(optimum: Optimum, names: Sequence[str]) -> None:
    """Say where the data do not tell parameters apart: few points, ill-conditioned or correlated."""
    points, count = optimum.jacobian.shape
    if points < 2 * count:
        say(f"{points} points for {count} parameters, fewer than 2 each")
    lengths = np.linalg.norm(optimum.jacobian, axis=0)
    if np.any(lengths == 0):
        idle = [name for name, length in zip(names, lengths, strict=True) if length == 0]
        say(f"without effect on the fit: {', '.join(idle)}")
        return
    scaled = optimum.jacobian / lengths
    information = scaled.T @ scaled
    if np.linalg.cond(information) > LARGEST_CONDITION:
        say("parameters are not identified: condition number above 1e8")
        return
    covariance = np.linalg.inv(information)
    deviations = np.sqrt(np.diag(covariance))
    correlation = np.abs(covariance / np.outer(deviations, deviations)) - np.eye(count)
    if correlation.max() > LARGEST_CORRELATION:
        one, other = sorted(divmod(int(np.argmax(correlation)), count))
        say(f"{names[one]} and {names[other]} are hardly told apart: correlation {correlation.max():.3f}")


def warn_of_span(x: FloatArray, decades: float, law: str) -> None:
    """Say where x spans fewer decades than a law needs."""
    found = float(np.log10(x[-1] / x[0]))
    if found < decades:
        say(f"the points span {found:.1f} decades, {law} needs {decades:g}")


def say(message: str) -> None:
    """Put a remark beside the fit."""
    warnings.warn(message, FitWarning, stacklevel=3)
