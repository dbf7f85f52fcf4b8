"""`itscale fit`: one law, or all of them, on somebody's data; no study, no workflow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from itscale.errors import StudyError

if TYPE_CHECKING:
    import polars as pl

    from itscale.fitting import FitSettings, LawReport
    from itscale.plugins.ingredient import Ingredient
    from itscale.plugins.table_laws import TableOptions

__all__ = ["fit"]

ENDINGS = (".csv", ".parquet")
MOST_SHOWN = 9
"""Parameters of a law that are printed; more are weights of a free form, and say nothing one by one."""
PRINTED = 120
"""Width of tables that go to a file."""


def fit(
    law: Annotated[str, typer.Argument(help="a law's name, or `all`: every one of a curve or of counts")],
    data: Annotated[
        Path,
        typer.Argument(help="outcomes, counts (problem, n, correct), a curve (k, coverage) or series (x, y)"),
    ],
    columns: Annotated[str, typer.Option(help="which column is what: problem=id,correct=passed")] = "",
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="COLUMN=VALUE: only such rows of outcomes"),
    ] = None,
    design: Annotated[
        str | None,
        typer.Option(help="how many attempts were made: fixed beforehand, until_success, or adaptive"),
    ] = None,
    successes: Annotated[
        int | None,
        typer.Option(min=1, help="of --design until_success: after how many a problem was left"),
    ] = None,
    options: Annotated[str, typer.Option(help="options of the law, as JSON")] = "{}",
    refits: Annotated[int, typer.Option(min=20, help="resamples of problems")] = 500,
    reach: Annotated[float, typer.Option(min=1, help="forecast to so many times the largest k")] = 100.0,
    confidence: Annotated[float, typer.Option(min=0.01, max=0.999, help="level of intervals")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="root of the resamples")] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="write the fits here (.csv or .parquet), forecasts and board beside it"
        ),
    ] = None,
) -> None:
    """Fit a law, or all of them with a leaderboard and an ensemble, to a file of results."""
    from itscale.cli.console import LiteralConsole
    from itscale.fitting import FitSettings

    if output is not None and output.suffix not in ENDINGS:
        raise StudyError(f"--output: found {str(output)!r}, expected a name that ends in .csv or .parquet")
    if output is not None and output.resolve() == data.resolve():
        raise StudyError(f"--output: found {str(output)!r}, which holds the data, expected another name")
    settings = FitSettings(
        refits=refits,
        holdout_refits=max(20, min(200, refits)),
        reach=reach,
        confidence=confidence,
        stream=(seed, "refits", "fit"),
    )
    ingredients = _laws(law, options, data, _mapping(columns))
    table = law != "all" and ingredients[law].entry.takes == "table"
    if table:
        tables = _fit_table(ingredients, settings)
    else:
        tables = _fit_curve(ingredients, data, _mapping(columns), where or (), (design, successes), settings)
    console = LiteralConsole()
    if not console.is_terminal:
        console.width = max(console.width, PRINTED)
    _show(console, tables, settings)
    if output is not None:
        for name, found in tables.items():
            path = output if name == "fits" else output.with_stem(f"{output.stem}.{name}")
            _write(found, path)
            console.print(f"written: {path}")


def _mapping(columns: str) -> dict[str, str]:
    """Return the column of each field of `field=column,field=column`."""
    pairs = [part.partition("=") for part in columns.split(",") if part.strip()]
    for field, equals, column in pairs:
        if not (field.strip() and equals and column.strip()):
            raise StudyError(f"--columns: found {field + equals + column!r}, expected FIELD=COLUMN,...")
    return {field.strip(): column.strip() for field, _, column in pairs}


def _laws(name: str, options: str, data: Path, columns: Mapping[str, str]) -> dict[str, Ingredient[Any]]:
    """Return the laws that are meant, their options checked; a tabular law gets `data` as its file."""
    from itscale.messages.mistakes import MistakesError
    from itscale.messages.validation import validate
    from itscale.plugins.entries import LawEntry
    from itscale.plugins.ingredient import Ingredient
    from itscale.plugins.registry import registry

    try:
        given = json.loads(options)
    except (ValueError, RecursionError) as error:
        raise StudyError(f"--options: found {options[:60]!r}, expected a JSON object ({error})") from None
    if not isinstance(given, dict) or (given and name == "all"):
        expected = "none: `all` takes every law with its defaults" if given else "a JSON object"
        raise StudyError(f"--options: found {options}, expected {expected}")
    known = [plugin for plugin in registry().plugins("laws") if isinstance(plugin.entry, LawEntry)]
    of_curves = [plugin for plugin in known if plugin.entry.takes != "table"]  # type: ignore[attr-defined]
    if name != "all":
        if name.rpartition("/")[2] not in registry().entries(("laws",)):
            raise StudyError(registry().missing(f"no law {name!r}", name, ("laws",)))
        chosen = [registry().get("laws", name)]
    else:
        chosen = of_curves
    found: dict[str, Ingredient[Any]] = {}
    for plugin in chosen:
        entry: Any = plugin.entry
        where = {"file": data, "columns": columns} if entry.takes == "table" else {}
        checked, mistakes = validate(entry.options, {**where, **given})
        if mistakes or checked is None:
            raise MistakesError(f"--options: {entry.name}", mistakes)
        label = entry.name if name == "all" else name
        found[label] = Ingredient(label, entry, checked, plugin.distribution, plugin.version)
    return found


def _fit_table(laws: Mapping[str, Ingredient[Any]], settings: FitSettings) -> dict[str, pl.DataFrame]:
    """Return the fits and the forecasts of a tabular law, which its options name."""
    from itscale.fitting import forecast_rows
    from itscale.fitting.tabular import report_table
    from itscale.stages.table_fits import TABLE_FORECASTS, check_table
    from itscale.store.rows import named_rows
    from itscale.store.schemas import FITS
    from itscale.study.config import FitSection

    ((label, ingredient),) = laws.items()
    law, table = check_table(ingredient)
    cutoff = cast("TableOptions", ingredient.options).cutoff
    report = report_table(law, table, settings, FitSection().origins, cutoff)
    rows = [row for one in report.forecasts for row in forecast_rows(one, settings.confidence)]
    identity = {"law": label, "simulated": False}
    return {
        "fits": named_rows(report.fits, FITS, identity),
        "forecasts": named_rows(rows, TABLE_FORECASTS, identity),
    }


def _fit_curve(
    laws: Mapping[str, Ingredient[Any]],
    data: Path,
    columns: Mapping[str, str],
    where: Sequence[str],
    how: tuple[str | None, int | None],
    settings: FitSettings,
) -> dict[str, pl.DataFrame]:
    """Return the fits and the forecasts of laws, and of several the leaderboard.

    `how` the number of attempts came about: the design, and after how many successes they ended.
    """
    import polars as pl
    from rich.progress import track

    from itscale.boundary.laws import make_law
    from itscale.cli.console import LiteralConsole
    from itscale.cli.fit_data import read_evidence
    from itscale.importing.columns import parse_where
    from itscale.stages.fits import report_ingredient, report_tables
    from itscale.stages.leaderboard import board_tables
    from itscale.study.config import FitSection

    series = all(getattr(make_law(ingredient), "unbounded", False) for ingredient in laws.values())
    origins_of = FitSection().origins
    everything, origins, simulated = read_evidence(
        data, columns, how[0], origins_of, series=series, where=parse_where(where), successes=how[1]
    )
    tables = []
    waiting = track(list(laws.items()), "fitting laws", console=LiteralConsole(stderr=True), transient=True)
    for label, ingredient in waiting:
        report = report_ingredient(ingredient, everything, origins, settings)
        identity = {"law": label, "simulated": simulated}
        as_tables = _series_tables if series else report_tables
        tables.append(as_tables(report, identity, settings.confidence))
    fits, forecasts, refits = (pl.concat(kind) for kind in zip(*tables, strict=True))
    if len(laws) == 1:
        return {"fits": fits, "forecasts": forecasts}
    board, ensemble = board_tables(fits, forecasts, refits, settings.confidence, settings.reach)
    return {"fits": fits, "forecasts": pl.concat([forecasts, ensemble]), "leaderboard": board}


def _series_tables(
    report: LawReport, identity: Mapping[str, Any], confidence: float
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return a report on a series as tables: its x need not be whole, and no ensemble reads its refits."""
    import polars as pl

    from itscale.fitting import forecast_rows
    from itscale.stages.table_fits import TABLE_FORECASTS
    from itscale.store.rows import named_rows
    from itscale.store.schemas import FITS, REFITS

    rows = [row for one in report.forecasts for row in forecast_rows(one, confidence)]
    fits, forecasts = named_rows(report.fits, FITS, identity), named_rows(rows, TABLE_FORECASTS, identity)
    return fits, forecasts, pl.DataFrame(schema=dict(REFITS))


