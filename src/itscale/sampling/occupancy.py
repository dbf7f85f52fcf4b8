"""Occupancy of an engine: running sequences over time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from itscale.types import (
    Capability,
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

__all__ = ["MeteredEngine", "Occupancy"]


@dataclass(frozen=True)
class Occupancy:
    """What a run asked of its engine.

    Attributes
    ----------
    seconds
        From the first request to the end of the last (wall clock).
    mean_running
        Sequences under way, averaged over `seconds`; those of one request are until the last of them ends.
    mean_possible
        Unfinished trajectories that sessions wanted continued, averaged over `seconds`: what would be under
        way if none of a session's trajectories ever waited for another. A search waits for its own slowest
        step; that sessions wait for each other would show as a mean far below this.
    peak_running
        Most sequences under way at once.
    """

    seconds: float
    mean_running: float
    mean_possible: float
    peak_running: int


class MeteredEngine:
    """An engine that counts the sequences it has under way; otherwise the engine it wraps."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.perf_counter) -> None:
        self.offers: frozenset[Capability] = engine.offers
        self.seed_scope: Literal["completion", "block"] = engine.seed_scope
        self.simulated: bool = engine.simulated
        self.tokenizer: str = getattr(engine, "tokenizer", "")
        self.spells: bool = getattr(engine, "spells", False)
        self._engine = engine
        self._clock = clock
        self._running = 0
        self._possible = 0
        self._peak = 0
        self._area = 0.0
        self._possible_area = 0.0
        self._began: float | None = None
        self._last = 0.0

    def expect(self, change: int) -> None:
        """Note that sessions have so many more (or fewer) unfinished trajectories to continue."""
        self._tick()
        self._possible += change

    async def generate(self, request: GenerationRequest) -> list[Generation]:
        """Generate, counting the request's sequences while they are under way."""
        self._change(len(request.seeds))
        try:
            return await self._engine.generate(request)
        finally:
            self._change(-len(request.seeds))

    async def rewards(
        self, trajectories: Sequence[Trajectory], *, on_waste: OnWaste = ignored
    ) -> list[Reward]:
        """Return the rewards of the wrapped engine."""
        return await cast("PoolingEngine", self._engine).rewards(trajectories, on_waste=on_waste)

    async def embed(self, texts: Sequence[str], *, on_waste: OnWaste = ignored) -> list[Embedding]:
        """Return the embeddings of the wrapped engine."""
        return await cast("PoolingEngine", self._engine).embed(texts, on_waste=on_waste)

    async def logprobs(self, request: TextRequest) -> TextLogprobs:
        """Read a text by the wrapped engine, as a sequence under way."""
        self._change(1)
        try:
            return await cast("LogprobsEngine", self._engine).logprobs(request)
        finally:
            self._change(-1)

    async def next_logprobs(self, request: NextRequest) -> NextLogprobs:
        """Find the next token's log-probabilities by the wrapped engine, as a sequence under way."""
        self._change(1)
        try:
            return await cast("LogprobsEngine", self._engine).next_logprobs(request)
        finally:
            self._change(-1)

    async def spell(self, request: NextRequest, token_id: int) -> str:
        """Spell a token by the wrapped engine."""
        return await cast("LogprobsEngine", self._engine).spell(request, token_id)

    async def close(self) -> None:
        """Close the wrapped engine."""
        await self._engine.close()

    def occupancy(self) -> Occupancy:
        """Return how full the engine was so far."""
        seconds = 0.0 if self._began is None else self._last - self._began
        span = seconds or 1.0
        return Occupancy(seconds, self._area / span, self._possible_area / span, self._peak)

    def _change(self, sequences: int) -> None:
        if self._began is None:
            self._began = self._last = self._clock()
        self._tick()
        self._running += sequences
        self._peak = max(self._peak, self._running)

    def _tick(self) -> None:
        if self._began is None:
            return
        now = self._clock()
        self._area += self._running * (now - self._last)
        self._possible_area += self._possible * (now - self._last)
        self._last = now
