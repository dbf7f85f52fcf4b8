"""What the laws of -log coverage share: which points of a curve can be used."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from itscale.laws import FitFailure, FitWarning, LawData
from itscale.selection import FloatArray

__all__ = ["LEAST_POINTS", "usable_points"]

LEAST_POINTS = 5
"""Fewer points than this give no fit."""


def usable_points(data: LawData, usable: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Return k and coverage where `usable`, saying how many points that leaves out.

    Raises
    ------
    FitFailure
        If coverage is zero throughout, doesn't grow with k, or fewer than `LEAST_POINTS` points are left.
    """
    if not np.any(data.coverage > 0):
        raise FitFailure("coverage is 0 at every k: no completion is correct")
    if np.all(data.coverage >= 1):
        raise FitFailure("coverage is 1 at every k: nothing is left to scale")
    dropped = int(np.sum(~usable))
    if np.sum(usable) < LEAST_POINTS:
        found = f"{int(np.sum(usable))} usable points of {len(usable)} on the curve"
        raise FitFailure(f"{found}, expected at least {LEAST_POINTS}")
    if np.ptp(data.coverage[usable]) == 0:
        raise FitFailure("coverage is the same at every k: it does not scale")
    if dropped:
        warnings.warn(f"{dropped} points with coverage 0 or 1 left out", FitWarning, stacklevel=2)
    return data.budgets[usable].astype(np.float64), data.coverage[usable]