def _show(console: Any, tables: Mapping[str, pl.DataFrame], settings: FitSettings) -> None:
    """Print parameters and exponents law by law, what was remarked, then the leaderboard."""
    import polars as pl

    from itscale.messages.numbers import above_zero, holdout_text

    fits = tables["fits"]
    level = f"{100 * settings.confidence:g} %"
    series = fits["scale"].first() == "series"
    unit, how = (1, ".4g") if series else (100, ".2f")
    heading = "hold-out error" if series else "hold-out error (points)"
    table = _table("law", "parameter", f"estimate [{level}]", heading)
    most: Any = fits["holdout_origins"].max()
    shown: list[str] = []
    for (law,), rows in fits.group_by("law", maintain_order=True):
        first = rows.row(0, named=True)
        if first["status"] != "ok":
            table.add_row(str(law), "no fit", first["message"], "")
            continue
        lines = [(row["parameter"], _bounded(row, "")) for row in rows.iter_rows(named=True)]
        exponents = _exponents(first, dict(lines))
        if len(lines) > MOST_SHOWN:
            lines = [(f"{len(lines)} weights", "of splines: see --output")]
        error = "—" if first["holdout_error"] is None else above_zero(first["holdout_error"], how, unit)
        error = holdout_text(error, first["holdout_origins"], most)
        lines += exponents
        shown += [text for _, text in lines]
        for place, (name, text) in enumerate(lines):
            table.add_row(str(law) if place == 0 else "", name, text, error if place == 0 else "")
    console.print(table, markup=False)
    _show_legend(console, fits, shown)
    remarked = fits.filter(pl.col("status") == "ok", pl.col("message") != "").unique(
        "law", keep="first", maintain_order=True
    )
    for law, message in remarked.select("law", "message").iter_rows():
        console.print(f"{law}: {message}", markup=False)
    if "leaderboard" in tables:
        _show_board(console, tables["leaderboard"], settings.confidence)


