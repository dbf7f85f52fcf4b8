"""A plugin for tests: the simulated engine, which needs memory once it has given its first answer."""

import asyncio
from pathlib import Path

from itscale import hookimpl
from itscale.plugins import EngineEntry
from itscale.types import Generation, GenerationRequest
from itscale_builtin.engines.simulated import OFFERS, SimulatedEngine, SimulatedOptions

WATCHED_EVERY = 1.0
"""Seconds between two looks of Slurm at the memory of a job."""


class HungryOptions(SimulatedOptions):
    megabytes: int
    """Memory that is taken with the second answer: the first is in the journal by then."""


class HungryEngine(SimulatedEngine):
    def __init__(self, options: HungryOptions) -> None:
        super().__init__(options)
        self.megabytes = options.megabytes
        self.answers = 0

    async def generate(self, request: GenerationRequest) -> list[Generation]:
        made = await super().generate(request)
        self.answers += 1
        if self.answers == 2:
            self.held = b"\1" * (self.megabytes << 20)
            await asyncio.sleep(3 * WATCHED_EVERY)
        return made


def make(options: HungryOptions, *, seed: int, model_directory: Path | None) -> HungryEngine:
    return HungryEngine(options)


@hookimpl
def itscale_register_engines():
    about = {"name": "hungry", "summary": "The simulated engine, which needs memory."}
    return [EngineEntry(**about, factory=make, options=HungryOptions, offers=OFFERS)]
