"""Least squares of many data sets at once: what a law's refits to resampled problems need.

One descent of a handful of parameters is mostly overhead; a step of 500 of them costs hardly more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from itscale.outcomes import FloatArray
from itscale.plugins.laws import LawData
from itscale_builtin.laws._points import LEAST_POINTS, Response

__all__ = ["Curves", "Model", "curves_of", "descend_all", "with_fallback"]

Model = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""Maps parameters, shape (sets, p), to predictions, (sets, m), and their derivatives, (sets, m, p)."""

LARGEST_DAMPING = 1e12
FIRST_DAMPING = 1e-3


@dataclass(frozen=True)
class Curves:
    """Curves over the same x: targets and which of them count (1 or 0), shape (sets, m); x of shape (m,)."""

    x: FloatArray
    target: FloatArray
    counts: FloatArray

    def enough(self, least: int = LEAST_POINTS) -> npt.NDArray[np.bool_]:
        """Return which sets have so many points, and points that differ, shape (sets,)."""
        low = np.where(self.counts > 0, self.target, np.inf).min(axis=1)
        high = np.where(self.counts > 0, self.target, -np.inf).max(axis=1)
        return np.asarray((self.counts.sum(axis=1) >= least) & (high > low))

    def only(self, sets: npt.NDArray[np.bool_]) -> Curves:
        """Return some of the sets."""
        return Curves(self.x, self.target[sets], self.counts[sets])


def curves_of(resamples: Sequence[LawData], response: Response, *, logs: bool) -> Curves:
    """Return what a law of a curve fits of each resample: y, or its logarithm, of the response."""
    coverage = np.array([data.coverage for data in resamples], dtype=np.float64)
    if response == "value":
        y, usable = coverage, np.isfinite(coverage)
    elif response == "negative_log_coverage":
        usable = (coverage > 0) & (coverage < 1)
        y = -np.log(np.where(usable, coverage, 0.5))
    else:
        usable = np.isfinite(coverage)
        y = 1 - coverage if response == "failure" else coverage
    if logs:
        usable &= y > 0
        y = np.log(np.where(usable, y, 1.0))
    x = np.asarray(resamples[0].budgets, dtype=np.float64)
    return Curves(x, np.where(usable, y, 0.0), usable.astype(np.float64))


def descend_all(
    model: Model,
    curves: Curves,
    starts: FloatArray,
    *,
    bounds: tuple[FloatArray, FloatArray] | None = None,
    steps: int = 40,
    tolerance: float = 1e-9,
) -> tuple[FloatArray, FloatArray]:
    """Return where each set's sum of squares ends (Levenberg and Marquardt), shape (sets, p), and the sums.

    A set is done when a step lowers its sum by less than `tolerance` of it, or none does. At a bound, a
    parameter that wants to leave is held.

    Parameters
    ----------
    model, curves
        What is fitted to what.
    starts
        Shape (sets, p), or (p,) for one start of all.
    bounds
        Of each parameter, shape (p,) each.
    """
    sets = len(curves.target)
    low, high = bounds if bounds is not None else (np.array(-np.inf), np.array(np.inf))
    points = np.clip(np.broadcast_to(starts, (sets, np.shape(starts)[-1])).astype(np.float64), low, high)
    squares = np.full(sets, np.inf)
    damping = np.full(sets, FIRST_DAMPING)
    with np.errstate(all="ignore"):
        off, slopes = _off(model, curves.target, curves.counts, points)
        squares[:] = np.nan_to_num(np.square(off).sum(axis=1), nan=np.inf, posinf=np.inf)
        left = np.flatnonzero(np.isfinite(squares))
        off, slopes = off[left], slopes[left]
        for _ in range(steps):
            if len(left) == 0:
                break
            moved = _step(off, slopes, points[left], damping[left], low, high)
            new_off, new_slopes = _off(model, curves.target[left], curves.counts[left], moved)
            found = np.nan_to_num(np.square(new_off).sum(axis=1), nan=np.inf, posinf=np.inf)
            better = found < squares[left]
            gain = np.where(better, squares[left] - found, np.inf)
            points[left[better]], squares[left[better]] = moved[better], found[better]
            damping[left] *= np.where(better, 0.2, 5.0)
            off = np.where(better[:, None], new_off, off)
            slopes = np.where(better[:, None, None], new_slopes, slopes)
            going = (gain > tolerance * squares[left] + 1e-300) & (damping[left] < LARGEST_DAMPING)
            left, off, slopes = left[going], off[going], slopes[going]
    return points, squares


def _off(
    model: Model, target: FloatArray, counts: FloatArray, points: FloatArray
) -> tuple[FloatArray, FloatArray]:
    predicted, derivatives = model(points)
    return counts * (predicted - target), counts[:, :, None] * derivatives


def _step(
    off: FloatArray,
    slopes: FloatArray,
    points: FloatArray,
    damping: FloatArray,
    low: FloatArray,
    high: FloatArray,
) -> FloatArray:
    gradient = np.einsum("sm,smp->sp", off, slopes)
    normal = np.einsum("smp,smq->spq", slopes, slopes)
    held = ((points <= low) & (gradient > 0)) | ((points >= high) & (gradient < 0))
    gradient = np.where(held, 0.0, gradient)
    normal = np.where(held[:, :, None] | held[:, None, :], 0.0, normal)
    diagonal = np.einsum("spp->sp", normal)
    scale = np.maximum(diagonal, 1e-12 * np.maximum(diagonal.max(axis=1, keepdims=True), 1e-300))
    lifted = normal + (damping[:, None] * scale + held)[:, :, None] * np.eye(points.shape[1])
    lifted = np.where(np.isfinite(lifted), lifted, np.eye(points.shape[1]))
    try:
        change = np.linalg.solve(lifted, np.nan_to_num(gradient)[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        change = np.einsum("spq,sq->sp", np.linalg.pinv(lifted), np.nan_to_num(gradient))
    return np.asarray(np.clip(points - change, low, high))


def with_fallback(found: FloatArray, known: npt.NDArray[np.bool_]) -> FloatArray:
    """Return `found`, shape (known sets, p), among all sets; the others are NaN: to be fitted one by one."""
    everything = np.full((len(known), found.shape[1]), np.nan)
    everything[known] = found
    return everything
