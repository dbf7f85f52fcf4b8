"""Laws over the points they were fitted to, what they say beyond, and where they failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from pydantic import Field

from itscale.curves.axes import budget_label
from itscale.outcomes import COMPLETIONS, FloatArray
from itscale.plugins import FigureEntry
from itscale.plugins.figures import Drawing, FigureData, FigureOptions, Mark, assign_marks
from itscale.plugins.laws import ENSEMBLE
from itscale_builtin.figures import _panels as panels
from itscale_builtin.figures._curves import display_names, highest
from itscale_builtin.figures._law_table import CURVE, drawn_rows, failures, parameters, summary_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LawFits", "LawOptions", "entry"]

Scale = Literal["coverage", "negative_log"]

GREY = "#595959"
POINTS: dict[str, dict[str, Any]] = {
    "seen": {"color": "black", "marker": "o", "linestyle": "none", "markersize": 1.8},
    "withheld": {"color": "black", "marker": "o", "linestyle": "none", "markersize": 2.2, "mfc": "white"},
}
DASHES: dict[str, Any] = {"fit": "-", "extrapolation": (0, (4, 1.5)), "holdout": (0, (1, 1))}
WORDS = {
    "seen": "observed",
    "withheld": "observed, withheld",
    "extrapolation": "beyond the data",
    "holdout": "predicted from smaller k",
}


class LawOptions(FigureOptions):
    """Options of the figure of laws."""

    scale: Literal["coverage", "negative_log", "both"] = "both"
    """Coverage, or -log coverage on logarithmic axes (where a power law is a straight line), or both."""
    laws: int = Field(default=6, ge=1)
    """So many laws are drawn beside the ensemble: those that extrapolate first, by their hold-out errors."""
    share_y: bool = True
    """One vertical scale, so that panels can be compared; off, each panel fills its own height."""


@dataclass(frozen=True)
class LawFits:
    """A panel per task, model and strategy and per scale, in it every law."""

    options: LawOptions

    def draw(self, data: FigureData) -> Drawing:
        """Draw points and laws."""
        table = drawn_rows(data, self.options.laws)
        summary = summary_table(data.fits)
        if table.is_empty():
            figure = panels.blank("no law was fitted in this study")
            return Drawing(figure=figure, table=table, summary=summary)
        marks = _marks(data, table)
        names = display_names(data, table)
        one_value = {name for name in CURVE if table[name].n_unique() == 1}
        both: tuple[Scale, ...] = ("coverage", "negative_log")
        scales = both if self.options.scale == "both" else (self.options.scale,)
        keys = table.select(CURVE).unique().sort(CURVE).rows()
        figure, axes = panels.panel_grid(len(keys), len(scales))
        first = {name: names.get((name, table[name][0]), table[name][0]) for name in CURVE}
        panels.header(figure, [first[name] for name in CURVE if name in one_value])
        for place, key in enumerate(keys):
            rows = table.filter(pl.col(name) == label for name, label in zip(CURVE, key, strict=True))
            for scale, row in zip(scales, axes, strict=True):
                _draw_laws(row[place], rows, marks, scale)
                self._finish_axes(row[place], rows, table, scale, alone=len(keys) == 1)
            pairs = zip(CURVE, key, strict=True)
            named = [names.get(pair, pair[1]) for pair in pairs if pair[0] not in one_value]
            panels.title(axes[0][place], named, failures(rows))
            for above in axes[:-1] if len(keys) > 1 else []:
                above[place].tick_params(labelbottom=False)  # the panel below has the same
        shown = parameters(data.fits) if len(keys) == 1 else {}
        panels.foot(figure, _label_axes(data, keys, axes[-1]), _entries(table, marks, shown))
        panels.settle(figure)
        return Drawing(figure=figure, table=table, summary=summary)

    def _finish_axes(
        self, axes: Axes, rows: pl.DataFrame, table: pl.DataFrame, scale: Scale, alone: bool
    ) -> None:
        budgets = rows["budget"].drop_nulls().to_list() or [1.0]
        panels.count_axis(axes, min(budgets), max(budgets))
        first = alone or panels.is_first(axes)
        shared = table if self.options.share_y else rows
        if scale == "coverage":
            panels.percent_axis(axes, highest(shared), "coverage (%)" if first else "")
        else:
            panels.log_axis(axes, *_extent(shared), "−log coverage" if first else "")
            if not np.isfinite(_arrays(rows, scale)[1]).any():
                panels.remark(axes, "coverage is 0")
        if self.options.share_y and not first:
            axes.tick_params(labelleft=False)


def _label_axes(data: FigureData, keys: Sequence[tuple[str, ...]], axes: Sequence[Axes]) -> str:
    """Return what all panels show along x; where budgets count several things, each panel says its own."""
    counts = {
        (task, model, strategy): axis or COMPLETIONS
        for task, model, strategy, axis in data.curves.select(*CURVE, "axis").iter_rows()
    }
    labels = [budget_label(counts.get((key[0], key[1], key[2]), COMPLETIONS)) for key in keys]
    if len(set(labels)) == 1:
        return labels[0]
    for here, label in zip(axes, labels, strict=True):
        here.set_xlabel(label)
    return ""


def _marks(data: FigureData, table: pl.DataFrame) -> dict[str, Mark]:
    """Return the look of each drawn law; the ensemble is grey, so that it takes no law's colour."""
    laws = {*data.fits["law"], *data.forecasts["law"]} - {ENSEMBLE}
    drawn = set(table["law"].drop_nulls())
    crowded = len(laws) > len(drawn)
    marks = assign_marks(laws & drawn if crowded else laws)
    return marks | ({ENSEMBLE: Mark(GREY, "o")} if ENSEMBLE in drawn else {})


