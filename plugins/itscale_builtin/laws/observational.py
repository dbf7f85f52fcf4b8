"""A benchmark from others: principal components of benchmark scores as capability, then a sigmoid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import Field, model_validator
from scipy.optimize import least_squares
from scipy.special import expit, logit

from itscale.errors import nearest
from itscale.outcomes import FloatArray
from itscale.plugins import LawEntry
from itscale.plugins.laws import FitFailure, TableData
from itscale.plugins.table_laws import RESPONSE, TableOptions, table_file, usable_rows
from itscale_builtin.laws._components import fill, find_components

__all__ = ["Observational", "ObservationalOptions", "entry"]

LINK = ("floor", "ceiling", "intercept")
TINY = 1e-9
MARGINS = (0.003, 0.03, 0.1, 0.3)
"""How far beyond the range of the response floor and ceiling start, in units of that range."""


class ObservationalOptions(TableOptions):
    """Options of the observational law; its inputs are the benchmarks and `flops`, all from `columns`."""

    benchmarks: tuple[str, ...] = Field(min_length=2)
    """Benchmarks whose scores say how capable a model is; the response must not be among them."""
    orient: str | None = None
    """Benchmark that the first component rises with; the first of the benchmarks if left out."""
    components: int = Field(default=3, ge=1)
    """Principal components that predict."""
    least: float = 0.0
    """What the response cannot be below: the floor is at least this."""
    most: float = 1.0
    """What the response cannot be above: the ceiling is at most this."""

    @model_validator(mode="after")
    def _no_target_among_the_inputs(self) -> ObservationalOptions:
        """Refuse to predict a benchmark from itself, and names that are none."""
        response = self.columns.get(RESPONSE, RESPONSE)
        for name in self.benchmarks:
            if self.columns.get(name, name) == response:
                raise ValueError(f"benchmarks: {name!r} is the response: it would predict itself")
        if self.orient is not None and self.orient not in self.benchmarks:
            hint = nearest(self.orient, self.benchmarks)
            raise ValueError(f"orient: {self.orient!r} is not among the benchmarks; {hint}")
        if self.components > len(self.benchmarks):
            raise ValueError(
                f"components: found {self.components}, expected at most the {len(self.benchmarks)} benchmarks"
            )
        return self


class Observational:
    """`y = floor + (ceiling - floor) sigmoid(intercept + w . (x - mean))`, w a mix of components of x.

    x are benchmark scores of a model, the components their principal ones; gaps are filled along the first.
    Mean, components and weights come from the rows it is fitted to and no others, so that a hold-out by
    compute stays one. The parameters say it all: `weight_b`, `mean_b` and `pc1_b` of each benchmark b, where
    pc1 is the first component's loading. Least squares in y, from least squares of logits.
    """

    estimand = "link from benchmark scores; pc1 is the direction of capability"

    def __init__(self, options: ObservationalOptions) -> None:
        self.options = options
        names = options.benchmarks
        self.inputs = (*names, "flops")
        self.parameters = (*LINK, *(f"{part}_{name}" for part in ("weight", "mean", "pc1") for name in names))

    def fit(self, data: TableData, start: FloatArray | None = None) -> FloatArray:
        """Return the parameters; FitFailure on fewer models than the link has parameters."""
        names, size = self.options.benchmarks, self.options.components
        rows = usable_rows(data, size + len(LINK), missing=self.inputs)
        table = np.column_stack([rows.inputs[name] for name in names])
        empty = [name for name, column in zip(names, table.T, strict=True) if np.isnan(column).all()]
        if empty:
            raise FitFailure(f"{empty[0]}: no model has a score")
        if np.ptp(rows.response) == 0:
            raise FitFailure("the response is the same for every model: nothing scales")
        at = 0 if self.options.orient is None else names.index(self.options.orient)
        found, complete = find_components(table, size, at)
        if not np.any(found.explained > 0):
            raise FitFailure("every model has the same scores: there is nothing to tell them apart")
        kept = found.loadings[found.explained[:size] > 1e-12]
        link = self._link((complete - found.mean) @ kept.T, rows.response)
        return np.array([*link[: len(LINK)], *(link[len(LINK) :] @ kept), *found.mean, *found.gap_loading])

    def predict(self, parameters: FloatArray, inputs: Mapping[str, FloatArray]) -> FloatArray:
        """Return the response of each model; gaps are filled along the first component of the fit."""
        floor, ceiling, intercept = parameters[: len(LINK)]
        weights, mean, loading = parameters[len(LINK) :].reshape(3, -1)
        complete = fill(np.column_stack([inputs[name] for name in self.options.benchmarks]), mean, loading)
        return np.asarray(floor + (ceiling - floor) * expit(intercept + (complete - mean) @ weights))

    def capability(self, parameters: FloatArray, inputs: Mapping[str, FloatArray]) -> FloatArray:
        """Return the first component of each model, shape (rows,)."""
        _, mean, loading = parameters[len(LINK) :].reshape(3, -1)
        complete = fill(np.column_stack([inputs[name] for name in self.options.benchmarks]), mean, loading)
        return np.asarray((complete - mean) @ loading)

    def scale(self, inputs: Mapping[str, FloatArray]) -> FloatArray:
        """Return training FLOPs, in the unit of the file."""
        return inputs["flops"]

    def _link(self, scores: FloatArray, response: FloatArray) -> FloatArray:
        """Return floor, ceiling, intercept and a weight per component."""
        low, high = float(response.min()), float(response.max())
        if low < self.options.least or high > self.options.most:
            found = f"{low:.4g} to {high:.4g}"
            raise FitFailure(
                f"response: found {found}, expected {self.options.least:g} to {self.options.most:g}"
            )
        free = np.full(1 + scores.shape[1], np.inf)
        lower = np.array([self.options.least - TINY, high, *-free])
        upper = np.array([low, self.options.most + TINY, *free])
        design = np.column_stack([np.ones(len(scores)), scores])

        def residuals(theta: FloatArray) -> FloatArray:
            return np.asarray(theta[0] + (theta[1] - theta[0]) * expit(design @ theta[2:]) - response)

        def jacobian(theta: FloatArray) -> FloatArray:
            share = expit(design @ theta[2:])
            inner = ((theta[1] - theta[0]) * share * (1 - share))[:, None] * design
            return np.column_stack([1 - share, share, inner])

        best: Any = None
        for margin in MARGINS:
            apart = margin * (high - low)
            theta = _start(design, response, low - apart, high + apart)
            found = least_squares(
                residuals,
                np.clip(theta, lower, upper),
                jac=jacobian,
                bounds=(lower, upper),
                x_scale="jac",
                xtol=1e-14,
                ftol=1e-14,
                gtol=1e-14,
                max_nfev=2000,
            )
            if best is None or found.cost < best.cost:
                best = found
        return np.asarray(best.x)


def _start(design: FloatArray, response: FloatArray, floor: float, ceiling: float) -> FloatArray:
    """Return a link with this floor and ceiling, the rest by least squares of logits."""
    logits = logit((response - floor) / (ceiling - floor))
    weights = np.linalg.lstsq(design, logits, rcond=None)[0]
    return np.array([floor, ceiling, *weights])


entry = LawEntry(
    name="observational",
    factory=Observational,
    options=ObservationalOptions,
    takes="table",
    inputs="the `benchmarks`, and flops (compute of each model)",
    files=table_file,
    summary="A benchmark from the principal components of others, sigmoid link.",
    reference="Ruan et al. 2024, arXiv:2405.10938, section 3",
)
