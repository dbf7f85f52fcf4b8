"""Whether a study evaluates what a model wrote, and whether this machine can contain it."""

from __future__ import annotations

from collections.abc import Iterable

from itscale.errors import SandboxError
from itscale.sandbox import best_rung
from itscale.study import Study

__all__ = ["require_sandbox", "require_sandbox_of_outcomes"]


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
    for task in study.tasks if tasks is None else tasks:
        options = study.tasks[task].options
        for label in study.verifiers_of(task):
            verifier = study.verifier(task, label)
            if verifier.entry.evaluates(verifier.options, options):
                try:
                    best_rung(study.config.sandbox)
                except SandboxError as error:
                    raise SandboxError(f"tasks.{task}, verifiers.{label}: {error}") from None


def require_sandbox_of_outcomes(study: Study) -> None:
    """Refuse outcomes from elsewhere whose answers would be evaluated where no sandbox will do.

    Raises
    ------
    SandboxError
        With the model whose outcomes they are, what is missing and how to get it.
    """
    for (_, model, _), source in study.outcomes.items():
        oracle = source.oracle
        if oracle is not None and oracle.entry.evaluates(oracle.options, None):
            try:
                best_rung(study.config.sandbox)
            except SandboxError as error:
                raise SandboxError(f"outcomes.{model}.oracle: {error}") from None
