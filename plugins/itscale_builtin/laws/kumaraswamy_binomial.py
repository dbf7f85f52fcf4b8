"""Success probabilities of problems follow a Kumaraswamy distribution."""

from __future__ import annotations

import numpy as np

from itscale.outcomes import FloatArray
from itscale.plugins import LawEntry, Options
from itscale_builtin.laws._mixtures import Mixture
from itscale_builtin.laws._quadrature import Family, Grid, columns

__all__ = ["KUMARASWAMY", "KumaraswamyBinomial", "KumaraswamyOptions", "entry"]


class KumaraswamyOptions(Options):
    """Options of the Kumaraswamy-binomial law."""

    scaled: bool = False
    """Whether the distribution ends at scale = min(1, (N + 1) / N max c/n) of N problems instead of at 1."""


def log_kumaraswamy_density(nodes: Grid, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log of `alpha beta u^alpha (1 - u) (1 - u^alpha)^(beta - 1)`, the density of z, and gradient."""
    alpha, beta = columns(parameters)
    log_power = alpha * nodes.log_u
    log_rest = np.log(-np.expm1(log_power))
    heights = np.log(alpha * beta) + log_power + nodes.log_v + (beta - 1) * log_rest
    by_alpha = 1 / alpha + nodes.log_u - (beta - 1) * nodes.log_u * np.exp(log_power - log_rest)
    return heights, np.stack([by_alpha, 1 / beta + log_rest])


def log_kumaraswamy_below(log_u: float, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log of `1 - (1 - u^alpha)^beta`, the mass below u, and its gradient."""
    alpha, beta = np.moveaxis(parameters, -1, 0)
    log_power = alpha * log_u
    log_rest = np.log(-np.expm1(log_power))
    mass = np.maximum(-np.expm1(beta * log_rest), 1e-300)
    above = np.exp(beta * log_rest)
    by_alpha = beta * above * np.exp(log_power - log_rest) * log_u
    return np.asarray(np.log(mass)), np.stack([by_alpha, -above * log_rest]) / mass


KUMARASWAMY = Family(log_kumaraswamy_density, log_kumaraswamy_below)


class KumaraswamyBinomial(Mixture):
    """`P(p_i <= x) = 1 - (1 - (x / scale)^alpha)^beta`, maximum likelihood on counts by quadrature.

    A rival of the Beta distribution with the same tail at 0: for large k, 1 - coverage falls as
    `beta Gamma(alpha + 1) (scale k)^-alpha`. scale is 1 unless the option `scaled` is set.
    """

    def __init__(self, options: KumaraswamyOptions) -> None:
        super().__init__(KUMARASWAMY, scaled=options.scaled)


entry = LawEntry(
    name="kumaraswamy_binomial",
    aliases=("kumaraswamy",),
    factory=KumaraswamyBinomial,
    options=KumaraswamyOptions,
    revision=3,
    takes="counts",
    summary="Success probabilities Kumaraswamy(alpha, beta), maximum likelihood on counts.",
    reference="Schaeffer et al. 2025, arXiv:2502.17578 (Kumaraswamy-binomial estimator)",
)
