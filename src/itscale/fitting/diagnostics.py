"""Diagnostics of a fit: slopes, gates, information criteria, hold-out errors.

The gates are those of a careful reader: each says in words why the data may not determine the parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from itscale.outcomes import FloatArray
from itscale.plugins.laws import Law

__all__ = [
    "HoldoutScores",
    "condition_number",
    "condition_of",
    "effective_slope",
    "gates",
    "holdout_scores",
    "information_criteria",
    "largest_correlation",
    "open_sides",
    "residual_log_likelihood",
    "scaled_columns",
    "slope_budgets",
    "too_few",
]

SLOPE_POINTS = 20
DECADES = {2: 1.5, 3: 2.0}
"""Least decades of k by number of parameters: 1.5 for a power law, 2 with an offset (and anything larger)."""
POINTS_PER_PARAMETER = 2
WORST_CONDITION = 1e8
WORST_CORRELATION = 0.98
HoldoutScores = dict[str, float]
"""`error`, `rmsle`, `log_error` and `inside`, `inside_80`: see `holdout_scores`."""


def effective_slope(coverage: FloatArray, budgets: FloatArray) -> float:
    """Return b of the line `log(-log coverage) = log a - b log k` through a law's own predictions.

    What a power law fitted over [k1, k2] would have as exponent: an estimand of its own, for at finite k it
    differs from the exponent of the same law as k → ∞ (Schaeffer et al. 2025). NaN where coverage is
    0 or 1 at all but one k.

    Parameters
    ----------
    coverage, budgets
        Shape (m,), m log-spaced k from k1 to k2.
    """
    usable = (coverage > 0) & (coverage < 1)
    if usable.sum() < 2 or np.ptp(budgets[usable]) == 0:
        return float("nan")
    x, y = np.log(budgets[usable]), np.log(-np.log(coverage[usable]))
    centred = x - x.mean()
    return float(-(centred @ y) / (centred @ centred))


def slope_budgets(first: float, last: float) -> FloatArray:
    """Return the k at which `effective_slope` looks at a law."""
    return np.geomspace(first, last, SLOPE_POINTS)


def condition_number(law: Law, parameters: FloatArray, budgets: FloatArray) -> float:
    """Return the condition of J'J, where J (scaled to columns of length 1) is the slope of predict.

    Central differences, relative step 1e-5. Infinite where a parameter changes no prediction.
    """
    columns = []
    for at, value in enumerate(parameters):
        step = 1e-5 * max(abs(value), 1e-5)
        moved = [parameters.copy(), parameters.copy()]
        moved[0][at] -= step
        moved[1][at] += step
        with np.errstate(all="ignore"):
            below, above = (law.predict(point, budgets) for point in moved)
        columns.append((above - below) / (2 * step))
    jacobian = np.nan_to_num(np.column_stack(columns), nan=0.0, posinf=0.0, neginf=0.0)
    return condition_of(scaled_columns(jacobian))


def scaled_columns(jacobian: FloatArray) -> FloatArray:
    """Return J with columns of length 1; one of zeros is left as it is."""
    lengths = np.linalg.norm(jacobian, axis=0)
    return np.asarray(jacobian / np.where(lengths > 0, lengths, 1.0))


def condition_of(scaled: FloatArray) -> float:
    """Return the condition of J'J; infinite if a column of J is zero, or they depend on each other."""
    if np.any(np.all(scaled == 0, axis=0)):
        return float("inf")
    singular = np.linalg.svd(scaled, compute_uv=False)
    return float((singular[0] / singular[-1]) ** 2) if singular[-1] > 0 else float("inf")


def largest_correlation(refits: FloatArray) -> float:
    """Return the largest |rank correlation| of two parameters over refits, shape (refits, p).

    Of ranks, so that it is the same whether a parameter or its logarithm is reported, and one refit far out
    does not decide it. NaN for one parameter or fewer than three refits.
    """
    if refits.shape[1] < 2 or len(refits) < 3:
        return float("nan")
    ranks = np.column_stack([pl.Series(column).rank("average").to_numpy() for column in refits.T])
    centred = ranks - ranks.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=0)
    known = centred[:, lengths > 0] / lengths[lengths > 0]
    if known.shape[1] < 2:
        return float("nan")
    correlations = np.abs(known.T @ known)
    return float(np.max(correlations - np.eye(len(correlations))))


