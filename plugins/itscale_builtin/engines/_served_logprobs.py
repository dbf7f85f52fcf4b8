"""Log-probabilities by a vLLM server: of the tokens of a text, and of the next token.

The chat becomes token ids (`/tokenize`), and prompts of ids are completed (`/v1/completions`): so the tokens
that are read are those that were chosen.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Any, TypeVar

import numpy as np

from itscale.errors import EngineError, EngineLostError
from itscale.messages.secrets import masked
from itscale.sampling.ledger import TOKEN_COUNTS
from itscale.types import NextLogprobs, NextRequest, ReadRequest, Step, TextLogprobs, TextRequest
from itscale_builtin.engines._bounds import allow
from itscale_builtin.engines._connection import LONGEST_PAUSE, Connection
from itscale_builtin.engines._openai_options import OpenAIOptions
from itscale_builtin.engines._replies import MalformedReply, Usage, UsageError, read_counts

__all__ = ["ServedReader"]

ID = "token_id:"
"""What vLLM puts before a token's id where it shows ids for texts."""
WINDOW = 16
"""Tokens before a token that decide how it is spelt: one may begin a character, or follow a space."""
MOST_TOKENS = 1_000_000
"""Tokens of any vocabulary."""

T = TypeVar("T")


class ServedReader:
    """Asks a server for log-probabilities; each costs it a generated token, which is thrown away.

    Parameters
    ----------
    connection
        To the server.
    options
        Of the engine.
    where
        How messages call the server.
    under_way
        Bounds the requests at once.
    """

    def __init__(
        self,
        connection: Connection,
        options: OpenAIOptions,
        where: str,
        under_way: AbstractAsyncContextManager[Any],
    ) -> None:
        self._connection = connection
        self._options = options
        self._where = where
        self._under_way = under_way
        self._root = str(options.base_url).rstrip("/").removesuffix("/v1")
        self._tokens: dict[Any, asyncio.Task[list[int]]] = {}

    async def text(self, request: TextRequest) -> TextLogprobs:
        """Return the log-probability of each token of a text."""
        before, _ = await self._prompt(request, request.prefix, reopened=request.scored[0].given)
        prompt, _ = await self._prompt(request, (*request.prefix, *request.scored))
        start = len(before)

        def read(reply: Any) -> tuple[list[tuple[float, str]], Usage | None]:
            listed = _choice(reply).get("prompt_logprobs")
            if not isinstance(listed, list) or len(listed) != len(prompt):
                raise MalformedReply("replied without prompt_logprobs of each token, as vLLM's have them")
            pairs = zip(listed[start:], prompt[start:], strict=True)
            return [_listed(one, token) for one, token in pairs], self._usage(reply, request)

        found, usage = await self._complete(request, prompt, {"prompt_logprobs": 0}, len(prompt), read)
        return TextLogprobs(
            token_ids=tuple(prompt[start:]),
            logprobs=tuple(logprob for logprob, _ in found),
            texts=tuple(text for _, text in found),
            tokenizer=self._options.tokenizer,
            **_spent(usage),
        )

    async def following(self, request: NextRequest) -> NextLogprobs:
        """Return the log-probabilities of the next token; `spell` has their texts."""
        prompt, context = await self._prompt(request, request.prefix)
        ends = await self._ended()

        def read(reply: Any) -> tuple[dict[int, float], Usage | None]:
            listed = _choice(reply).get("logprobs")
            top = listed.get("top_logprobs") if isinstance(listed, Mapping) else None
            if not isinstance(top, list) or len(top) != 1 or not isinstance(top[0], Mapping) or not top[0]:
                raise MalformedReply("replied without top_logprobs of one token")
            return {_id(name): _number(value) for name, value in top[0].items()}, self._usage(reply, request)

        wanted = {"logprobs": -1 if request.top is None else request.top}
        found, usage = await self._complete(request, prompt, wanted, request.top or MOST_TOKENS, read)
        full = request.top is None or len(found) < request.top  # of a vocabulary that is smaller
        ids, logprobs = np.array(list(found)), np.array(list(found.values()), dtype=np.float64)
        order = np.argsort(ids) if full else np.argsort(-logprobs, kind="stable")[: request.top]
        return NextLogprobs(
            token_ids=ids[order],
            logprobs=logprobs[order],
            full=full,
            ends=ends,
            tokenizer=self._options.tokenizer,
            context_tokens=None if usage is None else context,
            **_spent(usage),
        )

    async def spell(self, request: NextRequest, token_id: int) -> str:
        """Return what a token adds to the text; nothing where it begins a character that is not whole yet."""
        near = (await self._prompt(request, request.prefix))[0][-WINDOW:]
        before, after = await asyncio.gather(self._text(near), self._text([*near, token_id]))
        return after[len(before) :]

    async def _text(self, tokens: Sequence[int]) -> str:
        def read(reply: Any) -> str:
            text = reply.get("prompt") if isinstance(reply, Mapping) else None
            if not isinstance(text, str):
                raise MalformedReply("replied to /detokenize without a text")
            return text.rstrip("\ufffd")  # what is not whole yet

        body = {"model": self._options.model, "tokens": list(tokens)}
        return await self._asked(f"{self._root}/detokenize", body, read)

    async def _prompt(
        self, request: ReadRequest, steps: Sequence[Step], *, reopened: bool = False
    ) -> tuple[list[int], int]:
        """Return the tokens of a chat and of steps, and how many of them no model wrote.

        What ended the text is no part of it before a step that was given, nor where it is `reopened`.
        """
        prompt = list(await self._chat([dict(message) for message in request.chat]))
        opening = context = len(prompt)
        ends = await self._ended() if any(step.token_ids for step in steps) else frozenset[int]()

        def reopen() -> None:
            while len(prompt) > opening and prompt[-1] in ends:
                prompt.pop()

        for step in steps:
            if step.token_ids:
                prompt += step.token_ids
                continue
            if step.given:
                reopen()
            tokens = await self._tokenized(step.text)
            prompt += tokens
            context += len(tokens) * step.given
        if reopened:
            reopen()
        return prompt, context

    async def _chat(self, messages: Sequence[Mapping[str, str]], *, answered: bool = False) -> list[int]:
        """Return the tokens of a chat, with the opening of the next answer unless it has been `answered`."""
        body: dict[str, Any] = {"messages": list(messages), "add_generation_prompt": not answered}
        if template := self._options.extra.get("chat_template_kwargs"):
            body["chat_template_kwargs"] = template
        return await self._tokens_of(("chat", answered, *map(repr, messages)), body)

    async def _tokenized(self, text: str) -> list[int]:
        return await self._tokens_of(("text", text), {"prompt": text, "add_special_tokens": False})

    async def _tokens_of(self, name: Any, body: dict[str, Any]) -> list[int]:
        def read(reply: Any) -> list[int]:
            tokens = reply.get("tokens") if isinstance(reply, Mapping) else None
            if not isinstance(tokens, list) or not all(type(one) is int and one >= 0 for one in tokens):
                raise MalformedReply("replied to /tokenize without tokens")
            return list(tokens)

        async def ask() -> list[int]:
            return await self._asked(f"{self._root}/tokenize", {"model": self._options.model, **body}, read)

        return await _once(self._tokens, name, ask)

    async def _ended(self) -> frozenset[int]:
        """Return which tokens end an answer: as the options say, or what the chat template puts after one."""
        if self._options.end_token_ids:
            return frozenset(self._options.end_token_ids)
        question, answer = {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}
        opened, spoken, closed = await asyncio.gather(
            self._chat([question]), self._tokenized("y"), self._chat([question, answer], answered=True)
        )
        written = [*opened, *spoken]
        if closed[: len(written)] != written or len(closed) == len(written):
            raise EngineLostError(
                f"{self._where}: its chat template does not tell which token ends an answer; set "
                "end_token_ids"
            )
        return frozenset({closed[len(written)]})

    async def _complete(
        self,
        request: ReadRequest,
        prompt: Sequence[int],
        wanted: Mapping[str, int],
        size: int,
        read: Callable[[Any], T],
    ) -> T:
        body = {
            "model": self._options.model,
            "prompt": list(prompt),
            "max_tokens": 1,
            "temperature": 0,
            "return_tokens_as_token_ids": True,
            **wanted,
        }

        def read_or_charge(reply: Any) -> T:
            try:
                return read(reply)
            except MalformedReply:
                with suppress(UsageError, AttributeError):
                    stated = read_counts(reply.get("usage"))
                    request.on_waste(stated.prompt, stated.cached, stated.generated)
                raise

        begin = partial(request.on_prompt, len(prompt), 0)
        return await self._asked(f"{self._root}/v1/completions", body, read_or_charge, size, begin)

    async def _asked(
        self,
        address: str,
        body: dict[str, Any],
        read: Callable[[Any], T],
        size: int = 0,
        begin: Callable[[], None] = lambda: None,
    ) -> T:
        """Return what is read in a reply; one that is broken is asked for again, after another `begin`."""
        fault = ""
        for attempt in range(self._options.max_retries + 1):
            if attempt:
                await asyncio.sleep(min(self._options.pause * 2 ** (attempt - 1), LONGEST_PAUSE))
            async with self._under_way:
                allow(size)
                begin()
                try:
                    return read(await self._connection.post(address, body))
                except MalformedReply as error:
                    fault = masked(str(error))
                except EngineLostError as error:
                    asked = f"reads_tokens wants {address}, which a vLLM server has"
                    raise EngineLostError(f"{error}; {asked}") from None
        raise EngineError(
            f"{self._where}: {fault}, {self._options.max_retries + 1} times; is it a vLLM server?"
        )

    def _usage(self, reply: Any, request: ReadRequest) -> Usage | None:
        """Return the tokens of a reply; None if they are unknown and need not be known."""
        try:
            return read_counts(reply.get("usage"))
        except UsageError as error:
            if not self._options.require_usage:
                return None
            raise EngineError(
                f"{self._where}: {masked(str(error))}: tokens cannot be accounted for; set "
                "require_usage: false to leave them unknown"
            ) from None


