"""The tree of a session: every step that was generated or given, and the completions that are paths in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from itscale.sampling.units import Unit
from itscale.types import Completion, FinishReason, Lineage, Message, Question, Step, Trajectory

__all__ = ["Tree", "counted_tokens"]


class Tree:
    """Trajectories by the node of their last step.

    Parameters
    ----------
    question
        What they are about.
    unit
        Whose completions are handed in.

    Attributes
    ----------
    scores
        By node, the score of the trajectory that ends there.
    contexts
        By node, tokens that no model wrote of what its step was generated from; None where nobody counted.
    """

    def __init__(self, question: Question, unit: Unit) -> None:
        self.scores: dict[int, float] = {}
        self.contexts: dict[int, int | None] = {}
        self._question = question
        self._unit = unit
        self._roots: dict[Lineage, Trajectory] = {}
        self._made: dict[int, Trajectory] = {}
        self._numbers: dict[int, int] = {}  # by node, its number among those handed in

    @property
    def next_node(self) -> int:
        """Node of the next step."""
        return len(self._made) + 1

    def begin(self, messages: tuple[Message, ...] | None, lineage: Lineage) -> Trajectory:
        """Return the trajectory that a chat begins with: one and the same for one lineage."""
        begun = Trajectory(self._question, messages=messages, lineage=lineage)
        return self._roots.setdefault(lineage, begun)

    def keep(
        self, parent: Trajectory, step: Step, reason: FinishReason | None, lineage: Lineage
    ) -> Trajectory:
        """Return a trajectory with a step more, which the tree knows from now on."""
        made = Trajectory(self._question, parent, step, reason, parent.messages, lineage)
        self._made[step.node] = made
        return made

    def has(self, trajectory: Trajectory) -> bool:
        """Return whether a trajectory is one of this tree's own: not one that is like it."""
        known = self._made.get(trajectory.node) or self._roots.get(trajectory.lineage)
        return trajectory is known

    def context_tokens(self, trajectory: Trajectory) -> int | None:
        """Return how many tokens of what a trajectory was generated from no model wrote; None if unknown."""
        generated = [step.node for step in trajectory.steps if not step.given]
        return self.contexts[generated[-1]] if generated else 0

    def number(self, trajectories: Sequence[Trajectory]) -> None:
        """Give numbers to the nodes of what is handed in, by lineage: timing shows in the order of making."""
        nodes = {step.node for trajectory in trajectories for step in trajectory.steps}
        ordered = sorted(nodes, key=lambda node: self._made[node].lineage)
        self._numbers = {node: number for number, node in enumerate(ordered, 1)}

    def path(self, numbers: Sequence[int]) -> Trajectory | None:
        """Return the trajectory of these numbers, first step to last; None if they are no path."""
        nodes = {number: node for node, number in self._numbers.items()}
        here: Trajectory | None = Trajectory(self._question)
        for place, number in enumerate(numbers):
            above, here = here, self._made.get(nodes.get(number, 0))
            expected = above.node if above and place else 0
            if here is None or here.parent is None or here.parent.node != expected:
                return None
        return here

    def completion(
        self, index: int, trajectory: Trajectory, reason: FinishReason, weight: float | None
    ) -> Completion:
        """Return a trajectory as the completion at a place of the unit."""
        steps = trajectory.steps
        ends = np.cumsum([len(step.text) for step in steps], dtype=int)
        logprobs = [step.logprob for step in steps]
        return Completion(
            problem_id=self._question.problem_id,
            budget=self._unit.budget,
            replicate=self._unit.replicate,
            index=index,
            text=trajectory.text,
            finish_reason=reason,
            prompt_tokens=self.context_tokens(trajectory),
            generated_tokens=counted_tokens(steps),
            logprob=None if None in logprobs else float(sum(lp for lp in logprobs if lp is not None)),
            step_ends=[int(end) for end in ends],
            step_tokens=[step.tokens if step.counted else None for step in steps],
            step_logprobs=logprobs,
            step_scores=[self.scores.get(step.node) for step in steps],
            nodes=[self._numbers.get(step.node, 0) for step in steps],
            weight=weight,
        )


def counted_tokens(steps: Sequence[Step]) -> int | None:
    """Return the tokens of steps; None if those of one were not counted."""
    return sum(step.tokens for step in steps) if all(step.counted for step in steps) else None
