"""Curves against generated tokens or USD: strategies at equal compute, not at equal counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from itscale.curves.axes import TOKENS, USD
from itscale.plugins import FigureEntry
from itscale.plugins.figures import Drawing, FigureData
from itscale_builtin.figures._curves import (
    CURVE,
    CurveOptions,
    Layout,
    display_names,
    draw_curves,
    selector_lines,
    strategy_lines,
)

__all__ = ["ComputeCurves", "ComputeOptions", "entry"]


class ComputeOptions(CurveOptions):
    """Options of the curves against what they cost."""

    compare: Literal["strategies", "selectors"] | None = None
    """What the lines of a panel are; strategies if left out, where the study has several."""
    against: Literal["tokens", "usd"] = "tokens"
    """What budgets count: generated tokens, or USD for all tokens by the study's price tables."""
    scorer: bool = True
    """Count the tokens a scorer reads and generates, beside those of the model; USD include them."""


@dataclass(frozen=True)
class ComputeCurves:
    """A panel per task and selector comparing strategies, or per task, model and strategy, selectors."""

    options: ComputeOptions

    def draw(self, data: FigureData) -> Drawing:
        """Draw the curves against what a problem costs."""
        judged = pl.col("scorer_tokens") if self.options.scorer else pl.lit(0)
        curves = data.curves.with_columns(tokens=pl.col("generated_tokens") + judged)
        # a selector that needs one completion is one point, whatever k
        x = self.options.against
        last = pl.struct(*CURVE, x).is_last_distinct()
        curves = curves.sort(*CURVE, "budget").filter(pl.col(x).is_null() | last)
        names = display_names(data, curves)
        scored = curves.select((pl.col("tokens") > pl.col("generated_tokens")).any()).item()
        label = TOKENS.label if scored else "generated tokens per problem"
        several = curves["strategy"].n_unique() > 1
        strategies = self.options.compare == "strategies" or (self.options.compare is None and several)
        layout = Layout(
            panel=("task", "selector") if strategies else ("task", "model", "strategy"),
            lines=strategy_lines(curves, names) if strategies else selector_lines(data),
            names=names,
            x=x,
            x_label=USD.label if x == USD.name else label,
            y_label="problems solved (%)",
            share_y=self.options.share_y,
            common=("task", "model", "strategy", "selector") if strategies else ("task", "model", "strategy"),
        )
        lacking = "prices" if x == USD.name else "token counts"
        return draw_curves(curves, layout, empty=f"no curve in this study has {lacking}")


entry = FigureEntry(
    name="compute_curves",
    revision=2,
    factory=ComputeCurves,
    options=ComputeOptions,
    summary="coverage and every selector against generated tokens, or USD, per problem",
    reads=("curves",),
    priced=lambda options: options.against == "usd",
    caption=(
        "Share of problems solved against what a problem costs (mean): discarded branches of a "
        "search, and what a scorer reads and generates, are included; a selector that need not look at all k "
        "completions is charged those it draws. Coverage is the share of problems with "
        "any right completion. Bands are {confidence} bootstrap intervals over problems"
        "; where all problems agree, exact bounds."
    ),
)
