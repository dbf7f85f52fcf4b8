"""The contract of every plugin: a record that a study can use and a reader can understand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from itscale.boundary import Place
from itscale.errors import ContractError, PluginError
from itscale.plugins.entries import Entry, Kind, Options
from itscale.plugins.ingredient import Ingredient
from itscale.study.config import Section, StrategySection, TaskSection

__all__ = ["HEAVY_MODULES", "EntryContract", "kept_word"]

HEAVY_MODULES = ("datasets", "matplotlib", "openai", "snakemake", "torch", "transformers", "vllm")
"""Modules that a plugin may import inside its factory only: registering it must cost nothing."""

_SECTIONS: Mapping[Kind, type[Section]] = {"tasks": TaskSection, "strategies": StrategySection}

_LOADED_BY_IMPORT = """
import importlib, sys
importlib.import_module({module!r})
print(*sorted({heavy!r} & sys.modules.keys()))
"""


@contextmanager
def kept_word() -> Iterator[None]:
    """Fail a test with the very line that would end a study of this plugin."""
    try:
        yield
    except ContractError as error:
        raise AssertionError(str(error)) from None


class EntryContract:
    """Tests of the record itself.

    Attributes
    ----------
    entry
        The plugin's entry.
    options
        Options as a study would write them; they may be left out where every option has a default.
    """

    entry: ClassVar[Any]
    options: ClassVar[Mapping[str, Any]] = {}

    def validated(self) -> Any:
        """Return the options, validated as a study's are."""
        return self.entry.options.model_validate(dict(self.options))

    def make(self) -> Any:
        """Return what the factory makes of the options."""
        return self.entry.factory(self.validated())

    def ingredient(self) -> Ingredient[Any]:
        """Return the plugin as a study has it."""
        return Ingredient(self.entry.name, self.entry, self.validated(), "tests", "0")

    def place(self) -> Place:
        """Return how messages call the plugin."""
        return Place(self.entry.kind, self.entry.name)

    def test_it_declares_what_a_study_knows(self) -> None:
        """Types, literals and signatures are checked when an entry is registered."""
        try:
            self.entry.validate()
        except PluginError as error:
            raise AssertionError(str(error)) from None

    def test_it_is_an_entry_with_a_one_line_summary(self) -> None:
        """`itscale plugins list` shows one line per plugin."""
        assert isinstance(self.entry, Entry)
        assert self.entry.summary.strip(), "the summary is empty"
        assert self.entry.summary == self.entry.summary.strip()
        assert "\n" not in self.entry.summary
        assert self.entry.revision >= 1

    def test_every_option_is_documented(self) -> None:
        """`itscale plugins show` prints the docstring under each field."""
        for name, field in self.entry.options.model_fields.items():
            assert field.description, f"option {name!r} has no docstring below it"

    def test_options_are_json_and_survive_a_round_trip(self) -> None:
        """Fingerprints, rule parameters and metadata are JSON, so options must be."""
        options = self.validated()
        assert isinstance(options, Options)
        text = options.model_dump_json()
        assert self.entry.options.model_validate_json(text) == options
        assert self.entry.options.model_validate(json.loads(text)) == options

    def test_options_have_a_schema(self) -> None:
        """The study's schema, which editors complete from, is built of the options' schemas."""
        schema = self.entry.options.model_json_schema()
        assert json.loads(json.dumps(schema)) == schema

    def test_no_option_takes_a_key_of_the_study(self) -> None:
        """A section of a study holds the study's own keys beside the plugin's: the plugin's would be lost."""
        own = _SECTIONS.get(self.entry.kind, Section).model_fields
        taken = sorted(own.keys() & self.entry.options.model_fields.keys())
        assert not taken, f"these keys belong to the study: {', '.join(taken)}"

    def test_registering_it_imports_nothing_heavy(self) -> None:
        """Every `itscale` command and every job loads every plugin: heavy imports wait for the factory."""
        program = _LOADED_BY_IMPORT.format(module=self.entry.factory.__module__, heavy=set(HEAVY_MODULES))
        found = subprocess.run(  # the parent has long loaded them
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},  # a plugin may lie beside its tests
        )
        assert found.returncode == 0, found.stderr
        assert not found.stdout.split(), f"importing the plugin loads {found.stdout.strip()}"
