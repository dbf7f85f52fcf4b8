"""Gains from retrieved documents, shots and iterations: a log-linear model of performance (RAG)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field, model_validator
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.special import expit, logit

from itscale.outcomes import FloatArray
from itscale.plugins import LawEntry
from itscale.plugins.laws import FitFailure, FitWarning, TableData
from itscale.plugins.table_laws import TableOptions, table_file, usable_rows

__all__ = ["RagAllocation", "RagAllocationOptions", "design", "entry", "fit_linear", "sigmoid4"]

LINEAR = ("a_doc", "a_shot", "a_iter", "b_doc", "b_shot", "c")
SIGMOID = ("scale", "slope", "shift", "offset")
INPUTS = ("k", "m", "n", "i_doc", "i_shot")


class RagAllocationOptions(TableOptions):
    """Options of the rag_allocation law.

    Its inputs are `k` documents, `m` shots, `n` iterations, what one document and one shot add on this task
    (`i_doc`, `i_shot`: performance with it minus zero-shot), `length` (effective context: input tokens of all
    calls, the largest over questions), and `dataset` where `datasets` names them.
    """

    link: Literal["zscore_sigmoid4", "logit"] = "zscore_sigmoid4"
    """`zscore_sigmoid4`: z-scores per data set, then a sigmoid of four parameters; `logit`: logits."""
    eps: float = Field(default=0.01, gt=0)
    """Added to k, m and n before the logarithm; results depend on it where k or m is 0."""
    questions: int = Field(default=1000, ge=1, le=1_000_000_000_000)
    """Of `logit`: questions behind a performance, which is kept half a question away from 0 and 1."""
    datasets: tuple[str, ...] = ()
    """Of `zscore_sigmoid4`: the labels in the column `dataset`; all rows are one data set if left out."""

    @model_validator(mode="after")
    def _data_sets_are_for_z_scores(self) -> RagAllocationOptions:
        """Refuse data sets that would have no effect."""
        if self.datasets and self.link == "logit":
            raise ValueError("datasets: link `logit` has no z-scores to take per data set")
        return self


class RagAllocation:
    """`link(P) = (a + b i) . log(theta + eps) + c`, theta = (k, m, n), i = (i_doc, i_shot, 0).

    Ordinary least squares of the linked performance; a column that is constant (log n of DRAG alone) has
    coefficient 0. The sigmoid rises, so it improves values and leaves the best configuration as it is.
    """

    estimand = "gain in linked performance per log unit of each knob"

    def __init__(self, options: RagAllocationOptions) -> None:
        self.options = options
        self.labels: Mapping[str, Sequence[str]] = {"dataset": options.datasets} if options.datasets else {}
        self.inputs = (*INPUTS, "length", *self.labels)
        names = options.datasets or ("all",)
        moments = tuple(f"{part}_{name}" for part in ("mean", "spread") for name in names)
        self.parameters = LINEAR if options.link == "logit" else (*LINEAR, *SIGMOID, *moments)

    def fit(self, data: TableData, start: FloatArray | None = None) -> FloatArray:
        """Return the coefficients (and of `zscore_sigmoid4` the sigmoid, means and spreads)."""
        rows = usable_rows(data, len(LINEAR), missing=("length",))
        columns = design(rows.inputs, self.options.eps)
        if self.options.link == "logit":
            least = 1 / (2 * self.options.questions)
            return fit_linear(columns, logit(np.clip(rows.response, least, 1 - least)))
        which, count = self._dataset(rows.inputs), max(len(self.options.datasets), 1)
        mean, spread = np.zeros(count), np.ones(count)
        for number in np.unique(which):
            own = rows.response[which == number]
            mean[number], spread[number] = own.mean(), own.std()
        if np.any(spread <= 0):
            raise FitFailure("performance is the same for every configuration of a data set")
        scores = (rows.response - mean[which]) / spread[which]
        coefficients = fit_linear(columns, scores)
        return np.array([*coefficients, *_fit_sigmoid(columns @ coefficients, scores), *mean, *spread])

    def predict(self, parameters: FloatArray, inputs: Mapping[str, FloatArray]) -> FloatArray:
        """Return the performance of each configuration."""
        linear = self.linear(parameters, inputs)
        if self.options.link == "logit":
            return np.asarray(expit(linear))
        size = len(LINEAR) + len(SIGMOID)
        mean, spread = parameters[size:].reshape(2, -1)
        which = self._dataset(inputs)
        return np.asarray(mean[which] + spread[which] * sigmoid4(linear, *parameters[len(LINEAR) : size]))

    def linear(self, parameters: FloatArray, inputs: Mapping[str, FloatArray]) -> FloatArray:
        """Return the linked performance before the sigmoid: what configurations are ranked by."""
        return np.asarray(design(inputs, self.options.eps) @ parameters[: len(LINEAR)])

    def scale(self, inputs: Mapping[str, FloatArray]) -> FloatArray:
        """Return effective context length, tokens."""
        return inputs["length"]

    def _dataset(self, inputs: Mapping[str, FloatArray]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        if "dataset" in inputs:
            return inputs["dataset"].astype(np.int64)
        return np.zeros(len(inputs["k"]), dtype=np.int64)


def design(inputs: Mapping[str, FloatArray], eps: float) -> FloatArray:
    """Return the columns of `LINEAR`: logs of k, m, n, their products with i_doc and i_shot, and ones."""
    k, m, n = (np.log(inputs[name] + eps) for name in ("k", "m", "n"))
    return np.column_stack([k, m, n, inputs["i_doc"] * k, inputs["i_shot"] * m, np.ones_like(k)])


def fit_linear(columns: FloatArray, target: FloatArray) -> FloatArray:
    """Return least-squares coefficients, 0 for every constant column but the last.

    Raises
    ------
    FitFailure
        If the columns that vary depend on each other (a single task has no informativeness to speak of).
    """
    varies = np.ptp(columns, axis=0) > 1e-12
    dropped = [name for name, kept in zip(LINEAR[:-1], varies[:-1], strict=True) if not kept]
    if dropped:
        warnings.warn(f"{', '.join(dropped)}: the column is constant, left out", FitWarning, stacklevel=3)
    varies[-1] = True
    if not varies[:-1].any():
        raise FitFailure("k, m and n are the same in every row: nothing is allocated")
    used = columns[:, varies]
    if np.linalg.matrix_rank(used / np.linalg.norm(used, axis=0)) < used.shape[1]:
        raise FitFailure("i_doc or i_shot takes one value with k or m: its interaction is not determined")
    found = np.zeros(columns.shape[1])
    found[varies] = np.linalg.lstsq(used, target, rcond=None)[0]
    return found


def sigmoid4(x: FloatArray, scale: float, slope: float, shift: float, offset: float) -> FloatArray:
    """Return `scale / (1 + exp(-slope (x + shift))) + offset`."""
    return np.asarray(scale * expit(slope * (x + shift)) + offset)


def _fit_sigmoid(predicted: FloatArray, scores: FloatArray) -> FloatArray:
    """Return the rising sigmoid from predicted to true z-scores; a nearly straight one where they agree."""
    start = (8.0, 0.5, 0.0, -4.0)  # slope 1 at 0, range -4 to 4
    bounds = ([1e-3, 1e-3, -10.0, -100.0], [100.0, 100.0, 10.0, 10.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)  # about a covariance that is not used
        try:
            found, _ = curve_fit(sigmoid4, predicted, scores, p0=start, bounds=bounds, max_nfev=5000)
        except RuntimeError as error:
            raise FitFailure(f"the sigmoid did not converge: {error}") from None
    return np.asarray(found)


entry = LawEntry(
    name="rag_allocation",
    factory=RagAllocation,
    options=RagAllocationOptions,
    takes="table",
    inputs="k (documents), m (shots), n (iterations), i_doc, i_shot, length (tokens of context)",
    files=table_file,
    summary="Performance of RAG, log-linear in documents, shots and iterations.",
    reference="Yue et al. 2024, arXiv:2410.04343, section 5, equation 2, and appendix F",
)
