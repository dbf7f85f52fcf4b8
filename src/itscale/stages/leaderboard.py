"""The laws of one (task, model, strategy) by expected error, and their ensemble, which is one of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from itscale.curves.axes import at_budget
from itscale.fitting import (
    ENSEMBLE,
    combine,
    forecast_rows,
    forecasts_of,
    leaderboard,
    solved_bound,
    unsolved_bound,
)
from itscale.fitting.report import EXTRAPOLATION_POINTS
from itscale.messages.numbers import above_zero, holdout_text, share_text
from itscale.stages.declared import LEADERBOARD as STAGE
from itscale.store.latex import booktabs
from itscale.store.parquet import read_table, write_csv, write_table, write_text
from itscale.store.rows import named_rows
from itscale.store.schemas import COMBINATION, FITS, FORECASTS, LEADERBOARD, REFITS, Schema
from itscale.study.study import Study

__all__ = ["board_legend", "board_tables", "board_text", "rank_laws", "write_leaderboard"]

LEAST_SHOWN = 0.005
"""Weights that would be shown as 0.00 are not."""
ALONE = 0.995
"""A weight that is shown as 1.00."""
AT = " at "
"""Stands before the budget of a forecast."""

OF_FITS = ("status", "message", "scale", "aicc")
"""Columns of a leaderboard that come from the table of fits."""


def rank_laws(
    study: Study,
    task: str,
    model: str,
    strategy: str,
    *,
    fits: Sequence[Path],
    forecasts: Sequence[Path],
    refits: Sequence[Path],
    board: Path,
    ensemble: Path,
) -> None:
    """Put the laws of one (task, model, strategy) side by side and combine them.

    Parameters
    ----------
    fits, forecasts, refits
        What was fitted (schemas `FITS`, `FORECASTS`, `REFITS`), every law of the study.
    board
        Where the leaderboard goes (schema `LEADERBOARD`).
    ensemble
        Where the ensemble's forecasts go (schema `FORECASTS`).

    Raises
    ------
    DataError
        If an input is damaged.
    """
    fitted = _read(fits, FITS)
    tables = board_tables(
        fitted,
        _read(forecasts, FORECASTS),
        _read(refits, REFITS),
        study.config.curves.confidence,
        study.config.fits.reach,
    )
    place = {"task": task, "model": model, "strategy": strategy}
    inputs = {f"{path.parents[3].name}/{path.stem}": path for path in (*fits, *forecasts, *refits)}
    plugins = (study.laws[label] for label in study.curve_laws)
    metadata = STAGE.footer(study, place, inputs, *plugins)
    metadata["simulated"] = bool(fitted["simulated"].any())
    for table, path in zip(tables, (board, ensemble), strict=True):
        write_table(table, path, metadata)


def _read(paths: Sequence[Path], schema: Schema) -> pl.DataFrame:
    return pl.concat([read_table(path, schema).select(*schema) for path in paths])


def board_tables(
    fits: pl.DataFrame, forecasts: pl.DataFrame, refits: pl.DataFrame, confidence: float, reach: float
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the leaderboard and the ensemble's forecasts of the laws of one (task, model, strategy).

    Parameters
    ----------
    fits, forecasts, refits
        Tables of the schemas `FITS`, `FORECASTS` and `REFITS`, every law of it.
    confidence
        Level of the bands.
    reach
        Forecasts go to this many times the largest budget seen.

    Returns
    -------
    tuple of polars.DataFrame
        Schemas `LEADERBOARD` and `FORECASTS`. There is an ensemble where at least two laws were fitted that
        say how failure falls as k → ∞. Others (a straight line in log k, a curve that levels off
        by its form) have hold-out errors, but no forecast and no place: hold-outs a few times beyond the data
        cannot tell how wrong they are far beyond. Where no completion is correct, the ensemble has an upper
        bound and no estimate; where all problems are solved and no law could be fitted, a lower one.
    """
    members = {
        law: forecasts_of(forecasts.filter(pl.col("law") == law), refits.filter(pl.col("law") == law))
        for law in fits["law"].unique().sort()
    }
    first_rows = fits.sort("law", maintain_order=True).unique("law", keep="first", maintain_order=True)
    facts = {row["law"]: row for row in first_rows.iter_rows(named=True)}
    standing = {law: row["ensemble"] for law, row in facts.items() if row["extrapolates"]}
    mixed = {law: members[law] for law in standing if members[law]}
    problems = max((row["problems"] or 0 for row in facts.values()), default=0)
    combined, weights = combine(mixed, standing, problems) if len(mixed) > 1 else ([], {})
    identity = fits.select(*COMBINATION, "simulated", "axis").row(0, named=True)
    rows = []
    for row in leaderboard(members, combined, confidence, standing.keys()):
        known = facts.get(row["law"], {"status": "ok", "message": _recipe(weights)})
        mine = {name: known.get(name) for name in OF_FITS}
        rows.append({**identity, **mine, **row, "weight": weights.get(row["law"])})
    ahead = [row for one in combined for row in forecast_rows(one, confidence)]
    if first := next((row for row in facts.values() if row["solved"] == 0), None):
        ahead = _unsolved(first["problems"], first["sampled"], confidence, reach)
        rows.insert(
            0, {**identity, **_bound_row(ahead[-1], "no completion is correct: an exact upper bound")}
        )
    elif not combined and (whole := next((row for row in facts.values() if _all_solved(row)), None)):
        ahead = _solved(whole["problems"], whole["sampled"], confidence, reach)
        rows.insert(0, {**identity, **_bound_row(ahead[-1], "every problem is solved: an exact lower bound")})
    origins = max((row.get("holdout_origins") or 0 for row in rows), default=0)
    return (
        named_rows([{**row, "origins": origins} for row in rows], LEADERBOARD),
        named_rows([{**identity, "law": ENSEMBLE, **row} for row in ahead], FORECASTS),
    )


