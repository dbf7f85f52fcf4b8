"""Binomial mixtures by quadrature, for densities of success probabilities that leave no closed form.

With p = s sigmoid(z), every integrand falls off exponentially in z at both ends, so the trapezoid rule on an
evenly spaced grid converges exponentially fast, however singular the density is at p = 0. Even nodes fine
enough for n = 10,000 would be 6,000 and more; nodes as far apart as the binomial at each z is wide are 1,000.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline

from itscale.outcomes import FloatArray
from itscale_builtin.laws._counts import Counts

__all__ = [
    "Density",
    "Family",
    "Grid",
    "binomial",
    "columns",
    "grid",
    "mixture_coverage",
    "mixture_log_likelihood",
    "mixture_posterior",
]

SPACING = 0.1
"""Distance of nodes in z where the density alone bends: enough for exponents up to about 100."""
SPACING_BINOMIAL = 0.9
"""Distance of nodes in standard deviations of the binomial, where that is less."""
NEGLIGIBLE = 1e-10
"""Beyond the outermost nodes, n p (or n (s - p) / (1 - s)) is less than this."""
TINY = 1e-300


@dataclass(frozen=True)
class Grid:
    """Nodes in z, shape (nodes,), with what densities of p = scale * u, u = sigmoid(z), need of them.

    Attributes
    ----------
    log_u, log_v
        log u and log (1 - u), accurate at both ends.
    log_p, log_q
        log p and log (1 - p).
    steps
        Weight of each node in an integral over z.
    """

    log_u: FloatArray
    log_v: FloatArray
    log_p: FloatArray
    log_q: FloatArray
    steps: FloatArray


@dataclass(frozen=True)
class Family:
    """Densities on (0, 1) with two parameters.

    Attributes
    ----------
    log_density
        Of a grid and parameters, shape (..., 2): the log density of z at the nodes, shape (..., nodes), and
        its gradient, shape (2, ..., nodes). For z -> inf it falls like exp(-parameters[..., 1] z).
    log_below
        Of log u of the first node and parameters: the log of the mass below it, shape (...), and its
        gradient, (2, ...).
    """

    log_density: Callable[[Grid, FloatArray], tuple[FloatArray, FloatArray]]
    log_below: Callable[[float, FloatArray], tuple[FloatArray, FloatArray]]


def columns(parameters: FloatArray) -> FloatArray:
    """Return parameters, shape (..., 2), as two arrays of shape (..., 1), to go with nodes."""
    return np.moveaxis(parameters, -1, 0)[..., None]


@lru_cache(maxsize=64)
def grid(sampled: float, scale: float = 1.0, budget: float = 1.0) -> Grid:
    """Return nodes for binomials of up to `sampled` trials and for (1 - p)^k up to k = `budget`.

    Parameters
    ----------
    scale
        Largest success probability, in (0, 1].
    """
    furthest = np.log(max(sampled, budget) / NEGLIGIBLE)
    even = np.arange(-furthest, furthest - (np.log1p(-scale) if scale < 1 else 0.0), SPACING / 4)
    u, v = np.exp(-np.logaddexp(0, -even)), np.exp(-np.logaddexp(0, even))
    # (dp / dz)^2 / (p (1 - p) / n), with dp / dz = p v: how often the binomial's deviation fits into dz = 1
    information = sampled * scale * u * v**2 / np.maximum(1 - scale * u, v)
    density = CubicSpline(even, np.sqrt(1 / SPACING**2 + information / SPACING_BINOMIAL**2))
    count = density.antiderivative()
    places = np.arange(int(count(even[-1])))
    z = np.interp(places, count(even), even)
    for _ in range(3):  # Newton: the rule is exact only for nodes exactly at their places
        z -= (count(z) - places) / density(z)
    return _grid(z, scale, 1 / density(z))


def _grid(z: FloatArray, scale: float, steps: FloatArray) -> Grid:
    log_u, log_v = -np.logaddexp(0, -z), -np.logaddexp(0, z)
    log_q = log_v if scale == 1 else np.log1p(-scale * np.exp(log_u))
    return Grid(log_u, log_v, np.log(scale) + log_u, log_q, steps)


def binomial(nodes: Grid, counts: Counts) -> FloatArray:
    """Return P(c | n, p) of each distinct count at each node, shape (distinct, nodes)."""
    exponents = np.column_stack([counts.correct, counts.wrong]) @ np.vstack([nodes.log_p, nodes.log_q])
    return np.asarray(np.exp(exponents + counts.log_choose()[:, None]))


class Density:
    """The weights of the nodes under one density, shape (..., nodes), and the gradient of their logs.

    Parameters
    ----------
    parameters
        Shape (..., 2).
    """

    def __init__(self, family: Family, nodes: Grid, parameters: FloatArray) -> None:
        log_height, self.gradient = family.log_density(nodes, parameters)
        height = np.exp(log_height)
        self.weights = height * nodes.steps
        # beyond the last node is the rest of a geometric series: the rule is summed to infinity
        step, decay = nodes.steps[-1], parameters[..., 1]
        rest = -np.expm1(-decay * step)
        self.weights[..., -1] /= rest
        self.gradient[1, ..., -1] -= step * np.exp(-decay * step) / rest
        # below the first node all p are as good as 0, and their mass is known; the rule starts there with
        # half a step and the first term of Euler and Maclaurin
        step = nodes.steps[0]
        slope = (log_height[..., 1] - log_height[..., 0]) / step
        share = step / 2 + step**2 / 12 * slope
        by_share = step / 12 * (self.gradient[..., 1] - self.gradient[..., 0])
        log_mass, by_mass = family.log_below(float(nodes.log_u[0]), parameters)
        mass = np.exp(log_mass)
        self.weights[..., 0] = mass + height[..., 0] * share
        change = mass * by_mass + height[..., 0] * (share * self.gradient[..., 0] + by_share)
        self.gradient[..., 0] = change / np.maximum(self.weights[..., 0], TINY)


def mixture_log_likelihood(
    family: Family, nodes: Grid, kernel: FloatArray, logs: FloatArray, times: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return log L of each set (binomial constant included), and its gradient in the logs of the parameters.

    Parameters
    ----------
    kernel
        P(c | n, p) at the nodes, shape (distinct, nodes).
    logs
        Shape (sets, 2), or (1, 2) where all sets are at one point.
    times
        How often each distinct count occurs in each set, shape (sets, distinct).

    Returns
    -------
    tuple of FloatArray
        Shapes (sets,) and (sets, 2).
    """
    parameters = np.exp(logs)
    density = Density(family, nodes, parameters)
    chances = np.maximum(density.weights @ kernel.T, TINY)
    heights = (times * np.log(chances)).sum(axis=1)
    per_node = (times / chances) @ kernel * density.weights
    slopes = [
        np.einsum("sn,sn->s", per_node, np.broadcast_to(each, per_node.shape)) for each in density.gradient
    ]
    return heights, np.column_stack(slopes) * parameters


