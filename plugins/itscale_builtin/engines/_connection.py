"""The connection to a server: what is sent to it, and what its refusals and silences come to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from itscale.errors import EngineError, EngineLostError
from itscale.messages.secrets import masked, remember
from itscale_builtin.engines._bounds import bounded_client
from itscale_builtin.engines._openai_options import OpenAIOptions
from itscale_builtin.engines._replies import said_of

__all__ = ["LONGEST_PAUSE", "PASSING", "Connection", "quoted"]

CHAT = "/chat/completions"
LONGEST_PAUSE = 8.0  # seconds; the client's own back-off ends there, too
LONGEST_WAIT = 120.0  # seconds that a server may ask to wait (Retry-After) before the next try
PROBE = 10.0  # seconds in which a server that is there says something
PASSING = frozenset({408, 409, 425, 429})
"""Codes below 500 after which the same request may be answered."""
LONGEST_QUOTE = 200
"""Characters of a server's own words that a message shows."""


class Connection:
    """A server by the official client, which repeats what may pass.

    Parameters
    ----------
    options
        Where it is, and how patient to be.
    where
        How messages call it.
    """

    def __init__(self, options: OpenAIOptions, where: str) -> None:
        from openai import AsyncOpenAI

        self.options = options
        self._where = where
        key = os.environ.get(options.api_key_env)
        remember(key)
        self._client = AsyncOpenAI(
            base_url=options.base_url,
            api_key=key or "EMPTY",
            timeout=options.timeout,
            max_retries=options.max_retries,
            http_client=bounded_client(options.timeout),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def chat(self, arguments: dict[str, Any]) -> bytes:
        """Return the body of the reply to a chat completion.

        Raises
        ------
        openai.APIStatusError
            If the server refuses it.
        EngineError, EngineLostError
            If nothing is replied.
        """
        # By its address: the client's own method looks up the type of every value in every message.
        sent = {name: value for name, value in arguments.items() if name != "extra_body"}
        sent |= arguments.get("extra_body", {})
        body: bytes = await self._replied(self._client.post, CHAT, cast_to=bytes, body=sent)
        return body

    async def post(self, address: str, body: dict[str, Any]) -> Any:
        """Return the reply (JSON values) of an address of the server, `/v1` or whatever it has in front.

        Raises
        ------
        EngineError, EngineLostError
            If it is refused, or nothing is replied.
        """
        import openai

        try:
            return await self._replied(self._client.post, address, cast_to=object, body=body)
        except openai.APIStatusError as error:
            raise self.refusal(error) from None

    async def _replied(self, ask: Callable[..., Awaitable[Any]], *place: str, **arguments: Any) -> Any:
        import openai

        tries = self.options.max_retries + 1
        try:
            async with asyncio.timeout(tries * (2 * self.options.timeout + LONGEST_WAIT)):
                return await ask(*place, **arguments)
        except openai.APIStatusError:
            raise
        except (openai.APIConnectionError, TimeoutError) as error:
            reason = str(error.__cause__ or error) or type(error.__cause__ or error).__name__
            kind = EngineError if await self._is_there() else EngineLostError
            raise kind(
                f"{self._where}: no reply ({quoted(reason)}) after {tries} attempts; is the server running, "
                "and base_url right?"
            ) from None
        except (openai.APIError, ValueError) as error:
            raise EngineError(
                f"{self._where}: the reply is not JSON as OpenAI's: {quoted(str(error))}"
            ) from None

    async def _is_there(self) -> bool:
        """Return whether the server still says something: a request may be one that it alone dies of."""
        import openai

        try:
            async with asyncio.timeout(PROBE):
                await self._client.with_options(max_retries=0, timeout=PROBE).models.list()
        except (openai.APIConnectionError, TimeoutError):
            return False
        except (openai.APIError, ValueError, TypeError):
            return True
        return True

    def refusal(self, error: Any) -> EngineError:
        """Return what a status other than 200 comes to."""
        status = int(error.status_code)
        kind = EngineLostError if status in (401, 404) or 300 <= status < 400 else EngineError
        return kind(f"{self._where}: {self._advice(status, error)}: {quoted(said_of(error))}")

    def _advice(self, status: int, error: Any) -> str:
        key = self.options.api_key_env
        if status in (401, 403):
            known = "is refused" if os.environ.get(key) else "is not set"
            return f"{status}, the key in ${key} {known}; put a valid key there, or name another api_key_env"
        if status == 404:
            return "404, no such model or address; check model and base_url (it usually ends in /v1)"
        if 300 <= status < 400:
            place = quoted(error.response.headers.get("location", "elsewhere"))
            return f"{status}, the server sends requests on to {place}; give base_url where they are answered"
        if status == 429:
            wait = error.response.headers.get("retry-after")
            asked = f" (it asks to wait: {quoted(wait)})" if wait else ""
            return (
                f"429, still too many requests after {self.options.max_retries + 1} attempts{asked}; lower "
                "concurrency, raise max_retries, or check the account's quota"
            )
        if status >= 500:
            return f"{status}, the server failed {self.options.max_retries + 1} times; see its own log"
        if status in PASSING:
            return f"{status}, still so after {self.options.max_retries + 1} attempts; try again later"
        if status == 413:
            return "413, the request is too large for the server; lower n_per_request, or shorten the prompt"
        return f"{status}, the request is refused; check the options of model and strategy"


def quoted(text: str) -> str:
    """Return somebody's words for a message: one line, no key in it, not too long."""
    return masked(" ".join(str(text).split()))[:LONGEST_QUOTE]
