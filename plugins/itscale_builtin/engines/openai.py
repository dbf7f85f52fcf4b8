"""Any server that speaks OpenAI's chat completions (OpenAI, vLLM, llama.cpp, SGLang ...)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from itscale.errors import EngineError, EngineLostError
from itscale.plugins import EngineEntry, Options
from itscale.types import Capability, Generation, GenerationRequest, Step, Trajectory
from itscale_builtin.engines.address import Address

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion

OFFERS: frozenset[Capability] = frozenset({"generate", "continue", "logprobs"})
LONGEST_PAUSE = 8.0  # seconds; the client's own back-off ends there, too
PROBE = 10.0  # seconds in which a server that is there says something


class OpenAIOptions(Options):
    """Options of the openai engine. What it offers beyond `generate` is as the server can and you say."""

    model: str
    """Name of the model, as the server knows it."""
    base_url: Address = "https://api.openai.com/v1"
    """Where the server is, `/v1` included."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; `EMPTY` is sent where it is not set, as local servers want."""
    concurrency: int = Field(default=64, ge=1, le=10_000)
    """Most requests under way at once."""
    timeout: float = Field(default=600.0, gt=0, le=86_400)
    """Seconds to wait for one reply."""
    max_retries: int = Field(default=6, ge=0, le=1_000)
    """How often a request is repeated after 408, 409, 429, 5xx, a lost connection or an empty reply."""
    pause: float = Field(default=0.5, gt=0, le=3_600)
    """Seconds before an empty reply's first repetition; doubled for each further one."""
    logprobs: bool = False
    """Ask for log-probabilities of the generated tokens (for the logprob scorer)."""
    continues: bool = False
    """The server continues an unfinished assistant message (vLLM's `continue_final_message`)."""
    seed: bool = False
    """Send a seed with every completion, each then a request of its own; as reproducible as the server."""
    require_usage: bool = True
    """Refuse replies without token counts; else words are counted instead of tokens."""


def offered(options: OpenAIOptions) -> frozenset[Capability]:
    """Return what the server can do, as the options say."""
    told: dict[Capability, bool] = {"logprobs": options.logprobs, "continue": options.continues}
    return frozenset({"generate", *(capability for capability, there in told.items() if there)})


@dataclass(frozen=True)
class _Choice:
    """One checked choice of a reply."""

    text: str
    finish_reason: Literal["eos", "stop", "length"]
    logprob: float | None
    counted: int | None


