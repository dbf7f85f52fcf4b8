"""The grid of k at which curves are estimated."""

import numpy as np

from itscale.outcomes import IntArray

__all__ = ["k_grid"]


def k_grid(n: int, points: int = 40) -> IntArray:
    """Return log-spaced k from 1 to n, rounded, each once (Brown et al. 2024, appendix C.1).

    Parameters
    ----------
    n
        Completions per problem, >= 1.
    points
        Values before rounding; fewer are left where rounding makes them equal.

    Raises
    ------
    ValueError
        If n < 1.
    """
    if n < 1:
        raise ValueError(f"n: found {n}, expected at least one completion")
    return np.unique(np.round(np.logspace(0, np.log10(n), points)).astype(np.int64))
