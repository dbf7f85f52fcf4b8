"""Evaluation of what a model wrote: whether a study does it, and whether this machine can contain it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from itscale.errors import SandboxError
from itscale.sandbox import best_rung, lacking_strongest
from itscale.study.study import Study

__all__ = ["note_on_sandbox", "require_sandbox", "require_sandbox_of_outcomes"]


def require_sandbox(study: Study, tasks: Iterable[str] | None = None) -> None:
    """Refuse a study whose verifiers evaluate what a model wrote where no sandbox will do.

    Parameters
    ----------
    tasks
        Labels of the tasks in question; all of them if left out.

    Raises
    ------
    SandboxError
        With the task and its verifier, what is missing and how to get it.
    """
    for place in _evaluating(study, study.tasks if tasks is None else tasks):
        _require(study, place)


def require_sandbox_of_outcomes(study: Study) -> None:
    """Refuse imported outcomes whose answers would be evaluated where no sandbox will do.

    Raises
    ------
    SandboxError
        With the model whose outcomes they are, what is missing and how to get it.
    """
    for place in _evaluating_outcomes(study):
        _require(study, place)


def note_on_sandbox(study: Study) -> str:
    """Return what is missing for the strongest sandbox and how to get it, nothing if it is here."""
    tasks = [task for task in study.tasks if task in study.oracles]
    places = [*_evaluating(study, tasks), *_evaluating_outcomes(study)]
    lacking = lacking_strongest(evaluates=bool(places))
    if not lacking:
        return ""
    if not places:
        return f"sandbox: not needed, as nothing that a model writes is evaluated here; {lacking}"
    return f"sandbox: {places[0]}: evaluated in {best_rung(study.config.sandbox)}; {lacking}"


def _require(study: Study, place: str) -> None:
    try:
        best_rung(study.config.sandbox)
    except SandboxError as error:
        raise SandboxError(f"{place}: {error}") from None


def _evaluating(study: Study, tasks: Iterable[str]) -> Iterator[str]:
    """Yield where what a model writes is evaluated: the task and its verifier."""
    for task in tasks:
        options = study.tasks[task].options
        for label in study.verifiers_of(task):
            verifier = study.verifier(task, label)
            if verifier.entry.evaluates(verifier.options, options):
                yield f"tasks.{task}, verifiers.{label}"


def _evaluating_outcomes(study: Study) -> Iterator[str]:
    for (_, model, _), source in study.outcomes.items():
        if source.oracle is not None and source.oracle.entry.evaluates(source.oracle.options, None):
            yield f"outcomes.{model}.oracle"
