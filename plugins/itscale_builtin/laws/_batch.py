"""The critical batch size, and the recipe that predicts loss at any batch from small runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, nnls

from itscale.outcomes import FloatArray
from itscale.plugins.laws import FitFailure

__all__ = [
    "LossLevel",
    "Recipe",
    "Runs",
    "critical_batch",
    "critical_batch_of_level",
    "fit_recipe",
    "loss_at",
    "minimum_compute",
    "minimum_steps",
]


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Training runs, or points along them: parameters, steps and loss, each of shape (rows,)."""

    n: FloatArray
    steps: FloatArray
    loss: FloatArray


@dataclass(frozen=True, kw_only=True)
class LossLevel:
    """Steps that reach one loss at several batch sizes (tokens), each of shape (rows,)."""

    loss: float
    batch: FloatArray
    steps: FloatArray


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What predicts loss at any size, batch and number of steps; names as in `kaplan`'s forms."""

    n_c: float
    alpha_n: float
    s_c: float
    alpha_s: float
    b_star: float
    alpha_b: float


def critical_batch(loss: FloatArray | float, b_star: float, alpha_b: float) -> FloatArray:
    """Return `B_crit(L) = B* / L^(1/alpha_B)`, in the unit of B* (Kaplan et al. 2020, equation 1.4)."""
    return np.asarray(b_star * np.asarray(loss) ** (-1 / alpha_b))


def minimum_steps(steps: FloatArray, batch: FloatArray, critical: FloatArray) -> FloatArray:
    """Return `S_min = S / (1 + B_crit / B)`, the steps a batch without limit would take (equation 5.4)."""
    return np.asarray(np.asarray(steps) / (1 + np.asarray(critical) / np.asarray(batch)))


def minimum_compute(compute: FloatArray, batch: FloatArray, critical: FloatArray) -> FloatArray:
    """Return `C_min = C / (1 + B / B_crit)`, the compute a vanishing batch would take (equation 5.5)."""
    return np.asarray(np.asarray(compute) / (1 + np.asarray(batch) / np.asarray(critical)))


def critical_batch_of_level(level: LossLevel) -> tuple[float, float]:
    """Return S_min and B_crit = E_min / S_min of one loss.

    `(S/S_min - 1)(E/E_min - 1) = 1` with E = B S is `S = S_min + E_min / B`: linear in 1/B, here by
    non-negative least squares of relative errors.
    """
    columns = np.column_stack([1 / level.steps, 1 / (level.batch * level.steps)])
    lengths = np.linalg.norm(columns, axis=0)
    found, _ = nnls(columns / lengths, np.ones(len(level.steps)))
    steps, examples = found / lengths
    if len(level.steps) < 2 or steps <= 0 or examples <= 0:
        raise FitFailure(f"loss {level.loss:g}: steps do not fall with batch size as a critical batch says")
    return float(steps), float(examples / steps)


def fit_recipe(converged: Runs, curve: Runs, levels: list[LossLevel]) -> Recipe:
    """Fit the laws of a family of models from small ones, in three steps; `loss_at` is the fourth.

    Parameters
    ----------
    converged
        Long runs at large batch, several sizes: alpha_N and N_c from `L = (N_c / N)^alpha_N`.
    curve
        Points along runs at a batch far above the critical one: alpha_S and S_c from what loss exceeds that.
    levels
        Steps to a few losses at several batch sizes: B* and alpha_B from the critical batch of each.

    Raises
    ------
    FitFailure
        If a step's data don't determine it.
    """
    alpha_n, log_n_c = _power(converged.n, converged.loss, "converged runs")
    n_c = np.exp(log_n_c)
    excess = curve.loss - (n_c / curve.n) ** alpha_n
    if np.any(excess <= 0):
        raise FitFailure("curve: a loss lies below what its size converges to")
    alpha_s, log_s_c = _power(curve.steps, excess, "curve")
    losses = np.array([level.loss for level in levels])
    batches = np.array([critical_batch_of_level(level)[1] for level in levels])
    slope, log_level = _power(losses, batches, "loss levels")
    return Recipe(
        n_c=float(n_c),
        alpha_n=alpha_n,
        s_c=float(np.exp(log_s_c)),
        alpha_s=alpha_s,
        b_star=float(np.exp(log_level * slope)),
        alpha_b=1 / slope,
    )


def loss_at(recipe: Recipe, n: float, batch: float, steps: float) -> float:
    """Return the loss L with `L = (N_c/N)^alpha_N + [S_c (1 + B_crit(L)/B) / S]^alpha_S`.

    The right side falls as L grows (a lower loss has a larger critical batch), so there is one root.
    """
    floor = (recipe.n_c / n) ** recipe.alpha_n

    def right(loss: float) -> float:
        critical = float(critical_batch(loss, recipe.b_star, recipe.alpha_b))
        return float(floor + (recipe.s_c * (1 + critical / batch) / steps) ** recipe.alpha_s)

    return float(brentq(lambda loss: loss - right(loss), floor, right(floor), xtol=1e-13, rtol=1e-13))


def _power(x: FloatArray, y: FloatArray, where: str) -> tuple[float, float]:
    """Return alpha and log c of `y = (c / x)^alpha` by least squares in logs."""
    if len(x) < 2 or np.ptp(x) == 0:
        raise FitFailure(f"{where}: found {len(np.unique(x))} distinct values, expected at least 2")
    u, v = np.log(x), np.log(y)
    alpha = -float((u - u.mean()) @ v / ((u - u.mean()) @ (u - u.mean())))
    if alpha <= 0:
        raise FitFailure(f"{where}: no power law that falls (exponent {alpha:.3g})")
    return alpha, float(v.mean() / alpha + u.mean())