async def _once(known: dict[Any, asyncio.Task[T]], name: Any, ask: Callable[[], Awaitable[T]]) -> T:
    """Return an answer, which is asked for once however many want it; again, if that failed."""
    if name not in known or (known[name].done() and (known[name].cancelled() or known[name].exception())):
        known[name] = asyncio.ensure_future(ask())
    return await asyncio.shield(known[name])


def _spent(usage: Usage | None) -> dict[str, Any]:
    """Return the tokens of a request as an answer has them, None where nobody counted them."""
    counts = (None, None, None) if usage is None else (usage.prompt, usage.cached, usage.generated)
    return dict(zip(TOKEN_COUNTS, counts, strict=True))


def _choice(reply: Any) -> Mapping[str, Any]:
    """Return the one choice of a reply."""
    choices = reply.get("choices") if isinstance(reply, Mapping) else None
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], Mapping):
        raise MalformedReply("replied with no choice, or several")
    return choices[0]


def _listed(one: Any, token: int) -> tuple[float, str]:
    """Return log-probability and text of a prompt's token."""
    found = one.get(str(token)) if isinstance(one, Mapping) else None
    if not isinstance(found, Mapping):
        raise MalformedReply(f"replied without the log-probability of token {token} of the prompt")
    text = found.get("decoded_token")
    return _number(found.get("logprob")), text if isinstance(text, str) else ""


def _id(name: Any) -> int:
    number = str(name).removeprefix(ID)
    if not str(name).startswith(ID) or not (number.isascii() and number.isdecimal() and len(number) < 10):
        raise MalformedReply(f"replied with the token {str(name)[:20]!r}, not with its id")
    return int(number)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise MalformedReply(f"replied with the log-probability {str(value)[:20]}")
    return float(value)
