"""A simulated engine that computes in the job, notes its starts, and may end its job or fail on the way."""

import os
import signal
from pathlib import Path

from itscale import hookimpl
from itscale.errors import EngineLostError
from itscale.plugins import EngineEntry
from itscale_builtin.engines import simulated

STARTS = Path("starts")
REQUESTS = Path("requests")


def note(file, line):
    with file.open("a") as notes:
        notes.write(f"{line}\n")


class Starting(simulated.SimulatedEngine):
    async def generate(self, request):
        asked = len(REQUESTS.read_text().splitlines()) if REQUESTS.exists() else 0
        if asked == int(os.environ.get("KILLED_AT", "-1")):
            os.kill(os.getpid(), signal.SIGKILL)
        if asked == int(os.environ.get("LOST_AT", "-1")):
            raise EngineLostError("the engine is gone")
        note(REQUESTS, f"{request.problem.problem_id} {request.params.temperature}")
        return await super().generate(request)


@hookimpl
def itscale_register_engines():
    def make(options, *, seed=0, model_directory=None):
        note(STARTS, options.success)
        return Starting(options)

    about = {"name": "starting", "summary": "Notes its starts.", "offers": simulated.OFFERS}
    return [EngineEntry(**about, factory=make, options=simulated.SimulatedOptions, local_compute=True)]
