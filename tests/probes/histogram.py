"""How many problems are solved how often, as a third party would draw it."""

import polars as pl

from itscale import hookimpl
from itscale.plugins import FigureEntry
from itscale.plugins.figures import Drawing, FigureData, FigureOptions

PLACE = ["task", "model", "strategy"]


class HistogramOptions(FigureOptions):
    """Options of the histogram."""

    bins: int = 10
    """Bars between 0 and 1."""


class Histogram:
    """Counts problems by their success rate: what coverage is at k = 1."""

    def __init__(self, options: HistogramOptions) -> None:
        self.bins = options.bins

    def draw(self, data: FigureData) -> Drawing:
        from matplotlib.figure import Figure

        rate = (pl.col("accuracy") * self.bins).floor().clip(0, self.bins - 1) / self.bins
        rates = data.accuracies.filter(budget=1, estimand="coverage").with_columns(rate=rate)
        columns = [*PLACE, "selector", "simulated", "rate"]
        table = rates.group_by(columns).agg(problems=pl.len()).sort(columns)
        figure = Figure()
        axes = figure.add_subplot(xlabel="success rate of a problem", ylabel="problems")
        for place, bars in table.group_by(PLACE, maintain_order=True):
            axes.bar(bars["rate"], bars["problems"], 1 / self.bins, align="edge", alpha=0.5, label=place[1])
        if table.height:
            axes.legend()
        return Drawing(figure=figure, table=table, summary=table.select(*PLACE, "rate", "problems"))


entry = FigureEntry(
    name="histogram",
    factory=Histogram,
    options=HistogramOptions,
    reads=("accuracies",),
    caption="Problems by the share of completions that solve them.",
    summary="How many problems are solved how often.",
)


@hookimpl
def itscale_register_figures() -> list[FigureEntry]:
    """Return the figure."""
    return [entry]
