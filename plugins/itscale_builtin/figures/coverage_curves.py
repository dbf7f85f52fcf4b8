"""Coverage against completions: how far repeated attempts reach."""

from __future__ import annotations

from dataclasses import dataclass

from itscale.plugins import FigureEntry
from itscale.plugins.figures import Drawing, FigureData
from itscale_builtin.figures._curves import CurveOptions, Layout, display_names, draw_curves, strategy_lines

__all__ = ["CoverageCurves", "entry"]


@dataclass(frozen=True)
class CoverageCurves:
    """A panel per task (and axis of budgets), in it a line per model and strategy."""

    options: CurveOptions

    def draw(self, data: FigureData) -> Drawing:
        """Draw the coverage curves of all tasks."""
        names = display_names(data, data.coverage)
        layout = Layout(
            panel=("task", "axis") if data.coverage["axis"].n_unique() > 1 else ("task",),
            lines=strategy_lines(data.curves, names),
            names=names,
            x="budget",
            y_label="coverage (%)",
            share_y=self.options.share_y,
        )
        return draw_curves(data.coverage, layout, empty="no coverage curve in this study")


entry = FigureEntry(
    name="coverage_curves",
    revision=2,
    factory=CoverageCurves,
    options=CurveOptions,
    summary="coverage against completions, a panel per task, a line per model and strategy",
    reads=("curves",),
    caption=(
        "Coverage, the share of problems that at least one of k completions solves, against completions per "
        "problem, estimated without bias from all completions sampled. Bands are {confidence} bootstrap "
        "intervals over problems; where all problems agree, exact bounds."
    ),
    reference="Brown et al. 2024 (Large Language Monkeys), section 2",
)
