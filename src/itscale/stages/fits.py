"""Fits: a law's parameters, its hold-out errors and its forecasts, each with what resampled problems say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from itscale.boundary import Place, make_law
from itscale.curves.clusters import clusters_of
from itscale.curves.pools import Outcomes, ProblemCounts, open_outcomes
from itscale.errors import ContractError
from itscale.fitting import (
    Evidence,
    FitSettings,
    LawReport,
    evidence_of_counts,
    evidence_of_runs,
    failed_report,
    forecast_rows,
    origins_of_curve,
    refit_rows,
    report_law,
)
from itscale.outcomes import IntArray
from itscale.plugins.entries import LawEntry
from itscale.plugins.ingredient import Ingredient
from itscale.plugins.process import seed_global_generators
from itscale.seeds import generator
from itscale.stages.declared import FITS as STAGE
from itscale.store.parquet import read_table, write_table
from itscale.store.rows import named_rows
from itscale.store.schemas import CURVES, FITS, FORECASTS, REFITS
from itscale.study.study import Study

__all__ = ["fit_law", "pool_evidence", "report_ingredient", "report_tables", "settings_of"]


def fit_law(
    study: Study,
    task: str,
    model: str,
    strategy: str,
    law: str,
    *,
    outcomes: Path,
    curves: Path,
    fits: Path,
    forecasts: Path,
    refits: Path,
) -> None:
    """Fit one law to the coverage of one (task, model, strategy); write `FITS`, `FORECASTS` and `REFITS`.

    Coverage is estimated from the outcomes at the budgets of `curves`, problem by problem, and each refit
    sees the whole curve (or the counts) of resampled problems, the same ones for every law. For the hold-out
    the law is fitted again to what the first n/8, n/4 and n/2 completions alone would have shown (of a
    run-based strategy: to the smaller budgets) and compared with coverage at the larger k. A law that cannot
    be fitted is a row with status `failed` and the reason.

    Parameters
    ----------
    outcomes
        Judged completions (schema `OUTCOMES`).
    curves
        The curves of the same completions (schema `CURVES`): which budgets are fitted.
    fits, forecasts, refits
        Where the results go.

    Raises
    ------
    DataError
        If an input is damaged.
    """
    ingredient = study.laws[law]
    found = open_outcomes(outcomes)
    budgets = np.unique(read_table(curves, CURVES)["budget"].to_numpy())
    options = study.config.fits
    everything: Evidence | None
    if study.draws(strategy) == "runs":
        everything = evidence_of_runs(found.runs(), budgets, study.config.strategies[strategy].replicates)
        origins = origins_of_curve(everything, options.origins)
    else:
        everything, origins = pool_evidence(found, budgets, options.origins, study.config.curves.clusters)
    report = report_ingredient(ingredient, everything, origins, settings_of(study, task))
    identity = {"task": task, "model": model, "strategy": strategy, "law": law}
    inputs = {"outcomes": outcomes, "curves": curves}
    metadata = STAGE.footer(study, identity, inputs, ingredient)
    metadata["simulated"] = found.simulated
    known = identity | {"simulated": found.simulated, "axis": found.axis}
    tables = report_tables(report, known, study.config.curves.confidence)
    for table, path in zip(tables, (fits, forecasts, refits), strict=True):
        write_table(table, path, metadata)


def report_ingredient(
    ingredient: Ingredient[LawEntry],
    everything: Evidence | None,
    origins: Sequence[Evidence],
    settings: FitSettings,
) -> LawReport:
    """Return the report of a law; of one that breaks its word, that it failed, and how."""
    law = make_law(ingredient)
    try:
        seed_global_generators(generator(*settings.stream))
        with Place.of(ingredient).undisturbed("fit()"):
            return report_law(law, ingredient.entry, everything, origins, settings)
    except ContractError as error:
        return failed_report(law, str(error))


def settings_of(study: Study, task: str) -> FitSettings:
    """Return how a study fits laws; all laws of a task see the same resamples."""
    options = study.config.fits
    return FitSettings(
        refits=options.refits,
        holdout_refits=options.holdout_refits,
        reach=options.reach,
        confidence=study.config.curves.confidence,
        stream=(study.config.seed, "refits", task),
    )


def report_tables(
    report: LawReport, identity: Mapping[str, Any], confidence: float
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return a report as tables of the schemas `FITS`, `FORECASTS` and `REFITS`."""
    forecasts = [row for one in report.forecasts for row in forecast_rows(one, confidence)]
    refits = [row for one in report.forecasts for row in refit_rows(one)]
    return (
        named_rows(report.fits, FITS, identity),
        named_rows(forecasts, FORECASTS, identity),
        named_rows(refits, REFITS, identity),
    )


def pool_evidence(
    outcomes: Outcomes, budgets: IntArray, shares: Iterable[int], clusters: str | None = None
) -> tuple[Evidence | None, list[Evidence]]:
    """Return what a pool of independent completions shows, and what its first n/share ones would have.

    Parameters
    ----------
    outcomes
        Judged completions. Where n was not fixed beforehand there are no origins: n depends on what was seen.
    budgets
        k of the curve, shape (m,).
    shares
        Each 1/share of the smallest pool's n is an origin, if that is at least 1.
    clusters
        Pattern of problems that are resampled together; see `clusters_of`.
    """
    counts = outcomes.counts()
    together = clusters_of(counts.problems, clusters)
    fixed = outcomes.design == "fixed"

    def evidence(part: ProblemCounts, ks: IntArray) -> Evidence:
        return evidence_of_counts(part.sampled, part.correct, ks, outcomes.design, together)

    smallest = int(counts.sampled.min())
    if fixed and not np.any(budgets <= smallest):
        return None, []
    sizes = sorted({smallest // share for share in shares} - {0}) if fixed else []
    # all that a smaller study has is on its curve: it ends at its own n
    grids = [np.union1d(budgets[budgets < size], size) for size in sizes]
    return evidence(counts, budgets), [
        evidence(outcomes.counts(size), ks) for size, ks in zip(sizes, grids, strict=True)
    ]
