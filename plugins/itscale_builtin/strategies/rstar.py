"""rStar: five actions, UCT, and solutions that a second model comes to as well (Qi et al. 2024)."""

from collections.abc import Iterator, Sequence
from math import ceil, inf, log, sqrt

from pydantic import Field

from itscale.plugins import StrategyEntry
from itscale.plugins.prompts import fill
from itscale.plugins.references import ModelLabel
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory
from itscale_builtin.strategies._panel import instead, together
from itscale_builtin.strategies._rstar_actions import ActionOptions, Node, expand, most_tokens, root


class RStarOptions(ActionOptions):
    """Options of rStar; the number of roll-outs is the budget of the run (32 in the paper)."""

    exploration: float = Field(default=2.0, ge=0, le=1e6)
    """Weight w of what was seldom visited."""
    discriminator: ModelLabel | None = None
    """Label of the second model, which completes solutions from a beginning of theirs; none is asked if left
    out, and all solutions are taken."""
    masks: int = Field(default=4, ge=1, le=100)
    """Beginnings of each solution that it completes."""
    shortest: float = Field(default=0.2, ge=0, le=1)
    """Least share of a solution's steps that it is shown (0.2 in paper and code)."""
    longest: float = Field(default=0.8, ge=0, le=1)
    """Largest share (0.8 in the paper, 0.5 in the code)."""
    agreement: float = Field(default=0.5, ge=0, le=1)
    """Share of its completions that must come to the same answer."""


async def rstar(problem: Question, session: Session, options: RStarOptions) -> list[Completion]:
    """Roll out solutions of five actions by UCT; keep those that a second model completes alike.

    A roll-out descends by Q/N + w sqrt(ln N_parent / N) to a node without children, takes all actions that
    may follow there, and goes on from one of them at random, in the same way, until a solution is finished.
    Its reward, the share of `votes` for its answer, is backed up to every node of its path. Actions: one
    step; all steps that are left; a sub-question with its answer; an answer to it once more (only right after
    it); the problem in other words (only first).

    Then the discriminator is shown `masks` beginnings of each solution and completes them; a solution counts
    if enough completions have its answer. Its weight is the mean reward over the nodes of its path times its
    own confidence; 0 if it does not count, unless none does. All distinct solutions are handed in.

    Charged: every action (tens of calls a roll-out), every vote, every completion of the discriminator.
    Departures: prompts are short instructions, not the paper's worked examples; a sub-question that restates
    the problem does not end a solution, only action 2 does; how many completions must agree was not verified.
    """
    top, ends = root(problem), dict[str, Node]()
    for _ in range(session.budget):
        end = await roll_out(top, problem, session, options)
        if end is None:
            break
        ends[end.name] = end
        back_up(end)
    solutions = list(ends.values())
    if not solutions:
        return session.complete([session.start()])
    made = [node.made or session.start() for node in solutions]
    weights = [path_reward(node) * node.confidence for node in solutions]
    kept = await agreeing(solutions, problem, session, options)
    if any(kept):
        weights = [weight if keep else 0.0 for weight, keep in zip(weights, kept, strict=True)]
    return session.complete(made, weights)


async def roll_out(top: Node, problem: Question, session: Session, options: RStarOptions) -> Node | None:
    """Return the end of a roll-out; None if the tokens ran out, or the model takes no action."""
    node, explored = top, True
    while node.action != "finish":
        if not node.children:
            explored = False
            await expand(node, problem, session, options)
        if not node.children:
            return None
        node = select(node, options, session) if explored else _any(node.children, session)
    return node


def select(node: Node, options: RStarOptions, session: Session) -> Node:
    """Return the child with the best bound, ties at random."""
    bounds = [bound(child, node, options.exploration) for child in node.children]
    return _any([one for one, its in zip(node.children, bounds, strict=True) if its == max(bounds)], session)


def bound(child: Node, parent: Node, exploration: float) -> float:
    """Return what a child is selected by; what was never visited comes first."""
    if not child.visits:
        return inf
    return child.value / child.visits + exploration * sqrt(log(parent.visits) / child.visits)


def _any(nodes: Sequence[Node], session: Session) -> Node:
    return nodes[int(session.rng.integers(len(nodes)))]


def path(node: Node) -> Iterator[Node]:
    """Yield a node and all above it."""
    here: Node | None = node
    while here is not None:
        yield here
        here = here.parent


def back_up(end: Node) -> None:
    """Count a roll-out and its reward in every node of its path."""
    for node in path(end):
        node.visits += 1
        node.value += end.confidence


def path_reward(end: Node) -> float:
    """Return the mean reward of the roll-outs through each node below the root, averaged over the nodes."""
    means = [node.value / node.visits for node in path(end) if node.parent is not None]
    return sum(means) / len(means)


async def agreeing(
    solutions: Sequence[Node], problem: Question, session: Session, options: RStarOptions
) -> list[bool]:
    """Return which solutions the discriminator completes to the same answer."""
    if options.discriminator is None:
        return [True] * len(solutions)
    low, high = sorted((options.shortest, options.longest))
    shares = [session.rng.uniform(low, high, size=options.masks) for _ in solutions]
    checks = [
        _completed(node, float(share), f"{node.name} mask {number}", problem, session, options)
        for node, its in zip(solutions, shares, strict=True)
        for number, share in enumerate(its)
    ]
    answers = [one and session.answer(one) for one in await together(checks)]
    kept = []
    for place, node in enumerate(solutions):
        own = session.answer(node.made) if node.made else None
        theirs = answers[place * options.masks : (place + 1) * options.masks]
        same = sum(own is not None and answer == own for answer in theirs)
        kept.append(same >= options.agreement * options.masks and same > 0)
    return kept


async def _completed(
    node: Node, share: float, key: str, problem: Question, session: Session, options: RStarOptions
) -> Trajectory:
    """Return what the discriminator makes of the beginning of a solution."""
    shown = beginning((*node.steps, node.made.text if node.made else ""), share)
    asked = fill(options.finish, problem=node.problem, steps=shown)
    reads = [node.made] if node.made else []
    by = options.discriminator
    return await session.write(instead(problem, asked), options.completion(), by=by, key=key, reads=reads)


def beginning(steps: Sequence[str], share: float) -> str:
    """Return a share of a solution's lines, never all of them; of one that is a single line, of its words."""
    parts, joint = [line for step in steps for line in step.splitlines() if line.strip()], "\n"
    if len(parts) == 1:
        parts, joint = parts[0].split(), " "
    return joint.join(parts[: min(ceil(share * len(parts)), len(parts) - 1)])


def grant(options: RStarOptions, budget: int) -> int:
    """Return how many tokens so many roll-outs may take, and the completions of their solutions."""
    checked = options.masks * options.max_tokens if options.discriminator is not None else 0
    return budget * (most_tokens(options) + checked)


entry = StrategyEntry(
    name="rstar",
    aliases=("mutual_reasoning",),
    family="search",
    factory=rstar,
    options=RStarOptions,
    draws="runs",
    axis="roll-outs",
    hands_in=lambda options, budget: budget,
    grant=grant,
    summary="Roll-outs of five reasoning actions by UCT; a second model completes them, and has to agree.",
    reference="Qi et al. 2024, Mutual Reasoning Makes Smaller LLMs Stronger Problem-Solvers",
)
