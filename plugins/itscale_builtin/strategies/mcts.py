"""Monte Carlo tree search over steps, by UCT or PUCT (Kocsis and Szepesvári 2006; Liu F. et al. 2025)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from math import exp, inf, log, sqrt
from typing import Literal

from pydantic import Field

from itscale.errors import BudgetExhausted, EngineError
from itscale.plugins import StrategyEntry
from itscale.plugins.strategies import StepwiseOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory


class MctsOptions(StepwiseOptions):
    """Options of the search; the number of simulations is the budget of the run."""

    policy: Literal["uct", "puct"] = "uct"
    """What child is descended to: `uct`, Q/N + exploration * sqrt(ln N_parent / N); or `puct`, Q/N + prior *
    (ln((N_parent + c_base + 1) / c_base) + c_puct) * sqrt(N_parent) / (1 + N)."""
    width: int = Field(default=4, ge=1, le=1_000)
    """Children of a node: steps drawn when it is expanded."""
    exploration: float = Field(default=2.0, ge=0, le=1e6)
    """Weight of what was seldom visited, of `uct` (2 in rStar's code)."""
    c_puct: float = Field(default=1.25, ge=0, le=1e6)
    """Weight of what was seldom visited, of `puct`."""
    c_base: float = Field(default=19652.0, gt=0, le=1e12)
    """Visits after which that weight grows, of `puct`."""
    prior: Literal["uniform", "likelihood"] = "uniform"
    """Prior of a child, of `puct`: equal shares, as children are drawn from the model and so come as often as
    it thinks; or shares by the mean probability of their tokens, which an engine must report."""
    max_steps: int = Field(default=8, ge=1, le=1_000_000)
    """Depth of the tree: nodes there are rolled out, but not expanded."""


@dataclass(eq=False)
class Node:
    """A prefix of completions, with the sum of the values of the simulations through it."""

    trajectory: Trajectory
    parent: Node | None = None
    prior: float = 1.0
    children: list[Node] = field(default_factory=list)
    visits: int = 0
    value: float = 0.0

    @property
    def mean(self) -> float:
        """Mean value of the simulations through it; 0 before the first."""
        return self.value / self.visits if self.visits else 0.0

    def up(self) -> Iterator[Node]:
        """Yield the path to the root, this node first."""
        here: Node | None = self
        while here is not None:
            yield here
            here = here.parent


async def mcts(problem: Question, session: Session, options: MctsOptions) -> list[Completion]:
    """Simulate: select a leaf, expand all its children, roll one out to the end, and back its score up.

    The budget counts simulations. Each draws M steps and a completion that goes on from one of them, and
    takes one score: so a run may generate `max_tokens` and M - 1 steps for each. Every completion that was
    rolled out is handed in, once, with its score as its weight; a simulation that selects a finished path
    visits it again, and costs nothing. The child that is rolled out is drawn at random, as in rStar's code;
    a roll-out is one request, whose steps do not become nodes.
    """
    root = Node(session.start())
    ends: list[Trajectory] = []
    scores: dict[int, float] = {}
    with suppress(BudgetExhausted):
        for _ in range(session.budget):
            node = select(root, options, session)
            if not node.trajectory.finished and len(node.trajectory.steps) < options.max_steps:
                await expand(node, session, options)
                node = node.children[int(session.rng.integers(options.width))]
            (end,) = await session.extend([node.trajectory], options.completion())
            (score,) = await session.score([end])
            if end.node not in scores:
                ends.append(end)
            scores[end.node] = float(score)
            back_up(node, float(score))
    if not ends:
        return session.complete([root.trajectory])
    return session.complete(ends, [scores[end.node] for end in ends])


def select(root: Node, options: MctsOptions, session: Session) -> Node:
    """Descend to a leaf by the best child of every node, ties at random."""
    node = root
    while node.children:
        bounds = [bound(child, node, options) for child in node.children]
        ties = [child for child, one in zip(node.children, bounds, strict=True) if one == max(bounds)]
        node = ties[int(session.rng.integers(len(ties)))]
    return node


async def expand(node: Node, session: Session, options: MctsOptions) -> None:
    """Give a node all its children."""
    steps = await session.extend([node.trajectory] * options.width, options.step())
    priors = likelihoods(steps) if options.prior == "likelihood" else [1 / len(steps)] * len(steps)
    node.children = [Node(step, node, prior) for step, prior in zip(steps, priors, strict=True)]


def back_up(node: Node, score: float) -> None:
    """Count a simulation, and what came of it, in every node of its path."""
    for one in node.up():
        one.visits += 1
        one.value += score


def bound(child: Node, parent: Node, options: MctsOptions) -> float:
    """Return what a child is selected by."""
    if options.policy == "uct":
        if not child.visits:
            return inf
        return child.mean + options.exploration * sqrt(log(parent.visits) / child.visits)
    grown = log((parent.visits + options.c_base + 1) / options.c_base) + options.c_puct
    return child.mean + child.prior * grown * sqrt(parent.visits) / (1 + child.visits)


def likelihoods(steps: list[Trajectory]) -> list[float]:
    """Return each step's share of the mean probabilities of their tokens.

    Raises
    ------
    EngineError
        If the engine reported no log-probabilities.
    """
    means = []
    for one in steps:
        if one.step is None or one.step.logprob is None:
            raise EngineError("strategies/mcts: prior likelihood: the engine reports no log-probabilities")
        means.append(exp(min(one.step.logprob, 0.0) / max(one.step.tokens, 1)))
    total = sum(means)
    return [mean / total for mean in means] if total else [1 / len(means)] * len(means)


def grant(options: MctsOptions, budget: int) -> int:
    """Return the tokens of so many simulations: a completion each, and the steps beside its first."""
    return budget * (options.max_tokens + (options.width - 1) * min(options.step_tokens, options.max_tokens))


entry = StrategyEntry(
    name="mcts",
    aliases=("monte_carlo_tree_search",),
    factory=mcts,
    family="search",
    options=MctsOptions,
    draws="runs",
    axis="simulations",
    hands_in=lambda options, budget: budget,
    grant=grant,
    needs=frozenset({"generate", "continue"}),
    summary="Roll-outs from a tree of steps that grows where their scores are high.",
    reference="Kocsis and Szepesvári 2006; Liu F. et al. 2025, Bag of Tricks; Qi et al. 2024 (rStar)",
)
