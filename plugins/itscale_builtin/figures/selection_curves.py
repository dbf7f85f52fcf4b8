"""Every selector against completions, below coverage: what verification leaves on the table."""

from __future__ import annotations

from dataclasses import dataclass

from itscale.plugins import FigureEntry
from itscale.plugins.figures import Drawing, FigureData
from itscale_builtin.figures._curves import CurveOptions, Layout, display_names, draw_curves, selector_lines

__all__ = ["SelectionCurves", "entry"]


@dataclass(frozen=True)
class SelectionCurves:
    """A panel per task, model and strategy, in it a line per selector."""

    options: CurveOptions

    def draw(self, data: FigureData) -> Drawing:
        """Draw the curves of all selectors."""
        layout = Layout(
            panel=("task", "model", "strategy"),
            lines=selector_lines(data),
            names=display_names(data, data.curves),
            x="budget",
            y_label="problems solved (%)",
            share_y=self.options.share_y,
        )
        return draw_curves(data.curves, layout, empty="no curve in this study")


entry = FigureEntry(
    name="selection_curves",
    revision=2,
    factory=SelectionCurves,
    options=CurveOptions,
    summary="coverage and every selector against completions, a panel per task, model and strategy",
    reads=("curves",),
    caption=(
        "Share of problems whose selected answer is right, against completions per problem. Coverage (black) "
        "is the share with any right completion: no selector can exceed it, and the distance to it is what a "
        "better verifier could win. Every k uses all completions sampled. Bands are {confidence} bootstrap "
        "intervals over problems; where all problems agree, exact bounds."
    ),
    reference="Brown et al. 2024 (Large Language Monkeys), section 4.1",
)
