"""Predictions of a fit, refit by refit, and the tables that hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from itscale.fitting.bootstrap import bounds
from itscale.outcomes import FloatArray

__all__ = ["Forecast", "forecast_rows", "forecasts_of", "refit_rows"]


@dataclass(frozen=True)
class Forecast:
    """What a fit to budgets up to `fitted_to` says of larger ones.

    Attributes
    ----------
    fitted_to
        Largest k the fit has seen.
    budgets
        k, increasing within each role, shape (m,).
    roles
        Of each k: `fit` (seen by the fit), `holdout` (withheld from it), `extrapolation` (beyond all data).
    observed
        Coverage as known: of `fit` points, from the completions the fit has seen; of `holdout` points, from
        all; NaN beyond. Shape (m,).
    estimate
        What the fit predicts, shape (m,).
    refits
        What its refits predict, shape (refits, m), NaN where one failed; row r belongs to the same resample
        of problems in every law's forecast.
    """

    fitted_to: float
    budgets: FloatArray
    roles: tuple[str, ...]
    observed: FloatArray
    estimate: FloatArray
    refits: FloatArray

    def only(self, role: str) -> Forecast:
        """Return the points of one role."""
        at = np.flatnonzero([name == role for name in self.roles])
        return Forecast(
            self.fitted_to,
            self.budgets[at],
            (role,) * len(at),
            self.observed[at],
            self.estimate[at],
            self.refits[:, at],
        )

    def band(self, confidence: float) -> tuple[FloatArray, FloatArray]:
        """Return percentiles of the refits, each of shape (m,), never without the estimate; NaN without any.

        Refits are of resampled problems and may all be to one side of the fit to all problems.
        """
        low, high = bounds(self.refits, confidence)
        return (
            np.where(np.isnan(low), low, np.fmin(low, self.estimate)),
            np.where(np.isnan(high), high, np.fmax(high, self.estimate)),
        )


def forecast_rows(forecast: Forecast, confidence: float) -> list[dict[str, Any]]:
    """Return rows of the table of forecasts, with bands at `confidence` and at 80 %."""
    (low, high), (low_80, high_80) = forecast.band(confidence), forecast.band(0.8)
    columns = {
        "budget": forecast.budgets,
        "estimate": forecast.estimate,
        "low": low,
        "high": high,
        "low_80": low_80,
        "high_80": high_80,
        "observed": forecast.observed,
    }
    return [
        {"fitted_to": forecast.fitted_to, "role": role}
        | {name: None if np.isnan(values[at]) else float(values[at]) for name, values in columns.items()}
        for at, role in enumerate(forecast.roles)
    ]


def refit_rows(forecast: Forecast) -> list[dict[str, Any]]:
    """Return rows of the table of refits: what each refit predicts at the last budget seen and beyond."""
    return [
        {"fitted_to": forecast.fitted_to, "budget": float(k), "role": role, "predicted": values.tolist()}
        for k, role, values in zip(forecast.budgets, forecast.roles, forecast.refits.T, strict=True)
        if role != "fit" or k == forecast.fitted_to
    ]


def forecasts_of(forecasts: pl.DataFrame, refits: pl.DataFrame) -> list[Forecast]:
    """Return the forecasts of one law from its two tables, smallest origin first.

    Refits are known from the last budget seen on: within the fit they are NaN.
    """
    found = []
    known: Mapping[tuple[int, float, str], Sequence[float]] = {
        (row["fitted_to"], row["budget"], row["role"]): row["predicted"]
        for row in refits.iter_rows(named=True)
    }
    for (fitted_to,), part in forecasts.sort("fitted_to", "budget").group_by(
        "fitted_to", maintain_order=True
    ):
        keys = list(zip(part["budget"].to_list(), part["role"].to_list(), strict=True))
        count = max((len(known[(fitted_to, *key)]) for key in keys if (fitted_to, *key) in known), default=0)
        again = [known.get((fitted_to, *key), [np.nan] * count) for key in keys]
        found.append(
            Forecast(
                fitted_to=fitted_to,
                budgets=part["budget"].to_numpy(),
                roles=tuple(part["role"]),
                observed=part["observed"].fill_null(np.nan).to_numpy(),
                estimate=part["estimate"].to_numpy(),
                refits=np.array(again, dtype=np.float64).T.reshape(count, len(keys)),
            )
        )
    return found
