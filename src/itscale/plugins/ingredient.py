"""Ingredients of a study: plugins with validated options, each under the label that the study gives it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar, cast, get_args

from itscale.errors import PluginError
from itscale.plugins.entries import Demand, EngineEntry, Entry, LawEntry, Options, TaskEntry, VerifierEntry
from itscale.plugins.place import Place
from itscale.store.parquet import payload_hash
from itscale.types import Capability

__all__ = ["Ingredient"]

E = TypeVar("E", bound=Entry)


@dataclass(frozen=True)
class Ingredient(Generic[E]):
    """A plugin with validated options, under the label the study gives it."""

    label: str
    entry: E
    options: Options
    distribution: str
    version: str

    def fingerprint(self) -> dict[str, Any]:
        """Return what its outputs depend on: name, revision, options and files read, as JSON values.

        Files are read once, whatever is written to them later.

        Raises
        ------
        DataError
            If a file that a task or a law reads is missing.
        """
        files = self._hashes
        return {
            "name": f"{self.distribution}/{self.entry.name}",
            "revision": self.entry.revision,
            "options": json.loads(self.options.model_dump_json()),
            **({"files": files} if files else {}),
        }

    @cached_property
    def _hashes(self) -> dict[str, str]:
        return {name: payload_hash(path) for name, path in sorted(self.files.items())}

    @property
    def files(self) -> Mapping[str, Path]:
        """Local files that it reads, by option; ContractError if the entry names none that can be."""
        if not isinstance(self.entry, TaskEntry | LawEntry):
            return {}
        place, files = Place.of(self), self.entry.files
        expected = 'a mapping of names to paths, as {"file": options.file}'
        given = place.said("files()", lambda: files(self.options), expected)
        named = given.items() if isinstance(given, Mapping) else [(None, None)]
        if not all(isinstance(name, str) and isinstance(path, Path) for name, path in named):
            raise place.broken("files()", given, expected)
        return given

    def require_installed(self) -> None:
        """Raise PluginError, saying what to install, if a module it needs is missing."""
        missing = self.entry.missing_modules()
        if missing:
            hint = f": {self.entry.installed_by}" if self.entry.installed_by else ""
            raise PluginError(
                f"{self.entry.kind}/{self.entry.name} needs {', '.join(missing)}, not installed here{hint}"
            )

    @property
    def offers(self) -> frozenset[Capability]:
        """What an engine with these options can do."""
        entry = cast(EngineEntry, self.entry)
        return entry.offers if entry.configured is None else entry.configured(self.options)

    @property
    def needs(self) -> frozenset[Capability]:
        """What a verifier with these options needs of the engine of the model that is sampled."""
        return self._demanded("needs", cast(VerifierEntry, self.entry).needs)

    @property
    def asks(self) -> frozenset[Capability]:
        """What a verifier with these options needs of the models that they name."""
        return self._demanded("asks", cast(VerifierEntry, self.entry).asks)

    def _demanded(self, what: str, demand: Demand) -> frozenset[Capability]:
        if not callable(demand):
            return demand
        place, known = Place.of(self), get_args(Capability)
        expected = f"a frozenset of {', '.join(known)}"
        found = place.said(f"{what}()", lambda: demand(self.options), expected)
        if not isinstance(found, frozenset) or not found <= set(known):
            raise place.broken(f"{what}()", found, expected)
        return found
