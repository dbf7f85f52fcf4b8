"""Figures: makers that draw tables, one style for all of them, and files that are byte-stable.

matplotlib is imported inside the functions, so that `import itscale` stays light, and is used without
pyplot: there is no current figure and no window system to depend on.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import polars as pl

from itscale.messages.numbers import marks_note
from itscale.outcomes import COVERAGE, selector_names
from itscale.plugins.entries import Options
from itscale.store.latex import booktabs
from itscale.store.parquet import atomic_path, write_csv, write_text
from itscale.store.schemas import ACCURACIES_DRAWN, DIFFERENCES, OUTCOMES_DRAWN, TREES_DRAWN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "COVERAGE_MARK",
    "Drawing",
    "FigureData",
    "FigureMaker",
    "FigureOptions",
    "Mark",
    "assign_marks",
    "is_simulated",
    "label_simulated",
    "plain",
    "save",
    "style",
]

Venue = Literal[
    "neurips2024",
    "iclr2024",
    "icml2024",
    "colm2026",
    "tmlr2023",
    "jmlr2001",
    "cvpr2024",
    "aaai2024",
    "uai2023",
]

# Okabe and Ito's palette, told apart under every common colour blindness; without its yellow (too pale for
# thin lines on white) and its black (kept for coverage and for what was observed).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Seven markers and six colours: 42 labels before a pair returns.
MARKERS = ("s", "^", "D", "v", "P", "X", "<")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)), (0, (7, 2)), (0, (2, 2)))


class FigureOptions(Options):
    """Options every figure has: where it will be printed."""

    venue: Venue = "neurips2024"
    """Whose text width and font sizes are used (the bundles of tueplots)."""
    width: Literal["column", "full"] = "full"
    """One column (half the text width where the venue has one column), or the whole text width."""


@dataclass(frozen=True, kw_only=True)
class FigureData:
    """The tables of a whole study, as a figure maker sees them.

    What a curve is stands in its column `estimand`; labels are a study's own and mean nothing.

    Attributes
    ----------
    curves, fits, forecasts, differences
        Tables of the schemas `CURVES`, `FITS`, `FORECASTS`, `DIFFERENCES`; empty where the figure does not
        read them.
    accuracies
        What curves are means of (schema `ACCURACIES_DRAWN`): a row for each problem and budget.
    outcomes, trees
        What became of each completion, and all that was generated (schemas `OUTCOMES_DRAWN`, `TREES_DRAWN`).
        They may be larger than memory: nothing of them is read before they are collected, so filter first.
    """

    curves: pl.DataFrame
    fits: pl.DataFrame
    forecasts: pl.DataFrame
    differences: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=dict(DIFFERENCES)))
    accuracies: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=dict(ACCURACIES_DRAWN)))
    outcomes: pl.LazyFrame = field(default_factory=lambda: pl.LazyFrame(schema=dict(OUTCOMES_DRAWN)))
    trees: pl.LazyFrame = field(default_factory=lambda: pl.LazyFrame(schema=dict(TREES_DRAWN)))

    @property
    def coverage(self) -> pl.DataFrame:
        """The curves of coverage, one for each task, model and strategy, if several selectors have it."""
        found = self.curves.filter(estimand=COVERAGE)
        return found.filter(pl.col("selector") == pl.col("selector").min())

    @property
    def selector_names(self) -> dict[str, str]:
        """What a reader is shown in the place of each selector's label."""
        pairs = self.curves.select("selector", "estimand").drop_nulls().unique().sort("selector")
        return selector_names(dict(pairs.iter_rows()))


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A drawn figure and its numbers.

    Attributes
    ----------
    figure
        A matplotlib figure, as wide as `style` says.
    table
        Exactly what was drawn, one row per point: the CSV beside the figure.
    summary
        The same for a page of a paper, as text, one row per curve: the LaTeX table.
    """

    figure: Figure
    table: pl.DataFrame
    summary: pl.DataFrame


class FigureMaker(Protocol):
    """Draws tables. `draw` is called inside `style`, whatever the order of the rows, with or without rows."""

    def draw(self, data: FigureData) -> Drawing:
        """Return the figure and the table of exactly what it shows."""
        ...


@dataclass(frozen=True)
class Mark:
    """How one label looks in every figure of a study."""

    colour: str
    marker: str
    dash: Any = "-"
    filled: bool = True

    def line(self) -> dict[str, Any]:
        """Return the keywords of a matplotlib line."""
        face = self.colour if self.filled else "white"
        return {
            "color": self.colour,
            "marker": self.marker,
            "linestyle": self.dash,
            "markerfacecolor": face,
            "markeredgecolor": self.colour,
        }


COVERAGE_MARK = Mark("#000000", "o")
"""Coverage, and what was observed: black in every figure."""


def assign_marks(labels: Iterable[str]) -> dict[str, Mark]:
    """Give each label a colour and a marker by its place among the sorted labels, each round another dash.

    Given all labels of a study, a label looks the same in every figure of that study.
    """
    return {
        label: Mark(
            COLOURS[place % len(COLOURS)],
            MARKERS[place % len(MARKERS)],
            DASHES[place // len(COLOURS) % len(DASHES)],
            filled=place // len(COLOURS) % 2 == 0,
        )
        for place, label in enumerate(sorted(set(labels)))
    }


def plain(text: str) -> str:
    """Return text that matplotlib shows as it is: no formulas, one line, no control characters."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(shown.split()).replace("$", r"\$")


