"""The stage of figures: tables in; a figure in three formats and its two tables out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from itscale.boundary import make_figure
from itscale.errors import StudyError, nearest
from itscale.messages.printable import one_line, without_tags
from itscale.outcomes import COMPLETIONS
from itscale.plugins.entries import FigureEntry
from itscale.plugins.figures import FigureData, label_simulated, save, style
from itscale.plugins.ingredient import Ingredient
from itscale.stages.failures import incomplete, unparsable
from itscale.store.parquet import read_metadata, read_table, scan_table
from itscale.store.schemas import (
    ACCURACIES,
    ACCURACIES_DRAWN,
    COMBINATION,
    CURVES,
    DIFFERENCES,
    FITS,
    FORECASTS,
    MISSING,
    OUTCOMES,
    OUTCOMES_DRAWN,
    TREES,
    TREES_DRAWN,
    Schema,
)
from itscale.study.study import Study

__all__ = ["draw_figure", "figure_caption"]


def draw_figure(
    study: Study,
    figure: str,
    *,
    curves: Sequence[Path],
    fits: Sequence[Path],
    forecasts: Sequence[Path],
    differences: Sequence[Path] = (),
    accuracies: Sequence[Path] = (),
    outcomes: Sequence[Path] = (),
    trees: Sequence[Path] = (),
    missing: Sequence[Path] = (),
    pdf: Path,
    svg: Path,
    png: Path,
    csv: Path,
    tex: Path,
) -> None:
    """Draw one figure of a study and write it with its tables; equal tables give equal bytes.

    Parameters
    ----------
    study
        The study.
    figure
        Label of the figure.
    curves, fits, forecasts, differences, accuracies, outcomes, trees
        All tables of the study of the kinds the figure reads, in any order; others may be left empty.
    missing
        What the study lacks: the figure says so if it draws some of it.
    pdf, svg, png
        Where the figure goes.
    csv, tex
        Where the table of exactly what is drawn, and the table for a paper, go.

    Raises
    ------
    StudyError
        If the study has no such figure.
    DataError
        If a table is missing, damaged or has other columns.
    """
    ingredient = _figure(study, figure)
    data = FigureData(
        curves=_read(curves, CURVES),
        fits=_read(fits, FITS),
        forecasts=_read(forecasts, FORECASTS),
        differences=_read(differences, DIFFERENCES),
        accuracies=_read_accuracies(study, accuracies),
        outcomes=_scan(outcomes, OUTCOMES, OUTCOMES_DRAWN),
        trees=_scan(trees, TREES, TREES_DRAWN, below=1),
    )
    maker = make_figure(ingredient)
    with style(ingredient.options):
        drawing = maker.draw(data)
        counts = _drawn(_read(missing, MISSING), drawing.table)
        lacking = [*incomplete(counts), *unparsable(counts)]
        label_simulated(drawing, incomplete=bool(lacking))
        files = {"pdf": pdf, "svg": svg, "png": png, "csv": csv, "tex": tex}
        save(drawing, figure_caption(study, figure), **files, lacking=lacking)


def figure_caption(study: Study, figure: str) -> str:
    """Return what a figure shows, in words, with the level of the study's intervals."""
    confidence = f"{100 * study.config.curves.confidence:g} %"
    caption = _figure(study, figure).entry.caption.replace("{confidence}", confidence)
    return str(
        without_tags(one_line(caption))
    )  # it is put into the report, where several lines may be markup


def _figure(study: Study, label: str) -> Ingredient[FigureEntry]:
    if label not in study.figures:
        raise StudyError(f"{study.name}: no figure {label!r}; {nearest(label, study.figures)}")
    return study.figures[label]


def _drawn(missing: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """Return what is missing of the tasks, models and strategies that a figure draws."""
    shared = [name for name in ("task", "model", "strategy") if name in table.columns]
    return missing.join(table.select(shared).unique(), on=shared, how="semi") if shared else missing


def _read_accuracies(study: Study, paths: Sequence[Path]) -> pl.DataFrame:
    """Read accuracies, with what their files are called and what their footers say."""
    estimands = {label: selector.entry.estimand for label, selector in study.selectors.items()}
    frames = []
    for path in paths:
        place = dict(zip(COMBINATION, path.with_suffix("").parts[-len(COMBINATION) :], strict=True))
        footer = read_metadata(path)
        said = {**place, "simulated": bool(footer.get("simulated", False))}
        said["axis"] = str(footer.get("axis", COMPLETIONS))
        columns = {name: pl.lit(value) for name, value in said.items()}
        rows = read_table(path, ACCURACIES).with_columns(**columns)
        estimand = pl.col("selector").replace_strict(estimands, default=None, return_dtype=pl.String)
        frames.append(rows.with_columns(estimand=estimand).select(list(ACCURACIES_DRAWN)))
    return pl.concat([pl.DataFrame(schema=ACCURACIES_DRAWN), *frames]).sort(list(ACCURACIES_DRAWN))


def _scan(paths: Sequence[Path], schema: Schema, drawn: Schema, *, below: int = 0) -> pl.LazyFrame:
    """Open tables, with what their files are called and what their footers say.

    Parameters
    ----------
    below
        How many folders lie between a task, model and strategy and their file.
    """
    frames = []
    for path in paths:
        parts = path.with_suffix("").parts
        place = dict(zip(COMBINATION, parts[-len(COMBINATION) - below : len(parts) - below], strict=True))
        said = {**place, "simulated": bool(read_metadata(path).get("simulated", False))}
        columns = {name: pl.lit(value) for name, value in said.items()}
        frames.append(scan_table(path, schema).with_columns(**columns).select(list(drawn)))
    return pl.concat([pl.LazyFrame(schema=dict(drawn)), *frames])


def _read(paths: Sequence[Path], schema: Schema) -> pl.DataFrame:
    """Read tables and put their rows into one order, whatever the order of files and rows."""
    frames = [read_table(path, schema).select(list(schema)) for path in paths]
    return pl.concat([pl.DataFrame(schema=schema), *frames]).sort(list(schema), nulls_last=True)
