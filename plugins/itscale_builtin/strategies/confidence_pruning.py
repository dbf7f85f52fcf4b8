"""Traces that are cut where the model is not confident (DeepConf online, Fu et al. 2025, section 4)."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field

from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question, SamplingParams, Step, Trajectory
from itscale_builtin.strategies._panel import commonest


class ConfidencePruningOptions(SamplingOptions):
    """Options of confidence pruning; the budget of a run is the most traces it begins."""

    temperature: float = Field(default=0.6, ge=0, le=100)
    """Softmax temperature; 0 is greedy."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Nucleus mass; 1 keeps the whole distribution."""
    warm_up: int = Field(default=16, ge=1, le=100_000)
    """Whole traces N_init that set the threshold."""
    keep: float = Field(default=0.1, gt=0, lt=1)
    """Share of the warm-up above the threshold: 0.1 is DeepConf-low, which cuts most, 0.9 DeepConf-high."""
    consensus: float | None = Field(default=0.95, gt=0, le=1)
    """Share of the weight for one answer at which no more traces are begun; never, if null."""
    top: int = Field(default=20, ge=1, le=1_000)
    """Most probable tokens that a token's confidence is taken over; servers list 20 at most."""
    segment_tokens: int = Field(default=256, ge=1, le=100_000_000)
    """Tokens that a trace runs on between two looks at its confidence."""
    group_segments: int = Field(default=8, ge=1, le=100_000)
    """Consecutive segments of a group: 8 of 256 tokens are the paper's 2048."""
    delimiter: str = ""
    """Text that ends a segment, too; none if empty."""
    at_once: int = Field(default=1, ge=1, le=100_000)
    """Traces that run together after the warm-up, between two looks at the consensus."""
    hand_in: Literal["voted", "all"] = "voted"
    """What a run hands in: the most confident trace of the answer with the largest weight, or every trace
    that was kept, with its weight."""

    def segment(self) -> SamplingParams:
        """Return the parameters of a segment."""
        return replace(
            self.completion(),
            max_tokens=min(self.segment_tokens, self.max_tokens),
            stop=(self.delimiter,) if self.delimiter else (),
            confidence_top=self.top,
        )


async def confidence_pruning(
    problem: Question, session: Session, options: ConfidencePruningOptions
) -> list[Completion]:
    """Let a warm-up set a threshold, cut later traces below it, vote by confidence, stop at a consensus.

    A token's confidence is the negative mean log-probability of the `top` most probable tokens, that of a
    group the mean over its tokens, that of a trace its lowest group. The threshold is the (1 - `keep`)
    quantile of the warm-up's; of those, as of later traces, what is not below it votes with its confidence.
    Charged: all that was generated, of traces that were cut, too; each segment reads what was before it again
    (from the cache, where the engine has one).

    Departures: groups slide by segments, not by tokens, so a trace runs on to the end of its segment. A trace
    shorter than a group counts as one. The chosen token counts only if it is one of the most probable ones
    (the released code adds it). The released code has no consensus and begins all later traces at once:
    `consensus: null`, and `at_once` of the budget.
    """
    count = min(options.warm_up, session.budget)
    traces = await run(session, options, count) or [session.start()]
    lows = [lowest(one, options.group_segments) for one in traces]
    threshold = float(np.quantile(lows, 1 - options.keep, method="linear"))
    kept = [one for one, low in zip(traces, lows, strict=True) if low >= threshold]
    while count < session.budget and not agreed(session, options, kept):
        more = min(options.at_once, session.budget - count)
        count += more
        later = await run(session, options, more, threshold)
        kept += [one for one in later if lowest(one, options.group_segments) >= threshold]
    weights = [lowest(one, options.group_segments) for one in kept]
    if options.hand_in == "voted":
        best = voted(session, kept, weights)
        kept, weights = [kept[best]], [weights[best]]
    return session.complete(kept, weights)


async def run(
    session: Session, options: ConfidencePruningOptions, count: int, threshold: float = -np.inf
) -> list[Trajectory]:
    """Run so many traces, each to its end, or until its latest group is below the threshold."""

    async def go_on(trace: Trajectory) -> Trajectory:
        with suppress(BudgetExhausted):
            while not trace.finished and not below(trace, options.group_segments, threshold):
                (trace,) = await session.extend([trace], options.segment())
        return trace

    begun = list[Trajectory]()
    with suppress(BudgetExhausted):
        begun = await session.extend([session.start()] * count, options.segment())
    return list(await asyncio.gather(*map(go_on, begun)))


def below(trace: Trajectory, size: int, threshold: float) -> bool:
    """Return whether the latest whole group of a trace is below a threshold."""
    found = told(trace)
    return len(found) >= size and mean(found[-size:]) < threshold


def lowest(trace: Trajectory, size: int) -> float:
    """Return the lowest confidence of a group: of the whole trace, if that is shorter; 0 if it is empty."""
    found = told(trace)
    ends = range(min(size, len(found)), len(found) + 1)
    return min((mean(found[max(0, end - size) : end]) for end in ends if end), default=0.0)


def told(trace: Trajectory) -> list[Step]:
    """Return the steps of a trace whose confidence is known."""
    return [step for step in trace.steps if step.confidence is not None and step.tokens]


def mean(steps: Sequence[Step]) -> float:
    """Return the mean confidence of the tokens of steps."""
    return float(
        np.average([step.confidence or 0.0 for step in steps], weights=[one.tokens for one in steps])
    )


def shares(session: Session, kept: Sequence[Trajectory], weights: Sequence[float]) -> dict[str, float]:
    """Return the weight of each answer; what has no answer does not vote."""
    found: dict[str, float] = defaultdict(float)
    for one, weight in zip(kept, weights, strict=True):
        if (answer := session.answer(one)) is not None:
            found[answer] += weight
    return found


def agreed(session: Session, options: ConfidencePruningOptions, kept: Sequence[Trajectory]) -> bool:
    """Return whether one answer has the share of the weight that ends a run."""
    found = shares(session, kept, [lowest(one, options.group_segments) for one in kept])
    total = sum(found.values())
    return options.consensus is not None and total > 0 and max(found.values()) >= options.consensus * total


def voted(session: Session, kept: Sequence[Trajectory], weights: Sequence[float]) -> int:
    """Return the place of the most confident trace of the answer with most weight, if there is one."""
    found = shares(session, kept, weights)
    winner = commonest(found, session.rng) if found else None
    among = [place for place, one in enumerate(kept) if session.answer(one) == winner]
    return max(among, key=lambda place: weights[place])


def hands_in(options: ConfidencePruningOptions, budget: int) -> int:
    """Return how many completions a run hands in at most."""
    return 1 if options.hand_in == "voted" else budget


entry = StrategyEntry(
    name="confidence_pruning",
    aliases=("deepconf", "deep_think_with_confidence"),
    factory=confidence_pruning,
    family="adaptive",
    options=ConfidencePruningOptions,
    draws="runs",
    design="adaptive",
    hands_in=hands_in,
    grant=lambda options, budget: int(options.max_tokens * budget),
    needs=frozenset({"generate", "continue", "generated_confidences"}),
    summary="Traces cut where the model's confidence falls below that of a warm-up; a weighted vote.",
    reference="Fu et al. 2025, Deep Think with Confidence, arXiv:2508.15260, section 4",
)
