"""Process reward: what a reward model says of each step, made one score of the trajectory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Literal

from pydantic import Field

from itscale.errors import EngineError
from itscale.plugins import Options, VerdictCost, VerifierEntry
from itscale.plugins.references import ModelLabel
from itscale.types import Capability, Reward, ScorerDesk, Trajectory

AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "last": lambda rewards: rewards[-1],
    "min": min,
    "product": math.prod,
    "mean": fmean,
    "max": max,
}


class ProcessRewardOptions(Options):
    """Which reward model is asked, and how its rewards of steps make one score."""

    model: ModelLabel | None = None
    """Label of the reward model; if left out, the model that is sampled, where its engine gives rewards."""
    aggregate: Literal["last", "min", "product", "mean", "max", "model"] = "last"
    """The score is the reward of the `last` step, the smallest (`min`), the `product`, the `mean` or the
    largest (`max`) of all steps, or the `model`'s own reward of the whole."""
    delimiter: str | None = Field(default=None, min_length=1)
    """Text that ends a step, as a blank line ("\\n\\n"), of completions that were drawn in one piece; if left
    out, such a completion is one step."""


class ProcessReward:
    """Aggregates the rewards that a model gives the steps of a trajectory."""

    def __init__(self, options: ProcessRewardOptions) -> None:
        self.options = options

    async def score(self, trajectories: Sequence[Trajectory], desk: ScorerDesk) -> list[float]:
        """Return a score of each trajectory, in [0, 1]; 1 of one that has no step yet.

        Raises
        ------
        EngineError
            If the model gives no rewards of the kind that is aggregated.
        """
        delimiter = self.options.delimiter
        read = [one if delimiter is None else cut(one, delimiter) for one in trajectories]
        rewards = await desk.rewards(read, by=self.options.model)
        return [self._score(one, reward) for one, reward in zip(trajectories, rewards, strict=True)]

    def _score(self, trajectory: Trajectory, reward: Reward) -> float:
        if trajectory.step is None:
            return 1.0
        how = self.options.aggregate
        if how == "model" and reward.whole is not None:
            return reward.whole
        if how == "model" or not reward.steps:
            raise EngineError(
                f"verifiers/process_reward: problem {trajectory.problem.problem_id}: found a reward of "
                f"{'steps' if reward.steps else 'the whole'} alone, which aggregate: {how} has no use for"
            )
        return AGGREGATES[how](reward.steps)


def cut(trajectory: Trajectory, delimiter: str) -> Trajectory:
    """Return a trajectory of the same text, whose steps end at a delimiter, too."""
    cuts = [(step, _pieces(step.text, delimiter)) for step in trajectory.steps]
    if all(len(texts) == 1 for _, texts in cuts):
        return trajectory
    made = trajectory
    while made.parent is not None:
        made = made.parent
    for step, texts in cuts:
        for number, text in enumerate(texts, 1):
            tokens = step.tokens if number == len(texts) else 0  # nobody counted them one by one
            piece = replace(step, text=text, token_ids=(), tokens=tokens, logprob=None)
            made = Trajectory(trajectory.problem, made, piece, messages=trajectory.messages)
    return replace(made, finish_reason=trajectory.finish_reason)


def _pieces(text: str, delimiter: str) -> list[str]:
    """Return a text in pieces that end at a delimiter, none of white space alone if there is any other."""
    *ended, rest = text.split(delimiter)
    pieces: list[str] = []
    for part in (*(f"{part}{delimiter}" for part in ended), rest):
        if pieces and not (part.strip() and pieces[-1].strip()):
            pieces[-1] += part
        else:
            pieces.append(part)
    return pieces


def wanted(options: ProcessRewardOptions) -> frozenset[Capability]:
    """Return what the reward model must offer."""
    return frozenset({"rewards"}) if options.aggregate == "model" else frozenset({"step_rewards"})


entry = VerifierEntry(
    name="process_reward",
    aliases=("prm", "process_reward_model"),
    factory=ProcessReward,
    options=ProcessRewardOptions,
    role="scorer",
    needs=lambda options: frozenset() if options.model else wanted(options),
    asks=wanted,
    cost=lambda options: VerdictCost(tokens=0),
    summary="What a process reward model says of the steps, aggregated: last, min, product, mean or max.",
    reference="Lightman et al. 2023, Let's Verify Step by Step, arXiv:2305.20050",
)
