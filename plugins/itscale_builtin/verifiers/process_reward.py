"""Process reward: the engine's reward model on a trajectory as it stands, by the score of its last step."""

from __future__ import annotations

from collections.abc import Sequence

from itscale.errors import EngineError
from itscale.plugins import Options, VerifierEntry
from itscale.types import ScorerDesk, Trajectory


class ProcessReward:
    """Hands trajectories to the engine's reward model."""

    def __init__(self, options: Options) -> None:
        self.options = options

    async def score(self, trajectories: Sequence[Trajectory], desk: ScorerDesk) -> list[float]:
        """Return the engine's reward of each trajectory, in [0, 1].

        Raises
        ------
        EngineError
            If the engine does not give one reward in [0, 1] per trajectory.
        """
        rewards = list(await desk.rewards(trajectories))
        if len(rewards) != len(trajectories) or not all(0 <= reward <= 1 for reward in rewards):
            raise EngineError(
                f"verifiers/process_reward: found {len(rewards)} rewards ({rewards[:3]} ...) for "
                f"{len(trajectories)} trajectories, expected one in [0, 1] for each"
            )
        return rewards


entry = VerifierEntry(
    name="process_reward",
    aliases=("prm", "process_reward_model"),
    factory=ProcessReward,
    role="scorer",
    needs=frozenset({"score"}),
    summary="The engine's own process reward of a trajectory.",
    reference="Lightman et al. 2023, Let's Verify Step by Step, arXiv:2305.20050",
)
