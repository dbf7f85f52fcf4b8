"""The declaration of a stage: all that plan, rules, jobs, footers and manifest have to know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itscale.messages.printable import without_tags
from itscale.plugins.entries import Kind
from itscale.plugins.ingredient import Ingredient
from itscale.stages.footer import provenance
from itscale.study.study import Study

__all__ = ["Depends", "Labels", "Stage"]

Labels = Mapping[str, str]
"""Labels of a job by the names of wildcards: its task, model, block, law ..."""

Depends = Callable[[Study, Labels], dict[str, Any]]


def _nothing(study: Study, labels: Labels) -> dict[str, Any]:
    return {}


def _always(study: Study, labels: Labels) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of a study, which is a rule of the workflow.

    Attributes
    ----------
    name
        Name of its rule, of the folder of its logs, and of the stage in the footers of its tables.
    revision
        Raised when it gives other outputs from the same inputs: what it made runs again.
    each
        Names of the wildcards of its rule: it has a job for each combination of their labels.
    fingerprint
        What a job's outputs depend on beside its inputs, as JSON values: it is in the footers of its tables
        and in the params of its rule. How many completions, budgets or problems are asked for is never in
        it: those add blocks. From outcomes on it holds that of the sampling, too, so that a table of another
        study is told by itself.
    unwatched
        What stands in the params for inputs whose changes Snakemake does not see.
    tables
        The tables a job leaves: paths below the results, with labels in braces and without `.parquet`.
    reports
        The files for a reader that a job leaves: paths below the reports, with labels in braces. With some
        of them, Snakemake's report shows what they depend on.
    wanted
        Whether a study has a job with these labels.
    unused
        Kinds of plugins its jobs have no use for: importing them may take longer than all the rest.
    """

    name: str
    revision: int
    each: tuple[str, ...] = ()
    fingerprint: Depends = _nothing
    unwatched: Depends = _nothing
    tables: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    wanted: Callable[[Study, Labels], bool] = _always
    unused: tuple[Kind, ...] = ()

    def depends(self, study: Study, labels: Labels) -> dict[str, Any]:
        """Return the params by which Snakemake sees that a job has to run again, as JSON values."""
        depends = {
            "revision": self.revision,
            **self.fingerprint(study, labels),
            **self.unwatched(study, labels),
        }
        return without_tags(depends) if self.reports else depends

    def journalled(self, fingerprint: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a journal of a job belongs to: nothing goes on with what another revision began."""
        return {**fingerprint, "revision": self.revision}

    def footer(
        self, study: Study, labels: Labels, inputs: Mapping[str, Path], *ingredients: Ingredient[Any]
    ) -> dict[str, Any]:
        """Return the metadata of the tables of a job; arguments and errors as `provenance`."""
        return provenance(self.name, self.fingerprint(study, labels), inputs, *ingredients)
