"""The short summary: what every selector reached and every law says, a row per number, wide only in print."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from itscale.curves.axes import USD, at_budget
from itscale.errors import DataError
from itscale.messages.numbers import failed_refits_text, interval_note, marks_note, parameters_text
from itscale.outcomes import COMPLETIONS, selector_names
from itscale.stages.failures import part_text
from itscale.store.latex import transposed
from itscale.store.parquet import literal, read_table, without_noise, write_csv, write_text
from itscale.store.restructured import side_by_side
from itscale.store.rows import named_rows
from itscale.store.schemas import COMBINATION, CURVES, FITS, MISSING, SUMMARY, Schema
from itscale.study.study import Study

__all__ = ["LAW", "read_summary", "remarks", "summarise", "summary_rows", "write_summary"]

SELECTOR, LAW, MISSED = "selector", "law", "missing"
COUNTED = ("failed_units", "missing_completions", "not_judged", "not_scored", "not_classified", "unparsable")
"""Columns of `MISSING` that count what there is not."""
UNPARSABLE = "unparsable"
"""That of them whose share of the completions is said: it is taken for wrong answers otherwise."""
ACCURACY, HOLDOUT = "accuracy", "holdout_error"
COST = USD.name
"""What a problem costs at a budget, of a study that has prices."""
SINGLE = ("single", "coverage")
"""Estimands that are at k = 1 the share of problems which one completion solves, parsed or not."""
NOTHING = "—"
NO_FIT = "no fit"
REMARKED = " *"
"""Behind a law of which the table of fits remarks something."""


def summarise(
    study: Study, curves: Sequence[Path], fits: Sequence[Path], missing: Sequence[Path] = ()
) -> pl.DataFrame:
    """Put the ends of the curves and the parameters of the laws into one table (schema `SUMMARY`).

    Parameters
    ----------
    curves, fits, missing
        Tables of the schemas `CURVES`, `FITS` and `MISSING`, in any order.

    Returns
    -------
    polars.DataFrame
        By task, model and strategy, in the study's order of selectors and laws: the accuracy of each selector
        at k = 1 and at its largest k, with what a problem costs where there are prices, each parameter of
        each law and its hold-out error, and every count of what is missing. A law that failed has one row,
        without an estimate. Tabular laws come last, without task, model and strategy.
    """
    curve = _concat(curves, CURVES).sort(*COMBINATION, "selector", "budget")
    fit = _concat(fits, FITS)
    lacking = _concat(missing, MISSING)
    rows: list[dict[str, Any]] = []
    places = pl.concat([curve.select(COMBINATION), lacking.select(COMBINATION)]).unique().sort(COMBINATION)
    for identity in places.iter_rows(named=True):
        here = pl.all_horizontal(pl.col(name) == value for name, value in identity.items())
        rows += _missing_rows(lacking.filter(here))
        points = curve.filter(here)
        for label in study.selectors:
            ends = points.filter(pl.col("selector") == label)
            last = pl.col("budget") == pl.col("budget").max()
            for point in ends.filter((pl.col("budget") == 1) | last).iter_rows(named=True):
                rows += _selector_rows(point)
        for label in study.curve_laws:
            rows += _law_rows(fit.filter(here, pl.col("law") == label))
    for label in study.table_laws:
        rows += _law_rows(fit.filter(pl.col("law") == label, pl.col("task").is_null()))
    return without_noise(named_rows(rows, SUMMARY).fill_nan(None))


def read_summary(path: Path) -> pl.DataFrame:
    """Read a summary that `write_summary` wrote; DataError if it is no longer what that was."""
    try:
        return pl.read_csv(literal(path), glob=False, schema=dict(SUMMARY))
    except (pl.exceptions.PolarsError, OSError):
        raise DataError(f"{path}: not the summary of a study; move it away and run again") from None


def summary_rows(summary: pl.DataFrame, *, brief: bool = False) -> list[dict[str, str]]:
    """Return a summary as text, wide: a mapping of headings to cells for each task, model and strategy.

    Cells are like `42.0 % [31.2, 55.0]`; a law's parameters share one, with a star where there are `remarks`.
    In brief, a law without a fit says no more than that.
    """
    headings = _headings(summary)
    of_tables = pl.col("task").is_null()
    curves = summary.filter(~of_tables)
    here = set(curves.select("role", "label").iter_rows())
    shown = {place: heading for place, heading in headings.items() if place in here}
    found = [
        dict(_cells(rows, shown, brief)) for _, rows in curves.group_by(*COMBINATION, maintain_order=True)
    ]
    laws = summary.filter(of_tables).partition_by("label", maintain_order=True)
    return found + [
        {"task": "(table)", headings[LAW, rows["label"][0]]: _law_text(rows, brief)}
        for rows in laws
        if len(rows)
    ]


def remarks(summary: pl.DataFrame) -> list[str]:
    """Return what is remarked of laws that were fitted, a line for each law and remark."""
    fitted = summary.filter(pl.col("message") != "", role=LAW, status="ok")
    alone = summary.select(COMBINATION).drop_nulls().unique().height == 1
    lines = []
    for (law, message), rows in fitted.group_by("label", "message", maintain_order=True):
        places = [
            " · ".join(place)
            for place in rows.select(COMBINATION).unique(maintain_order=True).iter_rows()
            if None not in place
        ]
        where = "" if alone or not places else f" ({'; '.join(places)})"
        lines.append(f"{law}{where}: {message}")
    return lines


def write_summary(
    study: Study,
    *,
    curves: Sequence[Path],
    fits: Sequence[Path],
    missing: Sequence[Path] = (),
    csv: Path,
    tex: Path,
    rst: Path,
) -> None:
    """Write the summary: numbers (CSV, long), tables for a paper (LaTeX) and for the report (reST)."""
    summary = summarise(study, curves, fits, missing)
    write_csv(summary, csv)
    write_text(rst, side_by_side(summary_rows(summary.filter(pl.col("role") != LAW))))
    level = f"{100 * study.config.curves.confidence:g} % {interval_note(summary['interval'])}"
    simulated = "Simulated completions. " if summary["simulated"].any() else ""
    rows = summary_rows(summary, brief=True)
    notes = [f"{simulated}Brackets: {level}.", marks_note(cell for row in rows for cell in row.values())]
    if remarks(summary):
        notes.append("Star: the data may not determine the law; see the column message of summary.csv.")
    failed = summary.filter(pl.col("status") != "ok", role=LAW)
    reasons = failed.select("label", "message").unique(maintain_order=True)
    notes += [f"{law}: {NO_FIT} ({message})." for law, message in reasons.rows()]
    write_text(tex, transposed(rows, f"Summary of {study.name}", " ".join(filter(None, notes))))


def _concat(paths: Sequence[Path], schema: Schema) -> pl.DataFrame:
    tables = [read_table(path, schema).select(*schema) for path in paths]
    return pl.concat(tables) if tables else pl.DataFrame(schema=dict(schema))


def _selector_rows(point: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a row for the accuracy at a point of a curve, and one for its cost if that is known."""
    own = {"role": SELECTOR, "label": point["selector"], "k": point["budget"], "status": "ok", "message": ""}
    yield {**point, **own, "quantity": ACCURACY}
    if point[COST] is not None:
        without = {"low": None, "high": None, "interval": None}
        yield {**point, **own, "quantity": COST, "estimate": point[COST], **without}


