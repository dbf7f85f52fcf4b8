"""Nodes: the tree of a session as rows of a table, in one order, as far as a study keeps it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from itscale.sampling.lineage import is_chosen, is_cut, node_of
from itscale.sampling.tree import Tree
from itscale.sampling.units import Unit
from itscale.types import Completion, Lineage, Trajectory

__all__ = ["Grown", "Recorder", "nodes_left_out"]

Kind = Literal["chat", "drawn", "cut", "chosen", "given"]
"""What a node is: a chat that was begun, a step that a model drew, the beginning of one (which has no tokens
of its own here: the step has them), a token of a model's that the strategy chose, or a text that no model
wrote."""

Status = Literal["done", "cancelled", "failed"]
"""What became of it: a request that failed took those with it that were asked for in the same call."""


@dataclass(frozen=True)
class Grown:
    """What a unit made: a row for each node that is kept (schema `TREES`), and how many more there were."""

    rows: list[dict[str, Any]]
    left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """Makes rows of the nodes of a session's tree.

    Attributes
    ----------
    model
        Label of the model that is sampled.
    scorer
        Label of the scorer that the strategy asks; None if it asks none.
    pooled
        Whether the unit, if it is no run, is a part of a pool: its tree is the problem's, else its own.
    text
        Characters of each text that are kept.
    nodes
        Most nodes of a unit that are kept: those of its completions first, then from the chats downwards.
    """

    model: str
    scorer: str | None
    pooled: bool
    text: int
    nodes: int

    def record(self, tree: Tree, unit: Unit, completions: Sequence[Completion]) -> Grown:
        """Return the nodes of a unit, parents before children: in the order of their lineages.

        Neither timing nor the cut into blocks changes a row, but for what was cancelled.
        """
        made: dict[Lineage, Trajectory] = {
            **tree.roots,
            **{one.lineage: one for one in tree.made.values()},
        }
        every = [*made, *tree.lost]
        kept = set(self._chosen(made, every, tree, completions))
        identity = {
            "problem_id": unit.problem_id,
            "budget": unit.budget,
            "replicate": unit.replicate,
            "completion": None if self.pooled or unit.budget else unit.start,
        }
        children = Counter(lineage[:-1] for lineage in every if lineage not in tree.roots)
        ends: dict[int, list[Completion]] = {}
        for one in completions:
            ends.setdefault(one.nodes[-1] if one.nodes else 0, []).append(one)
        rows = []
        for lineage in sorted(kept):
            row = self._made(made[lineage], tree) if lineage in made else self._lost(lineage, tree)
            node = node_of(lineage)
            here = sorted(ends.get(node, ()), key=lambda one: one.index)
            rows.append(
                {
                    **identity,
                    "node": node,
                    "parent": None if lineage in tree.roots else node_of(lineage[:-1]),
                    **row,
                    "children": children[lineage],
                    "completions": [one.index for one in here],
                    "weights": [None if one.weight is None else float(one.weight) for one in here],
                }
            )
        return Grown(rows, len(every) - len(kept))

    def _chosen(
        self,
        made: dict[Lineage, Trajectory],
        every: Iterable[Lineage],
        tree: Tree,
        completions: Sequence[Completion],
    ) -> list[Lineage]:
        """Return the nodes that are kept; with each, what it continues."""
        by_node = {node_of(lineage): lineage for lineage in made}
        paths: dict[Lineage, None] = {}
        for one in completions:
            if one.nodes:
                last = by_node[one.nodes[-1]]
                paths |= dict.fromkeys(lineage for lineage in _beginnings(last) if lineage in made)
        paths |= dict.fromkeys(sorted(every, key=lambda lineage: (len(lineage), lineage)))
        return list(paths)[: self.nodes]

    def _made(self, one: Trajectory, tree: Tree) -> dict[str, Any]:
        if one.step is None:
            said = one.messages[-1]["content"] if one.messages else ""
            # Which of equal chats came first depends on timing: their orders follow one another by number.
            reads = list(dict.fromkeys(node for order in sorted(tree.reads[one.lineage]) for node in order))
            return _row("chat", "done", text=said[: self.text], characters=len(said), reads=reads)
        step, node = one.step, one.node
        score = tree.scores.get(node)
        cut = is_cut(one.lineage)
        drawn: Kind = "chosen" if is_chosen(one.lineage) else "cut" if cut else "drawn"
        row = _row(
            "given" if step.given else drawn,
            "done",
            by=None if step.given else step.by or self.model,
            text=step.text[: self.text],
            characters=len(step.text),
            logprob=None if step.given else step.logprob,
            finish_reason=one.finish_reason,
            score=score,
            scorer=None if score is None else self.scorer,
        )
        if not step.given and not cut:
            row["prompt_tokens"] = tree.prompts.get(node, 0)  # reading for a token is another call
            row["generated_tokens"] = step.tokens if step.counted else None
        return row

    def _lost(self, lineage: Lineage, tree: Tree) -> dict[str, Any]:
        lost = tree.lost[lineage]
        row = _row("drawn", "cancelled" if lost.cancelled else "failed", by=lost.by or self.model)
        row["prompt_tokens"], row["generated_tokens"] = lost.prompt_tokens, lost.generated_tokens
        return row


def _row(kind: Kind, status: Status, **values: Any) -> dict[str, Any]:
    empty = dict.fromkeys(
        ("by", "text", "characters", "logprob", "finish_reason", "score", "scorer"), None
    ) | {"prompt_tokens": 0, "generated_tokens": 0, "reads": []}
    return {"kind": kind, "status": status, **empty, **values}


def _beginnings(lineage: Lineage) -> Iterable[Lineage]:
    """Yield what a lineage continues, from its chat on, and itself."""
    return (lineage[:length] for length in range(len(lineage) + 1))


def nodes_left_out(grown: Iterable[tuple[Unit, Grown]]) -> list[dict[str, Any]]:
    """Return the units of which nodes are left out, as footers hold them: JSON values."""
    return [{**asdict(unit), "nodes": one.left_out} for unit, one in grown if one.left_out]
