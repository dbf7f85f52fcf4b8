"""The outcomes that a study brings from elsewhere: found, described, and fit to be selected from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from itscale.config import OutcomesSection, StudyConfig
from itscale.errors import DataError, StudyError, nearest
from itscale.importing.columns import check_columns
from itscale.importing.files import check_file
from itscale.importing.judging import oracle_named
from itscale.importing.source import Source

__all__ = ["Combination", "check_selectors", "find_sources", "with_selectors_that_work"]

Combination = tuple[str, str, str]
"""Labels of a task, a model and a strategy."""


def find_sources(config: StudyConfig, where: str) -> dict[Combination, Source]:
    """Find the outcomes a study names, by the task, model and strategy they are shown as.

    Raises
    ------
    StudyError
        If a file is missing, columns have to be named, or two things go by the same three labels.
    """
    found: dict[Combination, Source] = {}
    for label, section in config.outcomes.items():
        place = f"{where}: outcomes.{label}"
        combination = (section.task, section.model or label, section.strategy)
        if combination in found or _is_sampled(config, combination):
            raise StudyError(
                f"{place}: {'/'.join(combination)} is there twice; give it another model or strategy"
            )
        budgets = getattr(config.strategies.get(section.strategy), "budgets", None)
        if budgets:
            raise StudyError(
                f"{place}.strategy: {section.strategy!r} is run anew at each budget in this study, "
                "expected the label of one whose completions are independent"
            )
        found[combination] = _source(section, config, place)
    return found


def _is_sampled(config: StudyConfig, combination: Combination) -> bool:
    task, model, strategy = combination
    return task in config.tasks and model in config.models and strategy in config.strategies


def _source(section: OutcomesSection, config: StudyConfig, place: str) -> Source:
    columns = None if section.columns is None else check_columns(section.columns, f"{place}.columns")
    oracle = None if section.oracle is None else _oracle(section.oracle, config, place)
    try:
        for path in section.paths:
            check_file(path)
        return Source.find(section.paths, columns, section.design, _where(section), oracle)
    except DataError as error:
        raise StudyError(f"{place}.path: {error}") from None


def _oracle(name: str, config: StudyConfig, place: str) -> Any:
    """Return the oracle that a label of the study, or else a plugin's name, stands for."""
    section = config.verifiers.get(name)
    if section is None:
        return oracle_named(name, f"{place}.oracle")
    return oracle_named(section.plugin or name, f"verifiers.{name}", section.options)


def _where(section: OutcomesSection) -> dict[str, tuple[str, ...]]:
    """Return the rows that are meant, values as text (true and false as JSON has them)."""
    return {
        column: tuple(_value(one) for one in (values if isinstance(values, tuple) else (values,)))
        for column, values in section.where.items()
    }


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def with_selectors_that_work(config: StudyConfig, sources: Mapping[Combination, Source]) -> StudyConfig:
    """Leave out of a study's selectors, if it names none, those that some outcomes are not fit for.

    Those without answers have no vote, and only coverage is known of those whose number was not fixed.
    """
    if "selectors" in config.model_fields_set:
        return config
    unfit = set()
    for source in sources.values():
        unfit |= set() if source.answers else {"majority_vote"}
        unfit |= set() if source.design in (None, "fixed") else {"majority_vote", "first"}
    kept = {label: section for label, section in config.selectors.items() if label not in unfit}
    return config.model_copy(update={"selectors": kept})


def check_selectors(sources: Mapping[Combination, Source], selectors: Mapping[str, Any], where: str) -> None:
    """Refuse a selector that needs answers or scores which some outcomes don't have.

    Raises
    ------
    StudyError
        With the selector and the outcomes.
    """
    for label, selector in selectors.items():
        scorer = getattr(selector.options, "scorer", None)
        for combination, source in sources.items():
            whose = f"the outcomes {'/'.join(combination)} ({source.paths[0].name})"
            if selector.entry.takes_answers and not source.answers:
                raise StudyError(
                    f"{where}: selectors.{label}: needs answers, {whose} have none; map columns.answer, or "
                    "leave it out"
                )
            if scorer is not None and scorer not in source.scorers:
                raise StudyError(
                    f"{where}: selectors.{label}.scorer: no scores of {scorer!r} in {whose}; "
                    f"{nearest(scorer, source.scorers) if source.scorers else 'map columns.score'}"
                )
