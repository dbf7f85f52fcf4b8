"""Power laws of loss in parameters, tokens and steps, and the step-by-step recipe that joins them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import Field

from itscale.outcomes import FloatArray
from itscale.plugins import LawEntry
from itscale.plugins.laws import FitFailure, TableData
from itscale.plugins.table_laws import RESPONSE, TableOptions, table_file, usable_rows
from itscale_builtin.laws._robust import log_sum_exp, minimise

__all__ = ["Kaplan", "KaplanOptions", "entry"]

Form = Literal["n", "d", "n_d", "n_s"]

INPUTS: Mapping[Form, tuple[str, ...]] = {
    "n": ("n",),
    "d": ("d",),
    "n_d": ("n", "d"),
    "n_s": ("n", "s_min"),
}
PARAMETERS: Mapping[Form, tuple[str, ...]] = {
    "n": ("N_c", "alpha_N"),
    "d": ("D_c", "alpha_D"),
    "n_d": ("N_c", "D_c", "alpha_N", "alpha_D"),
    "n_s": ("N_c", "S_c", "alpha_N", "alpha_S"),
}
EXPONENTS = (0.03, 0.08, 0.2, 0.5, 1.0)
"""Exponents that starts of the joint forms combine."""


class KaplanOptions(TableOptions):
    """Options of the kaplan law; the inputs follow the form."""

    form: Form = "n_d"
    """`n`: L(N); `d`: L(D); `n_d`: L(N, D); `n_s`: L(N, S_min), with the steps at a batch without limit."""
    delta: float = Field(default=1e-3, gt=0)
    """Where Huber's loss turns linear, in log loss."""


