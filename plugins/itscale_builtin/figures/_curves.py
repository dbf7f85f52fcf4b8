"""Curves: what the figures of curves share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from itscale.curves.axes import USD, at_budget, budget_label
from itscale.messages.numbers import counted
from itscale.outcomes import COMPLETIONS, FloatArray
from itscale.plugins.figures import (
    COVERAGE_MARK,
    DASHES,
    Drawing,
    FigureData,
    FigureOptions,
    Mark,
    assign_marks,
)
from itscale_builtin.figures import _panels as panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "CURVE",
    "CurveOptions",
    "Layout",
    "Line",
    "display_names",
    "draw_curves",
    "highest",
    "interval",
    "selector_lines",
    "strategy_lines",
]

CURVE = ("task", "model", "strategy", "selector")
"""The columns that name a curve."""
Names = Mapping[tuple[str, str], str]
"""By column and label: the name that is shown in its place."""
MARKERS_PER_LINE = 7  # enough to tell lines apart, few enough to see them


class CurveOptions(FigureOptions):
    """Options of every figure of curves."""

    share_y: bool = True
    """One vertical scale, so that panels can be compared; off, each panel fills its own height."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One entry of the legend: its rows, in whichever panel they are."""

    label: str
    mark: Mark
    rows: pl.Expr


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a figure of curves shows: every combination of the `panel` columns is a panel.

    Along budgets, what they count is the label of x.
    """

    panel: tuple[str, ...]
    lines: Sequence[Line]
    names: Names
    x: str
    x_label: str = ""
    y_label: str
    share_y: bool
    common: tuple[str, ...] = ("task", "model", "strategy")
    """Columns named above the panels where they have one value only."""

    def name(self, column: str, label: str) -> str:
        """Return how a label is shown."""
        return self.names.get((column, label), label)


def draw_curves(curves: pl.DataFrame, layout: Layout, empty: str) -> Drawing:
    """Draw curves with their intervals in small multiples, with one legend; `empty` if there are none."""
    curves = curves.with_columns(pl.col("axis").fill_null(COMPLETIONS))
    drawable = pl.col(layout.x).is_not_null() & pl.col(layout.x).is_finite() & (pl.col(layout.x) > 0)
    table = curves.filter(drawable).sort(*CURVE, "budget", layout.x)
    summary = _summary(table, layout.x)
    if table.is_empty():
        return Drawing(figure=panels.blank(empty), table=table, summary=summary)
    keys = table.select(layout.panel).unique().sort(layout.panel).rows()
    figure, [axes] = panels.panel_grid(len(keys))
    one_value = {name for name in CURVE if table[name].n_unique() == 1}
    common = [layout.name(name, table[name][0]) for name in layout.common if name in one_value]
    panels.header(figure, [*common, *_notes(curves, table, layout.x)])
    for here, key in zip(axes, keys, strict=True):
        rows = table.filter(pl.col(name) == value for name, value in zip(layout.panel, key, strict=True))
        for line in layout.lines:
            _draw_line(here, rows.filter(line.rows), layout.x, line.mark)
        scale = table if layout.share_y else rows
        _finish_axes(here, rows, scale, layout)
        pairs = zip(layout.panel, key, strict=True)
        panels.title(here, [layout.name(*pair) for pair in pairs if pair[0] not in one_value])
    used = [line for line in layout.lines if not table.filter(line.rows).is_empty()]
    entries = [(line.label, line.mark.line()) for line in used]
    panels.foot(figure, _label_axes(axes, keys, table, layout), entries if len(entries) > 1 else [])
    panels.settle(figure)
    return Drawing(figure=figure, table=table, summary=summary)


def _label_axes(
    axes: Sequence[Axes], keys: Sequence[tuple[str, ...]], table: pl.DataFrame, layout: Layout
) -> str:
    """Return what all panels show along x; where budgets count several things, each panel says its own."""
    if layout.x != "budget":
        return layout.x_label
    counts = sorted(set(table["axis"]))
    if len(counts) == 1:
        return budget_label(counts[0])
    of_panel = dict(table.select(pl.concat_list(layout.panel).list.join("/"), "axis").iter_rows())
    for here, key in zip(axes, keys, strict=True):
        panels.x_label(here, budget_label(of_panel["/".join(key)]))
    return ""


def _notes(curves: pl.DataFrame, table: pl.DataFrame, x: str) -> list[str]:
    """Say over how many problems the intervals are, and what could not be drawn."""
    problems = sorted(set(table["problems"]))
    few, most = problems[0], problems[-1]
    notes = [counted(most, "problem") if few == most else f"{few} to {most} problems"]
    if not (table["low"].is_finite() & table["high"].is_finite()).any():
        notes.append("no intervals")
    if curves.height > table.height:
        notes.append(f"{counted(curves.height - table.height, 'point')} without {x} left out")
    return notes


def _draw_line(axes: Axes, rows: pl.DataFrame, x: str, mark: Mark) -> None:
    """Draw one line; a curve of a single point gets an error bar, which a band could not show."""
    for _, curve in rows.group_by(CURVE, maintain_order=True):
        at, estimate, low, high = (curve[name].to_numpy() for name in (x, "estimate", "low", "high"))
        if len(at) == 1 and np.isfinite([low[0], high[0]]).all():
            axes.vlines(at, low, high, color=mark.colour, linewidth=0.8)
        axes.fill_between(at, low, high, color=mark.colour, alpha=0.15, linewidth=0)
        axes.plot(at, estimate, markevery=_spread(np.log(at)), **mark.line())


def _spread(position: FloatArray, most: int = MARKERS_PER_LINE) -> list[int]:
    """Choose at most `most` places at even distances, the first and the last among them."""
    if len(position) <= most:
        return list(range(len(position)))
    wanted = np.linspace(position[0], position[-1], most)
    return sorted({int(np.abs(position - place).argmin()) for place in wanted})


def _finish_axes(axes: Axes, rows: pl.DataFrame, scale: pl.DataFrame, layout: Layout) -> None:
    panels.count_axis(axes, float(rows[layout.x].min()), float(rows[layout.x].max()))  # type: ignore[arg-type]
    first = panels.is_first(axes)
    panels.percent_axis(axes, highest(scale), layout.y_label if first else "")
    if layout.share_y and not first:
        axes.tick_params(labelleft=False)


def highest(rows: pl.DataFrame) -> float:
    """Return the highest share among estimates and upper ends, 0 if there is none."""
    values = np.concatenate([rows["estimate"].to_numpy(), rows["high"].to_numpy()])
    return float(np.max(values, initial=0.0, where=np.isfinite(values)))


def display_names(data: FigureData, table: pl.DataFrame) -> Names:
    """Return the names shown in place of labels: of selectors, and what is simulated where not all is."""
    names = {("selector", label): name for label, name in data.selector_names.items()}
    if table["simulated"].n_unique() > 1:
        models = table.filter("simulated")["model"].unique()
        names |= {("model", model): f"{model} (simulated)" for model in models}
    return names


def strategy_lines(table: pl.DataFrame, names: Names) -> list[Line]:
    """Return a line for every model and strategy.

    A strategy has its colour and marker, a model its dash and filling; with a single strategy the models
    have the colours.
    """
    strategies, models = sorted(table["strategy"].unique()), sorted(table["model"].unique())
    by_strategy = len(strategies) > 1
    marks = assign_marks(strategies if by_strategy else models)
    lines = []
    for model, strategy in table.select("model", "strategy").unique().sort("model", "strategy").rows():
        mark = marks[strategy if by_strategy else model]
        if by_strategy:
            place = models.index(model)
            mark = Mark(mark.colour, mark.marker, DASHES[place % len(DASHES)], filled=place % 2 == 0)
        named = [names.get(("model", model), model)] * (len(models) > 1) + [strategy] * by_strategy
        rows = (pl.col("model") == model) & (pl.col("strategy") == strategy)
        lines.append(Line(label=" · ".join(named), mark=mark, rows=rows))
    return lines


def selector_lines(data: FigureData) -> list[Line]:
    """Return a line for every selector: coverage first and black, which no other can exceed."""
    coverage = sorted(set(data.coverage["selector"]))
    others = sorted(set(data.curves["selector"]) - set(coverage))
    marks = {**dict.fromkeys(coverage, COVERAGE_MARK), **assign_marks(others)}
    names = data.selector_names
    return [
        Line(label=names[label], mark=mark, rows=pl.col("selector") == label) for label, mark in marks.items()
    ]


def interval(estimate: float | None, low: float | None, high: float | None, *, digits: str = "z.3g") -> str:
    """Return `estimate [low, high]`; an end that is not a number is a dash."""
    shown = ["–" if x is None or not np.isfinite(x) else format(x, digits) for x in (estimate, low, high)]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def _summary(table: pl.DataFrame, x: str) -> pl.DataFrame:
    """Return percent at a few budgets, the last of every curve among them.

    Against k a row is a curve, with a column per k; against what it costs a row is a point.
    """
    shared = set(table["budget"]).intersection(*(curve["budget"] for _, curve in table.group_by(CURVE)))
    budgets = sorted(shared or set(table["budget"]))
    chosen = {budgets[place] for place in _spread(np.log(np.array(budgets, dtype=float)), 4)}
    chosen |= {max(curve["budget"]) for _, curve in table.group_by(CURVE)}
    rows = table.filter(pl.col("budget").is_in(sorted(chosen)))
    shares = rows.select(pl.col("estimate", "low", "high") * 100).rows()
    cells = pl.Series("%", [interval(*share, digits=".1f") for share in shares], dtype=pl.String)
    if x == "budget":
        places = rows.select("axis", "budget").rows()
        heads = {place: f"{at_budget(*place)} (%)" for place in sorted(set(places))}
        columns = pl.Series("k", [heads[place] for place in places], dtype=pl.String)
        named = rows.select(*CURVE, columns, cells)
        return named.pivot(on="k", index=CURVE, values="%").select(*CURVE, *heads.values())
    spent = pl.col(x).round_sig_figs(3) if x == USD.name else pl.col(x).round(0).cast(pl.Int64)
    words = x.upper() if x == USD.name else x.replace("_", " ")
    counts = list(set(table["axis"]))
    if counts in ([], [COMPLETIONS]):
        return rows.select(*CURVE, pl.col("budget").alias("k"), spent.alias(words), cells)
    said = [at_budget(*one) for one in rows.select("axis", "budget").rows()]
    return rows.select(*CURVE, pl.Series("budget", said, dtype=pl.String), spent.alias(words), cells)
