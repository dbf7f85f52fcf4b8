"""Fits to tables: a law of several covariates, with intervals, gates, and hold-outs of the largest scales."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import polars as pl

from itscale.boundary import make_table_law
from itscale.fitting.forecast import forecast_rows
from itscale.fitting.report import FitSettings
from itscale.fitting.tabular import report_table
from itscale.plugins.entries import LawEntry
from itscale.plugins.ingredient import Ingredient
from itscale.plugins.laws import TableLaw
from itscale.plugins.table_laws import Table, TableOptions, load_table
from itscale.stages.declared import TABLE_FITS as STAGE
from itscale.store.parquet import write_table
from itscale.store.rows import named_rows
from itscale.store.schemas import FITS, FORECASTS, Schema
from itscale.study.study import Study

__all__ = ["TABLE_FORECASTS", "check_table", "fit_table"]

TABLE_FORECASTS: Schema = {**FORECASTS, "fitted_to": pl.Float64}
"""`FORECASTS` with the scale of a law (mostly FLOPs, beyond 64-bit integers) as `budget` and `fitted_to`."""


def fit_table(study: Study, law: str, *, fits: Path, forecasts: Path) -> None:
    """Fit a law to the table its options name; write `FITS` and `TABLE_FORECASTS`.

    Each refit sees resampled rows (or groups of rows). For the hold-out the law is fitted again to the rows
    of smaller scale, and to all but the largest, and tried on the rest. A law that cannot be fitted is a row
    with status `failed` and the reason. Task, model and strategy are null: the table is no part of the study.

    Raises
    ------
    DataError
        If the table is missing, or not what the options say.
    """
    ingredient = study.laws[law]
    made, table = check_table(ingredient)
    report = report_table(
        made,
        table,
        _settings(study),
        study.config.fits.origins,
        cast(TableOptions, ingredient.options).cutoff,
    )
    metadata = STAGE.footer(study, {"table_law": law}, ingredient.files, ingredient)
    metadata["simulated"] = False
    confidence = study.config.curves.confidence
    rows = [row for forecast in report.forecasts for row in forecast_rows(forecast, confidence)]
    identity = {"law": law, "simulated": False}
    for found, schema, path in ((report.fits, FITS, fits), (rows, TABLE_FORECASTS, forecasts)):
        write_table(named_rows(found, schema, identity), path, metadata)


def check_table(ingredient: Ingredient[LawEntry]) -> tuple[TableLaw, Table]:
    """Return a law and its table; DataError if the table is not what the law's options say."""
    law = make_table_law(ingredient)
    return law, load_table(law, cast(TableOptions, ingredient.options), f"laws.{ingredient.label}")


def _settings(study: Study) -> FitSettings:
    fits = study.config.fits
    return FitSettings(
        refits=fits.refits,
        holdout_refits=fits.holdout_refits,
        reach=fits.reach,
        confidence=study.config.curves.confidence,
        stream=(study.config.seed, "refits", "table"),
    )