def _draw_laws(axes: Axes, rows: pl.DataFrame, marks: Mapping[str, Mark], scale: Scale) -> None:
    """Draw the points with their intervals, every law with its band, and where the data end."""
    for role, look in POINTS.items():
        k, estimate, low, high = _arrays(rows.filter(pl.col("role") == role), scale)
        axes.vlines(k, low, high, color="black", linewidth=0.4, alpha=0.5)
        axes.plot(k, estimate, zorder=3, **look)
    for (law, mark), width in zip(marks.items(), _widths(len(marks)), strict=True):
        for role, dash in DASHES.items():
            line = _line(rows.filter(pl.col("law") == law), role)
            k, estimate, low, high = _arrays(line, scale)
            strength = 0.15 if role == "extrapolation" else 0.07
            axes.fill_between(k, low, high, color=mark.colour, alpha=strength, linewidth=0)
            axes.plot(k, estimate, color=mark.colour, linestyle=dash, linewidth=width)
    seen = rows.filter(pl.col("role").is_in(list(POINTS)))["budget"]
    if len(seen) and not rows.filter(pl.col("role") == "extrapolation").is_empty():
        axes.axvline(float(seen.max()), color=GREY, linewidth=0.6, linestyle=(0, (1, 2)))  # type: ignore[arg-type]


def _widths(laws: int) -> list[float]:
    """Return widths that fall from the first law to the last, so that none hides another it agrees with."""
    step = min(0.4, 1.6 / max(laws - 1, 1))
    return [0.9 + step * (laws - 1 - place) for place in range(laws)]


def _line(rows: pl.DataFrame, role: str) -> pl.DataFrame:
    """Return a law's rows of a role by k; an extrapolation begins where the fit ends, without a gap."""
    chosen = rows.filter(pl.col("role") == role)
    if role == "extrapolation" and chosen.height:
        chosen = pl.concat([rows.filter(pl.col("role") == "fit").sort("budget").tail(1), chosen])
    return chosen.sort("budget")


def _arrays(rows: pl.DataFrame, scale: Scale) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return k, estimate, low and high on a scale; what it cannot show (-log of 0) is NaN or infinite."""
    k, estimate, low, high = (rows[name].to_numpy() for name in ("budget", "estimate", "low", "high"))
    if scale == "coverage":
        return k, estimate, low, high
    with np.errstate(divide="ignore", invalid="ignore"):
        return k, -np.log(estimate), -np.log(high), -np.log(low)


def _extent(rows: pl.DataFrame) -> tuple[float, float]:
    """Return the ends of the axis of -log coverage: a law that reaches 1 does not squeeze the points."""
    points, lines = (
        _arrays(rows.filter(chosen), "negative_log")[1]
        for chosen in (pl.col("role").is_in(list(POINTS)), pl.col("role").is_in(list(DASHES)))
    )
    points, lines = (values[np.isfinite(values) & (values > 0)] for values in (points, lines))
    if not len(points):
        return (float(lines.min()), float(lines.max())) if len(lines) else (0.1, 10.0)
    low, high = float(points.min()), float(points.max())
    return max(min([low, *lines]), low / 30), min(max([high, *lines]), high * 30)


def _entries(
    table: pl.DataFrame, marks: Mapping[str, Mark], shown: Mapping[str, str]
) -> Sequence[tuple[str, Mapping[str, Any]]]:
    """Return the legend: points, laws (with parameters where shown), and what the dashes mean."""
    roles = set(table["role"])
    drawn = set(table.filter(pl.col("role").is_in(list(DASHES)))["law"])
    points = [(WORDS[role], look) for role, look in POINTS.items() if role in roles]
    laws = [
        (f"{law}: {shown[law]}" if law in shown else law, {"color": mark.colour, "linewidth": width})
        for (law, mark), width in zip(marks.items(), _widths(len(marks)), strict=True)
        if law in drawn
    ]
    dashes = [
        (WORDS[role], {"color": GREY, "linestyle": DASHES[role]})
        for role in ("holdout", "extrapolation")
        if role in roles
    ]
    return [*points, *laws, *dashes]


entry = FigureEntry(
    name="law_fits",
    revision=5,
    factory=LawFits,
    options=LawOptions,
    summary="laws over the points they were fitted to, with hold-out and extrapolation",
    reads=("curves", "fits", "forecasts"),
    caption=(
        "Coverage against completions per problem, and the laws fitted to it; -log coverage falls on a line "
        "where coverage follows a power law. Open points were withheld from the fits that predict them "
        "(dotted); the other lines are fitted to all points. Beyond the vertical line there are no data: "
        "dashed lines are extrapolations. Bars and bands are {confidence} bootstrap intervals over problems "
        "(of points where all problems agree, exact bounds). "
        "The laws drawn are those with the smallest hold-out errors, those meant for budgets beyond the data "
        "first; the ensemble is the mean of a power law and a law of free form, and its band is that of "
        "these very problems. A law without a fit is named "
        "above its panel."
    ),
    reference="Brown et al. 2024, section 3.2; Schaeffer et al. 2025",
)
