"""Small multiples: panels that wrap, axes in words, a legend that never covers data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import ceil, floor, log2, log10
from textwrap import fill
from typing import TYPE_CHECKING, Any

from itscale.plugins.figures import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "blank",
    "count_axis",
    "foot",
    "header",
    "is_first",
    "log_axis",
    "log_ticks",
    "panel_grid",
    "percent_axis",
    "remark",
    "settle",
    "title",
    "x_label",
]

CHARACTERS_PER_INCH = 18  # of the title and legend fonts, a cautious mean
TIGHT = 0.95  # lines of a title belong together
NOTE_LINES = 4  # of one note over a panel: the table has all of it
LABEL_CHARACTERS = 72  # of a line below all panels of a row
NARROW = 4.0  # inches: below it, a figure is one column of a page
# Tops of a percent axis, each with the step of its ticks.
SHARES = {0.02: 0.005, 0.05: 0.01, 0.1: 0.02, 0.2: 0.05, 0.4: 0.1, 0.6: 0.2, 0.8: 0.2, 1.0: 0.2}


def panel_grid(count: int, kinds: int = 1) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure as wide as the style says, and `axes[kind][panel]`; `settle` gives it its height.

    The kinds of one panel stand below each other; those of a single panel side by side, if there is room.
    """
    import matplotlib
    from matplotlib.figure import Figure

    width = matplotlib.rcParams["figure.figsize"][0]
    if count == 1 and width >= NARROW:
        count, beside, kinds = kinds, kinds, 1
    else:
        beside = 1
    columns = _columns(count, width)
    rows = ceil(count / columns) * kinds
    # Taller than it will be: the layout gives up on a figure that is too small for its titles and legend.
    figure = Figure(figsize=(width, rows * (_panel_height(width, columns) + 1) + 3))
    grid = figure.subplots(rows, columns, squeeze=False)
    panels = [
        [grid[kinds * (place // columns) + kind, place % columns] for place in range(count)]
        for kind in range(kinds)
    ]
    used = {axes for row in panels for axes in row}
    for axes in grid.flat:
        if axes not in used:
            axes.remove()
    return figure, [[axes] for axes in panels[0]] if beside > 1 else panels


def _panel_height(width: float, columns: int) -> float:
    """Return the height of a panel without titles and labels, inches."""
    return min(2.2, max(1.0, 0.55 * width / columns))


def settle(figure: Figure) -> None:
    """Give a finished figure the height at which titles and legend take nothing away from the panels."""
    place = figure.axes[0].get_subplotspec()
    if place is None:
        return
    rows, columns = place.get_gridspec().nrows, place.get_gridspec().ncols
    figure.draw_without_rendering()
    found = min(axes.get_position().height for axes in figure.axes) * figure.get_figheight()
    spare = found - _panel_height(figure.get_figwidth(), columns)
    figure.set_figheight(round(figure.get_figheight() - rows * spare, 2))


def lines_of(parts: Sequence[str], room: int) -> list[str]:
    """Join parts with a dot, and begin a new line rather than break a part; a part too long is wrapped."""
    lines: list[str] = []
    for part in map(plain, parts):
        joined = f"{lines[-1]} · {part}" if lines else part
        if lines and len(joined) <= room:
            lines[-1] = joined
        else:
            lines += wrap(part, room)
    return lines


def wrap(text: str, room: int) -> list[str]:
    """Break text into lines of at most `room` characters, after a space or an underscore where it can."""
    lines = [""]
    for word in re.split(r"(?<=[ _])", text):
        for start in range(0, len(word), room):
            piece = word[start : start + room]
            if lines[-1] and len((lines[-1] + piece).rstrip()) > room:
                lines.append("")
            lines[-1] += piece
    return [line.strip() for line in lines if line.strip()]


def _columns(count: int, width: float) -> int:
    if width < NARROW:
        return min(count, 2)
    return {1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 6: 3, 9: 3}.get(count, 4)


def is_first(axes: Axes) -> bool:
    """Return whether a panel stands in the first column."""
    place = axes.get_subplotspec()
    return place is None or place.is_first_col()


def inches(axes: Axes) -> float:
    """Return the width of a panel's column."""
    place, figure = axes.get_subplotspec(), axes.get_figure(root=True)
    if place is None or figure is None:
        return NARROW
    return figure.get_figwidth() / place.get_gridspec().ncols


def blank(reason: str) -> Figure:
    """Return a figure that says why there is nothing to see."""
    figure, [[axes]] = panel_grid(1)
    axes.set_axis_off()
    remark(axes, reason)
    settle(figure)
    return figure


def remark(axes: Axes, text: str) -> None:
    """Write into the middle of a panel why it is empty."""
    axes.text(0.5, 0.5, plain(text), ha="center", va="center", color="#595959", transform=axes.transAxes)


def header(figure: Figure, parts: Sequence[str]) -> None:
    """Write what all panels have in common above them, at the left."""
    import matplotlib

    size = matplotlib.rcParams["axes.titlesize"] - 1
    room = int((figure.get_figwidth() - 0.8) * CHARACTERS_PER_INCH)  # the right corner is kept free
    text = "\n".join(lines_of(parts, room))
    if text:
        figure.suptitle(text, x=0.01, ha="left", fontsize=size, linespacing=TIGHT)


def x_label(axes: Axes, text: str) -> None:
    """Say what a panel shows along x, in lines that fit below it beside those of others in its row."""
    place = axes.get_subplotspec()
    columns = place.get_gridspec().ncols if place else 1
    axes.set_xlabel(fill(text, LABEL_CHARACTERS // columns), linespacing=TIGHT)


def title(axes: Axes, parts: Sequence[str], notes: Sequence[str] = ()) -> None:
    """Put a title over a panel and, small and grey below it, what the reader must not miss."""
    import matplotlib

    room = max(12, int(inches(axes) * CHARACTERS_PER_INCH))
    lines = lines_of(parts, room)
    small = [line for note in notes for line in wrap(plain(note), int(room * 1.2))[:NOTE_LINES]]
    size = matplotlib.rcParams["axes.titlesize"] - 1
    below = matplotlib.rcParams["xtick.labelsize"]
    axes.set_title("\n".join(lines), fontsize=size, pad=3 + 1.2 * below * len(small), linespacing=TIGHT)
    if small:
        axes.annotate(
            "\n".join(small),
            (0.5, 1.0),
            xytext=(0, 2),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=below,
            color="#595959",
            linespacing=TIGHT,
        )


def foot(figure: Figure, x_label: str, entries: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Write, below all panels, what their horizontal axes show; below that the legend, if it has entries.

    The legend takes as many columns as fit into the width. The label of the axes is its title, since the
    layout keeps room for a legend outside the panels or for a common label, but not for both.
    """
    import matplotlib
    from matplotlib.lines import Line2D

    size = matplotlib.rcParams["axes.labelsize"]
    if not entries:
        figure.supxlabel(x_label, fontsize=size)
        return
    handles = [Line2D([], [], **look) for _, look in entries]
    room = int(figure.get_figwidth() * CHARACTERS_PER_INCH)
    labels = ["\n".join(wrap(plain(label), room)) for label, _ in entries]
    for columns in range(min(len(entries), 6), 0, -1):
        box = figure.legend(
            handles, labels, loc="outside lower center", ncols=columns, title=x_label, title_fontsize=size
        )
        if columns == 1 or box.get_window_extent().width <= 0.98 * figure.get_figwidth() * figure.dpi:
            break
        box.remove()
    for text in box.get_texts():
        text.set_linespacing(TIGHT)


def percent_axis(axes: Axes, highest: float, label: str = "") -> None:
    """Show a share as percent, from 0 to a round number that `highest` does not exceed."""
    from matplotlib.ticker import FixedLocator, FuncFormatter

    top = next((share for share in SHARES if highest <= share), 1.0)
    axes.set_ylim(-0.03 * top, 1.04 * top)
    step = SHARES[top]
    axes.yaxis.set_major_locator(FixedLocator([step * place for place in range(round(top / step) + 1)]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g}"))
    axes.set_ylabel(label)


def log_axis(axes: Axes, low: float, high: float, label: str = "") -> None:
    """Make y logarithmic, from `low` to `high` (both > 0), with a handful of round ticks."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = (low, high) if high > 1.5 * low else (low / 2, high * 2)
    margin = (high / low) ** 0.06
    axes.set_yscale("log")
    axes.set_ylim(low / margin, high * margin)
    axes.yaxis.set_major_locator(FixedLocator(log_ticks(low / margin, high * margin)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel(label)


def count_axis(axes: Axes, low: float, high: float) -> None:
    """Make x logarithmic, from `low` to `high`, with a handful of round ticks."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    twos = high < 5000 and high == 2 ** round(log2(high))  # a grid that ends at one is made of them
    low, high = (low, high) if high > low else (low / 2, high * 2)
    margin = (high / low) ** 0.04
    axes.set_xscale("log")
    axes.set_xlim(low / margin, high * margin)
    ticks = log_ticks(low / margin, high * margin, most=6 if inches(axes) > 1.6 else 4, twos=twos)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(FixedFormatter(_counts(ticks)))
    axes.xaxis.set_minor_locator(NullLocator())


def log_ticks(low: float, high: float, most: int = 6, twos: bool = False) -> list[float]:
    """Return at most `most` round numbers within [low, high], spread evenly on a log scale.

    Whole numbers over a very short range, then powers of two if asked for, or 1-2-5, or powers of ten; even
    steps where the range holds no two such numbers.
    """
    decades = range(floor(log10(low)), ceil(log10(high)) + 1)
    powers = range(floor(log2(low)), ceil(log2(high)) + 1) if twos else ()
    candidates = [
        [float(place) for place in range(ceil(low), floor(high) + 1)] if high < 10 and low > 0.5 else [],
        [2.0**power for power in powers],
        [2.0**power for power in powers if power % 2 == 0],
        [step * 10.0**decade for decade in decades for step in (1, 2, 5)],
        [step * 10.0**decade for decade in decades for step in (1, 3)],
        *([10.0**decade for decade in decades if decade % stride == 0] for stride in (1, 2, 3, 4)),
    ]
    for ticks in candidates:
        within = [tick for tick in ticks if low <= tick <= high]
        if 2 <= len(within) <= most:
            return within
    step = 10.0 ** floor(log10(high - low))
    even = [step * place for place in range(ceil(low / step), floor(high / step) + 1)]
    return even[:: max(1, ceil(len(even) / most))]


def _counts(ticks: Sequence[float]) -> list[str]:
    """Write ticks as plain numbers, or all as powers of ten where one is long."""
    powers = [log10(tick) for tick in ticks]
    if max(ticks, default=0) >= 10_000 and all(abs(power - round(power)) < 1e-9 for power in powers):
        return [rf"$10^{{{round(power)}}}$" for power in powers]
    return [f"{tick:g}" if tick < 10_000 else f"{tick / 1000:g}k" for tick in ticks]
