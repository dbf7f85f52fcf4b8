"""Names of a study looked up: sections turned into ingredients, or into mistakes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from itscale.errors import PluginError, UserError
from itscale.messages.mistakes import Mistake, Place
from itscale.messages.validation import validate
from itscale.plugins.entries import (
    Entry,
    Kind,
    LawEntry,
    TaskEntry,
    VerifierEntry,
)
from itscale.plugins.ingredient import Ingredient
from itscale.plugins.registry import Registry
from itscale.plugins.strategies import StrategyEntry
from itscale.study.config import Section, StudyConfig

__all__ = ["Resolver"]

UNNAMED = "unnamed"
"""Stands in for a text that is missing."""


class Resolver:
    """Turns the sections of a study into ingredients; what cannot be one is a mistake, and left out.

    Attributes
    ----------
    mistakes
        What was wrong so far.
    """

    def __init__(self, registry: Registry, without: Collection[Kind] = ()) -> None:
        self.registry = registry
        self.without = without
        self.mistakes: list[Mistake] = []

    def section(self, kind: Kind, sections: Mapping[str, Section], key: str | None = None) -> dict[str, Any]:
        """Return the ingredients of a section of the study, by label."""
        if kind in self.without:
            return {}
        found = {
            label: self.ingredient(kind, label, section, section.plugin or label, (key or kind, label))
            for label, section in sections.items()
        }
        return {label: ingredient for label, ingredient in found.items() if ingredient}

    def ingredient(
        self, kind: Kind, label: str, section: Section, name: str, place: Place
    ) -> Ingredient[Any] | None:
        """Return the plugin of a name with a section's options, None if it is a mistake."""
        try:
            plugin = self.registry.get(kind, name)
        except PluginError as error:
            self.mistakes.append(Mistake(place, str(error)))
            return None
        beside = list(type(section).model_fields)
        options, mistakes = validate(
            plugin.entry.options, section.options, place=place, beside=beside, instead=_instead(plugin.entry)
        )
        self.mistakes += mistakes
        if options is None:
            return None
        return Ingredient(label, plugin.entry, options, plugin.distribution, plugin.version)

    def laws(self, config: StudyConfig) -> dict[str, Ingredient[LawEntry]]:
        """Return the laws: those named, or all that are fitted to completions."""
        if "laws" in self.without:
            return {}
        if not isinstance(config.laws, str):  # else all of them
            return self.section("laws", config.laws)
        sections = {
            plugin.entry.name: Section(plugin=f"{plugin.distribution}/{plugin.entry.name}")
            for plugin in self.registry.plugins("laws")
            if isinstance(plugin.entry, LawEntry) and plugin.entry.takes != "table"
        }
        return self.section("laws", sections)

    def oracles(self, config: StudyConfig) -> dict[str, Ingredient[VerifierEntry]]:
        """Return the verifier that judges each task, by the task's label."""
        oracles = {}
        for label, section in config.tasks.items():
            try:
                task = cast(TaskEntry, self.registry.get("tasks", section.plugin or label).entry)
            except UserError:
                continue  # said where the task is resolved
            name = section.oracle or task.oracle
            place: Place = ("tasks", label, "oracle")
            verifier = config.verifiers.get(name)
            if verifier is None:
                found = self.ingredient("verifiers", name, Section(), name, place)
            else:  # what is wrong with it is said where it stands
                own = Resolver(self.registry)
                found = own.ingredient("verifiers", name, verifier, verifier.plugin or name, place)
            if found is not None and found.entry.role != "oracle":
                self.mistakes.append(
                    Mistake(place, f"{name!r} is a scorer, expected a verifier that knows what is correct")
                )
            elif found is not None:
                oracles[label] = found
        return oracles


def _instead(entry: Entry) -> dict[str, str]:
    """Return what stands in for texts that a strategy lacks, so that its budgets can be looked at.

    Strategies alone: what others lack names data and models, which would be looked for.
    """
    fields = entry.options.model_fields.items() if isinstance(entry, StrategyEntry) else ()
    return {name: UNNAMED for name, field in fields if field.is_required() and field.annotation is str}