def _table(*headings: str) -> Any:
    """Return a table: names and numbers are never cut, headings of errors and shares take several lines."""
    from rich.table import Column, Table

    columns = [
        Column(heading, max_width=max(map(len, heading.split())))
        if heading.split()[-1] in {"(points)", "band", "error"} and not heading.startswith("hold-out")
        else Column(heading, no_wrap=not heading.startswith("estimate"))
        for heading in headings
    ]
    return Table(*columns, box=None, pad_edge=False, padding=(0, 1, 0, 0))


def _exponents(row: Mapping[str, Any], parameters: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the exponents of a fit by name; of one that is a parameter, which one: it has one interval."""
    lines = []
    for name in ("asymptotic_exponent", "effective_slope"):
        if row[name] is not None:
            text = _bounded(row, name)
            same = (parameter for parameter, known in parameters.items() if known == text)
            lines.append((name.replace("_", " "), next((f"= {parameter}" for parameter in same), text)))
    return lines


def _show_legend(console: Any, fits: pl.DataFrame, cells: Sequence[str]) -> None:
    """Print what the rows and the marks in cells of the table of parameters are."""
    import polars as pl

    from itscale.messages.numbers import marks_note

    fitted = fits.filter(pl.col("status") == "ok")
    if fitted.is_empty():
        return
    legend = [note] if (note := marks_note(cells)) else []
    if (sloped := fitted.filter(pl.col("slope_from").is_not_null())).height:
        first, last = sloped["slope_from"][0], sloped["slope_to"][0]
        legend += [
            "Asymptotic exponent: failure falls as k^-b as k → ∞.",
            f"Effective slope: b from k = {first:g} to {last:g}.",
        ]
    if legend:
        console.print("")
        console.print(" ".join(legend), markup=False)
    console.print("")


def _show_board(console: Any, board: pl.DataFrame, confidence: float) -> None:
    import polars as pl

    from itscale.stages.leaderboard import AT, board_legend, board_text

    text = board_text(board.filter(pl.col("status") == "ok"))
    errors = ("expected error (points)", "hold-out error (points)", "in band", "weight")
    shown: tuple[str, ...] = ("law", "#", "forecast (%)", *errors)
    furthest = {cell.partition(AT)[2] for cell in text["forecast (%)"]} - {""}
    heading = "forecast (%)"
    if len(furthest) == 1:  # then the heading says it, once
        at = AT + furthest.pop()
        text = text.with_columns(pl.col(heading).str.strip_suffix(at))
        heading = f"{heading}\n{at.strip()}"
    table = _table(*(heading if name == "forecast (%)" else name for name in shown))
    for row in text.select(shown).iter_rows():
        table.add_row(*row)
    console.print("")
    console.print(table, markup=False)
    console.print("")
    console.print(" ".join(board_legend(board, confidence)), markup=False)


def _bounded(row: Mapping[str, Any], name: str) -> str:
    from itscale.messages.numbers import interval_text

    estimate, low, high = (
        (row[f"{name}{end}"] for end in ("", "_low", "_high"))
        if name
        else (row[end] for end in ("estimate", "low", "high"))
    )
    return interval_text(estimate, low, high, "z.4g")


def _write(table: pl.DataFrame, path: Path) -> None:
    from itscale.store.parquet import write_csv, write_table

    if path.suffix == ".parquet":
        write_table(table, path, {"stage": "fit"})
        return
    import polars as pl

    lists = [name for name, dtype in table.schema.items() if dtype == pl.List(pl.Float64)]
    flat = table.with_columns(
        pl.col(name).list.eval(pl.element().cast(pl.String)).list.join(" ") for name in lists
    )
    write_csv(flat, path)
