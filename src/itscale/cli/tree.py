"""`itscale tree`: what a search, a debate or a pool of one problem made, printed as a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itscale.errors import DataError, nearest

if TYPE_CHECKING:
    import polars as pl
    from rich.text import Text
    from rich.tree import Tree

__all__ = ["tree"]

WIDEST = 2000
"""Characters of a line where no terminal says how many fit."""

Row = Mapping[str, Any]
Place = tuple[str, str, str]


def tree(
    study: Annotated[Path, typer.Argument(help="the study, a YAML file")],
    problem: Annotated[str, typer.Argument(help="id of the problem")],
    task: Annotated[str | None, typer.Option(help="label of its task")] = None,
    model: Annotated[str | None, typer.Option(help="label of the sampled model")] = None,
    strategy: Annotated[str | None, typer.Option(help="label of the strategy")] = None,
    budget: Annotated[int | None, typer.Option(min=1, help="of a run; the largest if left out")] = None,
    replicate: Annotated[int, typer.Option(min=0, help="which run of the budget")] = 0,
    completion: Annotated[int, typer.Option(min=0, help="whose tree, where each has its own")] = 0,
    depth: Annotated[int | None, typer.Option(min=0, help="steps to go down; all if left out")] = None,
    nodes: Annotated[int, typer.Option(min=1, help="nodes to print at most")] = 200,
    text: Annotated[int, typer.Option(min=0, help="characters of the text of a node")] = 60,
) -> None:
    """Print what one problem's search, debate or pool made as a tree, also while the study runs.

    A line is a node: its score, the model that wrote it, tokens, why it ended, and the beginning of its text.
    What has a single continuation has it right below, in the same column.
    """
    from itscale.cli.console import LiteralConsole
    from itscale.curves.trees import read_tree

    results = Path("results", _name(study))
    place = _place(results, problem, {"task": task, "model": model, "strategy": strategy})
    found = read_tree(results, *place, problem, budget=budget, replicate=replicate, completion=completion)
    console = LiteralConsole(soft_wrap=False)
    if not console.is_terminal:
        console.width = WIDEST
    console.print(_headline(place, found), style="bold")
    for root in _trees(found, depth, nodes, text):
        console.print(root)


def _name(study: Path) -> str:
    """Return the name of a study without resolving it: it may name plugins that are not installed here."""
    from itscale.study.resolution import read_document

    name = read_document(study).data.get("study")
    if not isinstance(name, str):
        raise DataError(f"{study}: study: found {name!r}, expected the name of the study")
    return name


def _place(results: Path, problem: str, wanted: Mapping[str, str | None]) -> Place:
    """Return the one task, model and strategy, of those that are wanted, that has trees of a problem."""
    root = results / "trees"
    places = sorted({path.parent.relative_to(root).parts for path in root.glob("*/*/*/p*.parquet")})
    if not places:
        raise DataError(f"{root}: no trees there yet, expected those of a study that ran or runs")
    for at, (name, label) in enumerate(wanted.items()):
        if label is None:
            continue
        known = [place[at] for place in places]
        if label not in known:
            raise DataError(f"--{name}: no trees of {label!r} there; {nearest(label, known)}")
        places = [place for place in places if place[at] == label]
    if len(places) > 1:
        problems = {place: _problems(root.joinpath(*place)) for place in places}
        having = [place for place in places if problem in problems[place]]
        if not having:
            raise DataError(
                f"{root}: no problem {problem!r}; {nearest(problem, set().union(*problems.values()))}"
            )
        if len(having) > 1:
            told = ", ".join("/".join(place) for place in having)
            differ = [name for at, name in enumerate(wanted) if len({place[at] for place in having}) > 1]
            options = " and ".join(f"--{name}" for name in differ)
            raise DataError(f"{root}: problem {problem!r} has trees of {told}; choose with {options}")
        places = having
    task, model, strategy = places[0]
    return task, model, strategy


def _problems(folder: Path) -> set[str]:
    from itscale.store.parquet import read_table
    from itscale.store.schemas import TREES

    ids = [
        read_table(path, TREES, ["problem_id"])["problem_id"] for path in sorted(folder.glob("p*.parquet"))
    ]
    return set().union(*ids)


def _headline(place: Place, found: pl.DataFrame) -> str:
    from itscale.messages.numbers import counted

    row = found.row(0, named=True)
    run = f", budget {row['budget']}, replicate {row['replicate']}" if row["budget"] else ""
    ends = found.filter(found["completions"].list.len() > 0)
    completions = sum(map(len, ends["completions"]))
    right = int(ends["correct"].fill_null(False).sum())
    judged = f"{right} correct" if ends["correct"].drop_nulls().len() else "not judged yet"
    tokens = int(found["generated_tokens"].sum())
    return (
        f"{'/'.join(place)}, problem {row['problem_id']}{run}: {counted(found.height, 'node')}, "
        f"{counted(tokens, 'generated token')}, {counted(completions, 'completion')} ({judged})"
    )


def _trees(found: pl.DataFrame, depth: int | None, most: int, text: int) -> list[Tree]:
    """Return what is printed: the way to what was chosen, then nodes from the top down, `most` of them."""
    rows = {row["node"]: row for row in found.iter_rows(named=True)}
    shown = _shown(rows, depth, most)
    numbers = {node: at for at, node in enumerate(rows)}
    quoted = {node for row in rows.values() for node in (row["node"], *row["follows"]) if row["follows"]}
    below: dict[int | None, list[Row]] = {}
    for row in rows.values():
        below.setdefault(row["parent"], []).append(row)

    def line(row: Row) -> Text:
        name = f"#{numbers[row['node']]}" if row["node"] in quoted else ""
        return _line(row, name, [f"#{numbers[node]}" for node in row["follows"]], text)

    roots: list[Tree] = []
    waiting: list[tuple[Row | int, Tree | None]] = [(row, None) for row in reversed(below.get(None, []))]
    while waiting:
        next_one, above = waiting.pop()
        if isinstance(next_one, int):
            _branch([_plain(f"... {next_one:,} more", "dim")], above)
            continue
        lines, children = [line(next_one)], below.get(next_one["node"], [])
        while len(children) == 1 and above is not None and children[0]["node"] in shown:
            lines.append(line(children[0]))
            children = below.get(children[0]["node"], [])
        here = _branch(lines, above)
        roots += [here] if above is None else []
        if hidden := _hidden(children, below, shown):
            waiting.append((hidden, here))
        waiting += [(child, here) for child in reversed(children) if child["node"] in shown]
    return roots


def _shown(rows: Mapping[int, Row], depth: int | None, most: int) -> set[int]:
    """Return the nodes that are printed; with one there is all that it continues."""
    shown: set[int] = set()
    first = [node for node, row in rows.items() if row["chosen"]]
    for node in (*first, *rows):
        way: list[int] = []
        here: int | None = node
        while here is not None and here in rows and here not in shown:
            way.append(here)
            here = rows[here]["parent"]
        deepest = rows[node]["depth"]
        if len(shown) + len(way) <= most and (depth is None or deepest <= depth):
            shown.update(way)
    return shown | {node for node, row in rows.items() if row["parent"] is None}


def _hidden(children: Sequence[Row], below: Mapping[int | None, Sequence[Row]], shown: set[int]) -> int:
    """Return how many nodes are left out below one."""
    waiting = [child for child in children if child["node"] not in shown]
    count = 0
    while waiting:
        count += 1
        waiting += below.get(waiting.pop()["node"], [])
    return count


def _branch(lines: Sequence[Text], above: Tree | None) -> Tree:
    from rich.console import Group
    from rich.tree import Tree

    label = lines[0] if len(lines) == 1 else Group(*lines)
    return Tree(label) if above is None else above.add(label)


def _line(row: Row, name: str, follows: Sequence[str], width: int) -> Text:
    """Return a node as a line: what is known of it, and the beginning of its text, which is never obeyed."""
    from itscale.messages.numbers import counted
    from itscale.messages.printable import one_line

    said = [name, "" if row["score"] is None else f"{row['score']:.3f}", row["by"] or row["kind"]]
    said += [counted(row["generated_tokens"], "token")] if row["by"] else []
    said += [row["finish_reason"] or "", row["status"] if row["status"] != "done" else ""]
    said += [f"after {', '.join(follows)}, too"] if follows else []
    if row["completions"]:
        indices = ", ".join(map(str, row["completions"]))
        verdict = {True: " correct", False: " wrong", None: ""}[row["correct"]]
        said.append(f"completion {indices}{verdict}")
    said += ["chosen"] if row["chosen"] else []
    style = "bold" if row["chosen"] else {True: "green", False: "red"}.get(row["correct"], "")
    line = _plain(one_line(" · ".join(filter(None, said))), style)
    words = one_line((row["text"] or "")[: 4 * width])
    if width and words:
        cut = len(words) > width or (row["characters"] or 0) > len(row["text"] or "")
        line.append(f"  {words[:width].rstrip()}{'...' if cut else ''}", style="dim")
    return line


def _plain(text: str, style: str) -> Text:
    from rich.text import Text

    return Text(text, style=style, no_wrap=True, overflow="ellipsis")