class Kaplan:
    """The forms of Kaplan et al. 2020, by Huber's loss of `log L`, summed over runs.

    - `n`: `L(N) = (N_c / N)^alpha_N`, and `d` alike in tokens
    - `n_d`: `L(N, D) = [(N_c / N)^(alpha_N / alpha_D) + D_c / D]^alpha_D`
    - `n_s`: `L(N, S_min) = (N_c / N)^alpha_N + (S_c / S_min)^alpha_S`

    The forms transfer between setups, the constants don't (tokeniser, context, learning rate): fit them anew.
    N leaves out embeddings.
    """

    estimand = "exponents of loss over the fitted range"

    def __init__(self, options: KaplanOptions) -> None:
        self.options = options
        self.inputs = INPUTS[options.form]
        self.parameters = PARAMETERS[options.form]

    def fit(self, data: TableData, start: FloatArray | None = None) -> FloatArray:
        """Return the parameters of the form; FitFailure on too few runs, or one size only."""
        runs = usable_rows(data, len(self.parameters) + 1, positive=(*self.inputs, RESPONSE))
        logs = np.column_stack([np.log(runs.inputs[name]) for name in self.inputs])
        target = np.log(runs.response)
        for name, column in zip((*self.inputs, "the loss"), (*logs.T, target), strict=True):
            if np.ptp(column) < 1e-9:
                raise FitFailure(f"{name} is the same in every run: nothing scales")
        centre = logs.mean(axis=0)
        starts = self._starts(logs - centre, target)
        if start is not None:
            starts = [self._inner(start, centre), *starts]

        def model(theta: FloatArray) -> tuple[FloatArray, FloatArray]:
            return self._log_loss(theta, logs - centre)

        found = minimise(
            model, target, starts, self.options.delta, enough=2 if start is not None else 4
        ).parameters
        return self._outer(found, centre)

    def predict(self, parameters: FloatArray, inputs: Mapping[str, FloatArray]) -> FloatArray:
        """Return the loss of each run; a D, N or S without end is fine."""
        size = len(self.inputs)
        ratios = [parameters[at] / np.asarray(inputs[name]) for at, name in enumerate(self.inputs)]
        exponents = parameters[size:]
        if self.options.form == "n_d":
            alpha_n, alpha_d = exponents
            return np.asarray((ratios[0] ** (alpha_n / alpha_d) + ratios[1]) ** alpha_d)
        return np.asarray(sum(ratio**alpha for ratio, alpha in zip(ratios, exponents, strict=True)))

    def scale(self, inputs: Mapping[str, FloatArray]) -> FloatArray:
        """Return the product of the covariates: compute, up to a constant, where there are two."""
        return np.asarray(np.prod([inputs[name] for name in self.inputs], axis=0))

    def covariates(self, inputs: Mapping[str, FloatArray]) -> Mapping[str, FloatArray]:
        """Return the logs of the inputs."""
        return {name: np.log(inputs[name]) for name in self.inputs}

    def jacobian(self, parameters: FloatArray, data: TableData) -> FloatArray:
        """Return the derivatives of log loss by the parameters that are fitted, with centred logs."""
        logs = np.column_stack([np.log(data.inputs[name]) for name in self.inputs])
        centre = logs.mean(axis=0)
        return self._log_loss(self._inner(parameters, centre), logs - centre)[1]

    def _log_loss(self, theta: FloatArray, logs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return log loss and its derivatives at centred logs, shape (rows, inputs).

        Of a single power law and of `n_s`, theta is (log of each term at the centre, exponents); of `n_d`,
        log L = alpha_D log sum exp(t) with t_N = u - r x, t_D = v - z, theta = (u, v, r alpha_D, alpha_D).
        """
        size = logs.shape[1]
        heights, exponents = theta[:size], theta[size:]
        if self.options.form != "n_d":
            value, shares = log_sum_exp((heights - logs * exponents).T)
            return value, np.column_stack([*shares, *(-shares * logs.T)])
        alpha_n, alpha_d = exponents
        ratio, (x, z) = alpha_n / alpha_d, logs.T
        inner, shares = log_sum_exp(np.stack([heights[0] - ratio * x, heights[1] - z]))
        by_ratio = -alpha_d * shares[0] * x
        by_alpha_d = inner - by_ratio * ratio / alpha_d
        return alpha_d * inner, np.column_stack([*(alpha_d * shares), by_ratio / alpha_d, by_alpha_d])

    def _starts(self, logs: FloatArray, target: FloatArray) -> list[FloatArray]:
        """Return where to start: exponents of a grid (of one power law, around the least squares)."""
        level = target.mean()
        if logs.shape[1] == 1:
            slope = -(logs[:, 0] @ target) / (logs[:, 0] @ logs[:, 0])
            return [np.array([level, slope * factor]) for factor in (1.0, 0.5)]
        starts = []
        for first in EXPONENTS:
            for second in EXPONENTS:
                # each of two terms has half of the loss, or of its 1/alpha_D-th power
                height = level / second if self.options.form == "n_d" else level
                theta = np.array([height - np.log(2), height - np.log(2), first, second])
                error = np.abs(self._log_loss(theta, logs)[0] - target).sum()
                starts.append((float(error), tuple(theta)))
        return [np.array(theta) for _, theta in sorted(starts)]

    def _inner(self, parameters: FloatArray, centre: FloatArray) -> FloatArray:
        size = len(self.inputs)
        constants, exponents = parameters[:size], parameters[size:]
        return np.array([*(self._powers(exponents) * (np.log(constants) - centre)), *exponents])

    def _outer(self, theta: FloatArray, centre: FloatArray) -> FloatArray:
        size = len(self.inputs)
        exponents = theta[size:]
        if not np.all(np.isfinite(theta)) or np.any(exponents <= 0):
            found = ", ".join(f"{e:.3g}" for e in exponents)
            raise FitFailure(f"exponents {found}: loss does not fall in each of {', '.join(self.inputs)}")
        with np.errstate(over="ignore"):
            constants = np.exp(theta[:size] / self._powers(exponents) + centre)
        if not np.all(np.isfinite(constants)):
            raise FitFailure("the fit ran away: a constant is beyond the range of numbers")
        return np.array([*constants, *exponents])

    def _powers(self, exponents: FloatArray) -> FloatArray:
        """Return the power of each constant in its term."""
        if self.options.form == "n_d":
            return np.array([exponents[0] / exponents[1], 1.0])
        return exponents


entry = LawEntry(
    name="kaplan",
    factory=Kaplan,
    options=KaplanOptions,
    takes="table",
    inputs="by `form`: n (parameters), d (tokens), n and d, or n and s_min (least steps)",
    files=table_file,
    summary="Loss as power laws of parameters, tokens or steps, joint or alone.",
    reference="Kaplan et al. 2020, arXiv:2001.08361, equations 1.1 to 1.6",
)
