"""A study whose every plugin name is resolved and every option validated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from itscale.importing.source import Source
from itscale.outcomes import COMPLETIONS
from itscale.plugins.entries import (
    EngineEntry,
    Entry,
    FigureEntry,
    LawEntry,
    PriceEntry,
    SelectorEntry,
    TaskEntry,
    VerifierEntry,
)
from itscale.plugins.ingredient import Ingredient
from itscale.plugins.references import references
from itscale.plugins.strategies import StrategyEntry
from itscale.study.config import StudyConfig
from itscale.study.imported import Combination

__all__ = ["Study"]


@dataclass(frozen=True)
class Study:
    """A study whose every name is resolved and every option validated.

    `oracles` maps each task's label to the verifier that judges it; `scorers` are the verifiers that give
    scores, `named_oracles` the others that stand among the study's verifiers, `installed_scorers` all that
    could, by the names they answer to; `helper_strategies` are those that others draw from, and that are
    not run by themselves; `outcomes` are imported ones, by the task, model and strategy they are shown as.
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
    prices: Mapping[str, Ingredient[PriceEntry]] = field(default_factory=dict)
    outcomes: Mapping[Combination, Source] = field(default_factory=dict)
    named_oracles: Mapping[str, Ingredient[VerifierEntry]] = field(default_factory=dict)
    installed_scorers: Mapping[str, Entry] = field(default_factory=dict)
    helper_strategies: Mapping[str, Ingredient[StrategyEntry]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.config.study

    def ingredients(self) -> Iterator[Ingredient[Any]]:
        """Yield every ingredient once."""
        for part in (
            self.tasks,
            self.models,
            self.all_strategies,
            self.oracles,
            self.scorers,
            self.selectors,
            self.laws,
            self.prices,
            self.figures,
        ):
            yield from part.values()

    @property
    def sampled_models(self) -> tuple[str, ...]:
        """Labels of the models that strategies are run on: all but the helpers."""
        return tuple(label for label in self.models if not self.config.models[label].helper)

    @property
    def all_strategies(self) -> dict[str, Ingredient[StrategyEntry]]:
        """Strategies by label, those that others draw from alone among them."""
        return {**self.strategies, **self.helper_strategies}

    @property
    def samples(self) -> bool:
        """Whether anything is sampled: all outcomes may be imported."""
        return bool(self.tasks and self.sampled_models and self.strategies)

    def source(self, labels: Mapping[str, str]) -> Source | None:
        """Return where outcomes of a task, model and strategy come from, None if they are sampled."""
        return self.outcomes.get((labels["task"], labels["model"], labels["strategy"]))

    def wants_preparing(self, model: str) -> bool:
        """Return whether a model is fetched and converted by a job of its own."""
        engine = self.models[model]
        return engine.entry.prepare is not None and engine.entry.wants_preparing(engine.options)

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
        asked = self.scorer_fingerprint(scorer) if scorer else None
        helpers = {label: helper.fingerprint() for label, helper in self.helpers_of(strategy).items()}
        inner = {label: one.fingerprint() for label, one in self.inner_of(strategy).items()}
        return {
            "model": self.models[model].fingerprint(),
            "strategy": self.strategies[strategy].fingerprint(),
            "scorer": asked,
            **({"helpers": helpers} if helpers else {}),
            **({"inner": inner} if inner else {}),
        }

    def scorer_fingerprint(self, verifier: Ingredient[VerifierEntry]) -> dict[str, Any]:
        """Return what a verifier's word depends on: it, and the models that its options name."""
        models = {label: model.fingerprint() for label, model in self.models_asked_by(verifier).items()}
        return {**verifier.fingerprint(), **({"models": models} if models else {})}

    def models_asked_by(self, verifier: Ingredient[VerifierEntry]) -> dict[str, Ingredient[EngineEntry]]:
        """Return the models that the options of a verifier name, by label."""
        named = references(verifier.options, "models")
        return {label: self.models[label] for _, label in named}

    def started_with(self, strategy: str) -> dict[str, Ingredient[EngineEntry]]:
        """Return the models that are started beside the one that is sampled: helpers, and the scorer's."""
        scorer = self.scorer_of(strategy)
        return {**self.helpers_of(strategy), **(self.models_asked_by(scorer) if scorer else {})}

    def helpers_of(self, strategy: str) -> dict[str, Ingredient[EngineEntry]]:
        """Return the models that a strategy calls beside the one that is sampled, by label."""
        asking = (self.strategies[strategy], *self.inner_of(strategy).values())
        named = [label for one in asking for _, label in references(one.options, "models")]
        return {label: self.models[label] for label in named}

    def inner_of(self, strategy: str) -> dict[str, Ingredient[StrategyEntry]]:
        """Return the strategies that a strategy draws from, by label."""
        named = references(self.strategies[strategy].options, "strategies")
        return {label: self.all_strategies[label] for _, label in named if label in self.all_strategies}

    def prices_of(self, model: str, strategy: str) -> dict[str, Ingredient[PriceEntry]]:
        """Return the price tables of the models whose tokens a strategy and its selectors cost, by model.

        None of imported outcomes: they have no ledger.
        """
        if strategy not in self.strategies or model not in self.models:
            return {}
        judges = [model for label in self.scorers_read for model in self.models_asked_by(self.scorers[label])]
        charged = dict.fromkeys((model, *self.started_with(strategy), *judges))
        named = {label: self.config.models[label].prices or "" for label in charged}
        return {label: self.prices[name] for label, name in named.items() if name in self.prices}

    def draws(self, strategy: str) -> str:
        """Return whether completions of a strategy are `exchangeable` or come in `runs`.

        Those of imported outcomes are taken for exchangeable.
        """
        known = self.strategies.get(strategy)
        return known.entry.draws if known else "exchangeable"

    def axis(self, strategy: str) -> str:
        """Return what the budgets of a strategy count; completions where outcomes are imported."""
        known = self.strategies.get(strategy)
        return known.entry.axis if known else COMPLETIONS

    def converses(self, strategy: str) -> bool:
        """Return whether each completion of a strategy comes of a conversation of its own."""
        known = self.strategies.get(strategy)
        return known is not None and known.entry.per == "completion"

    def rereads(self, model: str) -> bool:
        """Return whether a model's engine reads a prompt for each completion; unknown of imports."""
        known = self.models.get(model)
        return known is not None and known.entry.rereads(known.options)

    def scorer_read_by(self, selector: str) -> str | None:
        """Return the label of the scorer whose scores a selector reads, if it reads any."""
        named = references(self.selectors[selector].options, "scorers")
        return next((label for _, label in named), None)

    @property
    def scorers_read(self) -> list[str]:
        """Labels of the scorers whose scores selectors read."""
        read = {self.scorer_read_by(label) for label in self.selectors}
        return [label for label in self.scorers if label in read]

    def scorer_of(self, strategy: str) -> Ingredient[VerifierEntry] | None:
        """Return the scorer that a strategy asks for while it generates, if it does."""
        asking = (self.strategies[strategy], *self.inner_of(strategy).values())
        named = [label for one in asking for _, label in references(one.options, "scorers")]
        return self.scorers[named[0]] if named else None
