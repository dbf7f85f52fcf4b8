"""Loss falls as a power law of parameters and one of training tokens, towards a floor (approach 3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from pydantic import Field
from scipy.optimize import nnls
from scipy.special import ndtri

from itscale.outcomes import FloatArray
from itscale.plugins import LawEntry
from itscale.plugins.laws import FitFailure, TableData
from itscale.plugins.table_laws import RESPONSE, TableOptions, table_file, usable_rows
from itscale_builtin.laws._robust import log_sum_exp, minimise

__all__ = ["FLOPS_PER_TOKEN", "Chinchilla", "ChinchillaOptions", "allocation", "entry", "optimum"]

FLOPS_PER_TOKEN = 6.0
"""Training FLOPs per parameter and token: C = 6 N D."""

EXPONENTS: FloatArray = np.arange(0.05, 1.5, 0.05, dtype=np.float64)
"""Exponents of the grid that starts come from."""

POLISHED = 10
"""So many of the grid's best points are polished."""

LEAST = 1e-8
"""A coefficient that non-negative least squares puts at 0 starts here: logs are polished."""


class ChinchillaOptions(TableOptions):
    """Options of the chinchilla law; its inputs are `n` and `d`, or `n` and `flops`."""

    delta: float = Field(default=1e-3, gt=0)
    """Where Huber's loss turns linear, in log loss; far below the noise it is the sum of absolute errors."""


class Chinchilla:
    """`L(N, D) = E + A N^-alpha + B D^-beta`, by Huber's loss of `log L`, summed over runs.

    N are parameters, D training tokens. Where `columns` names `flops` (C) instead of `d`, D = C / (6 N).
    The logs of N and D are centred while fitting (uncentred, log A and alpha are all but collinear), starts
    come from a grid of exponents at which the rest is non-negative least squares, and the ten best are
    polished with their gradient until two agree.
    """

    parameters = ("A", "B", "E", "alpha", "beta")
    estimand = "exponents of loss in parameters and tokens over the fitted range"

    def __init__(self, options: ChinchillaOptions) -> None:
        self.options = options
        by_flops = "flops" in options.columns and "d" not in options.columns
        self.inputs = ("n", "flops") if by_flops else ("n", "d")

    def fit(self, data: TableData, start: FloatArray | None = None) -> FloatArray:
        """Return A, B, E, alpha, beta; FitFailure on fewer than five runs or one size only."""
        runs = usable_rows(data, len(self.parameters), positive=(*self.inputs, RESPONSE))
        x, z, y = np.log(runs.inputs["n"]), np.log(self._tokens(runs.inputs)), np.log(runs.response)
        for name, logs in (("n", x), (self.inputs[1], z), ("the loss", y)):
            if np.ptp(logs) < 1e-9:
                raise FitFailure(f"{name} is the same in every run: nothing scales")
        centre = np.array([x.mean(), z.mean()])
        x, z = x - centre[0], z - centre[1]

        def model(theta: FloatArray) -> tuple[FloatArray, FloatArray]:
            return _log_loss(theta, x, z)

        cold = _starts(x, z, y, EXPONENTS if start is None else EXPONENTS[1::2])
        if start is None:
            minimum = minimise(model, y, cold, self.options.delta)
        else:
            warm = _inner(start, centre)
            minimum = minimise(model, y, _after(warm, cold), self.options.delta, enough=2)
        return _outer(minimum.parameters, centre)

    def predict(self, parameters: FloatArray, inputs: Mapping[str, FloatArray]) -> FloatArray:
        """Return the loss of each run."""
        a, b, floor, alpha, beta = parameters
        return np.asarray(floor + a * inputs["n"] ** -alpha + b * self._tokens(inputs) ** -beta)

    def scale(self, inputs: Mapping[str, FloatArray]) -> FloatArray:
        """Return training FLOPs."""
        return FLOPS_PER_TOKEN * inputs["n"] * self._tokens(inputs)

    def derived(self, parameters: FloatArray) -> Mapping[str, float]:
        """Return a and b of `N* ~ C^a`, `D* ~ C^b`."""
        alpha, beta = parameters[3:]
        return {"a": beta / (alpha + beta), "b": alpha / (alpha + beta)}

    def frontier(self, parameters: FloatArray, scale: FloatArray) -> Mapping[str, FloatArray]:
        """Return parameters and tokens (or FLOPs) of the lowest loss at each compute."""
        n, d = optimum(parameters, scale)
        return {"n": n, "d": d} if "d" in self.inputs else {"n": n, "flops": scale}

    def covariates(self, inputs: Mapping[str, FloatArray]) -> Mapping[str, FloatArray]:
        """Return log N and log D."""
        return {"n": np.log(inputs["n"]), "d": np.log(self._tokens(inputs))}

    def jacobian(self, parameters: FloatArray, data: TableData) -> FloatArray:
        """Return the derivatives of log loss by log A, log B, log E, alpha, beta with centred logs."""
        x, z = np.log(data.inputs["n"]), np.log(self._tokens(data.inputs))
        centre = np.array([x.mean(), z.mean()])
        return _log_loss(_inner(parameters, centre), x - centre[0], z - centre[1])[1]

    def _tokens(self, inputs: Mapping[str, FloatArray]) -> FloatArray:
        if "d" in self.inputs:
            return inputs["d"]
        return inputs["flops"] / (FLOPS_PER_TOKEN * inputs["n"])


