"""Maximum likelihood of many resamples at once: what the refits of a law of counts need.

A climb of two or three parameters is mostly overhead; a step of 250 of them costs little more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from itscale.outcomes import FloatArray

__all__ = ["LogLikelihood", "climb_all"]

LogLikelihood = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]
"""Maps points, shape (sets, p), or (1, p) where all sets are at one, and how often each distinct count occurs
in each set, (sets, distinct), to log L, (sets,), and its gradient, (sets, p)."""

STEPS = 150
SETTLED = 1e-10
"""A climb ends where a Newton step promises less log L: 1e-5 of a standard error."""
ROUNDING = 1e-11
"""Of log L, relative: a step may seem to fall by so much."""
DIFFERENCE = 1e-4
"""Step of the differences of gradients at the start, which make the first curvature."""
LEAST_CURVATURE = 1e-9
"""Of a direction, relative to the most curved one."""
SWEEPS = 20
"""Times over the parameters, where a step passes a bound."""
LONGEST, SHORTEST = 2.0, 1e-3
"""Steps are no longer in any parameter; where a step of that share of a full one does not rise, none will."""


def climb_all(
    log_likelihood: LogLikelihood,
    times: FloatArray,
    start: FloatArray,
    bounds: Sequence[tuple[float, float]],
) -> FloatArray:
    """Return the maximum that each set reaches from a start near it, shape (sets, p).

    For refits, which begin at the estimate. Newton's steps with the curvature of each set at the start,
    brought up to date by Broyden, Fletcher, Goldfarb and Shanno's formula, so that only the first one costs
    more than a gradient. A row is NaN where a climb does not settle.

    Parameters
    ----------
    times
        How often each distinct count occurs in each set, shape (sets, distinct).
    start
        Shape (p,).
    bounds
        Of each parameter.
    """
    low, high = np.transpose(bounds)
    first = np.clip(start, low, high)
    points = np.tile(first, (len(times), 1))
    heights, gradients = log_likelihood(first[None], times)
    curvatures = _curvatures(log_likelihood, times, first, gradients, high)
    shares = np.ones(len(times))
    found = np.full_like(points, np.nan)
    left = np.arange(len(times))
    for _ in range(STEPS):
        steps, promises = _newton(points[left], gradients[left], curvatures[left], low, high)
        settled = promises <= SETTLED
        found[left[settled]] = points[left[settled]]
        left, steps = left[~settled], steps[~settled]
        if len(left) == 0:
            break
        moved = np.clip(points[left] + shares[left, None] * steps, low, high)  # but for rounding inside
        new_heights, new_gradients = log_likelihood(moved, times[left])
        rises = new_heights >= heights[left] - ROUNDING * np.abs(heights[left])
        shares[left] = np.where(rises, 1.0, shares[left] / 4)
        up = left[rises]
        curvatures[up] = _updated(
            curvatures[up], moved[rises] - points[up], gradients[up] - new_gradients[rises]
        )
        points[up], heights[up], gradients[up] = moved[rises], new_heights[rises], new_gradients[rises]
        left = left[shares[left] > SHORTEST]
    return found


def _curvatures(
    log_likelihood: LogLikelihood,
    times: FloatArray,
    first: FloatArray,
    gradients: FloatArray,
    high: FloatArray,
) -> FloatArray:
    """Return minus the second derivatives of log L at the start, made positive definite, (sets, p, p)."""
    columns = []
    for at in range(len(first)):
        step = DIFFERENCE if first[at] + DIFFERENCE <= high[at] else -DIFFERENCE
        moved = first.copy()
        moved[at] += step
        columns.append((gradients - log_likelihood(moved[None], times)[1]) / step)
    curvatures = np.nan_to_num(np.stack(columns, axis=-1))
    values, vectors = np.linalg.eigh((curvatures + np.swapaxes(curvatures, 1, 2)) / 2)
    values = np.abs(values)
    values = np.maximum(values, LEAST_CURVATURE * values.max(axis=1, keepdims=True) + 1e-300)
    return np.asarray(np.einsum("spi,si,sqi->spq", vectors, values, vectors))


def _newton(
    points: FloatArray, gradients: FloatArray, curvatures: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return steps within the bounds, shape (sets, p), and how much log L they promise to rise, (sets,).

    A parameter at a bound that log L rises beyond stays. Where another would pass its bound, the step goes
    as far as that bound, and on from there parameter by parameter.
    """
    stays = ((points <= low) & (gradients < 0)) | ((points >= high) & (gradients > 0))
    apart = stays[:, :, None] | stays[:, None, :]
    free = np.where(apart, np.eye(points.shape[1]), curvatures)
    steps = np.linalg.solve(free, np.where(stays, 0.0, gradients)[:, :, None])[:, :, 0]
    longest = np.abs(steps).max(axis=1, keepdims=True)
    steps *= np.minimum(1.0, LONGEST / np.maximum(longest, LONGEST))
    room = np.where(steps > 0, high - points, low - points)
    ahead = np.min(room / np.where(steps == 0, np.inf, steps), axis=1, initial=1.0, where=steps != 0)
    steps *= ahead[:, None]
    if (bounded := np.flatnonzero(ahead < 1)).size:
        lowest = np.maximum(low - points[bounded], -LONGEST)
        highest = np.minimum(high - points[bounded], LONGEST)
        steps[bounded] = _by_parameter(
            steps[bounded], gradients[bounded], curvatures[bounded], lowest, highest
        )
    bent = np.einsum("sp,spq,sq->s", steps, curvatures, steps)
    return steps, np.einsum("sp,sp->s", gradients, steps) - bent / 2


def _by_parameter(
    steps: FloatArray, gradients: FloatArray, curvatures: FloatArray, low: FloatArray, high: FloatArray
) -> FloatArray:
    """Return steps, shape (sets, p), that promise more and are within bounds, one parameter after another."""
    for _ in range(SWEEPS):
        for at in range(steps.shape[1]):
            slopes = gradients[:, at] - np.einsum("sq,sq->s", curvatures[:, at], steps)
            wanted = steps[:, at] + slopes / curvatures[:, at, at]
            steps[:, at] = np.clip(wanted, low[:, at], high[:, at])
    return steps


def _updated(curvatures: FloatArray, moved: FloatArray, falls: FloatArray) -> FloatArray:
    """Return the curvatures that agree with how gradients fell along what was moved, each (sets, p)."""
    along = np.einsum("spq,sq->sp", curvatures, moved)
    before = np.einsum("sp,sp->s", moved, along)
    now = np.einsum("sp,sp->s", moved, falls)
    # along a step that log L is not concave on, the old curvature is the better guess
    fits = (now > 1e-6 * before) & (before > 0)
    before, now = np.where(fits, before, 1.0), np.where(fits, now, 1.0)
    change = np.einsum("sp,sq->spq", falls, falls) / now[:, None, None]
    change -= np.einsum("sp,sq->spq", along, along) / before[:, None, None]
    return np.where(fits[:, None, None], curvatures + change, curvatures)
