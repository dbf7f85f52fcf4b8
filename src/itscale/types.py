"""The words of the project as types, and what an engine speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

__all__ = [
    "Capability",
    "Completion",
    "Engine",
    "FinishReason",
    "Generation",
    "GenerationRequest",
    "Lineage",
    "Message",
    "Oracle",
    "Problem",
    "Problems",
    "Question",
    "SamplingParams",
    "Scorer",
    "ScorerDesk",
    "Step",
    "Trajectory",
    "Verdict",
]

Message = Mapping[str, str]
"""A chat turn: `role` and `content`."""

Lineage = tuple[tuple[str | int, ...], ...]
"""What a trajectory was made of, from its beginning: `("chat", digest, key)` if it began with another chat
than the problem's own, `("text", digest)` for a text that was appended, `("drawn", by, number)` for a step
that a model (the one that is sampled, if `by` is empty) drew, where what it continues had been continued
`number` times."""

FinishReason = Literal["eos", "stop", "length", "filtered", "steps", "budget"]
"""Why generation ended: the model's end token, a stop string (a step's end), the token limit, the provider's
filter (which withholds the text or its rest), the strategy's limit on steps, or the session's budget."""

Capability = Literal["generate", "continue", "logprobs", "score"]
"""What an engine can do: generate from a problem, continue a trajectory exactly, report the
log-probability of what it generated, score trajectories (a reward model)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a strategy knows of a problem: no answer to it.

    Attributes
    ----------
    problem_id
        Unique within its task; every random stream of the problem derives from it.
    messages
        The chat that is put to the model: dicts with `role` and `content`.
    material
        What there is to work with beyond the messages (documents, hints ...). JSON values only.
    """

    problem_id: str
    messages: tuple[Message, ...]
    material: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem(Question):
    """One item of a task.

    Attributes
    ----------
    reference
        The right answer, as text. Never None: a problem without a reference cannot be verified.
    metadata
        What its verifier needs beyond the reference; no strategy sees it. JSON values only.
    """

    reference: str
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> Question:
        """The problem without its answer."""
        return Question(problem_id=self.problem_id, messages=self.messages, material=self.material)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """How an engine samples.

    Attributes
    ----------
    temperature
        >= 0; 0 is greedy.
    top_p
        Nucleus mass in (0, 1]; 1 keeps the whole distribution.
    top_k
        Keep the k most probable tokens; 0 keeps all.
    min_p
        Drop tokens less probable than min_p times the most probable one; in [0, 1].
    max_tokens
        Most tokens of one generation; >= 1.
    stop
        Texts that end a generation (and are kept in it): the delimiters of steps.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()


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
    node
        The step's number in its session's tree, from 1 (0 is the empty root); unique within a run.
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
        """Number of the last step in the session's tree; 0 for a trajectory not yet begun."""
        return self.step.node if self.step else 0

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
        Of a run-based strategy: the budget (completions) of the run and which of its repetitions; for an
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
    nodes: Sequence[int] = ()
    weight: float | None = None

    def trajectory(self, problem: Question) -> Trajectory:
        """Rebuild the trajectory (without token ids), as a scorer wants it."""
        here = Trajectory(problem)
        start = 0
        for end, tokens, logprob, node in zip(
            self.step_ends, self.step_tokens, self.step_logprobs, self.nodes, strict=True
        ):
            counted = tokens is not None
            step = Step(
                text=self.text[start:end],
                tokens=tokens if tokens is not None else 0,
                logprob=logprob,
                node=node,
                counted=counted,
            )
            here, start = Trajectory(problem, here, step), end
        return Trajectory(problem, here.parent, here.step, self.finish_reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a verifier says of one completion.

    Attributes
    ----------
    correct
        An oracle's judgement; None from a scorer.
    score
        A scorer's number for the whole completion, in [0, 1]; None from an oracle.
    status
        `judged`, or why there is no judgement: `unparsable`, `timeout`, `error`. Not judged counts as
        wrong and is never dropped.
    detail
        One line on what went wrong, empty when judged.
    """

    correct: bool | None = None
    score: float | None = None
    status: Literal["judged", "unparsable", "timeout", "error"] = "judged"
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """Continue one prefix `len(seeds)` times, independently.

    Attributes
    ----------
    problem
        Whose request it is; only an engine whose truth is known reads its reference.
    messages
        The chat that is the prompt; the problem's own if left out.
    prefix
        Steps that are there already; () for a fresh completion. Those without `token_ids` are text: one that
        was `given`, or written by another model. What ended the text before a given one is dropped.
    params
        How to sample.
    seeds
        One 63-bit seed per generation wanted; engines of seed scope `block` ignore their values.
    on_tokens
        Called, while generating, with a seed's place in `seeds` and the number of tokens generated for it
        since the last call: 0 when it begins, by engines that cannot tell more. For showing progress, and for
        charging a request that is cancelled.
    on_prompt
        Called with the tokens of the prompt and how many of them were cached, as soon as they are known.
    on_end
        Called with a seed's place when its generation ends, by engines that know before the whole request
        has ended.
    """

    problem: Problem
    messages: tuple[Message, ...] | None = None
    prefix: tuple[Step, ...]
    params: SamplingParams
    seeds: tuple[int, ...]
    on_tokens: Callable[[int, int], None] = field(default=lambda place, tokens: None, compare=False)
    on_prompt: Callable[[int, int], None] = field(default=lambda prompt, cached: None, compare=False)
    on_end: Callable[[int], None] = field(default=lambda place: None, compare=False)

    @property
    def chat(self) -> tuple[Message, ...]:
        """The chat that is the prompt."""
        return self.problem.messages if self.messages is None else self.messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What an engine generated for one seed of a request.

    Attributes
    ----------
    text
        The new text only (stop string included), not the prefix.
    token_ids
        Tokens of `text` where the engine knows them, else ().
    tokens
        Number of generated tokens, special end tokens included: what the engine computed.
    prompt_tokens, cached_prompt_tokens
        Tokens of prompt and prefix the request was charged, and how many of them came from a prefix cache.
        For a request of several seeds the prompt is charged once, to the first generation.
    context_tokens
        Length of what no model wrote: the messages and the given texts of the prefix. The same for every
        generation.
    logprob
        Sum over the generated tokens (nats), or None.
    finish_reason
        `eos`, `stop` (a stop string was met), `length`, or `filtered` (withheld by the provider).
    counted
        Whether `tokens` and those of the prompt were counted. Where they were not, `tokens` is an estimate by
        which limits are kept, and what is stored of them is null.
    seconds
        Time the engine itself accounts for the request, 0.0 where it has none.
    """

    text: str
    token_ids: tuple[int, ...] = ()
    tokens: int
    prompt_tokens: int
    cached_prompt_tokens: int = 0
    context_tokens: int
    logprob: float | None
    finish_reason: Literal["eos", "stop", "length", "filtered"]
    counted: bool = True
    seconds: float = 0.0


@runtime_checkable
class Engine(Protocol):
    """A language model that runs many requests at once.

    Attributes
    ----------
    offers
        What it can do; a strategy or scorer that needs more is refused before it starts.
    seed_scope
        `completion` if equal seeds give equal generations whatever else is in flight; `block` if only the
        engine as a whole is seeded.
    simulated
        Whether its completions are made up: every figure they reach says so.
    """

    offers: frozenset[Capability]
    seed_scope: Literal["completion", "block"]
    simulated: bool

    async def generate(self, request: GenerationRequest) -> list[Generation]:
        """Return one generation per seed, in order."""
        ...

    async def score(self, trajectories: Sequence[Trajectory]) -> list[float]:
        """Return a reward in (0, 1) for each trajectory as it stands."""
        ...

    async def close(self) -> None:
        """Free what the engine holds."""
        ...


class Oracle(Protocol):
    """A verifier that knows what is correct."""

    def answer(self, problem: Problem, text: str) -> str | None:
        """Return the canonical final answer in a completion's text, None if there is none."""
        ...

    def classes(self, answers: Sequence[str]) -> list[str]:
        """Return for each distinct answer the representative of its equivalence class (itself, if alone)."""
        ...

    def judge(self, problem: Problem, answers: Sequence[str]) -> list[Verdict]:
        """Judge each distinct answer of a problem."""
        ...


class ScorerDesk(Protocol):
    """What a scorer asks models by; every call is charged to the model and to the scorer."""

    async def generate(
        self, messages: Sequence[Message], params: SamplingParams, *, by: str | None = None, key: str = ""
    ) -> Generation:
        """Return a model's answer to a chat.

        An equal question about one problem has an equal answer, whoever asks it when; where several answers
        to one chat are wanted, each takes a `key` of its own.

        Parameters
        ----------
        by
            Label of a model that the scorer's options name; the model that is sampled if left out.
        """
        ...

    async def rewards(self, trajectories: Sequence[Trajectory], *, by: str | None = None) -> list[float]:
        """Return a reward in [0, 1] for each trajectory that is scored, or that such a one continues."""
        ...


class Scorer(Protocol):
    """A verifier that scores trajectories, finished or not.

    It lives as long as a job; `close`, if it has one, is called (and awaited) at the end.
    """

    async def score(self, trajectories: Sequence[Trajectory], desk: ScorerDesk) -> list[float]:
        """Return a score in [0, 1] for each trajectory as it stands; higher is better."""
        ...


Problems = Iterable[Problem]
"""What a task's factory returns."""
