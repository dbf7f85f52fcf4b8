"""Completions, whole and in the making."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from itscale.types.problems import Message, Question

__all__ = ["Completion", "FinishReason", "Lineage", "Step", "Trajectory"]

FinishReason = Literal["eos", "stop", "length", "filtered", "steps", "budget"]
"""Why generation ended: the model's end token, a stop string (a step's end), the token limit, the provider's
filter (which withholds the text or its rest), the strategy's limit on steps, or the session's budget."""


Lineage = tuple[tuple[str | int, ...], ...]
"""What a trajectory was made of, from its beginning: `("chat", digest, key)` if it began with another chat
than the problem's own, `("text", digest)` for a text that was appended, `("drawn", by, number)` for a step
that a model (the one that is sampled, if `by` is empty) drew, where what it continues had been continued
`number` times, `("cut", by, number, digest)` for such a step without the text that it ended with, `("token",
by, id)` for a token of a model's that the strategy chose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A delimited piece of a trajectory, or text that no model wrote; what process reward models score.

    Attributes
    ----------
    text
        The step's text, its closing delimiter included.
    token_ids
        The engine's own tokens, so that a continuation is exact; empty where an engine gives none.
    tokens
        How many tokens were generated for the step; about how many, if they were not `counted`; 0 of a text
        that was given.
    logprob
        Sum of the log-probabilities of its tokens under the generator (nats); None if not reported.
    confidence
        How sure the generator was of its tokens, see `Generation.confidence`; None if it was not asked.
    node
        What names the step in its problem's tree (or its run's): a digest of its lineage, 60 bits, so that
        neither timing nor the cut into blocks changes it; 0 is the problem's own chat.
    counted
        Whether anybody counted its tokens.
    by
        Label of the helper model that wrote it; empty for the model that is sampled.
    given
        Whether no model wrote it: it was appended, and is read as a part of the prompt.
    """

    text: str
    token_ids: tuple[int, ...] = ()
    tokens: int
    logprob: float | None
    node: int
    counted: bool = True
    by: str = ""
    given: bool = False
    confidence: float | None = None

    @classmethod
    def unwritten(cls, text: str, node: int) -> Step:
        """Return a text that no model wrote, as a step."""
        return cls(text=text, tokens=0, logprob=0.0, node=node, given=True)


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A partial completion: immutable, made of steps, knows its parent and the chat it answers.

    Two trajectories with one `lineage` are the same: resampling a particle copies nothing.

    Attributes
    ----------
    problem
        The problem it belongs to, without its answer.
    parent, step
        What it continues, and by what; None for a trajectory not yet begun.
    finish_reason
        Why there is nothing left to generate; None if there is.
    messages
        The chat it answers, where that is not the problem's own.
    lineage
        What it was made of: the chat it began with, then how often its ancestors had been continued before.
        Its random stream is a function of it.
    """

    problem: Question
    parent: Trajectory | None = None
    step: Step | None = None
    finish_reason: FinishReason | None = None
    messages: tuple[Message, ...] | None = None
    lineage: Lineage = ()

    @property
    def node(self) -> int:
        """Node of the last step in the session's tree; 0 for a trajectory not yet begun."""
        return self.step.node if self.step else 0

    @property
    def root(self) -> Trajectory:
        """The trajectory not yet begun that it goes back to."""
        here = self
        while here.parent is not None:
            here = here.parent
        return here

    @property
    def chat(self) -> tuple[Message, ...]:
        """The chat it answers."""
        return self.problem.messages if self.messages is None else self.messages

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to generate."""
        return self.finish_reason is not None

    @property
    def steps(self) -> tuple[Step, ...]:
        """Steps from the first to the last."""
        steps: list[Step] = []
        here: Trajectory | None = self
        while here is not None and here.step is not None:
            steps.append(here.step)
            here = here.parent
        return tuple(reversed(steps))

    @property
    def text(self) -> str:
        """The whole text so far, what was given included."""
        return "".join(step.text for step in self.steps)

    @property
    def tokens(self) -> int:
        """Number of generated tokens so far."""
        return sum(step.tokens for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One generated candidate: a row of `completions/*.parquet`.

    Attributes
    ----------
    problem_id
        The problem it answers.
    budget, replicate
        Of a run-based strategy: the budget of the run, as its axis counts, and which repetition; for an
        exchangeable strategy both are 0.
    index
        Its place in the pool of its problem (exchangeable) or in its run (run-based), from 0.
    text
        What the model wrote.
    finish_reason
        See `FinishReason`.
    prompt_tokens, generated_tokens
        Tokens of the prompt, and of the completion itself; None where nobody counted them. What a search
        spent on discarded branches is in the ledger, not here.
    logprob
        Sum over its tokens (nats), None if the engine does not report it.
    step_ends, step_tokens, step_logprobs, nodes
        Per step: end offset in `text` (characters), number of tokens, summed log-probability, and its
        node in the run's tree (the completion's lineage).
    step_scores
        Per step: the score given while generating; None where a step was not scored.
    step_confidences
        Per step: how sure the generator was, see `Generation.confidence`; None where it was not asked. Empty
        if nothing is known of any.
    weight
        The strategy's own final weight of this candidate, None if it has none.
    """

    problem_id: str
    budget: int = 0
    replicate: int = 0
    index: int
    text: str
    finish_reason: FinishReason
    prompt_tokens: int | None
    generated_tokens: int | None
    logprob: float | None = None
    step_ends: Sequence[int] = ()
    step_tokens: Sequence[int | None] = ()
    step_logprobs: Sequence[float | None] = ()
    step_scores: Sequence[float | None] = ()
    step_confidences: Sequence[float | None] = ()
    nodes: Sequence[int] = ()
    weight: float | None = None

    def trajectory(self, problem: Question) -> Trajectory:
        """Rebuild the trajectory (without token ids), as a scorer wants it."""
        here = Trajectory(problem)
        start = 0
        confidences = self.step_confidences or [None] * len(self.nodes)
        for end, tokens, logprob, node, confidence in zip(
            self.step_ends, self.step_tokens, self.step_logprobs, self.nodes, confidences, strict=True
        ):
            counted = tokens is not None
            step = Step(
                text=self.text[start:end],
                tokens=tokens if tokens is not None else 0,
                logprob=logprob,
                node=node,
                counted=counted,
                confidence=confidence,
            )
            here, start = Trajectory(problem, here, step), end
        return Trajectory(problem, here.parent, here.step, self.finish_reason)
