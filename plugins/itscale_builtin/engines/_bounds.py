"""Bounds on what a server may send: a reply that never ends, or a page as large as the memory, ends here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import ContextVar
from importlib import import_module
from typing import Any

__all__ = ["SMALLEST_BOUND", "allow", "bounded_client"]

SMALLEST_BOUND = 1 << 24
"""Bytes that any reply may have."""
TOO_EARLY = 425
BYTES_PER_TOKEN = 1024
"""Bytes that a token takes at most in a reply: its text, escaped, and its log-probability."""

_allowed: ContextVar[int] = ContextVar("allowed", default=SMALLEST_BOUND)


def allow(tokens: int) -> None:
    """Let replies of this task's requests be as large as so many tokens need."""
    _allowed.set(SMALLEST_BOUND + BYTES_PER_TOKEN * tokens)


def bounded_client(timeout: float) -> Any:
    """Return an HTTP client for the openai package that refuses replies that are too large or too slow.

    It follows no redirection: a key is for the server that was named, and a POST would become a GET. Replies
    are asked for uncompressed, so that their size is known as they come.

    Parameters
    ----------
    timeout
        Seconds from the head of a reply to its end.
    """
    import aiohttp
    import openai

    # The package's own HTTP library, whichever it is (httpx, or a fork of it): it takes no other's streams.
    (base,) = (one for one in openai.DefaultAioHttpClient.__mro__ if one.__name__ == "AsyncClient")
    http = import_module(base.__module__.partition(".")[0])

    class Bounded(http.AsyncByteStream):  # type: ignore[name-defined, misc]
        """The stream of a reply, which ends with an error where a bound is met."""

        def __init__(self, stream: Any) -> None:
            self.stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            most, size = _allowed.get(), 0
            try:
                async with asyncio.timeout(timeout):
                    async for piece in self.stream:
                        size += len(piece)
                        if size > most:
                            raise http.RemoteProtocolError(f"the reply is longer than {most >> 20} MiB")
                        yield piece
            except TimeoutError:
                raise http.ReadTimeout(f"the reply did not end within {timeout:g} s") from None

        async def aclose(self) -> None:
            await self.stream.aclose()

    async def bound(response: Any) -> None:
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise http.RemoteProtocolError(f"the reply is compressed ({coding[:20]}), unasked")
        if response.status_code == TOO_EARLY:  # which the package takes for final
            response.headers["x-should-retry"] = "true"
        response.stream = Bounded(response.stream)

    class Client(openai.DefaultAioHttpClient):
        """Speaks by aiohttp, which takes a third of the processor time that httpx's own transport takes."""

        async def send(self, *request: Any, **how: Any) -> Any:
            try:
                return await super().send(*request, **how)
            except aiohttp.ClientError as error:  # what its transport does not translate: a head that is none
                raise http.RemoteProtocolError(" ".join(str(error).split())) from error

    return Client(
        follow_redirects=False,
        event_hooks={"response": [bound]},
        headers={"accept-encoding": "identity"},
    )
