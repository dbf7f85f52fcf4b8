"""The study as written: every key a study file may have, typed, with its meaning and default."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from itscale.sandbox.settings import Rung
from itscale.selection import Design

__all__ = [
    "ENSEMBLE",
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
]

Label = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
"""A name a study gives to an ingredient; it becomes part of file names."""

Scalar = str | int | float | bool
"""A value of a column, as YAML has it."""

ENSEMBLE = "ensemble"
"""What all laws of a study together are called in tables and figures."""


class Section(BaseModel):
    """One named ingredient: the plugin (by default the one of the same name), its options beside it."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    plugin: str | None = None
    """Name of the plugin, or `distribution/name`; the ingredient's own name if left out."""

    @property
    def options(self) -> dict[str, Any]:
        """The keys that belong to the plugin."""
        return dict(self.__pydantic_extra__ or {})


class TaskSection(Section):
    """A task: where problems come from."""

    problems: int | None = Field(default=None, ge=1)
    """How many problems, from the first; all of them if left out."""
    oracle: str | None = None
    """Label of the verifier that judges correctness; the task's own if left out."""


class StrategySection(Section):
    """A strategy, and how much of it is run."""

    completions: int | None = Field(default=None, ge=1)
    """Exchangeable strategies: completions per problem."""
    budgets: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """Run-based strategies: the budgets (completions per run) of the grid."""
    replicates: int = Field(default=1, ge=1)
    """Run-based strategies: independent runs per problem and budget."""


class OutcomesSection(BaseModel):
    """Outcomes from elsewhere: somebody's results, or what `itscale import` made of them."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

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

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return (self.path,) if isinstance(self.path, Path) else self.path


class BlockSize(BaseModel):
    """The unit of sampling work, and the most a killed job loses. Blocks that are done stay as they are."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    minutes: float = Field(default=30.0, gt=0)
    """How long a sampling job should take, at the tokens per second of blocks already done: sizes follow."""
    problems: int | None = Field(default=None, ge=1)
    """Problems per block; follows from `minutes` if left out."""
    completions: int | None = Field(default=None, ge=1)
    """Completion indices (or runs) per problem and block; follows from `minutes` if left out."""


class CurveSection(BaseModel):
    """How curves are estimated."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    budgets: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """The grid of k (completions); 40 log-spaced values up to the number sampled if left out."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Level of every interval."""
    resamples: int = Field(default=2000, ge=100)
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

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    refits: int = Field(default=500, ge=20)
    """Bootstrap resamples of problems; each law is fitted again to every one."""
    origins: tuple[Annotated[int, Field(ge=2)], ...] = (8, 4, 2)
    """Hold-out: each law is also fitted to the first n/8, n/4, n/2 of n completions and tried at larger k."""
    holdout_refits: int = Field(default=200, ge=20)
    """Bootstrap resamples for the band of each fit that is held to account."""
    reach: float = Field(default=100.0, ge=1)
    """Forecasts go to this many times the largest budget seen."""


class ArmSection(BaseModel):
    """One side of a difference; a label left out on both sides takes every value, the same on both."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    model: str | None = None
    """Label of a model."""
    strategy: str | None = None
    """Label of a strategy."""
    selector: str | None = None
    """Label of a selector."""


class DifferenceSection(BaseModel):
    """A paired difference of two curves over the same problems, at equal k and at equal tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    of: ArmSection
    """What is compared."""
    minus: ArmSection
    """What it is compared with: above 0 the former is better."""

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

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    study: Label
    """Name of the study: results go to `results/{study}`, figures and tables to `reports/{study}`."""
    seed: int = Field(default=0, ge=0)
    """Root of every random stream."""
    tasks: dict[Label, TaskSection] = Field(default={}, min_length=1)
    """Tasks by label; tasks, models and strategies may be left out where there are outcomes, or where every
    law is fitted to a table."""
    models: dict[Label, Section] = Field(default={}, min_length=1)
    """Models by label: each is an engine plugin with its options."""
    strategies: dict[Label, StrategySection] = Field(default={}, min_length=1)
    """Strategies by label."""
    outcomes: dict[Label, OutcomesSection] = {}
    """Outcomes from elsewhere, by label: they are selected from, fitted and drawn like sampled ones."""
    verifiers: dict[Label, Section] = {}
    """Verifiers by label, beyond each task's own oracle: scorers, or oracles with options."""
    selectors: dict[Label, Section] = {"oracle": Section(), "first": Section(), "majority_vote": Section()}
    """Selectors by label."""
    laws: dict[Label, Section] | Literal["all"] = {}
    """Laws by label, or `all`: every installed law of a curve or of counts, with its defaults."""
    figures: dict[Label, Section] = {}
    """Figures by label."""
    differences: dict[Label, DifferenceSection] = {}
    """Paired differences by label; all of them are one family for Holm's adjustment."""
    block: BlockSize = BlockSize()
    """Size of a block."""
    curves: CurveSection = CurveSection()
    """How curves are estimated."""
    fits: FitSection = FitSection()
    """How laws are fitted."""
    sandbox: Rung = "landlock"
    """The weakest sandbox in which what a model wrote may be evaluated (docs/sandbox.md): the strongest that
    the machine offers is used; `process` has to be asked for, it shows the user's files."""

    @model_validator(mode="after")
    def _something_to_select_from(self) -> StudyConfig:
        sampled = {"tasks": self.tasks, "models": self.models, "strategies": self.strategies}
        if any(sampled.values()) or not (self.outcomes or self.laws):
            for key, sections in sampled.items():
                if not sections:
                    raise ValueError(f"{key}: missing, expected {key} by label (or outcomes from elsewhere)")
        return self

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
        if not isinstance(data, Mapping):
            return data
        data = dict(data)
        for key in ("tasks", "models", "strategies", "verifiers", "selectors", "laws", "figures"):
            value = data.get(key)
            if isinstance(value, list) and all(isinstance(name, str) for name in value):
                labels = [name.rpartition("/")[2] for name in value]
                if twice := [label for label in labels if labels.count(label) > 1]:
                    raise ValueError(f"{key}: {twice[0]!r} is listed twice; give each a label of its own")
                data[key] = {label: {"plugin": name} for label, name in zip(labels, value, strict=True)}
            elif isinstance(value, Mapping):
                data[key] = {label: {} if section is None else section for label, section in value.items()}
        return data