def optimum(parameters: FloatArray, flops: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the parameters N* and tokens D* of the lowest loss at C = 6 N D (Hoffmann et al., equation 4).

    `N* = G (C/6)^(beta/(alpha+beta))`, `D* = (C/6)^(alpha/(alpha+beta)) / G`, with
    `G = (alpha A / (beta B))^(1/(alpha+beta))`.

    Parameters
    ----------
    parameters
        A, B, E, alpha, beta.
    flops
        C, training FLOPs, any shape.
    """
    a, b, _, alpha, beta = parameters
    g = (alpha * a / (beta * b)) ** (1 / (alpha + beta))
    budget = np.asarray(flops, dtype=np.float64) / FLOPS_PER_TOKEN
    return g * budget ** (beta / (alpha + beta)), budget ** (alpha / (alpha + beta)) / g


def allocation(law: Chinchilla, parameters: FloatArray, data: TableData) -> tuple[float, float]:
    """Return a of `N* ~ C^a` and its standard error by the delta method, robust under Huber's loss.

    A cross-check of the bootstrap's interval. With J the derivatives of log loss and psi the residuals
    clipped at delta, the covariance is `H^-1 (J' diag(psi^2) J) H^-1`. H = J' diag(E psi') J: delta is far
    below the noise, so E psi' is 2 delta times the density of a residual at 0, here by a Gaussian kernel
    (Powell 1991) with the bandwidth of Hall and Sheather (1988). The gradient of a is
    `(-beta, alpha) / (alpha + beta)^2` in (alpha, beta).
    """
    alpha, beta = parameters[3:]
    delta = law.options.delta
    jacobian = law.jacobian(parameters, data)
    residuals = np.log(data.response) - np.log(law.predict(parameters, data.inputs))
    width = max(_bandwidth(residuals), delta)
    bread = np.linalg.pinv((jacobian.T * (2 * delta * _density(residuals / width) / width)) @ jacobian)
    meat = (jacobian.T * np.clip(residuals, -delta, delta) ** 2) @ jacobian
    covariance = (bread @ meat @ bread)[3:, 3:]
    gradient = np.array([-beta, alpha]) / (alpha + beta) ** 2
    return beta / (alpha + beta), float(np.sqrt(gradient @ covariance @ gradient))


def _density(values: FloatArray | float) -> FloatArray:
    """Return the standard normal density."""
    return np.asarray(np.exp(-0.5 * np.square(values)) / np.sqrt(2 * np.pi))


def _bandwidth(residuals: FloatArray) -> float:
    """Return Hall and Sheather's bandwidth at the median, in units of the residuals."""
    upper = ndtri(0.975) ** (2 / 3) * (1.5 * _density(0.0) ** 2 / len(residuals)) ** (1 / 3)
    low, high = np.quantile(residuals, [0.25, 0.75])
    spread = min(float(residuals.std()), float(high - low) / 1.34)
    return float(2 * ndtri(min(0.5 + upper, 0.99)) * spread)


def _log_loss(theta: FloatArray, x: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log loss and its derivatives by (log A, log B, log E, alpha, beta) at centred logs x and z."""
    a, b, e, alpha, beta = theta
    value, shares = log_sum_exp(np.stack([a - alpha * x, b - beta * z, np.full_like(x, e)]))
    return value, np.column_stack([*shares, -shares[0] * x, -shares[1] * z])


def _starts(x: FloatArray, z: FloatArray, y: FloatArray, exponents: FloatArray) -> list[FloatArray]:
    """Return the best points of a grid of exponents, the rest by least squares of relative errors."""
    ranked = []
    inverse, ones = np.exp(-y), np.ones_like(y)
    by_n = {alpha: np.exp(-alpha * x - y) for alpha in exponents}
    by_d = {beta: np.exp(-beta * z - y) for beta in exponents}
    for alpha, first in by_n.items():
        for beta, second in by_d.items():
            columns = np.column_stack([first, second, inverse])
            coefficients, _ = nnls(columns, ones)
            error = float(np.abs(columns @ coefficients - ones).sum())
            ranked.append((error, (*np.log(np.maximum(coefficients, LEAST)), alpha, beta)))
    return [np.array(theta) for _, theta in sorted(ranked)[:POLISHED]]


def _after(first: FloatArray, others: list[FloatArray]) -> Iterator[FloatArray]:
    yield first
    yield from others


def _inner(parameters: FloatArray, centre: FloatArray) -> FloatArray:
    """Return (log A, log B, log E, alpha, beta) for logs centred at `centre`."""
    a, b, e, alpha, beta = parameters
    logs = np.log(np.maximum([a, b, e], np.finfo(float).tiny))
    return np.array([logs[0] - alpha * centre[0], logs[1] - beta * centre[1], logs[2], alpha, beta])


def _outer(theta: FloatArray, centre: FloatArray) -> FloatArray:
    a, b, e, alpha, beta = theta
    with np.errstate(over="ignore"):
        found = np.array([*np.exp([a + alpha * centre[0], b + beta * centre[1], e]), alpha, beta])
    if not np.all(np.isfinite(found)):
        raise FitFailure(f"the fit ran away to alpha = {alpha:.3g}, beta = {beta:.3g}")
    return found


entry = LawEntry(
    name="chinchilla",
    aliases=("hoffmann",),
    factory=Chinchilla,
    options=ChinchillaOptions,
    takes="table",
    inputs="n (parameters) and d (tokens); instead of d flops, where `columns` names it",
    files=table_file,
    summary="Loss = E + A N^-alpha + B D^-beta, Huber's loss in logs.",
    reference="Hoffmann et al. 2022, arXiv:2203.15556, section 3.3; Besiroglu et al. 2024, arXiv:2404.10102",
)
