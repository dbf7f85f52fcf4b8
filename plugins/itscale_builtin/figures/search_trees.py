"""Trees of single problems: what a search, a debate or a pool made, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import polars as pl
from pydantic import Field

from itscale.curves.trees import TREE, drawable, first_trees
from itscale.messages.numbers import counted
from itscale.plugins import FigureEntry
from itscale.plugins.figures import Drawing, FigureData, FigureOptions
from itscale_builtin.figures import _panels as panels
from itscale_builtin.figures._tree_looks import TreeLooks

__all__ = ["SearchTrees", "TreeOptions", "entry"]

PLACE = ("task", "model", "strategy")
NAMED = (*PLACE, "problem_id")
TABLE = {
    **dict.fromkeys((*PLACE, "problem_id"), pl.String),
    **dict.fromkeys(("budget", "replicate", "completion", "depth"), pl.Int64),
    "lane": pl.Float64,
    **dict.fromkeys(("node", "parent"), pl.Int64),
    **dict.fromkeys(("follows", "kind", "status", "by"), pl.String),
    "score": pl.Float64,
    "generated_tokens": pl.Int64,
    **dict.fromkeys(("correct", "chosen", "simulated"), pl.Boolean),
}
MOST = 12
"""Panels of one figure."""


class TreeOptions(FigureOptions):
    """Options of the figure of trees."""

    problems: tuple[str, ...] = ()
    """Ids of the problems; the first ones if left out."""
    count: int = Field(default=1, ge=1, le=MOST)
    """How many problems, of each task, model and strategy, if none are named."""
    budget: int | None = Field(default=None, ge=1)
    """Of run-based strategies: the budget of the run; the largest if left out."""


@dataclass(frozen=True)
class SearchTrees:
    """A panel per problem, model and strategy: its nodes by depth."""

    options: TreeOptions

    def draw(self, data: FigureData) -> Drawing:
        """Draw the first run (or completion) of each problem."""
        chosen = self.options
        rows = first_trees(data.trees, chosen.problems, chosen.count, chosen.budget)
        problems = rows["problem_id"].unique().to_list()
        judged = data.outcomes.filter(pl.col("problem_id").is_in(problems)).collect()
        every = rows.select(*PLACE, *TREE).unique().sort(*PLACE, *TREE).rows()
        found = ((key, _tree(rows, judged, key)) for key in every)
        trees = dict(islice(((key, tree) for key, tree in found if tree.height), MOST))
        keys = list(trees)
        if not keys:
            empty = pl.DataFrame(schema=TABLE)
            figure = panels.blank("no tree of these problems in this study")
            return Drawing(figure=figure, table=empty, summary=_summary([]))
        figure, [axes] = panels.panel_grid(len(keys))
        shared = dict(zip(NAMED, keys[0], strict=False))
        names = [name for at, name in enumerate(NAMED) if len({key[at] for key in keys}) > 1]
        panels.header(figure, [_said(name, shared[name]) for name in NAMED if name not in names])
        looks = TreeLooks.of(list(trees.values()))
        for here, (key, tree) in zip(axes, trees.items(), strict=True):
            looks.draw(here, tree)
            known = dict(zip((*PLACE, *TREE), key, strict=True))
            panels.title(here, [*(_said(name, known[name]) for name in names), *_facts(known)])
            here.set_xlabel("steps")
        panels.foot(figure, "", looks.entries)
        looks.bar(figure, axes)
        panels.settle(figure)
        table = pl.concat([_drawn(tree) for tree in trees.values()])
        return Drawing(figure=figure, table=table, summary=_summary(list(trees.values())))


def _tree(rows: pl.DataFrame, judged: pl.DataFrame, key: tuple[Any, ...]) -> pl.DataFrame:
    named = list(zip((*PLACE, *TREE), key, strict=True))
    mine = rows.filter(*(pl.col(name).eq_missing(pl.lit(value, rows.schema[name])) for name, value in named))
    return drawable(mine, judged.filter(*(pl.col(name) == value for name, value in named[: len(PLACE)])))


def _said(name: str, label: Any) -> str:
    return f"problem {label}" if name == "problem_id" else str(label)


def _facts(known: Mapping[str, Any]) -> list[str]:
    return [f"budget {known['budget']}"] if known["budget"] else []


def _drawn(tree: pl.DataFrame) -> pl.DataFrame:
    """Return what is drawn of a tree; of what a node follows, the ids in one text."""
    follows = [" ".join(map(str, nodes)) for nodes in tree["follows"].to_list()]
    table = tree.with_columns(pl.Series("follows", follows, dtype=pl.String))
    return table.select(pl.col(name).cast(dtype) for name, dtype in TABLE.items())


def _summary(trees: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return what each tree amounts to."""
    rows = [
        {
            **{name: tree[name][0] for name in PLACE},
            "problem": tree["problem_id"][0],
            "nodes": counted(tree.height, "node"),
            "tokens": int(tree["generated_tokens"].sum()),
            "completions": sum(map(len, tree["completions"])),
            "correct": int(tree["correct"].fill_null(False).sum()),
        }
        for tree in trees
    ]
    texts = dict.fromkeys((*PLACE, "problem", "nodes"), pl.String)
    numbers = dict.fromkeys(("tokens", "completions", "correct"), pl.Int64)
    return pl.DataFrame(rows, schema={**texts, **numbers})


entry = FigureEntry(
    name="search_trees",
    revision=2,
    aliases=("trees",),
    factory=SearchTrees,
    options=TreeOptions,
    summary="trees of single problems: what a search, a debate or a pool made, and what became of it",
    reads=("trees", "outcomes"),
    caption=(
        "All that was generated for single problems, in a strategy's first run (or for the first completion "
        "of one that converses), by the steps before it. The fill is the score of the text up to there, or "
        "says which model wrote it; a diamond is a text that no model wrote. Bold lines lead to completions; "
        "a dashed one joins an answer to what its chat quotes. The star marks the completion that the "
        "strategy gave most weight, or else the one of the largest score."
    ),
)
