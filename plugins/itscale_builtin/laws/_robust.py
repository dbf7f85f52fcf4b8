"""Huber's loss in log space, minimised from several starts that must agree."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from itscale.outcomes import FloatArray
from itscale.plugins.laws import FitWarning

__all__ = ["Minimum", "Model", "huber_sum", "log_sum_exp", "minimise"]

Model = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""Maps parameters, shape (p,), to log predictions, shape (rows,), and their derivatives, shape (rows, p)."""

AGREEMENT = 1e-6
"""Starts agree when their objectives differ by less, relative to the best (or delta squared if larger)."""


@dataclass(frozen=True)
class Minimum:
    """The best minimum found: its place, shape (p,), its objective, and how many starts reached it."""

    parameters: FloatArray
    objective: float
    agreeing: int
    tried: int


def huber_sum(residuals: FloatArray, delta: float) -> float:
    """Return Huber's loss, `r^2 / 2` up to `delta` and linear beyond, summed over rows."""
    size = np.abs(residuals)
    return float(np.sum(np.where(size <= delta, residuals**2 / 2, delta * (size - delta / 2))))


def minimise(
    model: Model, target: FloatArray, starts: Iterable[FloatArray], delta: float, enough: int | None = None
) -> Minimum:
    """Minimise the sum of Huber's loss over delta squared; two starts must agree or the fit is flagged.

    The scale of the objective matters: as a mean, or without the division, it is so flat that optimisers of
    common tolerances stop where they began (Besiroglu et al. 2024 on Hoffmann et al. 2022).

    Parameters
    ----------
    model
        Log predictions and their derivatives.
    target
        Logs of what was observed, shape (rows,).
    starts
        Distinct places to start from, the likeliest first.
    delta
        Where the loss turns linear, in logs.
    enough
        Stop once so many starts agree; all are tried if None.
    """

    def objective(parameters: FloatArray) -> tuple[float, FloatArray]:
        predicted, derivatives = model(parameters)
        residuals = predicted - target
        slope = np.clip(residuals, -delta, delta) @ derivatives
        return huber_sum(residuals, delta) / delta**2, slope / delta**2

    found: list[OptimizeResult] = []
    close: list[OptimizeResult] = []
    for start in starts:
        result = minimize(
            objective,
            start,
            jac=True,
            method="L-BFGS-B",
            options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 5000, "maxfun": 20_000},
        )
        found.append(result)
        best = min(found, key=lambda candidate: candidate.fun)
        close = [r for r in found if r.fun - best.fun <= AGREEMENT * max(best.fun, 1.0)]
        if enough is not None and len(close) >= enough:
            break
    if len(close) < 2:
        remark = f"not converged: the best of {len(found)} starts is reached by no other"
        warnings.warn(remark, FitWarning, stacklevel=2)
    return Minimum(best.x, float(best.fun) * delta**2, len(close), len(found))


def log_sum_exp(terms: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the log of the sum of exponentials over the first axis, and each term's share of the sum."""
    largest = terms.max(axis=0)
    shares = np.exp(terms - largest)
    total = shares.sum(axis=0)
    return largest + np.log(total), shares / total
