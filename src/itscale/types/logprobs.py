"""Log-probabilities: what an engine is asked of a text and of the token after it, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from itscale.types.completions import Step
from itscale.types.problems import Message, Problem

__all__ = ["LogprobsEngine", "NextLogprobs", "NextRequest", "ReadRequest", "TextLogprobs", "TextRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """Read a text that follows a chat.

    Attributes
    ----------
    problem, messages, prefix
        As in a `GenerationRequest`. A step of another model that shares the tokenizer keeps its token ids.
    on_prompt
        Called with the tokens that are read, and how many of them were cached, once the model begins: what is
        cancelled later is charged by it.
    on_waste
        As in a `GenerationRequest`.
    """

    problem: Problem
    messages: tuple[Message, ...] | None = None
    prefix: tuple[Step, ...] = ()
    on_prompt: Callable[[int, int], None] = field(default=lambda prompt, cached: None, compare=False)
    on_waste: Callable[[int, int, int], None] = field(
        default=lambda prompt, cached, generated: None, compare=False
    )

    @property
    def chat(self) -> tuple[Message, ...]:
        """The chat that is the prompt."""
        return self.problem.messages if self.messages is None else self.messages


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRequest(ReadRequest):
    """Say how probable each token is as the one after the prefix.

    Attributes
    ----------
    top
        How many tokens are wanted, the most probable ones; None for all that the model has.
    """

    top: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRequest(ReadRequest):
    """Say how probable each token of a text is, given all that stands before it.

    Attributes
    ----------
    scored
        The text: steps that follow the prefix.
    """

    scored: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLogprobs:
    """Log-probabilities of the tokens of a text (nats, at temperature 1), each given all before it.

    Attributes
    ----------
    token_ids, logprobs
        As many as the text has tokens.
    texts
        What each token adds to the text; () where the engine cannot say.
    tokenizer
        What the ids are of: models of which this is equal share token ids. Empty where nobody knows.
    prompt_tokens, cached_prompt_tokens, generated_tokens
        Tokens that the model read (chat, prefix and text), how many of them came from a prefix cache, and how
        many it generated all the same, as vLLM does one; None where nobody counted them.
    seconds
        Time the engine itself accounts for the request, 0.0 where it has none.
    """

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    texts: tuple[str, ...] = ()
    tokenizer: str = ""
    prompt_tokens: int | None
    cached_prompt_tokens: int | None = 0
    generated_tokens: int | None = 0
    seconds: float = 0.0

    @property
    def total(self) -> float:
        """The log-probability of the whole text (nats)."""
        return float(sum(self.logprobs))


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False, kw_only=True)
class NextLogprobs:
    """Log-probabilities of tokens as the next one (nats, at temperature 1); its arrays are read-only.

    Attributes
    ----------
    token_ids, logprobs
        Shape (tokens,). By id, increasing, if they are `full`; else the most probable first.
    texts
        What each token would add to the text; () where the engine would have to find out for each.
    full
        Whether these are all tokens that can come next: their probabilities then add up to 1.
    ends
        Ids of the tokens that end the text.
    tokenizer
        What the ids are of: models of which this is equal share token ids. Empty where nobody knows.
    context_tokens
        Length of what no model wrote, as in a `Generation`.
    prompt_tokens, cached_prompt_tokens, generated_tokens
        Tokens that the model read, how many of them came from a prefix cache, and how many it generated: one,
        as the next token's probabilities cost what the token costs; None where nobody counted them.
    seconds
        Time the engine itself accounts for the request, 0.0 where it has none.
    """

    token_ids: npt.NDArray[np.int64]
    logprobs: npt.NDArray[np.float64]
    texts: tuple[str, ...] = ()
    full: bool
    ends: frozenset[int]
    tokenizer: str = ""
    context_tokens: int | None
    prompt_tokens: int | None
    cached_prompt_tokens: int | None = 0
    generated_tokens: int | None = 1
    seconds: float = 0.0

    def place(self, token_id: int) -> int | None:
        """Return where a token stands in the arrays; None if it is not among them."""
        if self.full:
            place = int(np.searchsorted(self.token_ids, token_id))
            there = place < len(self.token_ids) and self.token_ids[place] == token_id
            return place if there else None
        found = np.flatnonzero(self.token_ids == token_id)
        return int(found[0]) if len(found) else None


class LogprobsEngine(Protocol):
    """What an engine has beyond `Engine` if it offers `logprobs` or `next_logprobs`: the methods of these.

    Attributes
    ----------
    tokenizer
        Names its tokenizer, as in what it returns; an engine that has none shares no token ids.
    """

    tokenizer: str

    async def logprobs(self, request: TextRequest) -> TextLogprobs:
        """Return the log-probability of each token of a text (`logprobs`)."""
        ...

    async def next_logprobs(self, request: NextRequest) -> NextLogprobs:
        """Return the log-probabilities of the next token (`next_logprobs`)."""
        ...

    async def spell(self, request: NextRequest, token_id: int) -> str:
        """Return what a token would add to the text; only where `next_logprobs` leaves out the texts.

        Empty where it ends the text, or begins a character that later tokens complete.
        """
        ...
