"""The study: one YAML file, validated, with every plugin name resolved before anything runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import yaml
from pydantic import ValidationError

from itscale.comparisons import check_differences
from itscale.config import Section, StudyConfig
from itscale.errors import PluginError, StudyError, nearest
from itscale.importing.resolve import (
    Combination,
    check_selectors,
    find_sources,
    with_selectors_that_work,
)
from itscale.importing.source import Source
from itscale.plugins import (
    EngineEntry,
    Entry,
    FigureEntry,
    Kind,
    LawEntry,
    Options,
    Registry,
    SelectorEntry,
    StrategyEntry,
    TaskEntry,
    VerifierEntry,
)
from itscale.plugins import registry as installed_plugins
from itscale.sampling import SamplingOptions
from itscale.secrets import find_secrets, remember_environment
from itscale.store import payload_hash
from itscale.validation import first_error, parse_yaml

__all__ = ["Ingredient", "Study", "load_study", "resolve"]

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

        Raises
        ------
        DataError
            If a file that a task or a law reads is missing.
        """
        files = {name: payload_hash(path) for name, path in sorted(self.files.items())}
        return {
            "name": f"{self.distribution}/{self.entry.name}",
            "revision": self.entry.revision,
            "options": json.loads(self.options.model_dump_json()),
            **({"files": files} if files else {}),
        }

    @property
    def files(self) -> Mapping[str, Path]:
        """Local files that it reads, by option."""
        return self.entry.files(self.options) if isinstance(self.entry, TaskEntry | LawEntry) else {}

    def require_installed(self) -> None:
        """Raise PluginError, saying what to install, if a module it needs is missing."""
        missing = self.entry.missing_modules()
        if missing:
            hint = f": pip install {self.entry.extra!r}" if self.entry.extra else ""
            raise PluginError(
                f"{self.entry.kind}/{self.entry.name} needs {', '.join(missing)}, not installed here{hint}"
            )


@dataclass(frozen=True)
class Study:
    """A study whose every name is resolved and every option validated.

    `oracles` maps each task's label to the verifier that judges it; `scorers` are the other verifiers;
    `outcomes` are those from elsewhere, by the task, model and strategy they are shown as.
    """

    config: StudyConfig
    tasks: Mapping[str, Ingredient[TaskEntry]]
    models: Mapping[str, Ingredient[EngineEntry]]
    strategies: Mapping[str, Ingredient[StrategyEntry]]
    oracles: Mapping[str, Ingredient[VerifierEntry]]
    scorers: Mapping[str, Ingredient[VerifierEntry]]
    selectors: Mapping[str, Ingredient[SelectorEntry]]
    laws: Mapping[str, Ingredient[LawEntry]]
    figures: Mapping[str, Ingredient[FigureEntry]]
    outcomes: Mapping[Combination, Source] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.config.study

    def ingredients(self) -> Iterator[Ingredient[Any]]:
        """Yield every ingredient once."""
        for part in (
            self.tasks,
            self.models,
            self.strategies,
            self.oracles,
            self.scorers,
            self.selectors,
            self.laws,
            self.figures,
        ):
            yield from part.values()

    @property
    def curve_laws(self) -> tuple[str, ...]:
        """Labels of the laws fitted to every (task, model, strategy)."""
        return tuple(label for label, law in self.laws.items() if law.entry.takes != "table")

    @property
    def table_laws(self) -> tuple[str, ...]:
        """Labels of the laws fitted to a table that their options name."""
        return tuple(label for label, law in self.laws.items() if law.entry.takes == "table")

    def verifier(self, task: str, label: str) -> Ingredient[VerifierEntry]:
        """Return a task's oracle or a scorer by its label."""
        oracle = self.oracles[task]
        return oracle if oracle.label == label else self.scorers[label]

    def verifiers_of(self, task: str) -> list[str]:
        """Return labels of the verifiers that judge a task's completions: its oracle, then the scorers."""
        return [self.oracles[task].label, *self.scorers]

    def sampling_fingerprint(self, model: str, strategy: str) -> dict[str, Any]:
        """Return what the random streams of a strategy on a model depend on, beside seed and problem.

        The extents (completions, budgets, replicates, problems) are not in it: a larger study keeps the
        completions of a smaller one.
        """
        scorer = self.scorer_of(strategy)
        return {
            "model": self.models[model].fingerprint(),
            "strategy": self.strategies[strategy].fingerprint(),
            "scorer": scorer.fingerprint() if scorer else None,
        }

    def draws(self, strategy: str) -> str:
        """Return whether completions of a strategy are `exchangeable` or come in `runs`.

        Those of imported outcomes are taken for exchangeable.
        """
        known = self.strategies.get(strategy)
        return known.entry.draws if known else "exchangeable"

    def scorer_of(self, strategy: str) -> Ingredient[VerifierEntry] | None:
        """Return the scorer that a strategy asks for while it generates, if it does."""
        label = getattr(self.strategies[strategy].options, "scorer", None)
        return None if label is None else self.scorers[label]


