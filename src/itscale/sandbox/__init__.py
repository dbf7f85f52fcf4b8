"""The sandbox: anything that a model wrote is executed or evaluated here, and nowhere else.

`Sandbox` calls a trusted function on hostile arguments, `Programs` runs and judges programs. `containment`
is what a study says about it, and `best_rung` what this machine offers. docs/sandbox.md says what is
contained, and how a plugin uses it.
"""

from itscale.errors import SandboxError
from itscale.sandbox.calls import Sandbox
from itscale.sandbox.containment import Containment, containment
from itscale.sandbox.ladder import best_rung, lacking_strongest
from itscale.sandbox.programs import Judgement, Programs, Run
from itscale.sandbox.replies import Reply
from itscale.sandbox.settings import RUNGS, Rung

__all__ = [
    "RUNGS",
    "Containment",
    "Judgement",
    "Programs",
    "Reply",
    "Run",
    "Rung",
    "Sandbox",
    "SandboxError",
    "best_rung",
    "containment",
    "lacking_strongest",
]
