"""What an engine is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from itscale.types.completions import Step
from itscale.types.problems import Message, Problem

__all__ = ["Capability", "Engine", "Generation", "GenerationRequest", "SamplingParams"]

Capability = Literal[
    "generate",
    "continue",
    "generated_logprobs",
    "generated_confidences",
    "logprobs",
    "next_logprobs",
    "rewards",
    "step_rewards",
    "embed",
]
"""What an engine can do: generate from a problem, continue a trajectory exactly, report the
log-probability of what it generated, or how sure it was of it (`SamplingParams.confidence_top`), give
log-probabilities of a text's tokens and of the next token, give a trajectory one reward (an outcome reward
model) or one for each of its steps (a process reward model), embed a text."""


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
    confidence_top
        Report the confidence over so many of the most probable tokens (`Generation.confidence`), by an engine
        that offers `generated_confidences`; 0 asks for none. What is generated is the same.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    confidence_top: int = 0


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
    on_waste
        Called with the tokens that were read, those of them that were cached, and those that were generated
        for a reply, or a part of one, that cannot be used: they are charged beside what is returned.
    """

    problem: Problem
    messages: tuple[Message, ...] | None = None
    prefix: tuple[Step, ...]
    params: SamplingParams
    seeds: tuple[int, ...]
    on_tokens: Callable[[int, int], None] = field(default=lambda place, tokens: None, compare=False)
    on_prompt: Callable[[int, int], None] = field(default=lambda prompt, cached: None, compare=False)
    on_end: Callable[[int], None] = field(default=lambda place: None, compare=False)
    on_waste: Callable[[int, int, int], None] = field(
        default=lambda prompt, cached, generated: None, compare=False
    )

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
    confidence
        Mean over the generated tokens of the negative mean log-probability of the `confidence_top` most
        probable tokens at that place (nats, at least 0; the higher, the surer the model: what is left for the
        others is less). None where the engine was not asked, or generated nothing.
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
    confidence: float | None = None


@runtime_checkable
class Engine(Protocol):
    """A model that answers many requests at once.

    What an engine does not offer is never called, and need not be there: `generate` neither.

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

    async def close(self) -> None:
        """Free what the engine holds."""
        ...
