"""A plugin for tests: the simulated engine, whose model is a directory that is prepared."""

from pathlib import Path

from itscale import hookimpl
from itscale.plugins import EngineEntry
from itscale_builtin.engines.simulated import OFFERS, SimulatedEngine, SimulatedOptions


def make(options: SimulatedOptions, *, seed: int, model_directory: Path | None) -> SimulatedEngine:
    assert model_directory is not None
    assert (model_directory / "weights").is_file()
    return SimulatedEngine(options)


def prepare(options: SimulatedOptions, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "weights").write_text("here")


@hookimpl
def itscale_register_engines():
    about = {"name": "prepared", "summary": "The simulated engine, prepared."}
    return [
        EngineEntry(
            **about,
            factory=make,
            options=SimulatedOptions,
            offers=OFFERS,
            prepare=prepare,
            wants_preparing=lambda options: True,
        )
    ]
