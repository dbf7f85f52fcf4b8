"""Tricks: what each point of a grid of strategies gains over the first, at the budgets that a study names."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from itscale.curves.axes import AXES
from itscale.messages.numbers import interval_note
from itscale.stages.differences import difference_rows, shown_selectors
from itscale.store.latex import booktabs
from itscale.store.parquet import read_table, without_noise, write_csv, write_text
from itscale.store.schemas import DIFFERENCES
from itscale.study.study import Study

__all__ = ["write_tricks"]

SHOWN = ("strategy", "model", "selector", "at equal", "points", "p")


def write_tricks(study: Study, *, differences: Path, csv: Path, tex: Path) -> None:
    """Write what the tricks of a study gain, as numbers (CSV) and as a table for a paper (LaTeX, booktabs).

    At equal completions (or what else budgets count) there is a row for each budget in `curves.budgets`, or
    for the largest if none is named; at equal cost for the largest that both reach.
    """
    named = [label for label, section in study.config.differences.items() if section.trick]
    budgets = list(map(float, study.config.curves.budgets or ()))
    costs = [axis.name for axis in AXES]
    largest = pl.col("budget") == pl.col("budget").max().over(
        "difference", "task", "model", "strategy", "selector", "against"
    )
    kept = (
        largest
        if not budgets
        else largest | pl.col("budget").is_in(budgets) & ~pl.col("against").is_in(costs)
    )
    table = read_table(differences, DIFFERENCES).select(*DIFFERENCES)
    table = table.filter(pl.col("difference").is_in(named), kept)
    order = pl.Series(table["difference"].replace_strict({name: at for at, name in enumerate(named)}))
    table = without_noise(
        table.with_columns(order=order)
        .sort("task", "model", "selector", "against", "budget", "order")
        .drop("order")
    )
    write_csv(table, csv)
    shown = shown_selectors(study)
    rows = [
        {
            "task": row["task"],
            "strategy": row["strategy"],
            "model": row["model"],
            "selector": shown.get(row["selector"], row["selector"]),
            **text,
        }
        for row, text in zip(table.iter_rows(named=True), _texts(table, study), strict=True)
    ]
    against = " and ".join(sorted(set(table["minus_strategy"])))
    simulated = "Simulated completions. " if table["simulated"].any() else ""
    confidence = 100 * study.config.curves.confidence
    note = (
        f"{simulated}Points of accuracy above {against}, on the same problems. Brackets: {confidence:g} % "
        f"{interval_note(table['interval'])}. p: sign-flip test over problems, of each comparison by itself; "
        "the table of differences adjusts those at the largest budgets for all comparisons."
    )
    frame = pl.DataFrame(rows, schema=dict.fromkeys(("task", *SHOWN), pl.String))
    write_text(tex, booktabs(frame, f"Tricks of {study.name}", note, groups=("task",) if rows else ()))


def _texts(table: pl.DataFrame, study: Study) -> list[dict[str, str]]:
    """Return budgets, gains and p-values as text."""
    whole = table.with_columns(pl.col("p_holm").fill_null(1.0))
    rows = difference_rows(whole, shown_selectors(study))
    return [{name: row[name] for name in ("at equal", "points", "p")} for row in rows]