def load_study(path: Path, registry: Registry | None = None) -> Study:
    """Read, validate and resolve a study file.

    Raises
    ------
    StudyError, PluginError
        With the file, the key, what was found and what would be right.
    """
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        siblings = [str(found) for found in path.parent.glob("*.y*ml")]
        raise StudyError(f"{path}: no such study; {nearest(str(path), siblings)}") from None
    except OSError as error:
        raise StudyError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise StudyError(f"{path}: nested too deeply, expected keys and values a few levels deep") from None
    if not isinstance(data, Mapping):
        raise StudyError(f"{path}: found {type(data).__name__}, expected keys and values")
    return resolve(data, registry, where=str(path))


def resolve(
    data: Mapping[str, Any],
    registry: Registry | None = None,
    where: str = "study",
    without: Collection[Kind] = (),
) -> Study:
    """Validate a study given as plain values and resolve its plugins.

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
    """
    registry = registry or installed_plugins()
    for line in find_secrets(data):
        raise StudyError(f"{where}: {line}")
    try:
        config = StudyConfig.model_validate(data)
    except ValidationError as error:
        raise StudyError(f"{where}: {first_error(error, StudyConfig)}") from None
    sources = find_sources(config, where)
    config = with_selectors_that_work(config, sources)
    resolver = _Resolver(registry, where, without)
    study = Study(
        config=config,
        tasks=resolver.section("tasks", config.tasks),
        models=resolver.section("engines", config.models, key="models"),
        strategies=resolver.section("strategies", config.strategies),
        oracles=resolver.oracles(config),
        scorers={
            label: verifier
            for label, verifier in resolver.section("verifiers", config.verifiers).items()
            if verifier.entry.role == "scorer"
        },
        selectors=resolver.section("selectors", config.selectors),
        laws=resolver.laws(config),
        figures=resolver.section("figures", config.figures),
        outcomes=sources,
    )
    for ingredient in study.ingredients():
        remember_environment(ingredient.options.model_dump(mode="json"))
    check_selectors(sources, study.selectors, where)
    _check_something_to_fit(study, where)
    _check_extents(study, where)
    _check_needs(study, where)
    check_differences(
        config.differences,
        models=[*study.models, *(place[1] for place in study.outcomes)],
        strategies=[*study.strategies, *(place[2] for place in study.outcomes)],
        selectors=study.selectors,
        where=where,
    )
    return study


class _Resolver:
    """Turns sections into ingredients, naming the place of whatever is wrong."""

    def __init__(self, registry: Registry, where: str, without: Collection[Kind]) -> None:
        self.registry = registry
        self.where = where
        self.without = without

    def section(self, kind: Kind, sections: Mapping[str, Section], key: str | None = None) -> dict[str, Any]:
        key = key or kind
        if kind in self.without:
            return {}
        return {
            label: self.ingredient(kind, label, section, section.plugin or label, f"{key}.{label}")
            for label, section in sections.items()
        }

    def ingredient(self, kind: Kind, label: str, section: Section, name: str, place: str) -> Ingredient[Any]:
        try:
            plugin = self.registry.get(kind, name)
        except PluginError as error:
            raise PluginError(f"{self.where}: {place}: {error}") from None
        model = plugin.entry.options
        try:
            validated = model.model_validate(section.options)
        except ValidationError as error:
            own = list(type(section).model_fields)
            raise StudyError(f"{self.where}: {place}: {first_error(error, model, own)}") from None
        return Ingredient(label, plugin.entry, validated, plugin.distribution, plugin.version)

    def laws(self, config: StudyConfig) -> dict[str, Ingredient[LawEntry]]:
        if "laws" in self.without:
            return {}
        if config.laws == "all":
            sections = {
                plugin.entry.name: Section(plugin=f"{plugin.distribution}/{plugin.entry.name}")
                for plugin in self.registry.plugins("laws")
                if isinstance(plugin.entry, LawEntry) and plugin.entry.takes != "table"
            }
            return self.section("laws", sections)
        return self.section("laws", config.laws)

    def oracles(self, config: StudyConfig) -> dict[str, Ingredient[VerifierEntry]]:
        oracles = {}
        for label, section in config.tasks.items():
            place = f"tasks.{label}"
            task = cast(TaskEntry, self.registry.get("tasks", section.plugin or label).entry)
            name = section.oracle or task.oracle
            verifier = config.verifiers.get(name, Section())
            found = self.ingredient("verifiers", name, verifier, verifier.plugin or name, f"{place}.oracle")
            if found.entry.role != "oracle":
                raise StudyError(
                    f"{self.where}: {place}.oracle: {name!r} is a scorer, expected a verifier that knows "
                    "what is correct"
                )
            oracles[label] = found
        return oracles


