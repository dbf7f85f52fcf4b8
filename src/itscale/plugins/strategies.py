"""Strategies: the entry, and the options that they share, of how a completion or one step is sampled."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

from pydantic import Field

from itscale.errors import PluginError
from itscale.outcomes import COMPLETIONS, Design
from itscale.plugins.entries import Entry, Kind, Options
from itscale.plugins.references import ScorerLabel
from itscale.types import Capability, SamplingParams

__all__ = ["FAMILIES", "Family", "SamplingOptions", "StepwiseOptions", "StrategyEntry"]

Family = Literal["parallel", "search", "probabilistic", "sequential", "adaptive", "structured", ""]
"""What kind of method a strategy is, for lists and documents; empty if it is none of these."""

FAMILIES: tuple[Family, ...] = get_args(Family)

AXIS = re.compile(r"[a-z]+([ -][a-z]+)*")
"""What the budgets of runs count is a word or a few: it stands in tables, and below figures."""


@dataclass(frozen=True, kw_only=True)
class StrategyEntry(Entry):
    """A strategy.

    Attributes
    ----------
    family
        What kind of method it is: completions apart (`parallel`), steps chosen by a scorer (`search`) or
        drawn from a posterior (`probabilistic`), one text worked on again and again (`sequential`), as many
        as it takes (`adaptive`), or calls with roles (`structured`).
    draws
        `exchangeable`: completions are independent draws, one pool serves every budget.
        `runs`: the budget shapes the search; each budget is run, with replicates.
    per
        What it is called for, if it is exchangeable: a `pool`, all of whose completions it draws at once,
        or one `completion` (its budget is 1), however often it asks models for that. Streams, tokens and
        failures are each completion's own then.
    worth
        `worth(options)` is how many generated tokens one completion takes at most, those of helper models
        included; `max_tokens` where it is left out. A session may spend so many for each.
    needs, asks
        What the engine of the sampled model must offer, and those of the models that its options name.
    design
        How the number of its completions comes about: `until_success` if it stops at a correct one,
        `adaptive` if it draws where it sees need. Outcomes carry it: most estimators would be biased.
    successes
        `successes(options)` is after how many correct completions a pool of the design `until_success` ends;
        1 where it is left out.
    asks_oracle
        Whether it asks if what was generated is correct (`session.passes`). Its design says what follows for
        estimates, and is not `fixed`.
    admits
        `admits(options, budget)` raises StudyError, in words, if a run of that budget is impossible.
    axis
        What the budget of a run counts, in the plural: completions, documents, rounds, tokens. Curves of two
        strategies are compared at equal budgets only where both count the same.
    hands_in
        `hands_in(options, budget)` is how many completions a run hands in at most; if it is left out, its
        budget where that counts completions, else one.
    grant
        `grant(options, budget)` is how many tokens a run may generate, those of helper models included;
        `worth` for each completion that it hands in, where it is left out.
    paired
        Whether runs of all budgets of a problem and replicate draw from the same streams: where the engine is
        reproducible, two budgets begin alike, as far as the strategy asks for the same things. Points of
        their curve are dependent then, and differences of budgets have less noise.
    """

    kind: ClassVar[Kind] = "strategies"
    calls: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **Entry.calls,
        "factory": ("problem", "session", "options"),
        "admits": ("options", "budget"),
        "worth": ("options",),
        "hands_in": ("options", "budget"),
        "grant": ("options", "budget"),
        "successes": ("options",),
    }
    draws: Literal["exchangeable", "runs"]
    family: Family = ""
    per: Literal["pool", "completion"] = "pool"
    worth: Callable[[Any], int] = field(default=lambda options: int(options.max_tokens))
    admits: Callable[[Any, int], None] = field(default=lambda options, budget: None)
    needs: frozenset[Capability] = frozenset({"generate"})
    asks: frozenset[Capability] = frozenset({"generate"})
    design: Design = "fixed"
    successes: Callable[[Any], int] = field(default=lambda options: 1)
    asks_oracle: bool = False
    axis: str = COMPLETIONS
    hands_in: Callable[[Any, int], int] | None = None
    grant: Callable[[Any, int], int] | None = None
    paired: bool = False

    def validate(self) -> None:
        """Refuse one whose declarations contradict each other, too."""
        super().validate()
        if self.asks_oracle and self.design == "fixed":
            raise PluginError(
                f"strategies/{self.name}: asks_oracle: found True and design 'fixed', expected design "
                "'until_success' or 'adaptive': how many completions there are depends on what is correct"
            )
        if self.design == "until_success" and self.per == "completion":
            raise PluginError(
                f"strategies/{self.name}: per: found 'completion' and design 'until_success', expected "
                "'pool': a completion alone cannot end one"
            )
        if self.draws == "runs" and self.per == "completion":
            raise PluginError(
                f"strategies/{self.name}: per: found 'completion' and draws 'runs', expected 'pool': "
                "a run is one call"
            )
        if not AXIS.fullmatch(self.axis):
            raise PluginError(
                f"strategies/{self.name}: axis: found {self.axis!r}, expected a word or a few in lower case, "
                "as 'documents'"
            )
        of_runs = {"axis": self.axis != COMPLETIONS, "hands_in": self.hands_in, "grant": self.grant}
        of_runs["paired"] = self.paired
        if self.draws == "exchangeable" and (named := [name for name, given in of_runs.items() if given]):
            raise PluginError(
                f"strategies/{self.name}: {named[0]}: found one with draws 'exchangeable', expected 'runs': "
                "a pool is so many completions"
            )


class SamplingOptions(Options):
    """How completions are sampled."""

    temperature: float = Field(default=1.0, ge=0, le=100)
    """Softmax temperature; 0 is greedy."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus mass; 1 keeps the whole distribution."""
    top_k: int = Field(default=0, ge=0, le=10_000_000)
    """Sample among the k most probable tokens; 0 keeps all."""
    min_p: float = Field(default=0.0, ge=0, le=1)
    """Drop tokens less probable than this share of the most probable one."""
    max_tokens: int = Field(default=512, ge=1, le=100_000_000)
    """Most generated tokens of one text, all its steps together: of each, where a strategy writes several."""

    def completion(self) -> SamplingParams:
        """Return the parameters of generating a whole completion."""
        return SamplingParams(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            max_tokens=self.max_tokens,
        )


class StepwiseOptions(SamplingOptions):
    """How completions are sampled step by step, and which scorer judges the steps."""

    scorer: ScorerLabel
    """Label of the scorer among the study's verifiers."""
    delimiter: str = Field(default="\n\n", min_length=1)
    """Text that ends a step (and belongs to it)."""
    step_tokens: int = Field(default=1024, ge=1, le=100_000_000)
    """Most tokens of one step."""
    max_steps: int = Field(default=40, ge=1, le=1_000_000)
    """Most steps of a completion; what is unfinished then stays unfinished."""

    def step(self) -> SamplingParams:
        """Return the parameters of generating one step."""
        return SamplingParams(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            max_tokens=min(self.step_tokens, self.max_tokens),
            stop=(self.delimiter,),
        )
