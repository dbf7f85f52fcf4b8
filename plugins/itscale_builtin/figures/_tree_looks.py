"""How trees look: lines to what is continued, nodes filled by score or model, edges by what is correct."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from itscale.plugins.figures import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["TreeLooks"]

DARK, GREY, PALE = "#4d4d4d", "#8c8c8c", "#c9c9c9"
RIGHT, WRONG = "#009E73", "#D55E00"
MODELS = tuple(colour for colour in COLOURS if colour not in (RIGHT, WRONG))
SCORES = "Blues"
LEAST = 0.15  # of the colour map: a score of 0 is not white, which is no score
DOTTED = (0, (2, 2))
PLAIN: Mapping[str, Any] = {"marker": "o", "linestyle": "none", "markersize": 4.5}
At = Mapping[int, tuple[float, float]]
"""Where each node stands."""


@dataclass(frozen=True)
class TreeLooks:
    """The looks of all trees of a figure, and their legend.

    Attributes
    ----------
    colours
        Of the models, by label.
    scored
        Whether any node has a score.
    entries
        Names and looks of the legend.
    """

    colours: Mapping[str, str]
    scored: bool
    entries: Sequence[tuple[str, Mapping[str, Any]]]

    @classmethod
    def of(cls, trees: Sequence[pl.DataFrame]) -> TreeLooks:
        """Return the looks of some trees."""
        nodes = pl.concat([tree.select("by", "score", "status", "correct", "chosen") for tree in trees])
        models = sorted(set(nodes["by"].drop_nulls()))
        colours = {model: MODELS[at % len(MODELS)] for at, model in enumerate(models)}
        entries: list[tuple[str, Mapping[str, Any]]] = []
        by_model = {model for tree in trees if _by_model(tree) for model in tree["by"].drop_nulls()}
        entries += [(model, {**PLAIN, "color": colours[model]}) for model in sorted(by_model)]
        ends = {**PLAIN, "markerfacecolor": "white", "markeredgewidth": 1.6, "markersize": 6}
        for right, name, colour in ((True, "correct", RIGHT), (False, "wrong", WRONG)):
            if right in set(nodes["correct"].drop_nulls()):
                entries.append((name, {**ends, "markeredgecolor": colour}))
        if nodes["chosen"].any():
            entries.append(("chosen", {**PLAIN, "marker": "*", "color": "black", "markersize": 6}))
        if (nodes["status"] != "done").any():
            entries.append(("cancelled or failed", {**PLAIN, "marker": "x", "color": GREY}))
        return cls(colours, nodes["score"].drop_nulls().len() > 0, entries)

    def draw(self, axes: Axes, tree: pl.DataFrame) -> None:
        """Draw one tree from left to right."""
        at = {node: (depth, -lane) for node, depth, lane in tree.select("node", "depth", "lane").rows()}
        _links(axes, tree, at)
        self._nodes(axes, tree, at)
        lanes, deepest = [lane for _, lane in at.values()], max(depth for depth, _ in at.values())
        spread = max(1.0, max(lanes) - min(lanes))
        axes.set_ylim(min(lanes) - 0.12 * spread, max(lanes) + 0.12 * spread)
        room = _room(deepest)
        axes.set_xlim(-room, deepest + room)
        axes.set_xticks(range(0, int(deepest) + 1, max(1, int(deepest) // 6)))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False)

    def _nodes(self, axes: Axes, tree: pl.DataFrame, at: At) -> None:
        size = max(5.0, min(26.0, 300.0 / max(1.0, float(tree["lane"].n_unique()))))
        by_model = _by_model(tree)
        done = tree.filter(pl.col("kind") != "chat", status="done")
        for marker, kinds in (("o", ("drawn", "cut", "chosen")), ("D", ("given",))):
            rows = done.filter(pl.col("kind").is_in(kinds)).to_dicts()
            axes.scatter(
                *_places(rows, at),
                s=[size * (1.0 if row["correct"] is None else 1.7) for row in rows],
                marker=marker,
                color=[self._fill(row, by_model) for row in rows] or None,
                edgecolors=[DARK if row["correct"] is None else _edge(row["correct"]) for row in rows]
                or None,
                linewidths=[0.5 if row["correct"] is None else min(1.6, size / 10) for row in rows],
                zorder=3,
            )
        chats, lost = tree.filter(kind="chat").to_dicts(), tree.filter(pl.col("status") != "done").to_dicts()
        axes.scatter(*_places(chats, at), s=0.7 * size, marker="s", color=DARK, zorder=2)
        axes.scatter(*_places(lost, at), s=0.7 * size, marker="x", color=GREY, linewidths=0.8, zorder=2)
        x, y = _places(tree.filter("chosen").to_dicts(), at)
        beside = [one + 0.55 * _room(max(depth for depth, _ in at.values())) for one in x]
        axes.scatter(beside, y, s=max(14.0, 1.2 * size), marker="*", color="black", linewidths=0, zorder=4)

    def _fill(self, row: Mapping[str, Any], by_model: bool) -> Any:
        if by_model:
            return self.colours.get(row["by"] or "", "white")
        return "white" if row["score"] is None else _shade(row["score"])

    def bar(self, figure: Figure, axes: Sequence[Axes]) -> None:
        """Say which shade is which score, if any node has one."""
        if not self.scored:
            return
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LinearSegmentedColormap, Normalize

        shades = LinearSegmentedColormap.from_list("scores", [_shade(at / 20) for at in range(21)])
        shown = ScalarMappable(norm=Normalize(0, 1), cmap=shades)
        figure.colorbar(shown, ax=list(axes), label="score", fraction=0.03, pad=0.01, aspect=25)


def _room(deepest: float) -> float:
    """Return the room beside a tree, in steps: as wide on paper beside a deep one as beside a shallow one."""
    return 0.4 * max(1.0, deepest / 4)


def _by_model(tree: pl.DataFrame) -> bool:
    """Return whether nodes of a tree are filled by their models: several wrote it, and none is scored."""
    return tree["by"].drop_nulls().n_unique() > 1 and tree["score"].drop_nulls().is_empty()


def _places(rows: Sequence[Mapping[str, Any]], at: At) -> tuple[list[float], list[float]]:
    found = [at[row["node"]] for row in rows]
    return [x for x, _ in found], [y for _, y in found]


def _edge(correct: bool) -> str:
    return RIGHT if correct else WRONG


def _shade(score: float) -> Any:
    import matplotlib

    return matplotlib.colormaps[SCORES](LEAST + (1 - LEAST) * score)


def _links(axes: Axes, tree: pl.DataFrame, at: At) -> None:
    """Draw what continues what: bold on the way to a completion, dashed to what a chat quotes."""
    from matplotlib.collections import LineCollection

    parents = dict(tree.select("node", "parent").iter_rows())
    kept: set[int] = set()
    for node in tree.drop_nulls("correct")["node"]:
        here: int | None = node
        while here is not None and here not in kept:
            kept.add(here)
            here = parents.get(here)
    ways: dict[bool, list[list[tuple[float, float]]]] = {False: [], True: []}
    quotes = []
    for node, parent, follows in tree.select("node", "parent", "follows").iter_rows():
        x, y = at[node]
        if parent in at:
            (left, above), middle = at[parent], (x + at[parent][0]) / 2
            ways[node in kept].append([(left, above), (middle, above), (middle, y), (x, y)])
        quotes += [[at[one], (x, y)] for one in follows if one in at]
    looks: tuple[tuple[Any, str, float, Any, float], ...] = (
        (ways[False], PALE, 0.6, "-", 1.0),
        (quotes, GREY, 0.6, DOTTED, 1.1),
        (ways[True], DARK, 0.9, "-", 1.2),
    )
    for lines, colour, width, dash, order in looks:
        axes.add_collection(
            LineCollection(lines, colors=colour, linewidths=width, linestyles=[dash], zorder=order)
        )
