"""Needs of ingredients: scorers and models by their labels, capabilities of engines, bounded sessions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from itscale.errors import ContractError, nearest, nearest_name
from itscale.messages.mistakes import Mistake
from itscale.plugins.names import meant
from itscale.plugins.references import references
from itscale.plugins.strategies import SamplingOptions, StepwiseOptions
from itscale.study.config import INGREDIENTS

if TYPE_CHECKING:
    from itscale.plugins.ingredient import Ingredient
    from itscale.study.study import Study
    from itscale.types import Capability

__all__ = [
    "check_capabilities",
    "check_files",
    "check_helpers",
    "check_options",
    "check_oracles",
    "check_parameters",
    "check_scorers",
]


def check_options(study: Study) -> Iterator[Mistake]:
    """Every strategy bounds a session."""
    for label, strategy in study.all_strategies.items():
        if not isinstance(strategy.options, SamplingOptions):
            yield Mistake(
                ("strategies", label),
                f"options of {strategy.entry.name!r}: found {type(strategy.options).__name__}, expected a "
                "subclass of itscale.plugins.strategies.SamplingOptions: a session is bounded by max_tokens",
            )


def check_scorers(study: Study) -> Iterator[Mistake]:
    """Every scorer that is asked for is among the verifiers."""
    selecting = study.selectors if study.config.models else {}  # others select from what is imported
    named: tuple[tuple[str, Mapping[str, Ingredient[Any]]], ...] = (
        ("selectors", selecting),
        ("strategies", study.all_strategies),
    )
    for key, ingredients in named:
        for label, ingredient in ingredients.items():
            for option, scorer in references(ingredient.options, "scorers"):
                if scorer not in study.scorers and not _is_wrong_itself(study, scorer):
                    yield Mistake((key, label, option), _unknown_scorer(study, scorer))


def check_helpers(study: Study) -> Iterator[Mistake]:
    """Every model that is asked for is there and offers what it is asked; every helper is asked for."""
    asking: list[tuple[str, Ingredient[Any], frozenset[Capability]]] = [
        ("strategies", strategy, strategy.entry.asks) for strategy in study.all_strategies.values()
    ]
    verifiers = {**study.named_oracles, **study.scorers}
    asking += [("verifiers", verifier, verifier.asks) for verifier in verifiers.values()]
    named: set[str] = set()
    for key, ingredient, asks in asking:
        for option, model in references(ingredient.options, "models"):
            named.add(model)
            place = (key, ingredient.label, option)
            if model not in study.config.models:
                yield Mistake(place, f"no model {model!r}; {nearest(model, study.config.models)}")
            elif model in study.models and (lacking := sorted(asks - study.models[model].offers)):
                engine = study.models[model]
                able = " as it is configured (see its options)" if asks <= engine.entry.offers else ""
                offers = ", ".join(sorted(engine.offers)) + able
                expected = f"expected a model that offers {', '.join(lacking)}"
                yield Mistake(place, f"found {model!r}, which offers {offers}, {expected}")
    for model, section in study.config.models.items():
        if section.helper and model not in named:
            found = "found true, but no strategy or verifier names this model"
            yield Mistake(("models", model, "helper"), found)


def _is_wrong_itself(study: Study, label: str) -> bool:
    """Return whether there is such a verifier, of which nothing is known as something is wrong with it."""
    return label in study.config.verifiers and label not in study.named_oracles


def _unknown_scorer(study: Study, scorer: str) -> str:
    if scorer in study.named_oracles:
        return f"{scorer!r} knows what is correct, expected a verifier that gives scores"
    for key in INGREDIENTS:
        if key != "verifiers" and scorer in getattr(study.config, key):
            return f"{scorer!r} is one of the {key}, expected a verifier that gives scores"
    near = nearest_name(scorer, study.scorers)
    if study.scorers and (near or scorer not in study.installed_scorers):
        return f"no scorer {scorer!r} among the verifiers; {nearest(scorer, study.scorers)}"
    if (plugin := meant(scorer, study.installed_scorers)) is None:
        known = ", ".join(sorted({entry.name for entry in study.installed_scorers.values()}))
        return f"no scorer {scorer!r}; expected a verifier that gives scores, as {known or 'none installed'}"
    add = f"add it to the study's verifiers: `verifiers: [{plugin}]`"
    if scorer in study.installed_scorers:
        return f"no scorer {scorer!r}; {add}"
    return f"no scorer {scorer!r}; did you mean {plugin!r}? If so, {add}"


def check_capabilities(study: Study) -> Iterator[Mistake]:
    """Every engine offers, as it is configured, what strategies and verifiers need of it."""
    asking: list[tuple[str, str, frozenset[Any]]] = [
        ("strategies", label, strategy.entry.needs) for label, strategy in study.all_strategies.items()
    ]
    asking += [
        ("verifiers", label, verifier.needs | verifier.entry.recorded)
        for label, verifier in {**study.named_oracles, **study.scorers}.items()
    ]
    for model, engine in _sampled(study):
        offers = engine.offers
        for key, label, needs in asking:
            if lacking := sorted(needs - offers):
                able = " as it is configured; see its options" if needs <= engine.entry.offers else ""
                yield Mistake(
                    (key, label),
                    f"needs {', '.join(lacking)} of the engine; models.{model} ({engine.entry.name}) offers "
                    f"{', '.join(sorted(offers))}{able}",
                )


def check_oracles(study: Study) -> Iterator[Mistake]:
    """No strategy asks, while it samples, an oracle that is waited for."""
    waited = {
        task: oracle
        for task, oracle in study.oracles.items()
        if iscoroutinefunction(getattr(oracle.entry.factory, "judge", None))
    }
    for label, strategy in study.strategies.items():
        for task, oracle in waited.items() if strategy.entry.asks_oracle else ():
            yield Mistake(
                ("strategies", label),
                f"asks the oracle while it samples, and judge() of verifiers.{oracle.label}, that of "
                f"tasks.{task}, is a coroutine; expected one that answers at once",
            )


def check_files(study: Study) -> Iterator[Mistake]:
    """Every task and law names the files that it reads as a study can hash them."""
    for key, ingredients in (("tasks", study.tasks), ("laws", study.laws)):
        for label, ingredient in ingredients.items():
            try:
                _ = ingredient.files
            except ContractError as error:
                yield Mistake((key, label), str(error))


def _sampled(study: Study) -> Iterator[tuple[str, Ingredient[Any]]]:
    return ((model, study.models[model]) for model in study.sampled_models)


def check_parameters(study: Study) -> Iterator[Mistake]:
    """Every engine, as it is configured, can do what strategies ask of it in a request."""
    for model, engine in _sampled(study):
        for label, strategy in study.all_strategies.items():
            options = strategy.options
            if not isinstance(options, SamplingOptions):
                continue  # said by `check_options`
            params = options.step() if isinstance(options, StepwiseOptions) else options.completion()
            for message in engine.entry.refuses(engine.options, params):
                yield Mistake(("models", model), f"{message} (for strategies.{label})")
