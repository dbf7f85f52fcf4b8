"""Readiness of a study to run here: everything outside of it is looked at, nothing is started.

Installed packages, the plugins' own checks, problems, tables, imported outcomes, the size of it all,
and the folders that are written.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Hashable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

from itscale.curves.pools import ProblemCounts, open_outcomes
from itscale.errors import UserError, describe_os_error
from itscale.importing.source import Source
from itscale.messages.mistakes import Mistake, MistakesError, Place, dotted, independent
from itscale.outcomes import Design
from itscale.plugins.ingredient import Ingredient
from itscale.sandbox import Rung
from itscale.stages.imports import import_outcomes, is_import_of
from itscale.stages.problems import count_problems, load_problems
from itscale.stages.table_fits import check_table
from itscale.store.snakemake import FOLDER
from itscale.study.checks.comparing import check_common_problems
from itscale.study.checks.extents import beyond_every_pool, beyond_some_pool
from itscale.study.checks.selection import biased_by
from itscale.study.evaluation import note_on_sandbox, require_sandbox, require_sandbox_of_outcomes
from itscale.study.imported import Combination
from itscale.study.resolution import Examined
from itscale.study.study import Study

__all__ = ["Readiness", "look_around", "ready"]

MOST_JOBS = 100_000
"""Sampling jobs that Snakemake plans in minutes and in little memory."""

LEAST_PROBLEMS = 2
"""Problems that a law needs: its intervals resample them."""

WRITTEN = ("results", "reports", "logs", FOLDER)
"""Folders that a run writes, in the working directory."""


@dataclass
class Readiness:
    """What was found around a study.

    Attributes
    ----------
    mistakes
        What would end a run.
    notes
        What a reader of the results should know.
    problems
        Number of problems of each task that has some.
    """

    mistakes: list[Mistake] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: dict[str, int] = field(default_factory=dict)


def ready(examined: Examined, *, elsewhere: bool = False) -> Readiness:
    """Return what was found around a study without mistakes.

    Parameters
    ----------
    examined
        The study, as it was read.
    elsewhere
        Whether models run on other machines, or in environments that are made for them: what they need does
        not have to be installed here.

    Raises
    ------
    MistakesError
        With all that is wrong with the study and around it.
    """
    found = Readiness() if examined.study is None else look_around(examined.study, elsewhere=elsewhere)
    mistakes = [*examined.mistakes, *_own(examined.mistakes, found.mistakes)]
    if mistakes or examined.study is None:
        raise MistakesError(examined.where, mistakes, examined.lines)
    return found


def _own(earlier: Sequence[Mistake], later: Sequence[Mistake]) -> Iterator[Mistake]:
    """Yield the later mistakes that cannot follow from earlier ones.

    In place of a wrong option stands its default: what is then wrong with the ingredient may follow.
    """
    within = {one.place[:length] for one in earlier for length in range(2, len(one.place))}
    yield from (one for one in independent(earlier, later) if one.place not in within)


def look_around(study: Study, *, elsewhere: bool = False) -> Readiness:
    """Look at everything outside of a study that a run depends on; arguments as in `ready`."""
    found = Readiness()
    usable = set()
    for place, ingredient in _placed(study):
        missing = ingredient.entry.missing_modules()
        if missing and elsewhere and place[0] in ("models", "verifiers"):
            found.notes.append(f"{dotted(place)}: {', '.join(missing)} is not installed here")
            continue
        said = _said(ingredient, missing) if not elsewhere or place[0] != "models" else []
        found.mistakes += [Mistake(place, message) for message in said]
        if not said:
            usable.add(place)
    uncontained = list(_uncontained(study))
    found.mistakes += uncontained
    if not uncontained and (note := note_on_sandbox(study)):
        found.notes.append(note)
    _count(study, usable, found)
    _import(study, found)
    found.mistakes += _unclustered(study, found.problems)
    found.notes += _not_fitted(study, found.problems)
    found.mistakes += [*_too_many_jobs(study, found.problems), *_unwritable(study.name)]
    return found


def _placed(study: Study) -> Iterator[tuple[Place, Ingredient[Any]]]:
    """Yield every ingredient with its place in the study."""
    for key in ("tasks", "models", "strategies", "selectors", "laws", "figures"):
        for label, ingredient in getattr(study, key).items():
            yield (key, label), ingredient
    for label, ingredient in {**study.scorers, **study.named_oracles}.items():
        yield ("verifiers", label), ingredient
    for label, ingredient in study.oracles.items():
        if ingredient.label not in study.named_oracles:
            yield ("tasks", label, "oracle"), ingredient


def _said(ingredient: Ingredient[Any], missing: list[str]) -> list[str]:
    """Return what is wrong with an ingredient: what is not installed, or what its own check says."""
    if missing:
        try:
            ingredient.require_installed()
        except UserError as error:
            return [str(error)]
    return list(_own_check(ingredient))


def _own_check(ingredient: Ingredient[Any]) -> Iterator[str]:
    plugin = f"{ingredient.distribution}/{ingredient.entry.name}"
    try:
        for message in ingredient.entry.check(ingredient.options):
            if isinstance(message, str):
                yield message
            else:
                yield f"the check of plugin {plugin} said {message!r}, expected texts"
    except UserError as error:
        yield str(error)
    except OSError as error:
        yield describe_os_error(error)
    except Exception as error:  # a plugin's own fault must not hide what else is wrong
        yield f"the check of plugin {plugin} failed: {type(error).__name__}: {error}"


def _uncontained(study: Study) -> Iterator[Mistake]:
    """Yield tasks whose completions would be evaluated where nothing contains them."""
    for task in study.oracles.keys() & study.tasks.keys():
        try:
            require_sandbox(study, [task])
        except UserError as error:
            yield Mistake(("sandbox",), str(error))
    try:
        require_sandbox_of_outcomes(study)
    except UserError as error:
        yield Mistake(("sandbox",), str(error))


def _count(study: Study, usable: set[Place], found: Readiness) -> None:
    """Count the problems of every task, and read the tables that laws are fitted to."""
    for label, task in study.tasks.items():
        place: Place = ("tasks", label)
        if place in usable:
            wanted = study.config.tasks[label].problems
            try:
                found.problems[label] = count_problems(task, wanted)
            except Exception as error:  # whatever a plugin raises
                found.mistakes += _mistakes(place, error, task)
    for label in study.table_laws:
        place = ("laws", label)
        if place in usable:
            try:
                check_table(study.laws[label])
            except Exception as error:
                found.mistakes += _mistakes(place, error, study.laws[label])


def _mistakes(place: Place, error: Exception, ingredient: Ingredient[Any]) -> list[Mistake]:
    """Return what an error says as mistakes, each at the key that its line begins with."""
    if isinstance(error, OSError):
        return [Mistake(place, describe_os_error(error))]
    if not isinstance(error, UserError):
        plugin = f"{ingredient.distribution}/{ingredient.entry.name}"
        return [Mistake(place, f"plugin {plugin} failed: {type(error).__name__}: {error}")]
    return [_mistake(place, line) for line in error.lines()]


def _mistake(place: Place, said: str) -> Mistake:
    head, colon, rest = said.partition(": ")
    if colon and head == dotted(place):
        return Mistake(place, rest)
    if colon and head.startswith(f"{dotted(place)}."):
        return Mistake((*place, *head.removeprefix(f"{dotted(place)}.").split(".")), rest)
    return Mistake(place, said)


def _import(study: Study, found: Readiness) -> None:
    """Import imported outcomes once, as a run will, and compare them with what is wanted of them."""
    pools = {
        f"strategies.{label}": completions
        for label, strategy in study.strategies.items()
        if strategy.entry.draws == "exchangeable"
        and (completions := study.config.strategies[label].completions)
    }
    known: dict[Combination, AbstractSet[Hashable]] = {}
    for label, section in study.config.outcomes.items():
        combination = (section.task, section.model or label, section.strategy)
        if (source := study.outcomes.get(combination)) is None:
            continue  # what is wrong with it has been said
        name = f"the outcomes {'/'.join(combination)}"
        made = Path("results", study.name, "outcomes", *combination[:2], f"{combination[2]}.parquet")
        try:
            counts, design = _counted(source, made, study.config.sandbox)
        except UserError as error:
            found.mistakes.append(Mistake(("outcomes", label), str(error)))
            continue
        known[combination] = set(counts.problems)
        pools[name] = int(max(counts.sampled) if design == "until_success" else min(counts.sampled))
        if source.design is None:  # else it has been looked at before the file was
            found.mistakes += biased_by(study, design, name)
    if len(known) == len(study.config.outcomes) and _is_counted(study, found.problems):
        known |= _sampled(study, found.problems, {task for task, _, _ in known})
        found.mistakes += check_common_problems(study.config.differences, known)
    grid = study.config.curves.budgets or ()
    found.mistakes += beyond_every_pool(grid, pools) if study.config.outcomes else []
    found.notes += beyond_some_pool(grid, pools)


def _counted(source: Source, made: Path, sandbox: Rung) -> tuple[ProblemCounts, Design]:
    """Return the counts of imported outcomes, of what a run has made of them if it has."""
    if is_import_of(made, source):
        outcomes = open_outcomes(made)
        return outcomes.counts(), outcomes.design
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outcomes.parquet"
        design = import_outcomes(source, path, sandbox).design
        return open_outcomes(path).counts(), design


def _is_counted(study: Study, problems: Mapping[str, int]) -> bool:
    """Return whether all that is sampled is known: else what is missing has been said."""
    config = study.config
    there = (len(problems), len(study.sampled_models), len(study.all_strategies))
    wanted = sum(not section.helper for section in config.models.values())
    return there == (len(config.tasks), wanted, len(config.strategies))


def _sampled(
    study: Study, problems: Mapping[str, int], imported: AbstractSet[str]
) -> dict[Combination, AbstractSet[Hashable]]:
    """Return what tells problems apart: their ids, where a task has imported outcomes, too; else numbers."""
    found: dict[str, AbstractSet[Hashable]] = {
        task: {problem.problem_id for problem in load_problems(study.tasks[task], there)}
        if task in imported and study.config.differences
        else set(range(there))
        for task, there in problems.items()
    }
    return {
        (task, model, strategy): known
        for task, known in found.items()
        for model in study.sampled_models
        for strategy in study.strategies
    }


def _unclustered(study: Study, problems: Mapping[str, int]) -> Iterator[Mistake]:
    """Yield a mistake if no problem of what is sampled lies in a cluster: each would be one by itself."""
    pattern = study.config.curves.clusters
    if pattern is None or not problems or study.outcomes:
        return
    ids = [
        one.problem_id
        for task, number in problems.items()
        for one in load_problems(study.tasks[task], number)
    ]
    if not any(re.search(pattern, problem) for problem in ids):
        some = ", ".join(map(repr, ids[:3]))
        yield Mistake(
            ("curves", "clusters"),
            f"found {pattern!r}, which matches no id of a problem ({some} ...), expected a regular "
            "expression that does: problems with the same match are resampled together",
        )


def _not_fitted(study: Study, problems: Mapping[str, int]) -> Iterator[str]:
    """Yield in words which laws cannot be fitted to what will be sampled, and what they need."""
    for label in study.curve_laws:
        law = study.laws[label]
        least = law.entry.least(law.options)
        for strategy, section in study.config.strategies.items():
            if section.completions is not None and section.completions < least:
                yield (
                    f"laws.{label}: needs {least} completions of a problem, strategies.{strategy} has "
                    f"{section.completions}: it will not be fitted there"
                )
        for task, there in problems.items():
            if there < LEAST_PROBLEMS:
                yield (
                    f"laws.{label}: needs {LEAST_PROBLEMS} problems, tasks.{task} has {there}: it will not "
                    "be fitted there"
                )


def _too_many_jobs(study: Study, problems: Mapping[str, int]) -> Iterator[Mistake]:
    """Yield a mistake if blocks of the given size are more than can be planned."""
    size, jobs = study.config.block, 0
    for there in problems.values():
        for section in (one for one in study.config.strategies.values() if not one.helper):
            units = section.completions or section.replicates
            high = ceil(there / (size.problems or there))
            wide = ceil(units / (size.completions or units))
            jobs += high * wide * len(section.budgets or (0,)) * len(study.sampled_models)
    if jobs > MOST_JOBS:
        yield Mistake(
            ("block",), f"found {jobs:,} blocks to sample, expected at most {MOST_JOBS:,}: larger ones"
        )


def _unwritable(name: str) -> Iterator[Mistake]:
    """Yield folders of a run that cannot be made or written."""
    for folder in WRITTEN:
        path = Path(folder) if folder.startswith(".") else Path(folder, name)
        there = next(one for one in (path, *path.parents) if one.exists())
        if not there.is_dir():
            yield Mistake((), f"{there}: found a file, expected a folder for what the study writes")
        elif not os.access(there, os.W_OK | os.X_OK):
            yield Mistake((), f"{path}: cannot be written: {there.resolve()} lets nobody write here")
