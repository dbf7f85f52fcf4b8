"""The study as written: every key a study file may have, typed, with its meaning and default."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from itscale.messages.mistakes import Mistake
from itscale.outcomes import Design
from itscale.plugins.laws import ENSEMBLE
from itscale.sandbox.settings import Rung

__all__ = [
    "INGREDIENTS",
    "ArmSection",
    "BlockSize",
    "CurveSection",
    "DifferenceSection",
    "FitSection",
    "OutcomesSection",
    "Section",
    "StrategySection",
    "StudyConfig",
    "TaskSection",
    "TreeSection",
    "as_sections",
]

STRICT = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)
"""Unknown keys are errors, numbers are finite, values never change."""

_REPEATED = re.compile(r"(.+)\1{19,}$")


def _aperiodic(label: str) -> str:
    if match := _REPEATED.search(label):
        raise ValueError(
            f"found {label!r}, expected a name that does not end in {match[1]!r} twenty times over: to "
            "Snakemake that is a path without end"
        )
    return label


Label = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64), AfterValidator(_aperiodic)
]
"""A name a study gives to an ingredient; it becomes part of file names, and paths have several."""

Count = Annotated[int, Field(ge=1, le=10_000_000)]
"""How many of something there are to sample: more than anybody has, less than what no disk holds."""

Resamples = Annotated[int, Field(le=100_000)]
"""How often something is resampled: a hundred times what percentiles need, all of it in memory."""


def _each_once(values: tuple[int, ...]) -> tuple[int, ...]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"found {value} twice, expected every value once")
    return values


Budgets = Annotated[tuple[Count, ...], Field(min_length=1, max_length=200), AfterValidator(_each_once)]
"""A grid of budgets."""

Origins = Annotated[
    tuple[Annotated[int, Field(ge=2, le=1_000_000)], ...], Field(max_length=20), AfterValidator(_each_once)
]
"""Parts of what was sampled."""

ALL = "all"
"""Stands in place of the laws of a study: every law that is fitted to completions."""

INGREDIENTS = ("tasks", "models", "strategies", "verifiers", "selectors", "laws", "prices", "figures")
"""Keys whose values are ingredients by label, or a list of names."""

Scalar = str | int | float | bool
"""A value of a column, as YAML has it."""


class Section(BaseModel):
    """One named ingredient: the plugin (by default the one of the same name), its options beside it."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    plugin: str | None = None
    """Name of the plugin, or `distribution/name`; the ingredient's own name if left out."""

    @property
    def options(self) -> dict[str, Any]:
        """The keys that belong to the plugin."""
        return dict(self.__pydantic_extra__ or {})


class ModelSection(Section):
    """A model: an engine plugin with its options."""

    helper: bool = False
    """Whether strategies and verifiers only call it by its label (a critic, a judge): it is not sampled
    itself."""
    prices: str | None = None
    """Label of the price table by which its tokens are charged."""


class TaskSection(Section):
    """A task: where problems come from."""

    problems: Count | None = None
    """How many problems, from the first; all of them if left out."""
    oracle: str | None = None
    """Label of the verifier that judges correctness; the task's own if left out."""


class StrategySection(Section):
    """A strategy, and how much of it is run."""

    helper: bool = False
    """Whether other strategies only draw from it by its label: it is not run by itself."""
    completions: Count | None = None
    """Exchangeable strategies: completions per problem."""
    budgets: Budgets | None = None
    """Run-based strategies: the budgets of the grid: completions per run, or what else they count."""
    replicates: Count = 1
    """Run-based strategies: independent runs per problem and budget."""
    grid: dict[str, list[Any] | dict[str, Any]] | None = None
    """Options with several values each: a strategy is run for every point of the grid, and compared with the
    first in the table of tricks."""


