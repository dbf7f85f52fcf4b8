"""Points, laws and failures as one table, and the parameters as a page of a paper shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from itscale.messages.numbers import above_zero, holdout_text, interval_text, parameters_text
from itscale.plugins.figures import FigureData
from itscale.plugins.laws import ENSEMBLE

__all__ = ["CURVE", "drawn_rows", "failures", "parameters", "summary_table"]

CURVE = ("task", "model", "strategy")
"""The columns that name what laws are fitted to."""

_COLUMNS = (
    *CURVE,
    "role",  # seen, withheld (points); fit, holdout, extrapolation (laws); failed
    "law",
    "fitted_to",
    "budget",
    "estimate",
    "low",
    "high",
    "message",
    "simulated",
)


def drawn_rows(data: FigureData, most: int) -> pl.DataFrame:
    """Return every point and line of the figure as a row, with its role; a failed fit is a row too.

    Parameters
    ----------
    data
        The tables of a study.
    most
        So many laws are drawn, those with the smallest hold-out errors, and the ensemble.
    """
    laws = [*_best(data.fits, most), ENSEMBLE]
    drawn = pl.col("law").is_in(laws)
    forecasts = _forecasts(data.forecasts.filter(drawn))
    failed = (
        data.fits.filter(drawn, pl.col("status") != "ok")
        .select(
            *CURVE,
            pl.lit("failed").alias("role"),
            "law",
            pl.lit(None, pl.Int64).alias("fitted_to"),
            *(pl.lit(None, pl.Float64).alias(name) for name in ("budget", "estimate", "low", "high")),
            "message",
            "simulated",
        )
        .unique()
    )
    points = _points(data.coverage, forecasts, failed)
    return pl.concat([points, forecasts, failed]).sort(_COLUMNS, nulls_last=True)


def _best(fits: pl.DataFrame, most: int) -> list[str]:
    """Return at most so many laws: those that extrapolate first, by their mean hold-out error over curves."""
    errors = fits.unique((*CURVE, "law"), keep="first", maintain_order=True).group_by("law")
    return (
        errors.agg(pl.col("holdout_error").mean(), pl.col("extrapolates").any())
        .sort(~pl.col("extrapolates"), "holdout_error", "law", nulls_last=True)["law"][:most]
        .to_list()
    )


def _forecasts(forecasts: pl.DataFrame) -> pl.DataFrame:
    """Return the fit to all points with what it says beyond, and what the fit to fewest points predicted."""
    last = pl.col("fitted_to").max().over(*CURVE, "law")
    first = pl.col("fitted_to").min().over(*CURVE, "law")
    held = (pl.col("role") == "holdout") & (pl.col("fitted_to") == first)
    return (
        forecasts.filter(held | (pl.col("fitted_to") == last))
        .with_columns(pl.lit(None, pl.String).alias("message"))
        .select(_COLUMNS)
    )


def _points(coverage: pl.DataFrame, forecasts: pl.DataFrame, failed: pl.DataFrame) -> pl.DataFrame:
    """Return the observed points of every curve a law was tried on; `withheld` if one had to predict it."""
    tried = pl.concat([forecasts.select(CURVE), failed.select(CURVE)]).unique()
    withheld = forecasts.filter(pl.col("role") == "holdout").select(*CURVE, "budget").unique()
    points = coverage.select(
        *CURVE, pl.col("budget").cast(pl.Float64), "estimate", "low", "high", "simulated"
    ).join(tried, on=CURVE, how="semi")
    held = points.join(withheld, on=[*CURVE, "budget"], how="semi").with_columns(role=pl.lit("withheld"))
    seen = points.join(withheld, on=[*CURVE, "budget"], how="anti").with_columns(role=pl.lit("seen"))
    return (
        pl.concat([seen, held])
        .with_columns(
            pl.lit(None, pl.String).alias("law"),
            pl.lit(None, pl.Int64).alias("fitted_to"),
            pl.lit(None, pl.String).alias("message"),
        )
        .select(_COLUMNS)
    )


def failures(rows: pl.DataFrame) -> list[str]:
    """Name every law that could not be fitted, with the reason."""
    failed = rows.filter(pl.col("role") == "failed")
    return [
        f"{law}: no fit ({message or 'no reason given'})"
        for law, message in failed.select("law", "message").rows()
    ]


def parameters(fits: pl.DataFrame) -> dict[str, str]:
    """Return `name = estimate [low, high]` of every law's parameters; meant for the fits of one curve."""
    fitted = fits.filter(pl.col("status") == "ok", pl.col("parameter").is_not_null()).sort("law", "parameter")
    return {
        str(law): parameters_text(rows.select("parameter", "estimate", "low", "high").rows())
        for (law,), rows in fitted.group_by("law", maintain_order=True)
    }


def summary_table(fits: pl.DataFrame) -> pl.DataFrame:
    """Return a line per curve and law: its parameters with intervals and what to mind, or why it failed."""
    lines = []
    for (*curve, law), rows in fits.sort(*CURVE, "law").group_by(*CURVE, "law", maintain_order=True):
        error, message = rows.select("holdout_error", "message").row(0)
        failed = rows["status"][0] != "ok"
        lines.append(
            dict(zip(CURVE, curve, strict=True))
            | {
                "law": law,
                "parameters": f"no fit: {message}" if failed else parameters(rows).get(str(law)),
                "estimand": rows["estimand"][0],
                "effective slope": _ends(rows, "effective_slope"),
                "asymptotic exponent": _ends(rows, "asymptotic_exponent"),
                "hold-out error (points)": None if error is None else _error(error, rows, fits, curve),
                "remarks": None if failed else message or None,
            }
        )
    columns = [*CURVE, "law", "parameters", "estimand", "effective slope", "asymptotic exponent"]
    columns += ["hold-out error (points)", "remarks"]
    return pl.DataFrame(lines, schema=dict.fromkeys(columns, pl.String))


def _error(error: float, rows: pl.DataFrame, fits: pl.DataFrame, curve: Sequence[object]) -> str:
    here = pl.all_horizontal(pl.col(name) == label for name, label in zip(CURVE, curve, strict=True))
    most: Any = fits.filter(here)["holdout_origins"].max()
    return holdout_text(above_zero(error, ".1f", 100), rows["holdout_origins"][0], most)


def _ends(rows: pl.DataFrame, name: str) -> str | None:
    estimate, low, high = rows.select(name, f"{name}_low", f"{name}_high").row(0)
    return None if estimate is None else interval_text(estimate, low, high)
