"""A figure shows its table, and says what is simulated."""

from dataclasses import replace

import polars as pl
import pytest
from figure_tables import ENTRIES, NAMES, curve, draw, fit, forecast, only, study_tables, words

from itscale.plugins.figures import FigureData
from itscale_builtin.figures import compute_curves, coverage_curves, law_fits, selection_curves

# --- the table is the figure -------------------------------------------------------------------------------


def line_points(axes):
    return {
        (round(float(x), 9), round(float(y), 9))
        for line in axes.lines
        if len(line.get_xdata()) and line.get_transform() == axes.transData
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }


@pytest.mark.parametrize(
    ("entry", "x"),
    [
        (coverage_curves.entry, "budget"),
        (selection_curves.entry, "budget"),
        (compute_curves.entry, "tokens"),
        (law_fits.entry, "budget"),
    ],
    ids=["coverage_curves", "selection_curves", "compute_curves", "law_fits"],
)
def test_table_holds_exactly_the_points_drawn(entry, x):
    options = {"scale": "coverage"} if entry is law_fits.entry else {}
    drawing = draw(entry, study_tables(), **options)
    rows = drawing.table.filter(pl.col("estimate").is_not_null()).select(x, "estimate").rows()
    drawn = set().union(*(line_points(axes) for axes in drawing.figure.axes))
    assert drawn == {(round(float(k), 9), round(share, 9)) for k, share in rows}


def test_hold_out_points_are_told_from_seen_ones_and_the_smaller_fit_is_not_drawn_twice():
    table = draw(law_fits.entry, study_tables()).table
    assert table.filter(role="seen")["budget"].to_list() == [1, 2, 4, 8, 16]
    assert table.filter(role="withheld")["budget"].to_list() == [32, 64]
    assert table.filter(role="fit")["fitted_to"].unique().to_list() == [64]


def test_failed_law_is_named_with_its_reason(tmp_path):
    drawing = draw(law_fits.entry, study_tables(), tmp_path)
    shown = words(drawing).replace("\n", " ")
    assert "power_law: no fit (fewer than 5 usable points)" in shown
    assert drawing.table.filter(role="failed")["message"].to_list() == ["fewer than 5 usable points"]
    assert "no fit: fewer than 5 usable points" in (tmp_path / "figure.tex").read_text()


def test_what_a_fit_remarks_is_in_the_table(tmp_path):
    told = fit(message="k spans 0.6 decades, fewer than 1.5")
    draw(law_fits.entry, FigureData(curves=curve(), fits=told, forecasts=forecast()), tmp_path)
    assert "k spans 0.6 decades, fewer than 1.5" in (tmp_path / "figure.tex").read_text()


def test_single_panel_shows_parameters_with_intervals():
    assert "alpha = 0.3 [0.25, 0.35]" in words(draw(law_fits.entry, study_tables()))


def test_curves_against_usd_have_those_of_the_table_and_say_so():
    data = study_tables()
    drawn = draw(compute_curves.entry, data, against="usd")
    assert drawn.table["usd"].min() == 1e-5
    assert "USD" in drawn.summary.columns
    assert "USD per problem" in words(drawn)
    unpriced = replace(data, curves=data.curves.with_columns(usd=pl.lit(None, pl.Float64)))
    blank = draw(compute_curves.entry, unpriced, against="usd")
    assert "no curve in this study has prices" in words(blank)


def test_tokens_of_a_scorer_count_unless_told_otherwise():
    data = study_tables()
    scored = FigureData(
        curves=data.curves.with_columns(scorer_tokens=pl.lit(5.0)), fits=data.fits, forecasts=data.forecasts
    )
    assert draw(compute_curves.entry, scored).table["tokens"].min() == 115.0
    assert draw(compute_curves.entry, scored, scorer=False).table["tokens"].min() == 110.0


def test_points_without_tokens_are_counted_in_the_figure():
    data = study_tables()
    holes = data.curves.with_columns(
        pl.when(pl.col("strategy") == "beam_search")
        .then(None)
        .otherwise("generated_tokens")
        .alias("generated_tokens")
    )
    holed = FigureData(curves=holes, fits=data.fits, forecasts=data.forecasts)
    assert "21 points without tokens left out" in words(draw(compute_curves.entry, holed))


# --- simulated ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_simulated_data_are_labelled_in_figure_and_tables(tmp_path, entry):
    drawing = draw(entry, study_tables(), tmp_path)
    assert "simulated" in words(drawing)
    assert "Simulated completions" in (tmp_path / "figure.tex").read_text()
    assert pl.read_csv(tmp_path / "figure.csv")["simulated"].all()


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_real_data_are_not_labelled_simulated(tmp_path, entry):
    data = study_tables()
    real = {
        n: getattr(data, n).with_columns(simulated=pl.lit(False)) for n in ("curves", "fits", "forecasts")
    }
    drawing = draw(entry, FigureData(**real), tmp_path)
    assert "simulated" not in words(drawing)
    assert "Simulated" not in (tmp_path / "figure.tex").read_text()


def test_one_simulated_model_among_real_ones_is_named():
    curves = pl.concat([curve(model="made_up"), curve(model="real", simulated=False)])
    shown = words(draw(coverage_curves.entry, only(curves)))
    assert "made_up (simulated)" in shown
    assert "real (simulated)" not in shown
    assert "partly simulated" in shown
