"""Any server that speaks OpenAI's chat completions (OpenAI, vLLM, llama.cpp, SGLang ...)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from itscale.errors import EngineError, EngineLostError
from itscale.messages.secrets import masked
from itscale.plugins import EngineEntry
from itscale.types import (
    Capability,
    Embedding,
    Generation,
    GenerationRequest,
    NextLogprobs,
    NextRequest,
    OnWaste,
    Reward,
    SamplingParams,
    TextLogprobs,
    TextRequest,
    Trajectory,
    ignored,
)
from itscale_builtin.engines._bounds import allow
from itscale_builtin.engines._connection import LONGEST_PAUSE, PASSING, Connection, quoted
from itscale_builtin.engines._endpoints import Endpoints, faults
from itscale_builtin.engines._openai_options import OpenAIOptions
from itscale_builtin.engines._parameters import WITHOUT_EFFECT, Parameters, Refused, blamed
from itscale_builtin.engines._replies import (
    Choice,
    MalformedReply,
    ServerError,
    Usage,
    UsageError,
    estimates,
    read_choices,
    read_usage,
    said_of,
    shares,
    tell_waste,
)
from itscale_builtin.engines._served_logprobs import ServedReader

OFFERS: frozenset[Capability] = frozenset(
    {"generate", "continue", "generated_logprobs", "generated_confidences", "logprobs", "next_logprobs"}
)
MOST_ADAPTATIONS = 6
"""Parameters that a server may refuse, one after the other, before its refusal is taken as such."""
MOST_NOTES = 20

logger = logging.getLogger(__name__)


def offered(options: OpenAIOptions) -> frozenset[Capability]:
    """Return what the server can do, as the options say."""
    if options.use == "embed":
        return frozenset({"embed"})
    if options.use == "rewards":
        return frozenset({"step_rewards"} if options.reward.marker else {"rewards"})
    told: dict[Capability, bool] = {"continue": options.continues}
    told |= dict.fromkeys(("generated_logprobs", "generated_confidences"), options.logprobs)
    told |= dict.fromkeys(("logprobs", "next_logprobs"), options.reads_tokens)
    return frozenset({"generate", *(capability for capability, there in told.items() if there)})


def refuses(options: OpenAIOptions, params: SamplingParams) -> Iterator[str]:
    """Yield what of these parameters the server takes no other value of than its own, as `omit` says."""
    sent: dict[str, Any] = {"n": 1, "temperature": params.temperature, "top_p": params.top_p}
    sent |= {"max_tokens": params.max_tokens} | ({"stop": list(params.stop)} if params.stop else {})
    try:
        Parameters(options.n_per_request, options.omit, options.limit_name).shaped(sent)
    except Refused as refused:
        yield f"omit: {refused}"


FIRST_REPLIES = 3
"""Replies without usage, and none with it before, after which a server counts no tokens at all."""


class OpenAIEngine:
    """Sends requests to a server, repeats what fails for a while, and accounts for tokens by its usage.

    EngineError is about one request: the server refuses it, or its reply stays broken. EngineLostError is
    about all of them: nothing answers there, the key or the model is refused, nothing counts tokens.
    """

    simulated = False

    def __init__(self, options: OpenAIOptions) -> None:
        self.options = options
        self.offers = offered(options)
        self.seed_scope: Literal["completion", "block"] = "completion" if options.seed else "block"
        self._where = f"models: openai: {options.model} at {options.base_url}"
        self._under_way = asyncio.Semaphore(options.concurrency)
        self._parameters = Parameters(options.n_per_request, options.omit, options.limit_name)
        self._noted: set[str] = set()
        self._counted = False  # whether any reply had counts of tokens
        self._uncounted = 0  # replies that had none
        self._connection = Connection(options, self._where)
        self.tokenizer = options.tokenizer
        self._reader = ServedReader(self._connection, options, self._where, self._under_way)
        self._endpoints = Endpoints(options, self._where, self._connection.post, self._note)

    async def generate(self, request: GenerationRequest) -> list[Generation]:
        """Return one generation per seed.

        Without seeds, as many are asked for in one request as the server takes; one that returns fewer is
        asked for the rest.

        Raises
        ------
        EngineError
            In one line: which server and model, what it answered, what to do.
        EngineLostError
            If no other request would fare better.
        """
        if request.prefix and not self.options.continues:
            raise EngineError(
                f"{self._where}: asked to continue a completion; set continues: true if the server can "
                "(vLLM does), or choose a strategy that does not search step by step"
            )
        if self.options.seed:
            return await _all([self._ask(request, 1, seed, at) for at, seed in enumerate(request.seeds)])
        return await self._several(request, 0, len(request.seeds), self._parameters.most)

    async def logprobs(self, request: TextRequest) -> TextLogprobs:
        """Return the log-probability of each token of a text; EngineError as `generate`."""
        return await self._reader.text(request)

    async def next_logprobs(self, request: NextRequest) -> NextLogprobs:
        """Return the log-probabilities of the next token; EngineError as `generate`."""
        return await self._reader.following(request)

    async def spell(self, request: NextRequest, token_id: int) -> str:
        """Return what a token adds to the text."""
        return await self._reader.spell(request, token_id)

    async def rewards(
        self, trajectories: Sequence[Trajectory], *, on_waste: OnWaste = ignored
    ) -> list[Reward]:
        """Return the reward of each trajectory, as the endpoint of a reward model gives it."""
        return await self._endpoints.rewards(trajectories, on_waste=on_waste)

    async def embed(self, texts: Sequence[str], *, on_waste: OnWaste = ignored) -> list[Embedding]:
        """Return the embedding of each text."""
        return await self._endpoints.embed(texts, on_waste=on_waste)

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    async def _several(
        self, request: GenerationRequest, first: int, count: int, most: int
    ) -> list[Generation]:
        """Return so many generations, at most `most` of one request, all requests at once."""
        starts = range(first, first + count, most)
        stop = first + count
        return await _all([self._filled(request, start, min(most, stop - start)) for start in starts])

    async def _filled(self, request: GenerationRequest, first: int, count: int) -> list[Generation]:
        made = await self._ask(request, count, None, first)
        if len(made) < count:  # what it gave is what it gives
            made += await self._several(request, first + len(made), count - len(made), len(made))
        return made

    async def _ask(
        self, request: GenerationRequest, count: int, seed: int | None, first: int
    ) -> list[Generation]:
        """Return at least one and at most `count` generations, for the seeds from place `first`."""
        arguments = self._arguments(request, count, seed)
        fault = ""
        for attempt in range(self.options.max_retries + 1):
            if attempt:
                await asyncio.sleep(min(self.options.pause * 2 ** (attempt - 1), LONGEST_PAUSE))
            async with self._under_way:
                allow(count * request.params.max_tokens)
                for place in range(first, first + count):
                    request.on_tokens(place, 0)  # more is told by the reply only
                body = await self._adapted(arguments)
            try:
                choices, usage = read_choices(body, request.params.stop)
                made = self._accounted(choices, usage, request, count)
            except ServerError as error:
                tell_waste(body, request)
                fault = f"replied with an error: {quoted(str(error))}"
                if error.code is not None and error.code < 500 and error.code not in PASSING:
                    raise EngineError(f"{self._where}: {fault}") from None
                continue
            except MalformedReply as error:
                tell_waste(body, request)
                fault = masked(str(error))
                continue
            except EngineError:
                tell_waste(body, request)
                raise
            for place, one in enumerate(made, first):
                request.on_prompt(one.prompt_tokens, one.cached_prompt_tokens)
                request.on_tokens(place, one.tokens)
                request.on_end(place)
            return made
        raise EngineError(
            f"{self._where}: {fault}, {self.options.max_retries + 1} times; is base_url that of "
            "an OpenAI-compatible server (with /v1), and is the model a chat model?"
        )

    def _arguments(self, request: GenerationRequest, count: int, seed: int | None) -> dict[str, Any]:
        params = request.params
        messages = [dict(message) for message in request.chat]
        extra: dict[str, Any] = {name: WITHOUT_EFFECT[name] for name in self.options.always_send}
        extra |= self.options.extra
        if request.prefix:
            text = "".join(step.text for step in request.prefix)
            messages.append({"role": "assistant", "content": text})
            extra |= {"continue_final_message": True, "add_generation_prompt": False}
        # Parameters beyond OpenAI's own are sent only where they matter: strict servers refuse them.
        if params.top_k:
            extra["top_k"] = params.top_k
        if params.min_p:
            extra["min_p"] = params.min_p
        arguments: dict[str, Any] = {
            "model": self.options.model,
            "messages": messages,
            "n": count,
            "temperature": params.temperature,
            "top_p": params.top_p,
            "max_tokens": params.max_tokens,
            "extra_body": extra,
        }
        if params.stop:
            arguments["stop"] = list(params.stop)
        if self.options.logprobs:
            arguments["logprobs"] = True
            if params.confidence_top:
                arguments["top_logprobs"] = params.confidence_top
        if seed is not None:
            arguments["seed"] = seed
        return arguments

    async def _adapted(self, arguments: dict[str, Any]) -> bytes:
        """Return the body of a reply; what the server says it does not take is sent another way, or not."""
        import openai

        for place in range(MOST_ADAPTATIONS + 1):
            try:
                sent = self._parameters.shaped(arguments)
                try:
                    return await self._connection.chat(sent)
                except openai.APIStatusError as error:
                    words = said_of(error)
                    name = blamed(words, error.param, sent) if error.status_code in (400, 422) else None
                    if place == MOST_ADAPTATIONS or name is None:
                        raise self._connection.refusal(error) from None
                    if not self._parameters.adapt(name, sent, words):
                        raise self._connection.refusal(error) from None
                    self._note(name, f"the server refuses {name} as sent ({quoted(words)}); asked otherwise")
            except Refused as refusal:
                raise EngineError(f"{self._where}: the server {refusal}") from None
        raise AssertionError("unreachable")

    def _accounted(
        self, choices: Sequence[Choice], usage: Any, request: GenerationRequest, count: int
    ) -> list[Generation]:
        if self.options.logprobs and any(choice.text and choice.logprob is None for choice in choices):
            raise EngineLostError(
                f"{self._where}: replies without the log-probabilities that were asked for; set logprobs: "
                "false"
            )
        top = request.params.confidence_top
        if top and any(choice.text and choice.confidence(top) is None for choice in choices):
            raise EngineLostError(
                f"{self._where}: replies without the {top} most probable tokens that were asked for "
                "(top_logprobs); set logprobs: false"
            )
        counts = self._usage(usage, choices, request.params.max_tokens)
        tokens = (
            estimates(choices)
            if counts is None
            else shares(choices, counts.generated, request.params.max_tokens)
        )
        known = counts or Usage(0, 0, 0)
        if counts and (beyond := sum(tokens[count:])):  # choices that nobody asked for
            request.on_waste(0, 0, beyond)
        return [
            Generation(
                text=choice.text,
                tokens=tokens[place],
                counted=counts is not None,
                prompt_tokens=0 if place else known.prompt,
                cached_prompt_tokens=0 if place else known.cached,
                context_tokens=max(0, known.prompt - sum(step.tokens for step in request.prefix)),
                logprob=choice.logprob if self.options.logprobs else None,
                confidence=choice.confidence(top),
                finish_reason=choice.finish_reason,
            )
            for place, choice in enumerate(self._ended(choices, counts, request.params.max_tokens)[:count])
        ]

    def _ended(self, choices: Sequence[Choice], counts: Usage | None, most: int) -> list[Choice]:
        """Say why choices ended whose reason is not one of the protocol's: at the limit, or by themselves."""
        found = []
        for choice in choices:
            alone = counts.generated if counts is not None and len(choices) == 1 else None
            if choice.finish_reason == "filtered":
                self._note(
                    "filter",
                    "the provider withholds what the model wrote (content filter); it counts as it is",
                )
            if choice.said is not None:
                full = max(alone or 0, choice.counted or 0) >= most
                self._note(choice.said, f"finish_reason {choice.said} is taken as the end of a completion")
                choice = replace(choice, finish_reason="length") if full else choice
            found.append(choice)
        return found

    def _usage(self, usage: Any, choices: Sequence[Choice], most: int) -> Usage | None:
        """Return the tokens of a request; None if they are unknown and need not be known."""
        try:
            counts = read_usage(usage, choices, most)
        except UsageError as error:
            self._uncounted += usage is None
            if self.options.require_usage:
                never = usage is None and not self._counted and self._uncounted >= FIRST_REPLIES
                kind = EngineLostError if never else EngineError
                raise kind(
                    f"{self._where}: {masked(str(error))}: tokens cannot be accounted for; set "
                    "require_usage: false to leave them unknown"
                ) from None
            self._note("usage", f"{error}: tokens are unknown")
            return None
        self._counted = True
        return counts

    def _note(self, about: str, text: str) -> None:
        """Tell something once of each matter, and of so many matters."""
        if about not in self._noted and len(self._noted) < MOST_NOTES:
            self._noted.add(about)
            logger.warning("%s: %s", self._where, masked(text))


async def _all(asked: Sequence[Coroutine[Any, Any, list[Generation]]]) -> list[Generation]:
    """Return what several requests made, in order; one that fails takes the others along."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in asked]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [generation for task in tasks for generation in task.result()]


def make(options: OpenAIOptions, *, seed: int = 0, model_directory: Path | None = None) -> OpenAIEngine:
    """Return the engine; nothing is sent before the first request, and `seed` has no effect."""
    return OpenAIEngine(options)


entry = EngineEntry(
    name="openai",
    factory=make,
    options=OpenAIOptions,
    offers=OFFERS | {"rewards", "step_rewards", "embed"},
    configured=offered,
    check=faults,
    refuses=refuses,
    rereads=lambda options: options.seed or options.n_per_request == 1,
    requires=("openai",),
    extra="openai",
    summary="Any OpenAI-compatible server, by the official client.",
)