def _unsolved(problems: int, sampled: int, confidence: float, reach: float) -> list[dict[str, Any]]:
    """Return forecasts of an upper bound, for problems of which none was solved."""
    budgets = np.geomspace(sampled, sampled * reach, EXTRAPOLATION_POINTS + 1)[1:]
    ends = [unsolved_bound(problems, sampled, budgets, level) for level in (confidence, 0.8)]
    return [
        {"fitted_to": sampled, "role": "extrapolation", "budget": k, "low": 0.0, "high": high}
        | {"low_80": 0.0, "high_80": high_80}
        for k, high, high_80 in zip(budgets.tolist(), *(end.tolist() for end in ends), strict=True)
    ]


def _all_solved(row: Mapping[str, Any]) -> bool:
    return bool(row["solved"]) and row["solved"] == row["problems"]


def _solved(problems: int, sampled: int, confidence: float, reach: float) -> list[dict[str, Any]]:
    """Return forecasts of a lower bound, for problems that are all solved and that no two laws fit."""
    budgets = np.geomspace(sampled, sampled * reach, EXTRAPOLATION_POINTS + 1)[1:]
    chances = 1 - np.array([confidence, 0.8])
    low, low_80 = 1 - solved_bound(problems, budgets / sampled, chances)
    return [
        {"fitted_to": sampled, "role": "extrapolation", "budget": k, "low": least, "high": 1.0}
        | {"low_80": least_80, "high_80": 1.0}
        for k, least, least_80 in zip(budgets.tolist(), low.tolist(), low_80.tolist(), strict=True)
    ]


def _bound_row(last: Mapping[str, Any], message: str) -> dict[str, Any]:
    return {
        "law": ENSEMBLE,
        "status": "ok",
        "message": message,
        "place": 1,
        "forecast_budget": last["budget"],
        "forecast_low": last["low"],
        "forecast_high": last["high"],
    }


def _recipe(weights: Mapping[str, float]) -> str:
    heavy = sorted((pair for pair in weights.items() if pair[1] >= LEAST_SHOWN), key=lambda pair: -pair[1])
    return "weights " + ", ".join(f"{law} {weight:.2f}" for law, weight in heavy)


def write_leaderboard(study: Study, *, boards: Sequence[Path], csv: Path, tex: Path) -> None:
    """Write all leaderboards of a study as numbers (CSV) and as a table for a paper (LaTeX, booktabs)."""
    read = [read_table(path, LEADERBOARD).select(*LEADERBOARD) for path in boards]
    table = pl.concat([pl.DataFrame(schema=dict(LEADERBOARD)), *read])
    table = table.sort(*COMBINATION, "place", "law", nulls_last=True)
    write_csv(table, csv)
    simulated = "Simulated completions. " if table["simulated"].any() else ""
    note = " ".join([*board_legend(table, study.config.curves.confidence), *_failures(table)])
    text = board_text(table).drop("in 80 % band", "AICc")
    caption = f"Laws of {study.name} by expected error"
    write_text(tex, booktabs(text, caption, simulated + note, groups=COMBINATION))


