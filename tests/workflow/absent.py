"""Plugins for tests: an engine whose package is not installed here, and one whose own check refuses."""

from itscale import hookimpl
from itscale.plugins import EngineEntry
from itscale_builtin.engines.simulated import OFFERS, SimulatedEngine, SimulatedOptions


def make(options: SimulatedOptions, **_) -> SimulatedEngine:
    return SimulatedEngine(options)


@hookimpl
def itscale_register_engines():
    about = {
        "summary": "The simulated engine.",
        "factory": make,
        "options": SimulatedOptions,
        "offers": OFFERS,
    }
    return [
        EngineEntry(name="absent", requires=("no_such_module",), extra="itscale[far]", **about),
        EngineEntry(name="reluctant", check=lambda options: ["no accelerator here"], **about),
    ]