@contextmanager
def style(options: Options | None = None) -> Iterator[None]:
    """Draw and save inside this context: a venue's width and font sizes, thin lines, bundled fonts.

    The user's own matplotlib settings do not reach the figure and come back afterwards. The fonts are
    those that matplotlib itself brings (STIX, metrically Times), since a figure that takes whichever
    Times a machine has differs from machine to machine. TeX is never run.
    """
    import matplotlib

    printed = options if isinstance(options, FigureOptions) else FigureOptions()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_page(printed))
        matplotlib.rcParams.update(_LOOK)
        yield


def _page(options: FigureOptions) -> Any:
    """Return a venue's figure size and font sizes, without its fonts."""
    from tueplots import bundles

    bundle = getattr(bundles, options.venue)
    arguments: dict[str, Any] = {"rel_width": 0.5 if options.width == "column" else 1.0}
    if "column" in inspect.signature(bundle).parameters:
        arguments = {"column": "half" if options.width == "column" else "full"}
    settings: Mapping[str, Any] = bundle(**arguments)
    return {key: settings[key] for key in settings if key == "figure.figsize" or key.endswith("size")}


_LOOK: Any = {
    "text.usetex": False,
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlepad": 3.0,
    "axes.labelpad": 2.0,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.0,
    "lines.markeredgewidth": 0.7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.pad": 2.0,
    "ytick.major.pad": 2.0,
    "xtick.minor.visible": False,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "legend.columnspacing": 1.4,
    "legend.labelspacing": 0.3,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "savefig.dpi": 300,
    "svg.fonttype": "none",  # text stays text: searchable, and readable to a screen reader
    "svg.hashsalt": "itscale",
    "pdf.fonttype": 42,  # venues refuse the Type 3 fonts of the default
}


def label_simulated(drawing: Drawing, *, incomplete: bool = False) -> None:
    """Write into the upper right corner that a drawing is simulated, wholly or partly, or incomplete, if so.

    The layout keeps the strip above the panels free for it.
    """
    import matplotlib

    words = ["incomplete"] if incomplete else []
    if is_simulated(drawing):
        words.append("simulated" if drawing.table["simulated"].all() else "partly simulated")
    if not words:
        return
    figure = drawing.figure
    if figure.get_suptitle() == "":
        figure.suptitle(" ", fontsize=matplotlib.rcParams["axes.titlesize"])
    figure.text(
        0.995,
        1 - 0.04 / figure.get_figheight(),
        ", ".join(words),
        ha="right",
        va="top",
        fontsize=matplotlib.rcParams["axes.titlesize"] - 1,
        color="#b00020",
        fontweight="bold",
        bbox={"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "#b00020", "linewidth": 0.6},
    )


def save(
    drawing: Drawing,
    caption: str,
    *,
    pdf: Path,
    svg: Path,
    png: Path,
    csv: Path,
    tex: Path,
    lacking: Sequence[str] = (),
) -> None:
    """Write a drawing; equal drawings give equal bytes, and each file is whole or absent.

    Call it inside the `style` the figure was drawn in. No file carries a date or a version. The LaTeX
    table needs the packages booktabs and array, and says so where a row is simulated, and what is `lacking`.
    """
    metadata: dict[str, dict[str, Any]] = {
        "pdf": {"Creator": "itscale", "Producer": None, "CreationDate": None},
        "svg": {"Creator": "itscale", "Date": None},
        "png": {"Software": None},
    }
    for kind, path in (("pdf", pdf), ("svg", svg), ("png", png)):
        with atomic_path(path) as temporary:
            drawing.figure.savefig(temporary, format=kind, metadata=metadata[kind])
    notes = ["Simulated completions."] if is_simulated(drawing) else []
    notes += [f"Incomplete: {line}." for line in lacking]
    cells = (str(cell) for row in drawing.summary.iter_rows() for cell in row)
    note = " ".join(filter(None, [*notes, marks_note(cells)]))
    write_csv(drawing.table, csv)
    places = [name for name in ("task", "model", "strategy") if name in drawing.summary.columns]
    groups = places if drawing.summary.width > len(places) else ()
    write_text(tex, booktabs(drawing.summary, caption, note, groups=groups))


def is_simulated(drawing: Drawing) -> bool:
    """Return whether any row of what was drawn is simulated."""
    return bool(drawing.table.get_column("simulated", default=pl.Series([False], dtype=pl.Boolean)).any())