class OutcomesSection(BaseModel):
    """Imported outcomes: somebody's results, or what `itscale import` made of them."""

    model_config = STRICT

    path: Path | Annotated[tuple[Path, ...], Field(min_length=1)]
    """The file or files, relative to the working directory: CSV, JSON (lines), also as .gz or .zst, or
    parquet."""
    task: Label
    """Label of the task they are shown as: intervals resample the same problems for all of a task."""
    model: Label | None = None
    """Label of the model; that of the outcomes if left out."""
    strategy: Label = "repeated_sampling"
    """Label of the strategy."""
    columns: dict[str, str] | None = None
    """By field (problem, correct, attempt, n, answer, score.LABEL ...), its column: `a`, `a.b`, `a[].b`; not
    needed for what `itscale import` wrote, or where columns go by their fields' names."""
    where: dict[str, Scalar | tuple[Scalar, ...]] = {}
    """Which rows: by column its value, or several; all of them if left out."""
    oracle: str | None = None
    """What judges each `answer` by its `reference`, where there is no column of correctness: label of a
    verifier, or name of a plugin."""
    design: Design | None = None
    """How the number of attempts came about; that of an imported table, else fixed, if left out."""
    successes: Count | None = None
    """Of the design `until_success`: after how many correct attempts a problem was left; if left out, the
    most that any problem has, where the data prove it."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return (self.path,) if isinstance(self.path, Path) else self.path


class BlockSize(BaseModel):
    """The unit of sampling work, and the most a killed job loses. Blocks that are done stay as they are."""

    model_config = STRICT

    minutes: float = Field(default=30.0, gt=0, le=10_080)
    """How long a job on a block should take: sizes follow, from the tokens per second of blocks already done
    and from what verifiers say a verdict costs."""
    problems: Count | None = None
    """Problems per block; follows from `minutes` if left out."""
    completions: Count | None = None
    """Completion indices (or runs) per problem and block; follows from `minutes` if left out."""


class TreeSection(BaseModel):
    """What is kept of the trees that strategies grow. It changes no completion, and no block that is done."""

    model_config = STRICT

    text: int = Field(default=200, ge=0, le=1_000_000)
    """Characters of the text of each node; 0 keeps the structure alone."""
    nodes: int = Field(default=10_000, ge=0, le=10_000_000)
    """Nodes of a problem in a block, or of a run: those of its completions first, then from the chats
    downwards; 0 keeps none. What is left out is said in the footer, and counted in `children`."""


class CurveSection(BaseModel):
    """How curves are estimated."""

    model_config = STRICT

    budgets: Budgets | None = None
    """The grid of k (completions); 40 log-spaced values up to the number sampled if left out."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Level of every interval."""
    resamples: Resamples = Field(default=2000, ge=100)
    """Bootstrap resamples of problems."""
    interval: Literal["studentised", "percentile", "bca"] = "studentised"
    """Kind of bootstrap interval; `studentised` alone keeps its level where few problems are solved."""
    resample: Literal["problems", "two_level"] = "problems"
    """What is resampled: problems, or for coverage problems and the completions of each (a little wide)."""
    clusters: str | None = None
    """Regular expression searched in problem ids: problems with the same match (its first group, if it has
    one) are resampled together; each problem for itself if left out."""

    @field_validator("resample", mode="before")
    @classmethod
    def _problems_are_resampled(cls, value: Any) -> Any:
        if value in ("completions", "samples"):
            raise ValueError(
                f"found {value!r}, expected 'problems' or 'two_level': resampling completions alone says how "
                "the same problems would come out again, and covers 42 % where 95 % is meant"
            )
        return value

    @field_validator("clusters")
    @classmethod
    def _clusters_is_a_pattern(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"found {value!r}, expected a regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _one_kind_of_levels(self) -> CurveSection:
        if self.clusters is not None and self.resample == "two_level":
            raise ValueError("resample: found 'two_level', expected 'problems' where there are clusters")
        return self


class FitSection(BaseModel):
    """How laws are fitted and how far they are drawn."""

    model_config = STRICT

    refits: Resamples = Field(default=500, ge=20)
    """Bootstrap resamples of problems; each law is fitted again to every one."""
    origins: Origins = (8, 4, 2)
    """Hold-out: each law is also fitted to the first n/8, n/4, n/2 of n completions and tried at larger k."""
    holdout_refits: Resamples = Field(default=200, ge=20)
    """Bootstrap resamples for the band of each fit that is evaluated out of sample."""
    reach: float = Field(default=100.0, ge=1, le=1_000_000)
    """Forecasts go to this many times the largest budget seen."""


class ArmSection(BaseModel):
    """One side of a difference; a label left out on both sides takes every value, the same on both."""

    model_config = STRICT

    model: str | None = None
    """Label of a model."""
    strategy: str | None = None
    """Label of a strategy."""
    selector: str | None = None
    """Label of a selector."""


class DifferenceSection(BaseModel):
    """A paired difference of two curves over the same problems, at equal k and at equal tokens."""

    model_config = STRICT

    of: ArmSection
    """What is compared."""
    minus: ArmSection
    """What it is compared with: above 0 the former is better."""
    trick: bool = False
    """Whether the table of tricks has it, at every budget of the curves that is named; so have grids."""

    @model_validator(mode="after")
    def _sides_differ(self) -> DifferenceSection:
        for name in ArmSection.model_fields:
            if (getattr(self.of, name) is None) != (getattr(self.minus, name) is None):
                side = "of" if getattr(self.of, name) is None else "minus"
                raise ValueError(f"{side}.{name}: missing, expected a {name} on both sides or on neither")
        if self.of == self.minus:
            raise ValueError("minus: found the same as in of, expected another model, strategy or selector")
        return self


class StudyConfig(BaseModel):
    """A study as written: models x tasks x strategies, verified, selected, fitted and drawn."""

    model_config = STRICT

    study: Label
    """Name of the study: results go to `results/{study}`, figures and tables to `reports/{study}`."""
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    """Root of every random stream."""
    tasks: dict[Label, TaskSection] = {}
    """Tasks by label; tasks, models and strategies may be left out where there are outcomes, or where every
    law is fitted to a table."""
    models: dict[Label, ModelSection] = {}
    """Models by label: each is an engine plugin with its options."""
    strategies: dict[Label, StrategySection] = {}
    """Strategies by label."""
    outcomes: dict[Label, OutcomesSection] = {}
    """Imported outcomes, by label: they are selected from, fitted and drawn like sampled ones."""
    verifiers: dict[Label, Section] = {}
    """Verifiers by label, beyond each task's own oracle: scorers, or oracles with options."""
    selectors: dict[Label, Section] = {"oracle": Section(), "first": Section(), "majority_vote": Section()}
    """Selectors by label."""
    laws: dict[Label, Section] | Literal["all"] = {}
    """Laws by label, or `all`: every installed law of a curve or of counts, with its defaults."""
    prices: dict[Label, Section] = {}
    """Price tables by label, which every model then names (`prices: LABEL`): cost in USD becomes an axis of
    budgets."""
    figures: dict[Label, Section] = {}
    """Figures by label."""
    differences: dict[Label, DifferenceSection] = {}
    """Paired differences by label; all of them are one family for Holm's adjustment."""
    block: BlockSize = BlockSize()
    """Size of a block."""
    trees: TreeSection = TreeSection()
    """Size of the trees that are kept beside the completions."""
    max_failures: (
        Annotated[int, Field(strict=True, ge=0)] | Annotated[float, Field(strict=True, ge=0, le=1)]
    ) = 0.05
    """How many units (the completions of a problem in a block, or one run) of a task, model and strategy may
    fail before the run ends: a number, or a share (0.05; at least one then). Problems that an oracle or a
    scorer fails on are counted alike, by verifier."""
    curves: CurveSection = CurveSection()
    """How curves are estimated."""
    fits: FitSection = FitSection()
    """How laws are fitted."""
    sandbox: Rung = "landlock"
    """The weakest sandbox in which what a model wrote may be evaluated (docs/sandbox.md): the strongest that
    the machine offers is used; `process` has to be asked for, it shows the user's files."""

    @field_validator("max_failures", mode="before")
    @classmethod
    def _number_or_share(cls, value: Any) -> Any:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not (0 <= value <= 1 or (isinstance(value, int) and value >= 0)):
            raise ValueError(f"found {value!r}, expected a number (0, 1, 2 ...) or a share (0.0 to 1.0)")
        return value

    @field_validator("laws")
    @classmethod
    def _ensemble_is_taken(cls, value: Any) -> Any:
        if ENSEMBLE in value:
            raise ValueError(f"found {ENSEMBLE!r}, expected another label: all laws together are called so")
        return value

    @model_validator(mode="before")
    @classmethod
    def _names_to_sections(cls, data: Any) -> Any:
        """Let a list of names stand for ingredients without options."""
        return as_sections(data)[0] if isinstance(data, Mapping) else data


def as_sections(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[Mistake]]:
    """Return a study in which every ingredient is a section by its label, and what could not be made one.

    A list of names stands for ingredients without options, and nothing for an ingredient without any.
    """
    found, mistakes = dict(data), []
    for key in INGREDIENTS:
        value = data.get(key)
        if key in data and (value is None or (isinstance(value, list | Mapping) and not value)):
            mistakes.append(Mistake((key,), f"empty, expected {key} by label; or leave the key out"))
            del found[key]
        elif isinstance(value, list) and all(isinstance(name, str) for name in value):
            labels = [name.rpartition("/")[2] for name in value]
            if key == "laws" and ALL in value:
                mistakes.append(
                    Mistake((key,), f"found {ALL!r} in a list, expected it alone: `{key}: {ALL}`")
                )
                del found[key]
                continue
            mistakes += [
                Mistake((key,), f"{label!r} is listed twice; give each a label of its own")
                for label in dict.fromkeys(labels)
                if labels.count(label) > 1
            ]
            found[key] = {label: {"plugin": name} for label, name in zip(labels, value, strict=True)}
        elif isinstance(value, Mapping):
            found[key] = {label: {} if section is None else section for label, section in value.items()}
    return found, mistakes