def _check_something_to_fit(study: Study, where: str) -> None:
    """Refuse laws of completions in a study that has none."""
    if not (study.config.tasks or study.config.outcomes):
        for label in study.curve_laws:
            raise StudyError(
                f"{where}: tasks: missing, expected tasks by label (or outcomes from elsewhere): "
                f"laws.{label} is fitted to completions"
            )


def _check_extents(study: Study, where: str) -> None:
    """Every strategy says how much of it is run, in its own terms; every k of the grid was sampled."""
    for label, strategy in study.strategies.items():
        section = study.config.strategies[label]
        place = f"{where}: strategies.{label}"
        if not isinstance(strategy.options, SamplingOptions):
            raise PluginError(
                f"{place}: options of {strategy.entry.name!r}: found {type(strategy.options).__name__}, "
                "expected a subclass of itscale.sampling.SamplingOptions: a session is bounded by max_tokens"
            )
        if strategy.entry.draws == "exchangeable":
            if section.completions is None:
                raise StudyError(f"{place}.completions: missing, expected completions per problem (>= 1)")
            if section.budgets is not None or section.replicates != 1:
                raise StudyError(
                    f"{place}: found budgets or replicates, expected only completions: {label!r} is "
                    "exchangeable, one pool serves every budget"
                )
            grid = study.config.curves.budgets or ()
            if grid and max(grid) > section.completions:
                raise StudyError(
                    f"{where}: curves.budgets: found {max(grid)}, expected at most the "
                    f"{section.completions} completions of strategies.{label}"
                )
        elif section.completions is not None or not section.budgets:
            raise StudyError(
                f"{place}.budgets: expected a list of budgets (and no completions): {label!r} is run anew "
                "at each budget"
            )
        else:
            _check_budgets(strategy, section.budgets, f"{place}.budgets")


def _check_budgets(strategy: Ingredient[StrategyEntry], budgets: tuple[int, ...], place: str) -> None:
    for budget in budgets:
        try:
            strategy.entry.admits(strategy.options, budget)
        except StudyError as error:
            raise StudyError(f"{place}: {error}") from None


def _check_needs(study: Study, where: str) -> None:
    """Every scorer that is asked for exists, and every engine offers what is asked of it."""
    selecting = study.selectors if study.config.models else {}  # others select from what is imported
    named = [("selectors", selecting), ("strategies", study.strategies)]
    for key, ingredients in named:
        for label, ingredient in cast(Mapping[str, Ingredient[Any]], ingredients).items():
            scorer = getattr(ingredient.options, "scorer", None)
            if scorer is not None and scorer not in study.scorers:
                raise StudyError(
                    f"{where}: {key}.{label}.scorer: no scorer {scorer!r} among the verifiers; "
                    f"{nearest(scorer, study.scorers)}"
                )
    asking: list[tuple[str, frozenset[Any]]] = [
        (f"strategies.{label}", strategy.entry.needs) for label, strategy in study.strategies.items()
    ]
    asking += [(f"verifiers.{label}", verifier.entry.needs) for label, verifier in study.scorers.items()]
    for model, engine in study.models.items():
        for place, needs in asking:
            lacking = sorted(needs - engine.entry.offers)
            if lacking:
                raise StudyError(
                    f"{where}: {place} needs {', '.join(lacking)} of the engine; models.{model} "
                    f"({engine.entry.name}) offers {', '.join(sorted(engine.entry.offers))}"
                )
