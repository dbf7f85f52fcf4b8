"""A simulated engine that notes in a file what it reads and generates, and may end its job on the way."""

import os
import signal
from pathlib import Path

from itscale import hookimpl
from itscale.plugins import EngineEntry
from itscale_builtin.engines import simulated


class CountedOptions(simulated.SimulatedOptions):
    name: str


class Counted(simulated.SimulatedEngine):
    async def generate(self, request):
        made = await super().generate(request)
        self.note([(one.prompt_tokens, one.tokens) for one in made])
        return made

    async def next_logprobs(self, request):
        found = await super().next_logprobs(request)
        self.note([(found.prompt_tokens, found.generated_tokens)])
        return found

    def note(self, tokens):
        notes = Path(f"{self.options.name}.counted")
        there = notes.read_text().count("\n") if notes.exists() else 0
        if there >= int(os.environ.get(f"DIE_{self.options.name}", "1000000")):
            os.kill(os.getpid(), signal.SIGKILL)
        with notes.open("a") as file:
            file.writelines(f"{prompt} {generated}\n" for prompt, generated in tokens)


@hookimpl
def itscale_register_engines():
    def make(options, *, seed=0, model_directory=None):
        return Counted(options)

    about = {"name": "counted", "summary": "Counts.", "offers": simulated.OFFERS}
    return [EngineEntry(**about, factory=make, options=CountedOptions)]