def mixture_coverage(
    family: Family, parameters: FloatArray, budgets: FloatArray, scale: float = 1.0
) -> FloatArray:
    """Return the mean of 1 - (1 - p)^k over the density, at each k, shape (m,)."""
    k = np.asarray(budgets, dtype=np.float64)
    nodes = grid(1.0, scale, decade_above(k))
    weights = Density(family, nodes, parameters).weights
    return np.asarray(np.clip(-np.expm1(k[:, None] * nodes.log_q) @ weights, 0.0, 1.0))


def mixture_posterior(
    family: Family, parameters: FloatArray, counts: Counts, budgets: FloatArray, scale: float = 1.0
) -> FloatArray:
    """Return the mean of 1 - (1 - p)^k given each of the counts, at each k, shape (distinct, m)."""
    k = np.asarray(budgets, dtype=np.float64)
    nodes = grid(float(counts.sampled.max(initial=1.0)), scale, decade_above(k))
    posterior = binomial(nodes, counts) * Density(family, nodes, parameters).weights
    posterior /= np.maximum(posterior.sum(axis=1, keepdims=True), TINY)
    return np.asarray(np.clip(posterior @ -np.expm1(np.outer(nodes.log_q, k)), 0.0, 1.0))


def decade_above(budgets: FloatArray) -> float:
    """Return a round number that is no less than any k, so that few different grids are made."""
    return float(10 ** np.ceil(np.log10(np.max(budgets, initial=1.0))))
