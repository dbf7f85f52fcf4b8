"""Accuracies and spending of each problem at each budget, of which curves are means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from itscale.curves.axes import AXES
from itscale.curves.spending import Spending
from itscale.outcomes import FloatArray, IntArray
from itscale.store.schemas import ACCURACIES

__all__ = ["accuracy_rows"]


def accuracy_rows(
    selector: str,
    problems: Sequence[str],
    budgets: IntArray,
    accuracy: FloatArray,
    error: FloatArray,
    spending: Spending,
) -> pl.DataFrame:
    """Return one row per problem and budget that the problem has (schema `ACCURACIES`).

    Parameters
    ----------
    selector
        Label of the selector.
    problems, budgets
        What the rows and the columns of the arrays are.
    accuracy, error
        Accuracy and its simulation error, shape (problems, budgets); accuracy NaN where a problem has fewer
        completions than the budget.
    spending
        What each problem cost, same shape.
    """
    rows, columns = np.nonzero(~np.isnan(accuracy))
    spent = {axis.name: getattr(spending, axis.name)[rows, columns] for axis in AXES}
    table = pl.DataFrame(
        {
            "selector": [selector] * len(rows),
            "problem_id": np.asarray(problems, dtype=object)[rows].tolist(),
            "budget": np.asarray(budgets)[columns],
            "accuracy": accuracy[rows, columns],
            "monte_carlo_error": error[rows, columns],
            **spent,
        }
    )
    return table.select(pl.col(name).cast(dtype) for name, dtype in ACCURACIES.items())
