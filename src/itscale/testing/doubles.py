"""Engines for tests: simulated ones, ones that count, and ones that answer in any order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any

from itscale.plugins.registry import registry
from itscale.types import Engine, Generation, GenerationRequest, Trajectory

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
        self.generated: list[Generation] = []

    async def generate(self, request: GenerationRequest) -> list[Generation]:
        """Generate, and keep what was generated."""
        generations = await self.engine.generate(request)
        self.generated += generations
        return generations

    async def score(self, trajectories: Sequence[Trajectory]) -> list[float]:
        """Score by the wrapped engine."""
        return await self.engine.score(trajectories)

    async def close(self) -> None:
        """Close the wrapped engine."""
        await self.engine.close()


class Delayed:
    """An engine that answers after a while, however long."""

    def __init__(self, engine: Engine, latency: int) -> None:
        self.engine = engine
        self.offers, self.seed_scope, self.simulated = engine.offers, engine.seed_scope, engine.simulated
        self._random = random.Random(latency)

    async def generate(self, request: GenerationRequest) -> list[Generation]:
        """Generate after a while."""
        for _ in range(self._random.randrange(20)):
            await asyncio.sleep(0)
        return await self.engine.generate(request)

    async def score(self, trajectories: Sequence[Trajectory]) -> list[float]:
        """Score by the wrapped engine."""
        return await self.engine.score(trajectories)

    async def close(self) -> None:
        """Close the wrapped engine."""
        await self.engine.close()