class OpenAIEngine:
    """Sends requests to a server, repeats what fails for a while, and accounts for tokens by its usage."""

    simulated = False

    def __init__(self, options: OpenAIOptions) -> None:
        from openai import AsyncOpenAI

        self.options = options
        self.offers = offered(options)
        self.seed_scope: Literal["completion", "block"] = "completion" if options.seed else "block"
        self._where = f"models: openai: {options.model} at {options.base_url}"
        self._under_way = asyncio.Semaphore(options.concurrency)
        self._client = AsyncOpenAI(
            base_url=options.base_url,
            api_key=os.environ.get(options.api_key_env) or "EMPTY",
            timeout=options.timeout,
            max_retries=options.max_retries,
        )

    async def generate(self, request: GenerationRequest) -> list[Generation]:
        """Return one generation per seed.

        Without seeds, all are asked for in one request; a server that returns fewer is asked for the rest.

        Raises
        ------
        EngineError
            In one line: which server and model, what it answered, what to do.
        """
        if request.prefix and not self.options.continues:
            raise EngineError(
                f"{self._where}: asked to continue a completion; set continues: true if the server can "
                "(vLLM does), or choose a strategy that does not search step by step"
            )
        if self.options.seed:
            single = (self._ask(request, 1, seed) for seed in request.seeds)
            return [generation for batch in await asyncio.gather(*single) for generation in batch]
        made: list[Generation] = []
        while len(made) < len(request.seeds):
            made += await self._ask(request, len(request.seeds) - len(made), None)
        return made

    async def score(self, trajectories: Sequence[Trajectory]) -> list[float]:
        """Raise EngineError: chat completions have no rewards."""
        raise EngineError(f"{self._where}: has no reward model; choose a scorer that needs no score")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _ask(self, request: GenerationRequest, count: int, seed: int | None) -> list[Generation]:
        """Return at least one and at most `count` generations."""
        arguments = self._arguments(request, count, seed)
        fault = ""
        for attempt in range(self.options.max_retries + 1):
            if attempt:
                await asyncio.sleep(min(self.options.pause * 2 ** (attempt - 1), LONGEST_PAUSE))
            async with self._under_way:
                reply = await self._send(arguments)
            try:
                choices = [_checked(choice, request.params.stop) for choice in (reply.choices or [])[:count]]
            except (AttributeError, TypeError, ValueError) as error:
                fault = f"malformed choices ({' '.join(str(error).split())[:100]})"
                continue
            if choices:
                return self._accounted(choices, reply, request.prefix)
            fault = "no choices"
        raise EngineError(
            f"{self._where}: replied with {fault}, {self.options.max_retries + 1} times; is base_url that of "
            "an OpenAI-compatible server (with /v1), and is the model a chat model?"
        )

    def _arguments(self, request: GenerationRequest, count: int, seed: int | None) -> dict[str, Any]:
        params = request.params
        messages = [dict(message) for message in request.problem.messages]
        extra: dict[str, Any] = {}
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
        if seed is not None:
            arguments["seed"] = seed
        return arguments

    async def _send(self, arguments: dict[str, Any]) -> ChatCompletion:
        import openai

        try:
            reply: ChatCompletion = await self._client.chat.completions.create(**arguments)
        except openai.APIStatusError as error:
            kind = EngineLostError if error.status_code in (401, 404) else EngineError
            raise kind(f"{self._where}: {self._advice(error.status_code)}: {_said(error)}") from None
        except openai.APIConnectionError as error:
            reason = str(error.__cause__ or error) or type(error.__cause__).__name__
            kind = EngineError if await self._is_there() else EngineLostError
            raise kind(
                f"{self._where}: no reply ({' '.join(reason.split())}) after {self.options.max_retries + 1} "
                "attempts; is the server running, and base_url right?"
            ) from None
        except (openai.APIError, ValueError) as error:
            raise EngineError(
                f"{self._where}: the reply is not JSON as OpenAI's: {' '.join(str(error).split())[:200]}"
            ) from None
        if not hasattr(reply, "choices"):
            raise EngineError(f"{self._where}: the reply is no chat completion; does base_url end in /v1?")
        return reply

    async def _is_there(self) -> bool:
        """Return whether the server still says something: a request may be one that it alone dies of."""
        import openai

        try:
            await self._client.with_options(max_retries=0, timeout=PROBE).models.list()
        except openai.APIConnectionError:
            return False
        except (openai.APIError, ValueError):
            return True
        return True

    def _advice(self, status: int) -> str:
        key = self.options.api_key_env
        if status in (401, 403):
            known = "is refused" if os.environ.get(key) else "is not set"
            return f"{status}, the key in ${key} {known}; put a valid key there, or name another api_key_env"
        if status == 404:
            return "404, no such model or address; check model and base_url (it usually ends in /v1)"
        if status == 429:
            return (
                f"429, still too many requests after {self.options.max_retries + 1} attempts; lower "
                "concurrency, raise max_retries, or check the account's quota"
            )
        if status >= 500:
            return f"{status}, the server failed {self.options.max_retries + 1} times; see its own log"
        return f"{status}, the request is refused; check the options of model and strategy"

    def _accounted(
        self, choices: Sequence[_Choice], reply: ChatCompletion, prefix: Sequence[Step]
    ) -> list[Generation]:
        prompt, cached, total = self._usage(choices, reply)
        tokens = _shares(choices, total)
        return [
            Generation(
                text=choice.text,
                tokens=tokens[place],
                prompt_tokens=0 if place else prompt,
                cached_prompt_tokens=0 if place else cached,
                context_tokens=max(0, prompt - sum(step.tokens for step in prefix)),
                logprob=choice.logprob if self.options.logprobs else None,
                finish_reason=choice.finish_reason,
            )
            for place, choice in enumerate(choices)
        ]

    def _usage(self, choices: Sequence[_Choice], reply: ChatCompletion) -> tuple[int, int, int]:
        """Return tokens of the prompt, how many of them were cached, and tokens generated by the request."""
        usage = reply.usage
        if usage is not None and usage.prompt_tokens is not None and usage.completion_tokens is not None:
            details = usage.prompt_tokens_details
            cached = (details.cached_tokens or 0) if details is not None else 0
            return usage.prompt_tokens, cached, usage.completion_tokens
        if self.options.require_usage:
            raise EngineError(
                f"{self._where}: replies without usage: tokens cannot be accounted for; set "
                "require_usage: false to count words instead"
            )
        words = [choice.counted or max(1, len(choice.text.split())) for choice in choices]
        return 0, 0, sum(words)


def _checked(choice: Any, stops: Sequence[str]) -> _Choice:
    """Read one choice of a reply; AttributeError, TypeError or ValueError if it is malformed."""
    text = choice.message.content or ""
    if not isinstance(text, str):
        raise TypeError(f"content is {type(text).__name__}")
    content = choice.logprobs.content if choice.logprobs is not None else None
    logprob = float(sum(token.logprob for token in content)) if content is not None else None
    counted = len(content) if content is not None else None
    reason = choice.finish_reason
    if reason == "length":
        return _Choice(text, "length", logprob, counted)
    if reason not in ("stop", "content_filter"):
        raise ValueError(f"finish_reason is {reason!r}")
    met = getattr(choice, "stop_reason", None)  # vLLM says which stop string was met
    if isinstance(met, str) and met in stops:
        return _Choice(text if text.endswith(met) else text + met, "stop", logprob, counted)
    ended = any(text.endswith(stop) for stop in stops)
    return _Choice(text, "stop" if ended else "eos", logprob, counted)


def _shares(choices: Sequence[_Choice], total: int) -> list[int]:
    """Split a request's tokens among its choices.

    By their own counts where the server lists tokens; else in proportion to the length of their texts, as
    usage has only the sum (which the shares keep).
    """
    if (
        all(choice.counted is not None for choice in choices)
        and sum(c.counted or 0 for c in choices) == total
    ):
        return [choice.counted or 0 for choice in choices]
    weights = [max(1, len(choice.text)) for choice in choices]
    ends = [total * sum(weights[: place + 1]) // sum(weights) for place in range(len(weights))]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def _said(error: Any) -> str:
    """Return what a server said of an error, in one line."""
    body = error.body
    message = body.get("message", body) if isinstance(body, dict) else (body or error.message)
    return " ".join(str(message).split())[:200]


def make(options: OpenAIOptions, *, seed: int = 0, model_directory: Path | None = None) -> OpenAIEngine:
    """Return the engine; nothing is sent before the first request, and `seed` has no effect."""
    return OpenAIEngine(options)


entry = EngineEntry(
    name="openai",
    factory=make,
    options=OpenAIOptions,
    offers=OFFERS,
    configured=offered,
    requires=("openai",),
    extra="openai",
    summary="Any OpenAI-compatible server, by the official client.",
)
