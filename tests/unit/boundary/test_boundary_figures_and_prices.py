"""Figures and prices are believed in nothing: what is made up stays labelled."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hostile import NAN, curves, hostile, refusal

from itscale.boundary import make_prices
from itscale.plugins import PriceEntry
from itscale.plugins.figures import Drawing
from itscale.stages.figures import draw_figure
from itscale.store.parquet import read_metadata, write_table
from itscale.study import Ingredient


def figure(**changes):
    from matplotlib.figure import Figure

    good = Drawing(figure=Figure(), table=pl.DataFrame({"simulated": [True]}), summary=pl.DataFrame())

    class Maker:
        def draw(self, data):
            return replace(good, **changes) if changes else None

    return lambda options: Maker()


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (figure(), "draw(): found None, expected a Drawing"),
        (figure(figure="plot"), "draw(): figure: found 'plot', expected a matplotlib Figure"),
        (figure(table=None), "draw(): table: found None, expected a polars DataFrame"),
        (figure(summary={}), "draw(): summary: found {}, expected a polars DataFrame"),
        (
            figure(table=pl.DataFrame({"simulated": [None]}, schema={"simulated": pl.Boolean})),
            "draw(): table: found the columns simulated, expected a Boolean column",
        ),
        (
            figure(table=pl.DataFrame({"simulated": [True], "k": [[1, 2]]})),
            "draw(): table: found the column 'k' of List(Int64), expected columns of numbers, text or",
        ),
        (
            figure(summary=pl.DataFrame({"k": [object()]})),
            "draw(): summary: found the column 'k' of Object, expected columns of numbers, text or",
        ),
        (
            figure(table=pl.DataFrame({"k": [1]})),
            "draw(): table: found the columns k, expected a Boolean column",
        ),
    ],
)
def test_figures(study, factory, said):
    files = {kind: Path(f"plot.{kind}") for kind in ("pdf", "svg", "png", "csv", "tex")}
    changed = hostile(study, "figures", "plot", factory)
    line = refusal(
        lambda: draw_figure(changed, "plot", curves=[], fits=[], forecasts=[], **files),
        "figures/coverage_curves (label 'plot'): ",
    )
    assert said in line


@pytest.mark.parametrize("simulated", [True, False])
def test_a_figure_cannot_say_that_what_is_made_up_is_not(study, simulated):
    curves(study)
    said = pl.lit(simulated).alias("simulated")
    metadata = read_metadata(Path("curves.parquet"))
    write_table(pl.read_parquet("curves.parquet").with_columns(said), Path("curves.parquet"), metadata)
    files = {kind: Path(f"plot.{kind}") for kind in ("pdf", "svg", "png", "csv", "tex")}
    changed = hostile(study, "figures", "plot", figure(table=pl.DataFrame({"simulated": [not simulated]})))
    line = refusal(
        lambda: draw_figure(changed, "plot", curves=[Path("curves.parquet")], fits=[], forecasts=[], **files)
    )
    assert f"draw(): table: found {not simulated} in a row of column `simulated`" in line


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        (None, "factory: found None, expected a price per token by class (prompt, cached_prompt, generated)"),
        ({"generated": -1.0}, "price of generated: found -1, expected USD per token, at least 0"),
        ({"generated": NAN}, "price of generated: found nan"),
        ({"generated": "0.1"}, "price of generated: found '0.1'"),
        ({"generated": 1 + 0j}, "price of generated: found (1+0j)"),
        ({"generated": np.True_}, "price of generated: found"),
        ({"generate": 0.1}, "class of tokens: found 'generate', expected did you mean 'generated'?"),
        ({"generated": 0.1}, "expected a price of prompt tokens, too"),
    ],
)
def test_prices(prices, said):
    entry = PriceEntry(name="list_price", factory=lambda options: prices, summary="Prices.")
    line = refusal(
        lambda: make_prices(Ingredient("mine", entry, entry.options(), "x", "1")), "prices/list_price"
    )
    assert said in line


def test_a_price_list_that_ends_the_process_is_refused_by_name():
    entry = PriceEntry(name="list_price", factory=lambda options: sys.exit(0), summary="Prices.")
    mine = Ingredient("mine", entry, entry.options(), "x", "1")
    line = refusal(lambda: make_prices(mine), "prices/list_price")
    assert "factory: found SystemExit(0), expected prices by class of tokens" in line
