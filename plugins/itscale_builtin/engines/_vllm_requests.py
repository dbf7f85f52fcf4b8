"""Requests to vLLM's asynchronous engine, whose errors say whether others would fare better."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from itscale.errors import EngineError, EngineLostError

__all__ = ["Output", "answering", "answers", "one_line"]


@dataclass
class Output:
    """What vLLM generated for a request, from its pieces."""

    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    cached: int = 0
    logprob: float | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    confidence_top: int = 0
    confidences: list[float] = field(default_factory=list)

    def add(self, output: Any) -> None:
        """Add a piece; what it says of the whole is of the whole so far."""
        piece = output.outputs[0]
        self.text += piece.text
        self.token_ids += piece.token_ids
        self.cached = output.num_cached_tokens or 0
        self.logprob = piece.cumulative_logprob
        self.finish_reason, self.stop_reason = piece.finish_reason, piece.stop_reason
        if self.confidence_top:
            self.confidences += [_confidence(place, self.confidence_top) for place in piece.logprobs or ()]

    @property
    def confidence(self) -> float | None:
        """Mean confidence of its tokens; None if vLLM was not asked, or generated none."""
        return float(np.mean(self.confidences)) if self.confidences else None


def _confidence(place: Mapping[int, Any], top: int) -> float:
    """Return the negative mean log-probability of the most probable tokens at a place.

    vLLM gives the chosen token beside them, which is left out where it is not one of them.
    """
    found = sorted((one.logprob for one in place.values() if math.isfinite(one.logprob)), reverse=True)
    return -float(np.mean(found[:top])) if found else 0.0


async def answers(llm: Any, prompt: Sequence[int], params: Any, number: str) -> AsyncIterator[Any]:
    """Yield what vLLM gives for a request, piece by piece.

    Parameters
    ----------
    llm
        A started `vllm.v1.engine.async_llm.AsyncLLM`.
    prompt
        Token ids.
    params
        vLLM's own `SamplingParams`.
    number
        Of the request, never used before.

    Raises
    ------
    EngineError
        As `answering` does.
    """
    from vllm.inputs.engine import tokens_input

    with answering("generating"):
        async for output in llm.generate(tokens_input(list(prompt)), params, number):
            yield output


@contextmanager
def answering(what: str) -> Iterator[None]:
    """Say in one line what vLLM raises at a request.

    Raises
    ------
    EngineError
        If vLLM refuses or fails this request.
    EngineLostError
        If it died.
    """
    from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

    try:
        yield
    except EngineDeadError as error:
        cause = error.__cause__ or error
        raise EngineLostError(f"vllm: the engine died while {what}: {one_line(cause)}") from error
    except EngineGenerateError as error:  # of this request alone
        cause = error.__cause__ or error
        raise EngineError(f"vllm: a request failed: {one_line(cause)}") from error
    except ValueError as error:
        raise EngineError(f"vllm: refused a request: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """Return what an error says in one line; its kind, if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
