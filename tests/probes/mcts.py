"""Tree search by UCT with a value model, as a third party would write it (Kocsis and Szepesvári 2006)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from math import log, sqrt

from itscale import hookimpl
from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.strategies import StepwiseOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory


class MctsOptions(StepwiseOptions):
    """Options of the search; its budget is the number of rollouts."""

    width: int = 3
    """Children of a node."""
    exploration: float = 1.4
    """Weight of what was seldom visited."""


@dataclass
class Node:
    """A prefix of completions, with the sum of the values of the rollouts through it."""

    trajectory: Trajectory
    above: Node | None = None
    children: list[Node] = field(default_factory=list)
    visits: int = 0
    value: float = 0.0

    def bound(self, exploration: float) -> float:
        return self.value / self.visits + exploration * sqrt(log(self.above.visits) / self.visits)


async def mcts(problem: Question, session: Session, options: MctsOptions) -> list[Completion]:
    """Select by UCT, expand by a step, roll out to the end, and back up what the value model says of it."""
    root, ends, values = Node(session.start()), [], []
    with suppress(BudgetExhausted):
        for _ in range(session.budget):
            node = root
            while len(node.children) == options.width:
                node = max(node.children, key=lambda child: child.bound(options.exploration))
            if not node.trajectory.finished:
                (grown,) = await session.extend([node.trajectory], options.step())
                node.children.append(Node(grown, node))
                node = node.children[-1]
            (end,) = await session.extend([node.trajectory], options.completion())
            (value,) = await session.score([end])
            if not node.visits:  # an end that is met again is handed in once
                ends, values = [*ends, end], [*values, value]
            while node:
                node.visits, node.value, node = node.visits + 1, node.value + value, node.above
    return session.complete(ends, values)


entry = StrategyEntry(
    name="mcts",
    factory=mcts,
    options=MctsOptions,
    draws="runs",
    needs=frozenset({"generate", "continue"}),
    summary="Rollouts from a tree of steps that grows where their values are high.",
)


@hookimpl
def itscale_register_strategies() -> list[StrategyEntry]:
    """Return the strategy."""
    return [entry]
