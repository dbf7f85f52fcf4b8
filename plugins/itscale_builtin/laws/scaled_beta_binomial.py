"""Success probabilities of problems are Beta distributed on (0, scale)."""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, digamma

from itscale.outcomes import FloatArray
from itscale.plugins import LawEntry, Options
from itscale_builtin.laws._mixtures import Mixture
from itscale_builtin.laws._quadrature import Family, Grid, columns

__all__ = ["BETA", "ScaledBetaBinomial", "entry"]


def log_beta_density(nodes: Grid, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log of `u^alpha (1 - u)^beta / B(alpha, beta)`, the Beta density of z, and its gradient."""
    alpha, beta = columns(parameters)
    both = digamma(alpha + beta)
    gradient = np.stack([nodes.log_u + (both - digamma(alpha)), nodes.log_v + (both - digamma(beta))])
    return alpha * nodes.log_u + beta * nodes.log_v - betaln(alpha, beta), gradient


def log_beta_below(log_u: float, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log of `u^alpha / (alpha B(alpha, beta))`, the Beta's mass below a small u, and its gradient."""
    alpha, beta = np.moveaxis(parameters, -1, 0)
    both = digamma(alpha + beta)
    gradient = np.stack([log_u - 1 / alpha + both - digamma(alpha), both - digamma(beta)])
    return np.asarray(alpha * log_u - np.log(alpha) - betaln(alpha, beta)), gradient


BETA = Family(log_beta_density, log_beta_below)


class ScaledBetaBinomial(Mixture):
    """`p_i / scale ~ Beta(alpha, beta)`, scale = min(1, (N + 1) / N max c_i/n_i), for N problems.

    The three-parameter estimator of the released code, with the scale taken from the data and not fitted. For
    large k, 1 - coverage falls as `(scale k)^-alpha`. coverage(k) is 1 - 2F1(-k, alpha; alpha + beta; scale);
    the sum cancels beyond k of 100 or so, hence the quadrature.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(BETA, scaled=True)


entry = LawEntry(
    name="scaled_beta_binomial",
    aliases=("scaled_beta", "three_parameter_beta_binomial"),
    factory=ScaledBetaBinomial,
    revision=3,
    takes="counts",
    summary="Success probabilities Beta(alpha, beta) on (0, scale), maximum likelihood on counts.",
    reference="Schaeffer et al. 2025, arXiv:2502.17578, section 5 (three-parameter beta-binomial)",
)