def open_sides(names: Sequence[str], refits: FloatArray, confidence: float) -> list[str]:
    """Name the parameters whose interval has no end: so many refits pile up at one extreme value.

    A cheap stand-in for a profile likelihood: where the data bound a parameter on one side only, resampled
    data send it to the same bound again and again.
    """
    reasons = []
    tail = (1 - confidence) / 2
    for name, values in zip(names, refits.T, strict=True):
        if len(values) == 0:
            continue
        if np.allclose(values, values[0], rtol=1e-3, atol=1e-12):
            if np.ptp(values) > 0:
                reasons.append(f"{name} is {values[0]:.3g} in all refits")
            continue
        for side, extreme in (("below", values.min()), ("above", values.max())):
            piled = np.isclose(values, extreme, rtol=1e-3, atol=1e-12)
            if piled.sum() >= max(3, tail * len(values)):
                reasons.append(
                    f"{name} is open {side}: {int(piled.sum())} of {len(values)} refits are at {extreme:.3g}"
                )
    return reasons


def gates(
    budgets: FloatArray, observations: int, what: str, parameters: float, condition: float, correlation: float
) -> list[str]:
    """Return why the data may not determine the parameters; nothing if they do.

    Parameters
    ----------
    budgets
        k of the curve, shape (m,).
    observations, what
        How many points or problems the law was fitted to, and which of the two.
    parameters
        How many parameters it has; of a penalised law, how many the data decide.
    condition, correlation
        NaN where they mean nothing; from `condition_number` and `largest_correlation`.
    """
    reasons = []
    decades = float(np.log10(budgets[-1] / budgets[0]))
    wanted = DECADES[2 if parameters <= 2 else 3]
    if decades < wanted:
        reasons.append(f"k spans {decades:.1f} decades, fewer than {wanted:g}")
    reasons += too_few(observations, what, parameters)
    if condition >= WORST_CONDITION:
        reasons.append(
            f"parameters are hardly determined: the condition of J'J is {condition:.1e}, at least 1e8"
            if np.isfinite(condition)
            else "a parameter has no effect on the fitted curve"
        )
    if correlation >= WORST_CORRELATION:
        reasons.append(f"two parameters go together in refits (rank correlation {correlation:.3f})")
    return reasons


def too_few(observations: int, what: str, parameters: float) -> list[str]:
    """Say that there are fewer observations than two for each parameter; nothing if there are not."""
    if observations >= POINTS_PER_PARAMETER * parameters:
        return []
    return [f"{observations} {what} for {parameters:.3g} parameters, fewer than 2 each"]


def information_criteria(log_likelihood: float, parameters: float, observations: int) -> tuple[float, float]:
    """Return AICc and BIC; AICc is NaN where the observations do not exceed the parameters by two."""
    aic = 2 * parameters - 2 * log_likelihood
    spare = observations - parameters - 1
    aicc = aic + 2 * parameters * (parameters + 1) / spare if spare > 0 else float("nan")
    return aicc, parameters * float(np.log(observations)) - 2 * log_likelihood


def residual_log_likelihood(residuals: FloatArray) -> float:
    """Return -n/2 ln(RSS/n): AICc is then `n ln(RSS/n) + 2p + ...`, p counting sigma."""
    spread = max(float(np.mean(residuals**2)), np.finfo(float).tiny)
    return -0.5 * len(residuals) * float(np.log(spread))


def holdout_scores(
    predicted: FloatArray, observed: FloatArray, inside: FloatArray, inside_80: FloatArray
) -> HoldoutScores:
    """Return the errors at one origin's held-out budgets, all of shape (m,).

    `error` is the mean absolute error of coverage. The others are over points where both are above 0:
    `rmsle`, the root mean square of log predicted - log observed (Caballero et al. 2023), and `log_error`,
    its mean: above 0 if the law promises too much. `inside`, `inside_80`: share of points inside the bands.
    """
    positive = (predicted > 0) & (observed > 0)
    signed = np.log(predicted[positive]) - np.log(observed[positive])
    known = len(signed) > 0
    return {
        "error": float(np.mean(np.abs(predicted - observed))),
        "rmsle": float(np.sqrt(np.mean(signed**2))) if known else float("nan"),
        "log_error": float(signed.mean()) if known else float("nan"),
        "inside": float(np.mean(inside)),
        "inside_80": float(np.mean(inside_80)),
    }
