"""Requests to vLLM's asynchronous engine, whose errors say whether others would fare better."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

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

    def add(self, output: Any) -> None:
        """Add a piece; what it says of the whole is of the whole so far."""
        piece = output.outputs[0]
        self.text += piece.text
        self.token_ids += piece.token_ids
        self.cached = output.num_cached_tokens or 0
        self.logprob = piece.cumulative_logprob
        self.finish_reason, self.stop_reason = piece.finish_reason, piece.stop_reason


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
