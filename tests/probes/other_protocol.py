"""An engine for llama.cpp's own protocol, as a third party would write it."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from itscale import hookimpl
from itscale.plugins import EngineEntry, Options
from itscale.types import Generation, GenerationRequest

ENDS = {"eos": "eos", "word": "stop", "limit": "length"}


class LlamaCppOptions(Options):
    """Options of the engine."""

    url: str = "http://127.0.0.1:8080"
    """Address of a llama-server that runs with `--parallel 1`: other requests then change no completion."""


class LlamaCpp:
    """Asks a server once for each seed, and continues from token ids."""

    offers = frozenset({"generate", "continue"})
    seed_scope, simulated = "completion", False

    def __init__(self, options: LlamaCppOptions, *, seed: int, model_directory: Path | None) -> None:
        self.client = httpx.AsyncClient(base_url=options.url, timeout=None)

    async def generate(self, request: GenerationRequest) -> list[Generation]:
        chat = [dict(message) for message in request.chat]
        prompt = [(await self.post("/apply-template", {"messages": chat}))["prompt"]]
        for step in request.prefix:
            prompt += step.token_ids or [step.text]
        return await asyncio.gather(*(self.complete(request, prompt, seed) for seed in request.seeds))

    async def complete(self, request: GenerationRequest, prompt: list[Any], seed: int) -> Generation:
        params = {name: getattr(request.params, name) for name in ("temperature", "top_p", "top_k", "min_p")}
        params |= {"stop": request.params.stop, "n_predict": request.params.max_tokens, "seed": seed % 2**32}
        plain = {"repeat_penalty": 1.0, "cache_prompt": False, "return_tokens": True}
        said = await self.post("/completion", {"prompt": prompt, **params, **plain})
        ended = said["stop_type"] == "eos"  # the end is generated, but never read again
        return Generation(
            text=said["content"] + said["stopping_word"],
            token_ids=tuple(said["tokens"][: -1 if ended else None]),
            tokens=said["tokens_predicted"],
            prompt_tokens=said["tokens_evaluated"],
            context_tokens=said["tokens_evaluated"] - sum(len(step.token_ids) for step in request.prefix),
            logprob=None,
            finish_reason=ENDS[said["stop_type"]],
        )

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return (await self.client.post(path, json=body)).raise_for_status().json()

    async def close(self) -> None:
        await self.client.aclose()


@hookimpl
def itscale_register_engines() -> list[EngineEntry]:
    """Return the engine."""
    about = {"name": "llama_cpp", "summary": "A llama-server, by its own protocol."}
    return [EngineEntry(**about, factory=LlamaCpp, options=LlamaCppOptions, offers=LlamaCpp.offers)]
