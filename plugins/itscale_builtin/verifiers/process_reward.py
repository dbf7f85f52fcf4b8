"""Process reward: what a reward model says of each step, made one score of the trajectory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Literal

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
        rewards = await desk.rewards(trajectories, by=self.options.model)
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
