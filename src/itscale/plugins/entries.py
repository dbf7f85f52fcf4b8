"""Entries: the records a plugin registers, one class per kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict

from itscale.errors import PluginError
from itscale.outcomes import DESIGNS, Design, Estimand
from itscale.plugins.costs import VerdictCost
from itscale.plugins.declarations import check_declaration
from itscale.plugins.laws import ENSEMBLE
from itscale.plugins.modules import importable
from itscale.plugins.references import referring
from itscale.types import Capability, SamplingParams

__all__ = [
    "KINDS",
    "Demand",
    "EngineEntry",
    "Entry",
    "FigureEntry",
    "Kind",
    "LawEntry",
    "Options",
    "PriceEntry",
    "SelectorEntry",
    "TaskEntry",
    "VerifierEntry",
]

Kind = Literal["tasks", "engines", "strategies", "verifiers", "selectors", "laws", "prices", "figures"]
KINDS: tuple[Kind, ...] = get_args(Kind)

NAME = re.compile(r"[a-z][a-z0-9_]*")

Demand = frozenset[Capability] | Callable[[Any], frozenset[Capability]]
"""What must be offered: some capabilities, or those that a function of the options says."""


class Options(BaseModel):
    """Base of every plugin's options: unknown keys are errors, numbers are finite, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a plugin registers.

    Attributes
    ----------
    name
        Lower-case identifier, unique among the installed plugins of its kind.
    factory
        Called as the hook of its kind says. Heavy imports (torch, vllm ...) happen inside it.
    options
        A model derived from `Options`; validated before the DAG exists.
    summary
        One line, shown by `itscale plugins list`.
    revision
        Raised by the author whenever the same options give other outputs: what used it reruns.
    aliases
        Other names it answers to: those that the field knows it by. `pass@k` is found as `pass_at_k`.
    requires
        Modules that must be importable when it runs.
    extra
        What to install when they are not, as pip understands it; of several, one.
    reference
        The paper (section, equation) the method comes from.
    check
        `check(options)` yields what is wrong with options that are right one by one: a data set that does not
        exist, two options that exclude each other. Each is a line without the place, as "config.digits: found
        0, expected at least 1". It is called by `itscale check` and before a run, in the working directory,
        and must start nothing; what it raises is shown, too.
    """

    kind: ClassVar[Kind]
    calls: ClassVar[Mapping[str, tuple[str, ...]]] = {"factory": ("options",), "check": ("options",)}
    """How each callable is called: names of its arguments, those that are passed by name with a `=`."""

    name: str
    factory: Callable[..., Any]
    options: type[Options] = Options
    summary: str
    revision: int = 1
    aliases: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    extra: str | tuple[str, ...] = ""
    reference: str = ""
    check: Callable[[Any], Iterable[str]] = field(default=lambda options: ())

    def __post_init__(self) -> None:
        """Refuse a record that could not be looked up; the rest is checked when it is registered."""
        for name in (self.name, *self.aliases):
            if not NAME.fullmatch(name):
                raise PluginError(f"{self.kind}: plugin name {name!r}: expected lower case, digits and '_'")
        if not (isinstance(self.options, type) and issubclass(self.options, Options)):
            raise PluginError(
                f"{self.kind}/{self.name}: options: found {self.options!r}, expected a subclass of Options"
            )

    def validate(self) -> None:
        """Refuse a record that declares what it must not: types, literals, how its callables are called.

        Raises
        ------
        PluginError
            With kind, name and field, what was found and what was expected.
        """
        check_declaration(self)

    @property
    def installed_by(self) -> str:
        """What installs the required modules, as a command; empty if nothing is known to."""
        extras = (self.extra,) if isinstance(self.extra, str) else self.extra
        return f"pip install {' or '.join(map(repr, extras))}" if any(extras) else ""

    def missing_modules(self) -> list[str]:
        """Name the required modules that are not installed."""
        return [module for module in self.requires if not importable(module)]


@dataclass(frozen=True, kw_only=True)
class TaskEntry(Entry):
    """A task.

    Attributes
    ----------
    oracle
        The verifier that judges its answers unless the study names another.
    files
        `files(options)` names the local files that problems are read from: their content is part of the
        fingerprint.
    size
        `size(options)` is how many problems there are, where that is known without making them, else None.
    """

    kind: ClassVar[Kind] = "tasks"
    calls: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **Entry.calls,
        "factory": ("options",),
        "files": ("options",),
        "size": ("options",),
    }
    oracle: str
    files: Callable[[Any], Mapping[str, Path]] = field(default=lambda options: {})
    size: Callable[[Any], int | None] = field(default=lambda options: None)


@dataclass(frozen=True, kw_only=True)
class EngineEntry(Entry):
    """An engine.

    Attributes
    ----------
    offers
        What engines of this plugin can do; known without starting one.
    configured
        `configured(options)` is what one with these options can do, where options decide; else `offers`.
    refuses
        `refuses(options, params)` yields, in words, what of a strategy's sampling parameters one with these
        options cannot do.
    prepare
        `prepare(options, directory)` fetches and converts the model into a directory, which the factory
        then receives as `model_directory`. Runs once, as a rule of its own.
    wants_preparing
        Whether these options need `prepare`.
    local_compute
        Whether the engine computes on this machine: such a job takes all cores (and a GPU, where one is).
    rereads
        `rereads(options)` is whether the prompt of a request is read for each of its generations, not once.
    """

    kind: ClassVar[Kind] = "engines"
    calls: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **Entry.calls,
        "factory": ("options", "seed=", "model_directory="),
        "prepare": ("options", "directory"),
        "wants_preparing": ("options",),
        "rereads": ("options",),
        "configured": ("options",),
        "refuses": ("options", "params"),
    }
    offers: frozenset[Capability]
    configured: Callable[[Any], frozenset[Capability]] | None = None
    refuses: Callable[[Any, SamplingParams], Iterable[str]] = field(default=lambda options, params: ())
    prepare: Callable[[Any, Path], None] | None = None
    wants_preparing: Callable[[Any], bool] = field(default=lambda options: False)
    local_compute: bool = False
    rereads: Callable[[Any], bool] = field(default=lambda options: False)


@dataclass(frozen=True, kw_only=True)
class VerifierEntry(Entry):
    """A verifier.

    Attributes
    ----------
    role
        An `oracle` knows what is correct, a `scorer` gives a number.
    needs
        What the engine of the sampled model must offer, which is started for it.
    asks
        What the models that its options name by `ModelLabel` must offer.
    recorded
        What the engine must have offered while it generated, as log-probabilities: it is not started for it.
    evaluates
        `evaluates(options, task)` says whether anything that a model wrote is executed or evaluated, given
        the verifier's options and those of the task: that takes `itscale.sandbox`, and a study is refused
        before it starts where there is none.
    cost
        `cost(options)` is what a verdict costs: jobs are sized by it.
    """

    kind: ClassVar[Kind] = "verifiers"
    calls: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **Entry.calls,
        "evaluates": ("options", "task"),
        "cost": ("options",),
    }
    role: Literal["oracle", "scorer"]
    needs: Demand = frozenset()
    asks: Demand = frozenset({"generate"})
    recorded: frozenset[Capability] = frozenset()
    evaluates: Callable[[Any, Any], bool] = field(default=lambda options, task: False)
    cost: Callable[[Any], VerdictCost] = field(default=lambda options: VerdictCost())


@dataclass(frozen=True, kw_only=True)
class SelectorEntry(Entry):
    """A selector.

    Attributes
    ----------
    estimand
        What its accuracy is an estimate of. Tables, figures and intervals go by it, never by a name: the
        `coverage` of a study is the ceiling of its other curves.
    takes_scores
        Whether it reads scores; an option of the type `ScorerLabel` then names the scorer.
    takes_answers
        Whether it looks at answers: it is refused where imported outcomes have none.
    designs
        How the number of completions may have come about: its estimate would be biased for any other.
    """

    kind: ClassVar[Kind] = "selectors"
    estimand: Estimand = "selected"
    takes_scores: bool = False
    takes_answers: bool = False
    designs: tuple[Design, ...] = DESIGNS

    def validate(self) -> None:
        """Refuse one whose scores the study could not check, too."""
        super().validate()
        named = bool(list(referring(self.options, "scorers")))
        if self.takes_scores != named:
            found = "an option of the type ScorerLabel" if named else "no option of the type ScorerLabel"
            raise PluginError(
                f"selectors/{self.name}: takes_scores: found {self.takes_scores} and {found} "
                "(itscale.plugins.references), expected both or neither: the study checks that there is "
                "such a scorer"
            )


@dataclass(frozen=True, kw_only=True)
class LawEntry(Entry):
    """A law.

    Attributes
    ----------
    takes
        What it is fitted to: points of a `curve`, `counts` (n, correct) per problem, or a `table` of
        covariates, which its options (a subclass of `itscale.plugins.table_laws.TableOptions`) name.
    extrapolates
        Whether its forecasts are meant for budgets far beyond the data. If not, it has neither forecasts nor
        a place on the leaderboard, only hold-out errors.
    ensemble
        What it is to an ensemble, if it is `itscale.plugins.laws.Asymptotic`: `far`, of few parameters and
        therefore steady far beyond the data; `near`, of free form and therefore true to many data; or
        `other`, which joins where a study has no law of the former kinds.
    files
        `files(options)` names the local files it is fitted to: their content is part of the fingerprint.
    least
        `least(options)` is how many completions of a problem it needs; `itscale check` says who has fewer.
    inputs
        Of a tabular law, in words: the columns it reads beside the response, as its option `columns` knows
        them. They may depend on options.
    """

    kind: ClassVar[Kind] = "laws"
    calls: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **Entry.calls,
        "files": ("options",),
        "least": ("options",),
    }
    takes: Literal["curve", "counts", "table"]
    extrapolates: bool = True
    ensemble: Literal["far", "near", "other"] = "other"
    inputs: str = ""
    least: Callable[[Any], int] = field(default=lambda options: 2)
    files: Callable[[Any], Mapping[str, Path]] = field(default=lambda options: {})

    def validate(self) -> None:
        """Refuse one that would be taken for all laws together: `laws: all` labels laws by their names."""
        super().validate()
        if ENSEMBLE in (self.name, *self.aliases):
            taken = f"found the name {ENSEMBLE!r}, which all laws together have, expected another"
            raise PluginError(f"laws/{self.name}: {taken}")


@dataclass(frozen=True, kw_only=True)
class PriceEntry(Entry):
    """A dated price table."""

    kind: ClassVar[Kind] = "prices"


@dataclass(frozen=True, kw_only=True)
class FigureEntry(Entry):
    """A figure.

    Attributes
    ----------
    reads
        The tables it draws.
    caption
        What it shows, in words; `{confidence}` stands for the level of the study's intervals.
    priced
        `priced(options)` is whether it draws USD alone: then a study needs price tables.
    """

    kind: ClassVar[Kind] = "figures"
    calls: ClassVar[Mapping[str, tuple[str, ...]]] = {**Entry.calls, "priced": ("options",)}
    reads: tuple[
        Literal["curves", "fits", "forecasts", "differences", "accuracies", "outcomes", "trees"], ...
    ]
    caption: str
    priced: Callable[[Any], bool] = field(default=lambda options: False)
