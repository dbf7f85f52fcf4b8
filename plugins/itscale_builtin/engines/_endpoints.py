"""Endpoints of a server of reward models or embeddings: /pooling, /classify, /score, /v1/embeddings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Literal, TypeVar

from itscale.errors import EngineError
from itscale.messages.secrets import masked
from itscale.types import Embedding, OnWaste, Reward, Trajectory, ignored
from itscale_builtin.engines._connection import LONGEST_PAUSE
from itscale_builtin.engines._openai_options import OpenAIOptions
from itscale_builtin.engines._replies import MalformedReply, UsageError, read_prompt
from itscale_builtin.engines._rewards import chat_of, column_of, marked, plain_of, probabilities

__all__ = ["Endpoints", "endpoint_of", "faults"]

T = TypeVar("T")
Endpoint = Literal["pooling", "classify", "score"]
Read = tuple[int | None, int | None]
"""Tokens of a prompt, and how many of them were cached; None if the server does not say."""

ROUNDING = 1e-3
"""How far a sum of probabilities may be from 1."""


def endpoint_of(options: OpenAIOptions) -> Endpoint:
    """Return the endpoint that is asked for rewards: numbers of tokens are those of /pooling alone."""
    return options.endpoint or ("classify" if options.reward.marker is None else "pooling")


def faults(options: OpenAIOptions) -> Iterator[str]:
    """Yield which options of a reward model contradict others."""
    reward, endpoint = options.reward, endpoint_of(options)
    if options.use != "rewards" and (reward.model_fields_set or options.endpoint):
        yield f"use: found {options.use} and options of a reward model, expected use: rewards"
    if reward.labels is not None:
        yield "reward.labels: found two tokens, which a server is started with; expected label, or none"
    if reward.marker is not None and endpoint != "pooling":
        yield f"endpoint: found {endpoint}, expected pooling: no other gives rewards of steps"


class Endpoints:
    """Asks a server for what it reads off a model; nothing that it replies is believed unseen.

    Parameters
    ----------
    options
        Of the engine.
    where
        How messages call it.
    post
        Sends a body to an address of the server and returns the JSON values of its reply.
    note
        Tells something of a matter, once.
    """

    def __init__(
        self,
        options: OpenAIOptions,
        where: str,
        post: Callable[[str, dict[str, Any]], Awaitable[Any]],
        note: Callable[[str, str], None],
    ) -> None:
        self._options = options
        self._reward = options.reward
        self._where = where
        self._post = post
        self._note = note
        self._base = options.base_url.rstrip("/")
        self._root = self._base.removesuffix("/v1")
        self._under_way = asyncio.Semaphore(options.concurrency)
        self._marker: int | None = None

    async def rewards(
        self, trajectories: Sequence[Trajectory], *, on_waste: OnWaste = ignored
    ) -> list[Reward]:
        """Return the reward of the whole, or of each step, of each trajectory, a request for each.

        Raises
        ------
        EngineError
            In one line: which server and model, what it replied, what to do.
        EngineLostError
            If no other request would fare better.
        """
        asked = self._whole if self._reward.marker is None else self._steps
        return list(await asyncio.gather(*(asked(trajectory, on_waste) for trajectory in trajectories)))

    async def embed(self, texts: Sequence[str], *, on_waste: OnWaste = ignored) -> list[Embedding]:
        """Return the embedding of each text, a request for each."""
        return list(await asyncio.gather(*(self._embedding(text, on_waste) for text in texts)))

    async def _embedding(self, text: str, on_waste: OnWaste) -> Embedding:
        body = {"input": [text], "encoding_format": "float"}
        vector, (prompt, _) = await self._asked(
            f"{self._base}/embeddings", body, lambda reply: _numbers(_item(reply), "embedding"), on_waste
        )
        return Embedding(vector=tuple(vector), prompt_tokens=prompt)

    async def _whole(self, trajectory: Trajectory, on_waste: OnWaste) -> Reward:
        endpoint = endpoint_of(self._options)
        body = {**self._text(trajectory, trajectory.text), "use_activation": not self._options.logits}
        (whole,), read = await self._asked(
            f"{self._root}/{endpoint}",
            body,
            # that of the last token, where it gives one for each
            lambda reply: self._values(_some(_rows(_item(reply), endpoint))[-1:]),
            on_waste,
        )
        return Reward(whole=whole, prompt_tokens=read[0], cached_prompt_tokens=read[1])

    async def _steps(self, trajectory: Trajectory, on_waste: OnWaste) -> Reward:
        if trajectory.step is None:
            return Reward(prompt_tokens=0)  # nothing to read
        content, ends = marked(trajectory, self._reward.marker or "")
        text = self._text(trajectory, content)
        rows, read = await self._asked(
            f"{self._root}/pooling",
            {**text, "use_activation": not self._options.logits},
            lambda reply: _rows(_item(reply), "pooling"),
            on_waste,
        )
        try:
            if len(rows) != len(ends):  # else the server itself leaves out what is no marker
                rows = await self._at_markers(rows, text, len(ends))
            values = self._values(rows)
        except EngineError:
            on_waste(read[0] or 0, read[1] or 0, 0)
            raise
        return Reward(steps=tuple(values), prompt_tokens=read[0], cached_prompt_tokens=read[1])

    async def _at_markers(
        self, rows: list[list[float]], text: dict[str, Any], steps: int
    ) -> list[list[float]]:
        """Return the rows of the markers, if the server gave one for each token."""
        address = f"{self._root}/tokenize"
        if self._marker is None:
            own = (self._reward.marker or "").strip() or self._reward.marker
            body = {"prompt": own, "add_special_tokens": False}
            self._marker = (await self._asked(address, body, _tokens))[0][-1]
        asked = {"prompt": text["input"]} if "input" in text else text
        tokens, _ = await self._asked(address, {**asked, "add_generation_prompt": False}, _tokens)
        places = [at for at, token in enumerate(tokens) if token == self._marker]
        if len(rows) != len(tokens) or len(places) != steps:
            raise EngineError(
                f"{self._where}: replied with {len(rows)} rewards for {steps} steps, and {len(places)} "
                f"markers in {len(tokens)} tokens; is {self._reward.marker!r} what the server reads at "
                "(step_tag_id of its --pooler-config), and in no step's text?"
            )
        return [rows[place] for place in places]

    def _text(self, trajectory: Trajectory, content: str) -> dict[str, Any]:
        """Return what is to be read, as the endpoint takes it."""
        separator = self._reward.separator
        if endpoint_of(self._options) == "score":
            question = separator.join(message["content"] for message in trajectory.chat)
            return {"text_1": question, "text_2": content}
        if self._reward.template == "plain":
            return {"input": plain_of(trajectory, content, separator)}
        return {"messages": chat_of(trajectory, content)}

    def _values(self, rows: Sequence[Sequence[float]]) -> list[float]:
        """Return rewards of rows, which are logits, or probabilities if the options say so."""
        try:
            if self._options.logits:
                self._doubt(rows)
                return probabilities(self._reward, rows)
            found = [row[column_of(self._reward, len(row))] for row in rows]
        except (EngineError, ValueError) as error:
            raise EngineError(f"{self._where}: {error}") from None
        for value in found:
            if not 0 <= value <= 1:
                raise EngineError(
                    f"{self._where}: replied with the reward {value:g}, expected one in [0, 1], as logits: "
                    "false says; take logits: true"
                )
        return found

    def _doubt(self, rows: Sequence[Sequence[float]]) -> None:
        """Refuse what looks like probabilities where logits were asked for."""
        if all(len(row) > 1 and min(row) >= 0 and abs(sum(row) - 1) < ROUNDING for row in rows):
            raise EngineError(
                "replied with probabilities, expected logits; set logits: false for a server that does not "
                "know use_activation"
            )

    async def _asked(
        self, address: str, body: dict[str, Any], read: Callable[[Any], T], on_waste: OnWaste | None = None
    ) -> tuple[T, Read]:
        """Return what is read in a reply, and the tokens it states; a broken one is asked for again.

        `on_waste` is told what a reply had cost that is of no use; without it, replies cost nothing.
        """
        fault = ""
        for attempt in range(self._options.max_retries + 1):
            if attempt:
                await asyncio.sleep(min(self._options.pause * 2 ** (attempt - 1), LONGEST_PAUSE))
            async with self._under_way:
                reply = await self._post(
                    address, {"model": self._options.model, **body, **self._options.extra}
                )
            try:
                found = read(reply)
            except (MalformedReply, EngineError) as error:
                if on_waste is not None:
                    _tell(reply, on_waste)
                if isinstance(error, EngineError):
                    raise
                fault = masked(str(error))
                continue
            return found, self._usage(reply) if on_waste is not None else (None, None)
        raise EngineError(
            f"{self._where}: {address}: {fault}, {self._options.max_retries + 1} times; is it a model for "
            f"use: {self._options.use}?"
        )

    def _usage(self, reply: Any) -> Read:
        try:
            return read_prompt(reply.get("usage"))
        except UsageError as error:
            if self._options.require_usage:
                raise EngineError(
                    f"{self._where}: {masked(str(error))}: tokens cannot be accounted for; set "
                    "require_usage: false to leave them unknown"
                ) from None
            self._note("usage", f"{error}: tokens are unknown")
            return None, None


def _tell(reply: Any, on_waste: OnWaste) -> None:
    """Tell of the tokens that a reply states which is of no use."""
    with suppress(UsageError, AttributeError):
        on_waste(*read_prompt(reply.get("usage")), 0)


def _item(reply: Any) -> dict[str, Any]:
    """Return the only item of a reply."""
    if isinstance(reply, dict) and reply.get("error"):
        raise MalformedReply(f"replied with an error: {str(reply['error'])[:100]}")
    data = reply.get("data") if isinstance(reply, dict) else None
    if not isinstance(data, list) or len(data) != 1 or not isinstance(data[0], dict):
        raise MalformedReply("the reply has no data of one item")
    item: dict[str, Any] = data[0]
    return item


def _rows(item: dict[str, Any], endpoint: Endpoint) -> list[list[float]]:
    """Return the numbers of an item, a row for each token or for all of them."""
    if endpoint == "score":
        return [_numbers({"score": [item.get("score")]}, "score")]
    if endpoint == "classify":
        return [_numbers(item, "probs")]
    data = item.get("data")
    if not isinstance(data, list):
        raise MalformedReply("the reply has no numbers in data")
    if data and not isinstance(data[0], list):
        return [_numbers(item, "data")]
    rows = [_numbers({"data": row}, "data") for row in data]
    if len({len(row) for row in rows}) > 1:
        raise MalformedReply("the reply has rows of several lengths")
    return rows


def _some(rows: list[list[float]]) -> list[list[float]]:
    if not rows:
        raise MalformedReply("the reply has no numbers in data")
    return rows


def _numbers(item: dict[str, Any], name: str) -> list[float]:
    found = item.get(name)
    if not isinstance(found, list) or not found:
        raise MalformedReply(f"the reply has no numbers in {name}")
    for number in found:
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) < float("inf"):
            raise MalformedReply(f"the reply has {str(number)[:40]!r} in {name}, no finite number")
    return [float(number) for number in found]


def _tokens(reply: Any) -> list[int]:
    """Return the token ids of a reply of /tokenize."""
    found = reply.get("tokens") if isinstance(reply, dict) else None
    if not isinstance(found, list) or not found or not all(type(token) is int for token in found):
        raise MalformedReply("the reply has no tokens")
    return found
