"""Imported outcomes of a study: found, described, and fit to be selected from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from itscale.errors import UserError
from itscale.importing.columns import check_columns
from itscale.importing.files import check_file
from itscale.importing.judging import oracle_named
from itscale.importing.source import Source
from itscale.messages.mistakes import Mistake, Place
from itscale.messages.validation import validate
from itscale.outcomes import Design
from itscale.study.config import OutcomesSection, StudyConfig

__all__ = ["Combination", "find_sources", "fit_selectors"]

UNNAMED = "unnamed"
"""Stands in for a task that is missing, while the rest of outcomes is looked at."""

Combination = tuple[str, str, str]
"""Labels of a task, a model and a strategy."""


def find_sources(
    config: StudyConfig, sections: Mapping[str, Any] | None = None
) -> tuple[dict[Combination, Source], list[Mistake]]:
    """Find the outcomes a study names, by the task, model and strategy they are shown as.

    Those whose files are missing or whose columns have to be named are mistakes, and left out, as are two
    that go by the same three labels.

    Parameters
    ----------
    config
        The study, without sections that lack something.
    sections
        Its outcomes as written: what else is wrong with those that lack something is found, too.
    """
    found: dict[Combination, Source] = {}
    seen: set[Combination] = set()
    mistakes: list[Mistake] = []
    for label, section in _lacking(config, sections or {}):
        mistakes += _source(section, config, ("outcomes", label))[1]
    for label, section in config.outcomes.items():
        place: Place = ("outcomes", label)
        combination = (section.task, section.model or label, section.strategy)
        source, wrong = _source(section, config, place)
        mistakes += wrong
        if combination in seen or _is_sampled(config, combination):
            mistakes.append(
                Mistake(place, f"{'/'.join(combination)} appears twice; give it another model or strategy")
            )
            continue
        seen.add(combination)
        if getattr(config.strategies.get(section.strategy), "budgets", None):
            mistakes.append(
                Mistake(
                    (*place, "strategy"),
                    f"{section.strategy!r} is run anew at each budget in this study, expected the label of "
                    "one whose completions are independent",
                )
            )
            continue
        if source is not None:
            found[combination] = source
    return found, mistakes


def _lacking(config: StudyConfig, sections: Mapping[str, Any]) -> Iterator[tuple[str, OutcomesSection]]:
    """Yield outcomes that lack what they must have, with the rest of what is said of them."""
    for label, section in sections.items():
        if label not in config.outcomes and isinstance(section, Mapping):
            rest, _ = validate(OutcomesSection, section, instead={"task": UNNAMED})
            if rest is not None:
                yield label, rest


def _is_sampled(config: StudyConfig, combination: Combination) -> bool:
    task, model, strategy = combination
    return task in config.tasks and model in config.models and strategy in config.strategies


def _source(
    section: OutcomesSection, config: StudyConfig, place: Place
) -> tuple[Source | None, list[Mistake]]:
    mistakes = []
    for path in section.paths:
        try:
            check_file(path)
        except UserError as error:
            mistakes.append(Mistake((*place, "path"), str(error)))
    oracle, wrong = _oracle(section.oracle, config, place)
    mistakes += wrong
    columns = None
    try:
        columns = None if section.columns is None else check_columns(section.columns, "columns")
    except UserError as error:
        mistakes.append(Mistake(place, str(error)))
    if mistakes:
        return None, mistakes
    try:
        how = (section.design, _where(section), oracle, section.successes)
        return Source.find(section.paths, columns, *how), []
    except UserError as error:
        return None, [Mistake(place, str(error))]


def _oracle(name: str | None, config: StudyConfig, place: Place) -> tuple[Any, list[Mistake]]:
    """Return the oracle that a label of the study, or else a plugin's name, stands for."""
    if name is None:
        return None, []
    section = config.verifiers.get(name)
    try:
        if section is None:
            return oracle_named(name, "oracle"), []
        return oracle_named(section.plugin or name, f"verifiers.{name}", section.options), []
    except UserError as error:
        return None, [Mistake((*place, "oracle"), str(error))]


def _where(section: OutcomesSection) -> dict[str, tuple[str, ...]]:
    """Return the rows that are meant, values as text (true and false as JSON has them)."""
    return {
        column: tuple(_value(one) for one in (values if isinstance(values, tuple) else (values,)))
        for column, values in section.where.items()
    }


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def fit_selectors(
    selectors: Mapping[str, Any], sources: Iterable[Source], strategies: Iterable[Any]
) -> dict[str, Any]:
    """Return those of a study's default selectors that all its outcomes, and all it samples, are fit for.

    Outcomes without answers have no vote, and most estimates are biased where the number of completions was
    not fixed beforehand. A run is judged as a whole, however it came about.
    """
    sources = list(sources)
    designs: Collection[Design] = {source.design or "fixed" for source in sources}
    pools = (strategy.entry for strategy in strategies if strategy.entry.draws == "exchangeable")
    designs = {*designs, *(entry.design for entry in pools)}
    answered = all(source.answers for source in sources)
    return {
        label: selector
        for label, selector in selectors.items()
        if designs <= set(selector.entry.designs) and (answered or not selector.entry.takes_answers)
    }
