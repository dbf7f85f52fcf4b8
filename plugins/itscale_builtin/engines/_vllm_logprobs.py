"""Log-probabilities by vLLM: of the tokens of a text, and of the next token."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from itscale.errors import EngineError
from itscale.types import (
    Message,
    NextLogprobs,
    NextRequest,
    Problem,
    ReadRequest,
    Step,
    TextLogprobs,
    TextRequest,
)
from itscale_builtin.engines._vllm_requests import answers

__all__ = ["Prompted", "Reader", "vocabulary"]

WINDOW = 16
"""Tokens before a token that decide how it is spelt: one may begin a character, or follow a space."""


class Prompted(Protocol):
    """What has a prompt: a request to generate or to read."""

    @property
    def problem(self) -> Problem:
        """What it is about."""

    @property
    def chat(self) -> tuple[Message, ...]:
        """The chat that is the prompt."""

    @property
    def prefix(self) -> tuple[Step, ...]:
        """Steps that are there already."""


class Prompts(Protocol):
    """Makes token ids of requests."""

    def __call__(self, request: Prompted) -> tuple[list[int], int]:
        """Return the tokens that a request goes on from, and how many of them no model wrote."""


class Reader:
    """Asks vLLM for log-probabilities; each costs it a generated token, which is thrown away.

    They are raw: of the model's own logits, in single precision, whatever sampling would do to them.

    Parameters
    ----------
    llm
        A started `AsyncLLM`, with `max_logprobs=-1`.
    tokenizer
        Its tokenizer.
    prompts
        Makes the prompts.
    numbers
        Of requests: each is used once.
    """

    def __init__(self, llm: Any, tokenizer: Any, prompts: Prompts, numbers: Iterator[int]) -> None:
        self.name = vocabulary(tokenizer)
        self._llm = llm
        self._tokenizer = tokenizer
        self._prompts = prompts
        self._numbers = numbers
        self._limit: int = llm.model_config.max_model_len
        self._size: int = llm.model_config.get_vocab_size()
        self._ends = _ends(llm.model_config, tokenizer)

    async def text(self, request: TextRequest) -> TextLogprobs:
        """Return the log-probability of each token of a text."""
        opened = request.prefix
        if request.scored[0].given:  # which is read without the end that came before it
            opened = (*opened, replace(request.scored[0], text=""))
        start = len(self._prompts(_asked(request, opened))[0])
        prompt, _ = self._prompts(_asked(request, (*request.prefix, *request.scored)))
        output = await self._answer(request, prompt, prompt_logprobs=0)
        flat, places = output.prompt_logprobs, range(start, len(prompt))
        return TextLogprobs(
            token_ids=tuple(prompt[start:]),
            logprobs=tuple(flat.logprobs[flat.start_indices[place]] for place in places),
            texts=tuple(self._spelt(prompt[:place], prompt[place]) for place in places),
            tokenizer=self.name,
            prompt_tokens=len(prompt),
            cached_prompt_tokens=output.num_cached_tokens or 0,
            generated_tokens=1,
        )

    async def following(self, request: NextRequest) -> NextLogprobs:
        """Return the log-probabilities of the next token; texts only where some are asked for."""
        prompt, context = self._prompts(request)
        full = request.top is None or request.top >= self._size
        output = await self._answer(request, prompt, logprobs=-1 if full else request.top)
        # The first is the token that vLLM chose itself; it comes again in its place.
        flat = output.outputs[0].logprobs
        ids, logprobs = np.array(flat.token_ids[1:]), np.array(flat.logprobs[1:], dtype=np.float64)
        order = np.argsort(ids) if full else np.argsort(-logprobs, kind="stable")
        return NextLogprobs(
            token_ids=ids[order],
            logprobs=logprobs[order],
            texts=() if full else tuple(self._spelt(prompt, token) for token in ids[order].tolist()),
            full=full,
            ends=self._ends,
            tokenizer=self.name,
            context_tokens=context,
            prompt_tokens=len(prompt),
            cached_prompt_tokens=output.num_cached_tokens or 0,
        )

    def spell(self, request: NextRequest, token_id: int) -> str:
        """Return what a token adds to the text; nothing where it begins a character that is not whole yet."""
        return self._spelt(self._prompts(request)[0], token_id)

    def _spelt(self, before: Sequence[int], token_id: int) -> str:
        def text(ids: Sequence[int]) -> str:
            found: str = self._tokenizer.decode(
                ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
            return found.rstrip("\ufffd")  # what is not whole yet

        near = list(before[-WINDOW:])
        return text([*near, token_id])[len(text(near)) :]

    async def _answer(self, request: ReadRequest, prompt: list[int], **wanted: int | None) -> Any:
        """Return vLLM's output for a prompt, with a token that nobody wants."""
        from vllm import SamplingParams as VllmParams
        from vllm.sampling_params import RequestOutputKind

        if len(prompt) >= self._limit:
            raise EngineError(
                f"vllm: problem {request.problem.problem_id!r}: what is read has {len(prompt)} tokens, "
                f"expected fewer than {self._limit} (max_model_len)"
            )
        params = VllmParams(
            temperature=0.0,
            max_tokens=1,
            flat_logprobs=True,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
            **wanted,
        )
        request.on_prompt(len(prompt), 0)
        found = None
        async for output in answers(self._llm, prompt, params, str(next(self._numbers))):
            found = output
        if found is None or not found.outputs:
            raise EngineError("vllm: a request for log-probabilities had no answer")
        return found


def vocabulary(tokenizer: Any) -> str:
    """Return a name that two tokenizers share if their ids are of the same tokens."""
    held = hashlib.sha256()
    for token, number in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]):
        held.update(f"{number} {token}\n".encode("utf-8", "surrogatepass"))
    return f"vocabulary {held.hexdigest()[:16]}"


def _ends(config: Any, tokenizer: Any) -> frozenset[int]:
    """Return the tokens at which vLLM ends a text: those of the generation's configuration, and the usual."""
    told = config.try_get_generation_config().get("eos_token_id")
    ends = [told] if isinstance(told, int) else list(told or ())
    return frozenset([*ends, *([] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id])])


def _asked(request: TextRequest, steps: tuple[Step, ...]) -> ReadRequest:
    return ReadRequest(problem=request.problem, messages=request.messages, prefix=steps)
