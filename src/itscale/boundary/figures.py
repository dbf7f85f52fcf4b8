"""What a figure gives: a matplotlib figure, and tables of what it shows, labelled where it is simulated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from itscale.boundary.place import Place, Shown
from itscale.figures import Drawing, FigureData, FigureMaker

if TYPE_CHECKING:
    from itscale.entries import FigureEntry
    from itscale.study import Ingredient

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

        drawn: Any = self._maker.draw(data)
        if not isinstance(drawn, Drawing):
            raise self._place.broken("draw()", drawn, "a Drawing")
        if not isinstance(drawn.figure, Figure):
            raise self._place.broken("draw(): figure", drawn.figure, "a matplotlib Figure")
        for name in ("table", "summary"):
            table = getattr(drawn, name)
            if not isinstance(table, pl.DataFrame):
                raise self._place.broken(f"draw(): {name}", table, "a polars DataFrame")
        if drawn.table.height and drawn.table.schema.get("simulated") != pl.Boolean:
            found = Shown(f"the columns {', '.join(drawn.table.columns)}")
            expected = "a Boolean column `simulated`: what is made up is labelled so in every figure"
            raise self._place.broken("draw(): table", found, expected)
        return drawn
