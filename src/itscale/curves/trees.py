"""Trees read for drawing: the nodes of one session, with their depth, their lane, and what came of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from itscale.errors import DataError, nearest
from itscale.store.parquet import scan_table
from itscale.store.schemas import OUTCOMES, TREES

__all__ = ["TREE", "drawable", "first_trees", "read_tree"]

TREE = ("problem_id", "budget", "replicate", "completion")
"""Columns that name a tree of a task, model and strategy; no completion where a pool or a run is one tree."""

Row = Mapping[str, Any]


def read_tree(
    results: Path,
    task: str,
    model: str,
    strategy: str,
    problem_id: str,
    *,
    budget: int | None = None,
    replicate: int = 0,
    completion: int = 0,
) -> pl.DataFrame:
    """Return one tree of a study, drawable.

    Parameters
    ----------
    results
        The study's folder of results.
    budget
        Of a run-based strategy; its largest if left out.
    replicate
        Which run of that budget.
    completion
        Whose tree, where each completion has its own.

    Of a study that still runs there are the trees of blocks that are done; `correct` is null everywhere as
    long as there are no outcomes.

    Raises
    ------
    DataError
        If there is no such tree, or a file is damaged.
    """
    place = Path(task, model, strategy)
    paths = sorted((results / "trees" / place).glob("p*.parquet"))
    if not paths:
        raise DataError(f"{results / 'trees' / place}: no trees there, expected those of a study that ran")
    tables = [scan_table(path, TREES).select(list(TREES)) for path in paths]
    rows = pl.concat(tables).filter(problem_id=problem_id).collect()
    if rows.is_empty():
        known = pl.concat(tables).select(pl.col("problem_id").unique()).collect()["problem_id"]
        raise DataError(f"{paths[0].parent}: no problem {problem_id!r}; {nearest(problem_id, known)}")
    largest = pl.col("budget") == (pl.col("budget").max() if budget is None else budget)
    own = pl.col("completion").is_null() | (pl.col("completion") == completion)
    found = rows.filter(largest, own, replicate=replicate)
    if found.is_empty():
        raise DataError(
            f"{paths[0].parent}: problem {problem_id!r}: {_absent(rows, budget, replicate, completion)}"
        )
    outcomes = results / "outcomes" / place.with_suffix(".parquet")
    if not outcomes.is_file():
        return drawable(found, pl.DataFrame(schema=dict(OUTCOMES)))
    return drawable(found, scan_table(outcomes, OUTCOMES).filter(problem_id=problem_id).collect())


def _absent(rows: pl.DataFrame, budget: int | None, replicate: int, completion: int) -> str:
    """Say which tree is not there, and which are: of a pool, or of runs."""
    budgets = [int(one) for one in rows["budget"].unique().sort()]
    if budgets == [0]:
        last = rows["completion"].max()
        return f"no tree of completion {completion}; completions end at {last!r}, and a pool has no budgets"
    asked = f"budget {max(budgets) if budget is None else budget}, replicate {replicate}"
    return f"no tree of {asked}; budgets are {budgets}, replicates end at {rows['replicate'].max()!r}"


def first_trees(trees: pl.LazyFrame, problems: Sequence[str], count: int, budget: int | None) -> pl.DataFrame:
    """Return the rows of a few trees of each task, model and strategy, of all that a study has.

    Of runs these are the first of a budget, of conversations those of the first completion.

    Parameters
    ----------
    trees
        Rows of the schema `TREES`, with task, model and strategy.
    problems
        Which problems; the first `count`, in the order of their ids, if there are none.
    budget
        Of runs; the largest if it is None.
    """
    place = ("task", "model", "strategy")
    names = trees.filter(replicate=0).select(*place, *TREE).unique().collect().sort(*place, *TREE)
    if problems:
        names = names.filter(pl.col("problem_id").is_in(list(problems)))
    else:
        numbered = pl.col("problem_id").rank("dense").over(place)
        names = names.filter(numbered <= count)
    wanted = pl.col("budget").max().over(place) if budget is None else pl.lit(budget, pl.Int32)
    names = names.filter((pl.col("budget") == wanted) | (pl.col("budget") == 0))
    names = names.filter(
        pl.col("completion").is_null()
        | (pl.col("completion") == pl.col("completion").min().over(*place, "problem_id"))
    )
    ids = names["problem_id"].unique()
    rows = trees.filter(pl.col("problem_id").is_in(ids.implode()), replicate=0).collect()
    return rows.join(names, on=[*place, *TREE], how="semi", nulls_equal=True)


def drawable(rows: pl.DataFrame, outcomes: pl.DataFrame) -> pl.DataFrame:
    """Return the nodes of one tree as they are drawn, from left to right.

    Parameters
    ----------
    rows
        Of one tree (schema `TREES`), whatever their order; parts of a pool may each have its chat.
    outcomes
        Of its completions (`problem_id`, `budget`, `replicate`, `index`, `correct`), and maybe others.

    Returns
    -------
    polars.DataFrame
        The rows, sorted by depth and lane, with more columns: `depth` (steps before it: those it continues,
        and those its chat quotes), `lane` (where it stands across), `follows` (nodes it is joined to besides
        its parent: what its chat quotes), `correct` (whether a completion that ends there is; null where none
        ends) and `chosen` (whether the completion of the largest weight, or else of the largest score, ends
        there). A chat of the strategy's own is no node of these: what is drawn from it follows what it
        quotes.
    """
    nodes = _merged(rows)
    above = {node: _above(row, nodes) for node, row in nodes.items()}
    shown = {node: row for node, row in nodes.items() if not _hidden(row)}
    above |= _without_circles({node: above[node] for node in shown})
    depths = _depths(shown, above)
    lanes = _lanes(shown, above, depths)
    run = dict(zip(TREE[:3], rows.select(*TREE[:3]).row(0), strict=True)) if rows.height else {}
    judged = outcomes.filter(**run).select("index", pl.col("correct").fill_null(False))
    right = dict(judged.iter_rows())
    chosen = _chosen(shown)
    facts = [
        {
            **row,
            "depth": depths[node],
            "lane": lanes[node],
            "parent": above[node][0] if above[node] else None,
            "follows": above[node][1:],
            "correct": _any_right(row, right),
            "chosen": node == chosen,
        }
        for node, row in shown.items()
    ]
    more = {"depth": pl.Int64, "lane": pl.Float64, "follows": pl.List(pl.Int64)}
    schema: dict[str, Any] = {**rows.schema, **more, "correct": pl.Boolean, "chosen": pl.Boolean}
    return pl.DataFrame(facts, schema=schema).sort("depth", "lane", "node")


def _any_right(row: Row, right: Mapping[int, bool]) -> bool | None:
    """Return whether a completion that ends at a node is correct; None if none does, or none is judged."""
    if not (right and row["completions"]):
        return None
    return any(right.get(index, False) for index in row["completions"])


def _merged(rows: pl.DataFrame) -> dict[int, dict[str, Any]]:
    """Return rows by node; of a chat that parts of a pool have in common, one with all its children."""
    nodes: dict[int, dict[str, Any]] = {}
    for row in rows.sort("node", "parent", nulls_last=False).iter_rows(named=True):
        if row["node"] in nodes:
            nodes[row["node"]]["children"] += row["children"]
        else:
            nodes[row["node"]] = row
    return nodes


def _hidden(row: Row) -> bool:
    """Return whether a node is a chat that the strategy made up: it stands for what it quotes."""
    return bool(row["kind"] == "chat" and row["node"] != 0)


def _above(row: Row, nodes: Mapping[int, Row]) -> list[int]:
    """Return the nodes that one is drawn after, the first of them in its lane: of its model, if one is."""
    if row["parent"] is None:
        return []
    parent = nodes.get(row["parent"])
    if parent is None:
        return []
    if not _hidden(parent):
        return [parent["node"]]
    quoted = [node for node in parent["reads"] if node in nodes and not _hidden(nodes[node])]
    quoted.sort(key=lambda node: nodes[node]["by"] != row["by"])  # else as its strategy names them
    return quoted or [node for node in (0,) if node in nodes]


def _without_circles(above: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
    """Return what each node is drawn after, without what comes after the node itself.

    Equal texts make equal chats: one that was written twice quotes what is older than its answer, and what
    came of that answer. Where every node that is left waits for another, the one that waits for the fewest
    goes first, without those.
    """
    below: dict[int, list[int]] = {node: [] for node in above}
    waits = {node: len(before) for node, before in above.items()}
    for node, before in above.items():
        for one in before:
            below[one].append(node)
    kept: dict[int, list[int]] = {}
    ready = deque(node for node, count in waits.items() if count == 0)
    while len(kept) < len(above):
        if not ready:
            left = [node for node in above if node not in kept]
            reached = [node for node in left if waits[node] < len(above[node])] or left
            ready.append(min(reached, key=lambda node: (waits[node], node)))
        node = ready.popleft()
        if node in kept:
            continue
        kept[node] = [one for one in above[node] if one in kept]
        for one in below[node]:
            waits[one] -= 1
            if waits[one] == 0:
                ready.append(one)
    return kept


def _depths(nodes: Mapping[int, Row], above: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """Return how many steps come before each node, along the longest way."""
    depths: dict[int, int] = {}
    for start in nodes:
        waiting = [start]
        while waiting:
            node = waiting[-1]
            before = [one for one in above[node] if one not in depths]
            if before:
                waiting += before
                continue
            depths[waiting.pop()] = 1 + max((depths[one] for one in above[node]), default=-1)
    return {node: depths[node] for node in nodes}


def _lanes(
    nodes: Mapping[int, Row], above: Mapping[int, Sequence[int]], depths: Mapping[int, int]
) -> dict[int, float]:
    """Return where each node stands across: leaves side by side, others amid what continues them."""
    below: dict[int, list[int]] = {node: [] for node in nodes}
    for node in nodes:
        for one in above[node][:1]:
            below[one].append(node)
    order = list(_from_the_left(nodes, above, below))
    lanes: dict[int, float] = {}
    leaves = 0
    for node in order:
        if not below[node]:
            lanes[node], leaves = float(leaves), leaves + 1
    for node in sorted(nodes, key=lambda one: -depths[one]):
        if below[node]:
            lanes[node] = sum(lanes[one] for one in below[node]) / len(below[node])
    return lanes


def _from_the_left(
    nodes: Mapping[int, Row], above: Mapping[int, Sequence[int]], below: Mapping[int, Sequence[int]]
) -> Iterator[int]:
    """Yield nodes depth first: what has the larger score, or a completion, before the rest."""

    def rank(node: int) -> tuple[Any, ...]:
        row = nodes[node]
        return row["by"] or "", -(row["score"] or 0.0), node

    waiting = sorted((node for node in nodes if not above[node]), key=rank, reverse=True)
    while waiting:
        node = waiting.pop()
        yield node
        waiting += sorted(below[node], key=rank, reverse=True)


def _chosen(nodes: Mapping[int, Row]) -> int | None:
    """Return where the completion of most weight ends, else of the largest score, else the only one."""
    ends = {node: row for node, row in nodes.items() if row["completions"]}
    weights = {node: [one for one in row["weights"] if one is not None] for node, row in ends.items()}
    scores = {node: row["score"] for node, row in ends.items() if row["score"] is not None}
    if any(weights.values()):
        return max(ends, key=lambda node: (sum(weights[node]), -node))
    if scores:
        return max(scores, key=lambda node: (scores[node], -node))
    return next(iter(ends)) if len(ends) == 1 else None
