"""The tree of a session: every step that was generated or given, and the completions that are paths in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from itscale.sampling.lineage import node_of
from itscale.sampling.units import Unit
from itscale.types import Completion, FinishReason, Generation, Lineage, Message, Question, Step, Trajectory

__all__ = ["Lost", "Tree", "counted_tokens"]


@dataclass(frozen=True)
class Lost:
    """A step that was asked for and is in no trajectory: its request failed, or was cancelled.

    Attributes
    ----------
    parent
        What it would have continued.
    by
        Label of the helper model that was asked; empty for the model that is sampled.
    cancelled
        Whether it was cancelled, and did not fail itself.
    prompt_tokens, generated_tokens
        What it was charged all the same; None where nobody counted.
    """

    parent: Trajectory
    by: str
    cancelled: bool
    prompt_tokens: int | None
    generated_tokens: int | None


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
    made
        By node, the trajectory that ends there.
    roots
        By lineage, the trajectories not yet begun.
    reads
        By the lineage of such a one, nodes of the trajectories that its chat quotes, as its strategy says: in
        order, and each order that equal chats were begun with.
    scores
        By node, the score of the trajectory that ends there.
    contexts
        By node, tokens that no model wrote of what its step was generated from; None where nobody counted.
    prompts
        By node, tokens of prompt and prefix that its step was charged; None where nobody counted.
    unreadable
        Nodes of replies in which the strategy did not find what it had asked for.
    lost
        By lineage, what was asked for and is in no trajectory.
    """

    def __init__(self, question: Question, unit: Unit) -> None:
        self.made: dict[int, Trajectory] = {}
        self.roots: dict[Lineage, Trajectory] = {}
        self.reads: dict[Lineage, set[tuple[int, ...]]] = {}
        self.scores: dict[int, float] = {}
        self.contexts: dict[int, int | None] = {}
        self.prompts: dict[int, int | None] = {}
        self.unreadable: set[int] = set()
        self.lost: dict[Lineage, Lost] = {}
        self._question = question
        self._unit = unit

    def begin(
        self, messages: tuple[Message, ...] | None, lineage: Lineage, reads: Sequence[Trajectory]
    ) -> Trajectory:
        """Return the trajectory that a chat begins with: one and the same for one lineage."""
        begun = Trajectory(self._question, messages=messages, lineage=lineage)
        self.reads.setdefault(lineage, set()).add(tuple(node_of(one.lineage) for one in reads))
        return self.roots.setdefault(lineage, begun)

    def keep(
        self, parent: Trajectory, step: Step, reason: FinishReason | None, lineage: Lineage
    ) -> Trajectory:
        """Return a trajectory with a step more: one and the same for one lineage."""
        made = Trajectory(self._question, parent, step, reason, parent.messages, lineage)
        return self.made.setdefault(step.node, made)

    def give(self, parent: Trajectory, text: str, lineage: Lineage) -> Trajectory:
        """Return a trajectory with a text appended."""
        return self.keep(parent, Step.unwritten(text, node_of(lineage)), None, lineage)

    def cut(self, whole: Trajectory, step: Step, lineage: Lineage, *, full: bool) -> Trajectory:
        """Return a trajectory with the beginning of a step in its place."""
        assert whole.parent is not None
        self.contexts[step.node] = self.contexts[whole.node]
        return self.keep(whole.parent, step, "length" if full else None, lineage)

    def grow(
        self,
        parent: Trajectory,
        made: Generation,
        text: str,
        reason: FinishReason | None,
        lineage: Lineage,
        by: str,
    ) -> Trajectory:
        """Return a trajectory with a step more, that a model drew, with a text that can be stored."""
        step = Step(
            text=text,
            token_ids=made.token_ids,
            tokens=made.tokens,
            logprob=made.logprob,
            node=node_of(lineage),
            counted=made.counted,
            by=by,
            confidence=made.confidence,
        )
        self.contexts[step.node] = made.context_tokens if made.counted else None
        self.prompts[step.node] = made.prompt_tokens if made.counted else None
        return self.keep(parent, step, reason, lineage)

    def has(self, trajectory: Trajectory) -> bool:
        """Return whether a trajectory is one of this tree's own: not one that is like it."""
        known = self.made.get(trajectory.node) or self.roots.get(trajectory.lineage)
        return trajectory is known

    def began(self, trajectory: Trajectory) -> bool:
        """Return whether a trajectory begins where one of this tree's own does, whatever its steps."""
        return self.roots.get(trajectory.root.lineage) is trajectory.root

    def context_tokens(self, trajectory: Trajectory) -> int | None:
        """Return how many tokens of what a trajectory was generated from no model wrote; None if unknown."""
        generated = [step.node for step in trajectory.steps if not step.given]
        return self.contexts[generated[-1]] if generated else 0

    def path(self, nodes: Sequence[int]) -> Trajectory | None:
        """Return the trajectory of these nodes, first step to last; None if they are no path."""
        here: Trajectory | None = Trajectory(self._question)
        for place, node in enumerate(nodes):
            above = here.node if here and place else 0
            here = self.made.get(node) if isinstance(node, int) else None
            if here is None or here.parent is None or here.parent.node != above:
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
            step_confidences=[step.confidence for step in steps],
            nodes=[step.node for step in steps],
            weight=weight,
        )


def counted_tokens(steps: Sequence[Step]) -> int | None:
    """Return the tokens of steps; None if those of one were not counted."""
    return sum(step.tokens for step in steps) if all(step.counted for step in steps) else None
