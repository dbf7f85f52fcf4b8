"""Checks of figures: a matplotlib figure, and tables of what it shows, labelled where it is simulated."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import polars as pl

from itscale.plugins.figures import Drawing, FigureData, FigureMaker
from itscale.plugins.place import Place, Shown, shown

if TYPE_CHECKING:
    from itscale.plugins.entries import FigureEntry
    from itscale.plugins.ingredient import Ingredient

__all__ = ["make_figure"]


def make_figure(ingredient: Ingredient[FigureEntry]) -> FigureMaker:
    """Make a figure's maker; what it draws is checked."""
    place = Place.of(ingredient)
    return _CheckedFigure(place.make(ingredient, ("draw",)), place)


class _CheckedFigure:
    """A maker of figures whose drawings are checked."""

    def __init__(self, maker: FigureMaker, place: Place) -> None:
        self._maker = maker
        self._place = place

    def draw(self, data: FigureData) -> Drawing:
        """Return the drawing.

        Raises
        ------
        ContractError
            If it is none, or its table does not say of its rows whether they are simulated.
        """
        from matplotlib.figure import Figure

        own = {table.name: getattr(data, table.name).clone() for table in fields(data)}
        with self._place.undisturbed("draw()"):
            drawn: Any = self._maker.draw(FigureData(**own))
        if not isinstance(drawn, Drawing):
            raise self._place.broken("draw()", drawn, "a Drawing")
        if not isinstance(drawn.figure, Figure):
            raise self._place.broken("draw(): figure", drawn.figure, "a matplotlib Figure")
        for name in ("table", "summary"):
            table = getattr(drawn, name)
            if not isinstance(table, pl.DataFrame):
                raise self._place.broken(f"draw(): {name}", table, "a polars DataFrame")
            for column, dtype in table.schema.items():
                if dtype.is_nested() or dtype == pl.Object:
                    found = Shown(f"the column {shown(column)} of {dtype}")
                    raise self._place.broken(f"draw(): {name}", found, "columns of numbers, text or Booleans")
        self._check_simulated(drawn.table, data)
        return drawn

    def _check_simulated(self, table: pl.DataFrame, data: FigureData) -> None:
        """Refuse a table that does not say what is made up: figures are labelled by what it says."""
        if not table.height:
            return
        if table.schema.get("simulated") != pl.Boolean or table["simulated"].has_nulls():
            found = Shown(f"the columns {', '.join(table.columns)}")
            expected = "a Boolean column `simulated`: what is made up is labelled so in every figure"
            raise self._place.broken("draw(): table", found, expected)
        tables = (data.curves, data.fits, data.accuracies)
        said = {bool(value) for frame in tables for value in frame["simulated"].unique()}
        if len(said) == 1 and not said.issuperset(table["simulated"].unique()):
            found = Shown(f"{not said.pop()} in a row of column `simulated`")
            raise self._place.broken("draw(): table", found, "what every table that it was given says there")
