"""Paired differences of curves: what one of them gains over the other, at equal k and at equal tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from itscale.curves.axes import AXES, TOKENS, budget_label
from itscale.outcomes import FloatArray
from itscale.plugins import FigureEntry
from itscale.plugins.figures import COVERAGE_MARK, Drawing, FigureData, FigureOptions, Mark, assign_marks
from itscale_builtin.figures import _panels as panels
from itscale_builtin.figures._curves import interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DifferenceCurves", "DifferenceOptions", "entry"]

ARM = ("model", "strategy", "selector")
PANEL = ("difference", "task")
LINE = (*ARM, *(f"minus_{name}" for name in ARM))
COSTS = {axis.name: axis for axis in AXES}
GREY = "#595959"
LARGEST = 1.0  # a share: no difference exceeds it


class DifferenceOptions(FigureOptions):
    """Options of the figure of differences."""

    against: Literal["completions", "tokens", "usd", "both", "all"] = "both"
    """What is equal: completions (or what else budgets count), generated and scored tokens, or USD; `both` is
    a panel for each of the former two, `all` one for each that the study has."""
    band: Literal["simultaneous", "pointwise"] = "simultaneous"
    """The band holds the whole curve at once, or each of its points."""


@dataclass(frozen=True)
class DifferenceCurves:
    """A panel per difference and task, and per axis of budgets."""

    options: DifferenceOptions

    def draw(self, data: FigureData) -> Drawing:
        """Draw the differences with a line at none."""
        budgets = tuple(sorted(set(data.differences["against"]) - set(COSTS)))
        several = {"completions": budgets, "both": (*budgets, TOKENS.name), "all": (*budgets, *COSTS)}
        wanted = several.get(self.options.against, (self.options.against,))
        table = data.differences.filter(pl.col("against").is_in(wanted))
        table = table.sort(*PANEL, *LINE, "against", "budget")
        table = table.with_columns(pl.col("selector", "minus_selector").replace(data.selector_names))
        summary = _summary(table)
        if table.is_empty():
            figure = panels.blank("no difference in this study")
            return Drawing(figure=figure, table=table, summary=summary)
        kinds = [kind for kind in wanted if kind in set(table["against"])]
        keys = table.select(PANEL).unique().sort(PANEL).rows()
        marks = _marks(table)
        figure, axes = panels.panel_grid(len(keys), len(kinds))
        panels.header(figure, _header(table))
        for kind, row in zip(kinds, axes, strict=True):
            scale = table.filter(against=kind)
            for here, key in zip(row, keys, strict=True):
                rows = table.filter(difference=key[0], task=key[1], against=kind)
                self._draw_panel(here, rows, scale, marks)
                panels.title(here, key if len(keys) > 1 else [])
                label = COSTS[kind].label if kind in COSTS else budget_label(kind)
                panels.x_label(here, label)
        entries = [(name, mark.line()) for name, mark in marks.items()]
        panels.foot(figure, "", entries if len(entries) > 1 else [])
        panels.settle(figure)
        return Drawing(figure=figure, table=table, summary=summary)

    def _draw_panel(
        self, axes: Axes, rows: pl.DataFrame, scale: pl.DataFrame, marks: dict[str, Mark]
    ) -> None:
        """Draw the curves of one panel, on the vertical scale of its whole row."""
        axes.axhline(0.0, color=GREY, linewidth=0.8, linestyle=(0, (4, 1.5)))
        if rows.is_empty():
            panels.remark(axes, "no budget in common")
            axes.set_axis_off()
            return
        low, high = ("band_low", "band_high") if self.options.band == "simultaneous" else ("low", "high")
        for _, curve in rows.group_by(LINE, maintain_order=True):
            mark = marks[_line(curve)]
            at, estimate, lower, upper = (
                curve[name].to_numpy() for name in ("budget", "estimate", low, high)
            )
            axes.fill_between(at, lower, upper, color=mark.colour, alpha=0.15, linewidth=0)
            axes.vlines(at[-1], curve["low"][-1], curve["high"][-1], color=mark.colour, linewidth=0.8)
            axes.plot(at, estimate, markevery=max(1, len(at) // 7), **mark.line())
        panels.count_axis(axes, *_ends(rows["budget"]))
        _points_axis(axes, scale.select(low, high).to_numpy())


def _ends(budgets: pl.Series) -> tuple[float, float]:
    values = budgets.to_numpy()
    return float(values.min()), float(values.max())


def _points_axis(axes: Axes, bounds: FloatArray) -> None:
    """Show differences in percentage points, none of them in view."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    finite = bounds[np.isfinite(bounds)]
    low, high = min(float(finite.min(initial=0.0)), 0.0), max(float(finite.max(initial=0.0)), 0.0)
    margin = 0.06 * max(high - low, 0.01)
    axes.set_ylim(max(low - margin, -LARGEST), min(high + margin, LARGEST))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:+.3g}" if share else "0"))
    if panels.is_first(axes):
        axes.set_ylabel("difference (points)")
    else:
        axes.tick_params(labelleft=False)


