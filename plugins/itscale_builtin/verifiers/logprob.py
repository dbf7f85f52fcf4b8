"""The generator's own confidence: its mean log-probability over the tokens it wrote, as a probability."""

from __future__ import annotations

import math
from collections.abc import Sequence

from itscale.errors import EngineError
from itscale.plugins import Options, VerifierEntry
from itscale.types import ScorerDesk, Trajectory

ROUNDING = 1e-6
"""Nats per token by which rounding may lift a log-probability above 0."""


class Logprob:
    """Scores a trajectory by exp(sum of log-probabilities / tokens), in [0, 1]; 0 if it is empty."""

    def __init__(self, options: Options) -> None:
        self.options = options

    async def score(self, trajectories: Sequence[Trajectory], desk: ScorerDesk) -> list[float]:
        """Score each trajectory as it stands; no model is asked.

        Raises
        ------
        EngineError
            If the engine reported no log-probabilities, or impossible ones.
        """
        return [mean_probability(trajectory) for trajectory in trajectories]


def mean_probability(trajectory: Trajectory) -> float:
    """Return the geometric mean of the token probabilities of a trajectory."""
    total, tokens = 0.0, 0
    for step in trajectory.steps:
        if step.logprob is None:
            raise EngineError(
                f"verifiers/logprob: problem {trajectory.problem.problem_id}: the engine reports no "
                "log-probabilities; switch on its option logprobs, or take another scorer"
            )
        if not step.counted:
            raise EngineError(
                f"verifiers/logprob: problem {trajectory.problem.problem_id}: nobody counted the tokens, of "
                "which this is a mean; take a server that reports its usage, or another scorer"
            )
        total, tokens = total + step.logprob, tokens + step.tokens
    if not total <= ROUNDING * tokens:  # NaN, too, which min() would make the best score of all
        raise EngineError(
            f"verifiers/logprob: problem {trajectory.problem.problem_id}: found the log-probability {total}, "
            "expected a finite one, at most 0"
        )
    return math.exp(min(total, 0.0) / tokens) if tokens else 0.0


entry = VerifierEntry(
    name="logprob",
    aliases=("log_prob", "logprobs", "mean_logprob", "log_probability"),
    factory=Logprob,
    role="scorer",
    recorded=frozenset({"generated_logprobs"}),
    summary="The generator's own mean log-probability per token, as a probability.",
    reference="Brown et al. 2024, Large Language Monkeys, section 4",
)