def _missing_rows(missing: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield a row for each count of what is missing, if anything is."""
    for counts in missing.iter_rows(named=True):
        for name in COUNTED:
            if counts[name]:
                said = part_text(counts[name], counts["completions"]) if name == UNPARSABLE else None
                row = {"role": MISSED, "quantity": name, "estimate": float(counts[name])}
                yield {**counts, **row, "message": said}


def _law_rows(fits: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield a row for each parameter of a law and one for its hold-out error, or one that says why not."""
    for fit in fits.iter_rows(named=True):
        yield {**fit, "role": LAW, "label": fit["law"], "quantity": fit["parameter"]}
    if len(fits) and fits["status"][0] == "ok":
        first = fits.row(0, named=True)
        value = {"quantity": HOLDOUT, "estimate": first[HOLDOUT], "low": None, "high": None, "estimand": None}
        yield {**first, "role": LAW, "label": first["law"], **value}


def _headings(summary: pl.DataFrame) -> dict[tuple[str, str], str]:
    """Return the heading of each selector and law: its name, with its role where that is another's, too."""
    of_selectors = summary.filter(role=SELECTOR).unique(["label"], maintain_order=True)
    names = {
        (SELECTOR, label): name
        for label, name in selector_names(dict(of_selectors.select("label", "estimand").iter_rows())).items()
    }
    names |= {(LAW, label): label for label in summary.filter(role=LAW)["label"].unique(maintain_order=True)}
    taken = [*COMBINATION, "problems", MISSED, "k", *names.values()]
    return {
        (role, label): name if taken.count(name) == 1 else f"{name} ({role})"
        for (role, label), name in names.items()
    }


def _cells(
    rows: pl.DataFrame, headings: Mapping[tuple[str, str], str], brief: bool
) -> Iterator[tuple[str, str]]:
    """Yield heading and text of each cell of one task, model and strategy."""
    first = rows.row(-1, named=True)  # what is missing, which is first, does not say what is simulated
    for name in COMBINATION:
        yield name, f"{first[name]} (simulated)" if name == "model" and first["simulated"] else first[name]
    lacking = rows.filter(role=MISSED).select("quantity", "estimate", "message")
    if len(lacking):
        yield (
            MISSED,
            ", ".join(f"{name.replace('_', ' ')}: {said or f'{n:,.0f}'}" for name, n, said in lacking.rows()),
        )
    accuracies = rows.filter(role=SELECTOR, quantity=ACCURACY)
    if accuracies.is_empty():
        return
    last: Any = accuracies["k"].max()
    ends = accuracies.filter(k=last)
    most, fewest, axis = accuracies["problems"].max(), ends["problems"].min(), accuracies["axis"][0]
    yield "problems", f"{most!r}" if fewest == most else f"{most!r} ({fewest!r} at {at_budget(axis, last)})"
    single = accuracies.filter(pl.col("k") == 1, pl.col("estimand").is_in(SINGLE), axis=COMPLETIONS)
    yield "pass@1", _share(single)
    yield "k", str(last) if axis == COMPLETIONS else at_budget(axis, last)
    costs = rows.filter(role=SELECTOR, quantity=COST, k=last)["estimate"]
    if len(costs):
        cheapest, dearest = (format(cost, USD.digits) for cost in (costs.min(), costs.max()))
        yield USD.label, cheapest if cheapest == dearest else f"{cheapest} to {dearest}"
    alike = set(accuracies.filter(estimand="single")["label"]) if len(single) else set()
    for (role, label), heading in headings.items():
        if role == SELECTOR and label in alike:
            continue  # one completion at every k: that is pass@1
        mine = (ends if role == SELECTOR else rows.filter(role=LAW)).filter(label=label)
        yield heading, _share(mine) if role == SELECTOR else _law_text(mine, brief)


def _law_text(rows: pl.DataFrame, brief: bool) -> str:
    if rows.is_empty():
        return NOTHING
    first = rows.row(0, named=True)
    if first["status"] != "ok":
        return NO_FIT if brief else f"{NO_FIT}: {first['message']}"
    parameters = rows.filter(pl.col("estimate").is_not_null(), pl.col("quantity") != HOLDOUT)
    text = parameters_text(parameters.select("quantity", "estimate", "low", "high").rows())
    text += failed_refits_text(first["refits"], first["refits_failed"])
    return text + (REMARKED if first["message"] else "")


def _share(rows: pl.DataFrame) -> str:
    if rows.is_empty():
        return NOTHING
    row = rows.row(0, named=True)
    if row["estimate"] is None:
        return NOTHING
    bounds = [row["low"], row["high"]]
    interval = "" if None in bounds else f" [{100 * bounds[0]:.1f}, {100 * bounds[1]:.1f}]"
    return f"{100 * row['estimate']:.1f} %{interval}"