def _marks(table: pl.DataFrame) -> dict[str, Mark]:
    """Give every line of the legend its look; a single one is black."""
    names = [_line(curve) for _, curve in table.group_by(LINE, maintain_order=True)]
    names = list(dict.fromkeys(names))
    return {names[0]: COVERAGE_MARK} if len(names) == 1 else assign_marks(names)


def _line(curve: pl.DataFrame) -> str:
    """Name a line by what differs between its sides, and by what they share."""
    row = curve.row(0, named=True)
    differs = [name for name in ARM if row[name] != row[f"minus_{name}"]]
    sides = [" · ".join(row[side + name] for name in differs) for side in ("", "minus_")]
    shared = [row[name] for name in ARM if name not in differs]
    return " · ".join([" − ".join(sides), *shared])


def _header(table: pl.DataFrame) -> list[str]:
    parts = [table[name][0] for name in PANEL if table[name].n_unique() == 1]
    lines = {_line(curve) for _, curve in table.group_by(LINE, maintain_order=True)}
    problems = sorted(set(table["problems"]))
    counted = f"{problems[0]}" if len(problems) == 1 else f"{problems[0]} to {problems[-1]}"
    return [*parts, *(lines if len(lines) == 1 else []), f"{counted} problems"]


def _summary(table: pl.DataFrame) -> pl.DataFrame:
    """Return each difference at its largest budget, as text."""
    identity = [*PANEL, *LINE, "against"]
    last = table.filter(pl.col("budget") == pl.col("budget").max().over(identity))
    rows = [
        {
            "difference": row["difference"],
            "task": row["task"],
            "curves": _line(pl.DataFrame([row])),
            "against": row["against"],
            "budget": format(
                row["budget"], COSTS[row["against"]].digits if row["against"] in COSTS else ".0f"
            ),
            "points": interval(*(100 * row[name] for name in ("estimate", "low", "high")), digits="+z.1f"),
            "p": f"{row['p_value']:.2g}",
            "p (Holm)": "–" if row["p_holm"] is None else f"{row['p_holm']:.2g}",
        }
        for row in last.iter_rows(named=True)
    ]
    names = ("difference", "task", "curves", "against", "budget", "points", "p", "p (Holm)")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String))


entry = FigureEntry(
    name="difference_curves",
    revision=2,
    factory=DifferenceCurves,
    options=DifferenceOptions,
    summary="paired differences of curves, at equal completions and at equal tokens",
    reads=("curves", "differences"),
    priced=lambda options: options.against == "usd",
    caption=(
        "Share of problems solved by the former less that by the latter, on the same problems, at equal "
        "completions and at equal tokens per problem (generated, and read and generated by scorers). Bands "
        "hold the whole curve with {confidence} confidence (simultaneous bootstrap bands over problems); the "
        "bar at the end is the interval of that point alone."
    ),
)
