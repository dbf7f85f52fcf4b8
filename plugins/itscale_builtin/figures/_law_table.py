"""Points, laws and failures as one table, and the parameters as a page of a paper shows them."""

from __future__ import annotations

import polars as pl

from itscale.figures import FigureData
from itscale_builtin.figures._curves import interval

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


def drawn_rows(data: FigureData) -> pl.DataFrame:
    """Return every point and line of the figure as a row, with its role; a failed fit is a row too."""
    forecasts = _forecasts(data.forecasts)
    failed = (
        data.fits.filter(pl.col("status") != "ok")
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
    points = _points(data.curves.filter(pl.col("selector") == data.coverage), forecasts, failed)
    return pl.concat([points, forecasts, failed]).sort(_COLUMNS, nulls_last=True)


def _forecasts(forecasts: pl.DataFrame) -> pl.DataFrame:
    """Return the fit to all points with what it says beyond, and what the fit to fewer points predicted."""
    last = pl.col("fitted_to").max().over(*CURVE, "law")
    kept = (pl.col("role") == "holdout") | (pl.col("fitted_to") == last)
    return forecasts.filter(kept).with_columns(pl.lit(None, pl.String).alias("message")).select(_COLUMNS)


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
        str(law): ", ".join(
            f"{name} = {interval(*ends)}"
            for name, *ends in rows.select("parameter", "estimate", "low", "high").rows()
        )
        for (law,), rows in fitted.group_by("law", maintain_order=True)
    }


def summary_table(fits: pl.DataFrame) -> pl.DataFrame:
    """Return a line per curve and law: its parameters with intervals and what to mind, or why it failed."""
    lines = []
    for (*curve, law), rows in fits.sort(*CURVE, "law").group_by(*CURVE, "law", maintain_order=True):
        error, message = rows["holdout_error"][0], rows["message"][0]
        failed = rows["status"][0] != "ok"
        lines.append(
            dict(zip(CURVE, curve, strict=True))
            | {
                "law": law,
                "parameters": f"no fit: {message}" if failed else parameters(rows).get(str(law)),
                "estimand": rows["estimand"][0],
                "hold-out error (points)": None if error is None else f"{100 * error:.1f}",
                "remarks": None if failed else message or None,
            }
        )
    columns = (*CURVE, "law", "parameters", "estimand", "hold-out error (points)", "remarks")
    return pl.DataFrame(lines, schema=dict.fromkeys(columns, pl.String))