def _failures(board: pl.DataFrame) -> list[str]:
    """Return why laws have no fit, a sentence for each reason."""
    failed = board.filter(pl.col("status") != "ok")
    reasons = failed.group_by("law", "message", maintain_order=True).len().rows()
    return [f"{law}: no fit ({message})." for law, message, _ in reasons]


def board_legend(board: pl.DataFrame, confidence: float) -> list[str]:
    """Return what the columns of leaderboards are, a sentence or two each, and what is expected."""
    level = f"{100 * confidence:g} %"
    alone = board.filter(pl.col("weight") >= ALONE)["law"].unique().sort()
    return [
        "#: place, by expected error.",
        "Expected error: root mean square error of the forecast if coverage is where the ensemble's band "
        "says.",
        *(
            f"Where {law} has the weight 1.00 it is the ensemble by itself: expected errors there are "
            f"distances from {law}, with its band."
            for law in alone
        ),
        "Hold-out error: mean distance from coverage at budgets withheld from the fit, over the origins at "
        "which the law could be fitted (errors over fewer origins than others', marked, do not compare with "
        "them); it does not rank.",
        f"In band: share of the withheld points inside the law's {level} band.",
        "Weight: in the ensemble.",
        f"Forecast: with its {level} band, of laws from resampling problems, of the ensemble for these very "
        "problems.",
        "No place: a law that by its form says nothing of budgets far beyond the data has no forecast to "
        "be ranked.",
    ]


def board_text(board: pl.DataFrame) -> pl.DataFrame:
    """Return a leaderboard as text, a row per law: places, errors in points of coverage, forecasts."""
    lines = []
    for row in board.iter_rows(named=True):
        lines.append(
            {name: str(row[name]) for name in COMBINATION}
            | {
                "#": _cell(row["place"], "d"),
                "law": row["law"] if row["status"] == "ok" else f"{row['law']} (no fit)",
                "expected error (points)": _small(row["expected_error"], ".1f", 100),
                "hold-out error (points)": holdout_text(
                    _small(row["holdout_error"], ".2f", 100), row["holdout_origins"], row["origins"]
                ),
                "log error": _small(row["holdout_log_error"], "+z.3f"),
                "in band": _share(row["holdout_inside"]),
                "in 80 % band": _share(row["holdout_inside_80"]),
                "AICc": _cell(row["aicc"], "z.1f") + (f" ({row['scale']})" if row["scale"] else ""),
                "weight": _small(row["weight"], ".2f"),
                "forecast (%)": _forecast(row),
            }
        )
    columns = [
        *COMBINATION,
        "#",
        "law",
        "expected error (points)",
        "hold-out error (points)",
        "log error",
        "in band",
        "in 80 % band",
    ]
    columns += ["AICc", "weight", "forecast (%)"]
    return pl.DataFrame(lines, schema=dict.fromkeys(columns, pl.String))


def _cell(value: float | None, how: str, factor: int = 1) -> str:
    return "—" if value is None else format(factor * value, how)


def _small(value: float | None, how: str, factor: int = 1) -> str:
    """Return an error or a weight; one that is not 0 is never shown as 0."""
    return "—" if value is None else above_zero(value, how, factor)


def _share(share: float | None) -> str:
    return "—" if share is None else f"{share_text(share, 0)}%"


def _forecast(row: Mapping[str, Any]) -> str:
    if row["forecast_budget"] is None:
        return "—"
    at = AT + at_budget(row["axis"], row["forecast_budget"])
    if row["forecast"] is None and row["forecast_low"]:
        return f"at least {100 * row['forecast_low']:.4g}{at}"
    if row["forecast"] is None:
        return f"at most {100 * row['forecast_high']:.3g}{at}"
    band = ""
    if row["forecast_low"] is not None:
        band = f" [{share_text(row['forecast_low'])}, {share_text(row['forecast_high'])}]"
    return f"{share_text(row['forecast'])}{band}{at}"
