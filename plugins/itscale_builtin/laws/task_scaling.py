"""The chance to pass falls like exp(-c N^-alpha) short of 1: a line, twice logged, in log model size."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from itscale.estimators.pass_until import log_log_variance
from itscale.outcomes import FloatArray
from itscale.plugins import LawEntry
from itscale.plugins.laws import FitFailure, FitWarning, TableData
from itscale.plugins.table_laws import TableOptions, table_file, usable_rows

__all__ = ["Curvature", "TaskScaling", "TaskScalingOptions", "curvature", "entry"]

NEVER = np.log(745.0)
"""log c of an instance that never passed: exp(-c) is next to the least number there is."""

ALWAYS = -40.0
"""log c of an instance that always passed."""

CLEAR = 2.0
"""A quadratic term of so many standard errors has a sign."""


class TaskScalingOptions(TableOptions):
    """Options of the task_scaling law; its inputs are `n`, and `variance` where `columns` names it.

    `response` is the estimated chance to pass (PassUntil), `variance` that of the estimate: without it every
    size weighs the same.
    """

    instances: tuple[str, ...] = ()
    """Columns with the chance to pass of each instance: each gets its own law, and their mean predicts."""
    wanted: int | None = Field(default=None, ge=1)
    """Of `instances`: r, if each chance is r / K of PassUntil; sizes then weigh by the variance that has."""


class TaskScaling:
    """`PU(N) = exp(-c N^-alpha)`, so that `F = ln(-ln PU) = ln c - alpha ln N`, by weighted least squares.

    Weights are the inverse variances of F by the delta method, `Var F = Var PU / (PU ln PU)^2`. With
    `instances`, each has its own `c_s` and `alpha_s`, and `mean_s exp(-c_s N^-alpha_s)` predicts: a mean of
    such curves is none itself. An instance that never (always) passed stays at 0 (1); one seen to do both
    at a single size takes the others' median alpha.
    """

    estimand = "exponent of -log pass probability in model size over the fitted range"

    def __init__(self, options: TaskScalingOptions) -> None:
        self.options = options
        weighted = ("variance",) if "variance" in options.columns else ()
        self.inputs = ("n", *weighted, *options.instances)
        one = ("log_c", "alpha")
        of_each = tuple(f"{part}_{name}" for part in one for name in options.instances)
        self.parameters = of_each if options.instances else one

    def fit(self, data: TableData, start: FloatArray | None = None) -> FloatArray:
        """Return log c and alpha, or all log c and all alpha; FitFailure where fewer than two sizes pass."""
        rows = usable_rows(data, 2, positive=("n",), missing=self.options.instances)
        sizes = rows.inputs["n"]
        if np.ptp(sizes) == 0:
            raise FitFailure("n is the same in every row: nothing scales")
        if self.options.instances:
            return self._fit_instances(rows)
        log_n, doubly, weights = _line(sizes, rows.response, rows.inputs.get("variance"))
        dropped = len(sizes) - len(log_n)
        if len(np.unique(log_n)) < 2:
            raise FitFailure("found fewer than two sizes whose chance to pass is above 0 and below 1")
        if dropped:
            warnings.warn(f"{dropped} sizes that never or always pass left out", FitWarning, stacklevel=2)
        found = curvature(sizes, rows.response, rows.inputs.get("variance"))
        if found.kind not in ("linear", "unknown"):
            remark = f"F is {found.kind}: quadratic term {found.quadratic:.3g} +- {found.standard_error:.2g}"
            warnings.warn(remark, FitWarning, stacklevel=2)
        return _weighted_line(log_n, doubly, weights)

    def predict(self, parameters: FloatArray, inputs: Mapping[str, FloatArray]) -> FloatArray:
        """Return the chance to pass at each size."""
        log_c, alpha = parameters.reshape(2, -1)
        log_n = np.log(np.asarray(inputs["n"], dtype=np.float64))
        exponents = np.minimum(log_c - np.multiply.outer(log_n, alpha), 700.0)
        return np.asarray(np.exp(-np.exp(exponents)).mean(axis=-1))

    def scale(self, inputs: Mapping[str, FloatArray]) -> FloatArray:
        """Return model size."""
        return inputs["n"]

    def frontier(self, parameters: FloatArray, scale: FloatArray) -> Mapping[str, FloatArray]:
        """Return the sizes themselves."""
        return {"n": scale}

    def _fit_instances(self, rows: TableData) -> FloatArray:
        size = len(self.options.instances)
        log_c, alpha = np.full(size, np.nan), np.full(size, np.nan)
        single: dict[int, tuple[float, float]] = {}
        never = 0
        for at, name in enumerate(self.options.instances):
            passes = rows.inputs[name]
            known = ~np.isnan(passes)
            log_n, doubly, weights = _line(rows.inputs["n"][known], passes[known], None)
            if self.options.wanted is not None:
                weights = 1 / log_log_variance(np.exp(-np.exp(doubly)), self.options.wanted)
            if len(np.unique(log_n)) >= 2:
                log_c[at], alpha[at] = _weighted_line(log_n, doubly, weights)
            elif len(log_n):
                single[at] = (float(log_n[0]), float(doubly.mean()))
            else:
                always = bool(known.any()) and bool(np.all(passes[known] >= 1))
                never += not always
                log_c[at], alpha[at] = (ALWAYS if always else NEVER), 0.0
        if np.isnan(alpha).all() or (never == size):
            raise FitFailure("no instance passes sometimes at two sizes: nothing says how fast it improves")
        typical = float(np.median(alpha[~np.isnan(alpha) & (log_c != NEVER) & (log_c != ALWAYS)]))
        for at, (x, y) in single.items():
            log_c[at], alpha[at] = y + typical * x, typical
        if never:
            warnings.warn(f"{never} instances never passed: they count as 0", FitWarning, stacklevel=3)
        return np.array([*log_c, *alpha])


@dataclass(frozen=True)
class Curvature:
    """Coefficient of `(ln N)^2` in F, its standard error, and what its sign says.

    `sub-scaling`: convex, improvement slows down (steps that all must be right predict this);
    `super-scaling`: concave, it speeds up; `linear`: neither beyond two standard errors; `unknown`: fewer
    than four sizes.
    """

    quadratic: float
    standard_error: float
    kind: Literal["sub-scaling", "super-scaling", "linear", "unknown"]


def curvature(n: FloatArray, passes: FloatArray, variance: FloatArray | None = None) -> Curvature:
    """Return the class of a task by the sign of a quadratic term in ln N.

    Parameters
    ----------
    n, passes, variance
        Model sizes, chance to pass at each, and the variance of that estimate, shape (sizes,). Without the
        variance, the error of the quadratic term comes from the residuals.
    """
    log_n, doubly, weights = _line(n, passes, variance)
    if len(np.unique(log_n)) < 4:
        return Curvature(float("nan"), float("nan"), "unknown")
    x = (log_n - log_n.mean()) / log_n.std()
    design = np.column_stack([np.ones_like(x), x, x**2]) * np.sqrt(weights)[:, None]
    target = doubly * np.sqrt(weights)
    found = np.linalg.lstsq(design, target, rcond=None)[0]
    inverse = np.linalg.inv(design.T @ design)
    residuals = target - design @ found
    spread = 1.0 if variance is not None else float(residuals @ residuals) / (len(x) - 3)
    unit = log_n.std() ** 2
    quadratic, error = float(found[2]) / unit, float(np.sqrt(spread * inverse[2, 2])) / unit
    if abs(quadratic) <= CLEAR * error + 1e-9:
        return Curvature(quadratic, error, "linear")
    return Curvature(quadratic, error, "sub-scaling" if quadratic > 0 else "super-scaling")


def _line(
    n: FloatArray, passes: FloatArray, variance: FloatArray | None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return ln N, F and the weights of F where it is known: the chance is above 0 and below 1."""
    usable = (passes > 0) & (passes < 1)
    if variance is not None:
        usable &= variance > 0
    p = passes[usable]
    weights = np.ones(len(p)) if variance is None else (p * np.log(p)) ** 2 / variance[usable]
    return np.log(n[usable]), np.log(-np.log(p)), weights


def _weighted_line(x: FloatArray, y: FloatArray, weights: FloatArray) -> FloatArray:
    """Return level and minus the slope of a line by weighted least squares."""
    share = weights / weights.sum()
    centre = share @ x
    slope = (share * (x - centre)) @ y / ((share * (x - centre)) @ (x - centre))
    return np.array([share @ y - slope * centre, -slope])


entry = LawEntry(
    name="task_scaling",
    factory=TaskScaling,
    options=TaskScalingOptions,
    takes="table",
    inputs="n (parameters); variance, where `columns` names it; the `instances`",
    files=table_file,
    summary="Pass probability = exp(-c N^-alpha), of a task or of each instance.",
    reference="Hu et al. 2023, arXiv:2310.03262, section 4",
)
