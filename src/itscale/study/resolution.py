"""From a file to a study: read, validated, every name resolved, all that is wrong said at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from itscale.errors import StudyError, nearest_file
from itscale.messages.mistakes import Lines, Mistake, MistakesError, independent
from itscale.messages.secrets import find_secrets, remember_environment
from itscale.messages.validation import validate
from itscale.plugins.entries import (
    Entry,
    Kind,
    VerifierEntry,
)
from itscale.plugins.registry import Registry
from itscale.plugins.registry import registry as installed_plugins
from itscale.study.checks import check_study
from itscale.study.config import Section, StudyConfig, as_sections
from itscale.study.grids import Grids, expand_grids
from itscale.study.imported import find_sources, fit_selectors
from itscale.study.labels import with_names
from itscale.study.resolver import Resolver
from itscale.study.strict_yaml import Document, NotYaml, read_yaml
from itscale.study.study import Study

__all__ = [
    "Examined",
    "Study",
    "examine",
    "load_study",
    "read_document",
    "read_study",
    "resolve",
]

UNNAMED = "unnamed"
"""Stands in for the name of a study that has none, while it is looked at."""


@dataclass(frozen=True)
class Examined:
    """A study that was looked at.

    Attributes
    ----------
    study
        What is right of it: the whole study, if there are no mistakes. None if nothing can be made of it.
    mistakes
        All that is wrong with it.
    where
        How messages call it.
    lines
        The line of each of its values, where it was read from a file.
    """

    study: Study | None
    mistakes: tuple[Mistake, ...]
    where: str = "study"
    lines: Lines = field(default_factory=dict)

    def whole(self) -> Study:
        """Return the study; MistakesError if anything is wrong with it."""
        if self.mistakes or self.study is None:
            raise MistakesError(self.where, self.mistakes, self.lines)
        return self.study


def load_study(path: Path, registry: Registry | None = None) -> Study:
    """Read, validate and resolve a study file.

    Raises
    ------
    StudyError
        With the file and, of everything that is wrong, the line, the key, what was found and what would be
        right.
    """
    return read_study(path, registry).whole()


def read_study(path: Path, registry: Registry | None = None) -> Examined:
    """Read a study file and find all that is wrong with it.

    Raises
    ------
    StudyError
        If there is no such file, or it holds no keys and values.
    """
    document = read_document(path)
    return examine(document.data, registry, str(path), earlier=document.mistakes, lines=document.lines)


def read_document(path: Path) -> Document:
    """Read a file of keys and values; StudyError if it is none."""
    try:
        document = read_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(f"{path}: no such study; {nearest_file(path, '.yaml', '.yml')}") from None
    except IsADirectoryError:
        raise StudyError(f"{path}: found a folder, expected a study, a YAML file") from None
    except OSError as error:
        raise StudyError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: not YAML: {error}") from None
    except NotYaml as error:
        raise StudyError(f"{path}: not YAML: {error}") from None
    if not isinstance(document.data, Mapping):
        raise StudyError(f"{path}: found {_kind(document.data)}, expected the keys and values of a study")
    return document


def _kind(value: Any) -> str:
    """Return what a file that is no study holds, in words."""
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else f"the single value {str(value)[:60]!r}"


def resolve(
    data: Mapping[str, Any],
    registry: Registry | None = None,
    where: str = "study",
    without: Collection[Kind] = (),
) -> Study:
    """Validate a study given as plain values and resolve its plugins; arguments as `examine`.

    Raises
    ------
    MistakesError
        With all that is wrong.
    """
    return examine(data, registry, where, without).whole()


def examine(
    data: Mapping[str, Any],
    registry: Registry | None = None,
    where: str = "study",
    without: Collection[Kind] = (),
    *,
    earlier: Collection[Mistake] = (),
    lines: Lines | None = None,
) -> Examined:
    """Find all that is wrong with a study given as plain values, and resolve what is right.

    Parameters
    ----------
    data
        The study as read from YAML.
    registry
        The plugins to resolve names in; those installed if left out.
    where
        How messages call the study: its file's name.
    without
        Kinds to leave out, their plugins unloaded: by a job that has no use for them, of a study that was
        resolved as a whole before.
    earlier
        What the text says wrongly.
    lines
        The line of every value.
    """
    sections, unnamed = as_sections(data)
    sections, grids, ungridded = expand_grids(sections)
    config, wrong = validate(StudyConfig, sections, instead={"study": UNNAMED})
    mistakes = [*earlier, *_secrets(data), *ungridded]
    registry = registry or installed_plugins()
    mistakes += independent(mistakes, [*unnamed, *with_names(wrong, sections, registry)])
    if config is None:
        return Examined(None, _written(mistakes, grids), where, lines or {})
    study, wrong = _resolve(config, Resolver(registry, without), _outcomes(sections))
    mistakes += independent(mistakes, wrong)
    if not without:
        mistakes += independent(mistakes, check_study(study))
    return Examined(study, _written(mistakes, grids), where, lines or {})


def _written(mistakes: Iterable[Mistake], grids: Grids) -> tuple[Mistake, ...]:
    """Return mistakes where the user wrote them: of a grid once, not for each of its points."""
    placed = dict.fromkeys(replace(one, place=grids.place(one.place)) for one in mistakes)
    return tuple(dict.fromkeys(grids.merged(one, placed) for one in placed))


def _secrets(data: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield every value that looks like a credential."""
    for line in find_secrets(data):
        place, _, message = line.partition(": ")
        yield Mistake(tuple(place.replace("[", ".").replace("]", "").split(".")), message)


def _outcomes(sections: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the outcomes as they are written, whatever they lack."""
    found = sections.get("outcomes")
    return found if isinstance(found, Mapping) else {}


def _scorers(registry: Registry) -> dict[str, Entry]:
    found = registry.entries(("verifiers",)).items()
    return {name: one for name, one in found if isinstance(one, VerifierEntry) and one.role == "scorer"}


def _resolve(
    config: StudyConfig, resolver: Resolver, outcomes: Mapping[str, Any]
) -> tuple[Study, list[Mistake]]:
    sources, mistakes = find_sources(config, outcomes)
    strategies = resolver.section("strategies", config.strategies)
    drawn_from = {label for label, section in config.strategies.items() if section.helper}
    selectors = resolver.section("selectors", config.selectors)
    if "selectors" not in config.model_fields_set:
        selectors = fit_selectors(selectors, sources.values(), strategies.values())
        kept: dict[str, Section] = {label: config.selectors[label] for label in selectors}
        config = config.model_copy(update={"selectors": kept})
    verifiers = resolver.section("verifiers", config.verifiers)
    study = Study(
        config=config,
        tasks=resolver.section("tasks", config.tasks),
        models=resolver.section("engines", config.models, key="models"),
        strategies={label: one for label, one in strategies.items() if label not in drawn_from},
        helper_strategies={label: one for label, one in strategies.items() if label in drawn_from},
        oracles=resolver.oracles(config),
        scorers={label: one for label, one in verifiers.items() if one.entry.role == "scorer"},
        selectors=selectors,
        laws=resolver.laws(config),
        prices=resolver.section("prices", config.prices),
        figures=resolver.section("figures", config.figures),
        outcomes=sources,
        named_oracles={label: one for label, one in verifiers.items() if one.entry.role == "oracle"},
        installed_scorers={} if resolver.without else _scorers(resolver.registry),
    )
    for ingredient in study.ingredients():
        remember_environment(ingredient.options.model_dump(mode="json"))
    return study, [*mistakes, *resolver.mistakes]
