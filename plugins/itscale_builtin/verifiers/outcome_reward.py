"""Outcome reward: what a reward model says of the whole."""

from __future__ import annotations

from collections.abc import Sequence

from itscale.errors import EngineError
from itscale.plugins import Options, VerdictCost, VerifierEntry
from itscale.plugins.references import ModelLabel
from itscale.types import ScorerDesk, Trajectory


class OutcomeRewardOptions(Options):
    """Which reward model is asked."""

    model: ModelLabel | None = None
    """Label of the reward model; if left out, the model that is sampled, where its engine gives rewards."""


class OutcomeReward:
    """Hands trajectories to a reward model as they stand."""

    def __init__(self, options: OutcomeRewardOptions) -> None:
        self.options = options

    async def score(self, trajectories: Sequence[Trajectory], desk: ScorerDesk) -> list[float]:
        """Return the model's reward of each trajectory, in [0, 1].

        Raises
        ------
        EngineError
            If the model gives rewards of steps alone.
        """
        scores = []
        for reward in await desk.rewards(trajectories, by=self.options.model):
            if reward.whole is None:
                raise EngineError(
                    "verifiers/outcome_reward: found a reward of steps alone, expected one of the whole; "
                    "take process_reward"
                )
            scores.append(reward.whole)
        return scores


entry = VerifierEntry(
    name="outcome_reward",
    aliases=("orm", "outcome_reward_model", "reward_model"),
    factory=OutcomeReward,
    options=OutcomeRewardOptions,
    role="scorer",
    needs=lambda options: frozenset() if options.model else frozenset({"rewards"}),
    asks=frozenset({"rewards"}),
    cost=lambda options: VerdictCost(tokens=0),
    summary="What an outcome reward model says of the whole completion.",
    reference="Cobbe et al. 2021, Training Verifiers to Solve Math Word Problems, arXiv:2110.14168",
)
