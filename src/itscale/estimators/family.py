"""Coverage curves of a family of models, laid over each other by shifting log k."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from itscale.outcomes import FloatArray, IntArray

__all__ = ["FamilyShift", "family_shift"]

POINTS = 200


@dataclass(frozen=True)
class FamilyShift:
    """How far the curves of a family have one shape (Brown et al. 2024, section 3.2).

    Attributes
    ----------
    anchor
        The largest coverage at k = 1 of any model, in (0, 1].
    first
        By model: k0, the natural number at which its coverage is nearest to the anchor. Drawn against
        k / k0, every curve passes (1, anchor).
    excluded
        Models whose coverage never reaches the anchor: nothing says where they belong.
    spread
        Largest vertical distance between two shifted curves over the k / k0 that all have, in [0, 1]; 0 with
        fewer than two models. Near 0 if the exponents b of `coverage = exp(-a k^-b)` are equal, whatever a.
    """

    anchor: float
    first: Mapping[str, int]
    excluded: tuple[str, ...]
    spread: float


def family_shift(curves: Mapping[str, tuple[IntArray, FloatArray]]) -> FamilyShift:
    """Shift the curves of a family on the axis of log k so that they meet, and say how well they do.

    Between the k of a curve, log(-log coverage) is interpolated in log k, where a power law is a line.

    Parameters
    ----------
    curves
        By model: k, increasing from 1, and coverage at each, both of shape (m,).

    Raises
    ------
    ValueError
        If there is no curve, one does not begin at k = 1, or nothing is ever correct at k = 1.
    """
    if not curves or any(budgets[0] != 1 for budgets, _ in curves.values()):
        raise ValueError("expected at least one curve, each from k = 1")
    anchor = float(max(coverage[0] for _, coverage in curves.values()))
    if anchor == 0:
        raise ValueError("coverage at k = 1 is 0 for every model: no coverage to meet at")
    first = {
        model: _nearest(budgets, coverage, anchor)
        for model, (budgets, coverage) in curves.items()
        if coverage[-1] >= anchor
    }
    shifted = [(np.log(curves[model][0] / k0), curves[model][1]) for model, k0 in first.items()]
    low, high = max(x[0] for x, _ in shifted), min(x[-1] for x, _ in shifted)
    common = np.linspace(low, high, POINTS)
    heights = np.array([_between(common, x, coverage) for x, coverage in shifted])
    spread = float(np.ptp(heights, axis=0).max()) if low <= high else float("nan")
    return FamilyShift(anchor, first, tuple(model for model in curves if model not in first), spread)


def _nearest(budgets: IntArray, coverage: FloatArray, anchor: float) -> int:
    """Return the natural k at which the interpolated coverage is nearest to the anchor."""
    at = int(np.argmax(coverage >= anchor))
    k = np.arange(budgets[max(at - 1, 0)], budgets[at] + 1)
    return int(k[np.argmin(np.abs(_between(np.log(k), np.log(budgets), coverage) - anchor))])


def _between(at: FloatArray, log_k: FloatArray, coverage: FloatArray) -> FloatArray:
    """Return coverage at other log k; 0 and 1 stand for values that close to them."""
    inner = np.clip(coverage, 1e-12, 1 - 1e-12)
    return np.asarray(np.exp(-np.exp(np.interp(at, log_k, np.log(-np.log(inner))))))
