"""Principal components of a table with gaps, fitted to the rows given and to no others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from itscale.outcomes import FloatArray

__all__ = ["Components", "fill", "find_components"]

ITERATIONS = 10_000
CONVERGED = 1e-12


@dataclass(frozen=True)
class Components:
    """Principal components of complete rows.

    Attributes
    ----------
    mean
        Of each column, shape (columns,).
    loadings
        One component a row, orthonormal, shape (components, columns).
    explained
        Share of the variance of every component there is, largest first.
    gap_loading
        The single component that gaps are filled along, shape (columns,).
    """

    mean: FloatArray
    loadings: FloatArray
    explained: FloatArray
    gap_loading: FloatArray

    def scores(self, complete: FloatArray) -> FloatArray:
        """Return the components of each row, shape (rows, components)."""
        return np.asarray((complete - self.mean) @ self.loadings.T)


def find_components(table: FloatArray, components: int, orient: int) -> tuple[Components, FloatArray]:
    """Return the components of a table with gaps (NaN), and the table with its gaps filled.

    Gaps are filled by iterated PCA with one component: the mean of the column first, then the mean plus
    the row's score times the loading, until nothing moves. A sign is arbitrary: the first component rises
    with column `orient`, the others with the column they load on most.

    Parameters
    ----------
    table
        Shape (rows, columns).
    components
        How many to keep.
    orient
        Number of the column.
    """
    gaps = np.isnan(table)
    complete = np.where(gaps, np.nanmean(table, axis=0), table)
    for _ in range(ITERATIONS if gaps.any() else 0):
        mean = complete.mean(axis=0)
        loading = np.linalg.svd(complete - mean, full_matrices=False)[2][0]
        filled = fill(table, mean, loading)
        moved = float(np.max(np.abs(filled - complete)))
        complete = filled
        if moved < CONVERGED:
            break
    mean = complete.mean(axis=0)
    _, singular, loadings = np.linalg.svd(complete - mean, full_matrices=False)
    loadings = loadings * np.array(
        [
            np.sign(row[orient if at == 0 else np.argmax(np.abs(row))]) or 1.0
            for at, row in enumerate(loadings)
        ]
    ).reshape(-1, 1)
    variance = singular**2
    return Components(mean, loadings[:components], variance / variance.sum(), loadings[0]), complete


def fill(table: FloatArray, mean: FloatArray, loading: FloatArray) -> FloatArray:
    """Fill the gaps of each row along one component, at the score its known cells fit best."""
    gaps = np.isnan(table)
    known = np.where(gaps, 0.0, table - mean)
    weight = np.where(gaps, 0.0, loading**2).sum(axis=1)
    score = np.divide(known @ loading, weight, out=np.zeros_like(weight), where=weight > 0)
    return np.where(gaps, mean + np.outer(score, loading), table)
