"""Engines for tests: simulated ones, ones that count, and ones that answer in any order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any, cast

from itscale.plugins.registry import registry
from itscale.types import (
    Embedding,
    Engine,
    Generation,
    GenerationRequest,
    LogprobsEngine,
    NextLogprobs,
    NextRequest,
    OnWaste,
    PoolingEngine,
    Reward,
    TextLogprobs,
    TextRequest,
    Trajectory,
    ignored,
)

__all__ = ["Delayed", "Tallied", "simulated"]


def simulated(options: Mapping[str, Any], latency: int | None = None) -> Engine:
    """Return a simulated engine; `latency` is the seed of how long it takes, none at all if left out."""
    entry = registry().get("engines", "simulated").entry
    engine: Engine = entry.factory(entry.options.model_validate(dict(options)), seed=0, model_directory=None)
    return engine if latency is None else Delayed(engine, latency)


class Tallied:
    """An engine that counts what passes through it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.offers, self.seed_scope, self.simulated = engine.offers, engine.seed_scope, engine.simulated
        self.tokenizer: str = getattr(engine, "tokenizer", "")
        self.generated: list[Generation] = []
        self.read: list[TextLogprobs | NextLogprobs] = []
        self.rewarded: list[Reward] = []

    async def generate(self, request: GenerationRequest) -> list[Generation]:
        """Generate, and keep what was generated."""
        generations = await self.engine.generate(request)
        self.generated += generations
        return generations

    async def logprobs(self, request: TextRequest) -> TextLogprobs:
        """Read a text, and keep what was found."""
        found = await cast("LogprobsEngine", self.engine).logprobs(request)
        self.read.append(found)
        return found

    async def next_logprobs(self, request: NextRequest) -> NextLogprobs:
        """Find the next token's log-probabilities, and keep what was found."""
        found = await cast("LogprobsEngine", self.engine).next_logprobs(request)
        self.read.append(found)
        return found

    async def spell(self, request: NextRequest, token_id: int) -> str:
        """Spell a token by the wrapped engine."""
        return await cast("LogprobsEngine", self.engine).spell(request, token_id)

    async def rewards(
        self, trajectories: Sequence[Trajectory], *, on_waste: OnWaste = ignored
    ) -> list[Reward]:
        """Return the rewards of the wrapped engine, and keep them."""
        rewards = await cast("PoolingEngine", self.engine).rewards(trajectories, on_waste=on_waste)
        self.rewarded += rewards
        return rewards

    async def embed(self, texts: Sequence[str], *, on_waste: OnWaste = ignored) -> list[Embedding]:
        """Return the embeddings of the wrapped engine."""
        return await cast("PoolingEngine", self.engine).embed(texts, on_waste=on_waste)

    async def close(self) -> None:
        """Close the wrapped engine."""
        await self.engine.close()


class Delayed:
    """An engine that answers after a while, however long."""

    def __init__(self, engine: Engine, latency: int) -> None:
        self.engine = engine
        self.offers, self.seed_scope, self.simulated = engine.offers, engine.seed_scope, engine.simulated
        self.tokenizer: str = getattr(engine, "tokenizer", "")
        self._random = random.Random(latency)

    async def _wait(self) -> None:
        for _ in range(self._random.randrange(20)):
            await asyncio.sleep(0)

    async def generate(self, request: GenerationRequest) -> list[Generation]:
        """Generate after a while."""
        await self._wait()
        return await self.engine.generate(request)

    async def logprobs(self, request: TextRequest) -> TextLogprobs:
        """Read a text after a while."""
        await self._wait()
        return await cast("LogprobsEngine", self.engine).logprobs(request)

    async def next_logprobs(self, request: NextRequest) -> NextLogprobs:
        """Find the next token's log-probabilities after a while."""
        await self._wait()
        return await cast("LogprobsEngine", self.engine).next_logprobs(request)

    async def spell(self, request: NextRequest, token_id: int) -> str:
        """Spell a token by the wrapped engine."""
        return await cast("LogprobsEngine", self.engine).spell(request, token_id)

    async def rewards(
        self, trajectories: Sequence[Trajectory], *, on_waste: OnWaste = ignored
    ) -> list[Reward]:
        """Return the rewards of the wrapped engine after a while."""
        await self._wait()
        return await cast("PoolingEngine", self.engine).rewards(trajectories, on_waste=on_waste)

    async def embed(self, texts: Sequence[str], *, on_waste: OnWaste = ignored) -> list[Embedding]:
        """Return the embeddings of the wrapped engine after a while."""
        await self._wait()
        return await cast("PoolingEngine", self.engine).embed(texts, on_waste=on_waste)

    async def close(self) -> None:
        """Close the wrapped engine."""
        await self.engine.close()
