"""Weighted vote: the answer whose completions have the largest sum of scores."""

from typing import Literal

import numpy as np
from pydantic import Field

from itscale import estimators
from itscale.outcomes import Accuracy, FloatArray, IntArray, ProblemOutcomes
from itscale.plugins import Options, SelectorEntry
from itscale.plugins.references import ScorerLabel

__all__ = ["WeightedVote", "WeightedVoteOptions", "entry"]


class WeightedVoteOptions(Options):
    """Options of the weighted vote."""

    scorer: ScorerLabel
    """Label of the verifier whose scores weigh the votes."""
    weights: Literal["scores", "min_max"] = "scores"
    """How a score becomes a weight: as it is, or stretched over [0, 1] within the problem's completions
    (all 1 where the scores are equal)."""
    draws: int = Field(default=500, ge=100, le=1_000_000)
    """Random orders of each problem's completions; their prefixes serve every k."""


class WeightedVote:
    """Takes the answer class with the largest sum of weights; an unscored completion weighs nothing."""

    def __init__(self, options: WeightedVoteOptions) -> None:
        self.options = options

    def accuracy(self, outcomes: ProblemOutcomes, budgets: IntArray, rng: np.random.Generator) -> Accuracy:
        """Return the expected accuracy of the weighted vote of k completions, with its simulation error."""
        estimators.require_fixed(outcomes.design, "selectors/weighted_vote")
        weights = self._weights(outcomes.scores[self.options.scorer])
        return estimators.weighted_vote(
            outcomes.answers, outcomes.correct, weights, budgets, rng, draws=self.options.draws
        )

    def _weights(self, scores: FloatArray) -> FloatArray:
        scored = scores[np.isfinite(scores)]
        if len(scored) == 0:
            return np.zeros(len(scores))
        weights = scores
        if self.options.weights == "min_max":
            spread = np.ptp(scored)
            weights = (scores - scored.min()) / spread if spread > 0 else np.ones(len(scores))
        return np.where(np.isfinite(scores), weights, 0.0)


entry = SelectorEntry(
    name="weighted_vote",
    aliases=(
        "weighted_majority",
        "weighted_majority_vote",
        "weighted_self_consistency",
        "weighted_best_of_n",
        "best_of_n_weighted",
    ),
    factory=WeightedVote,
    options=WeightedVoteOptions,
    designs=("fixed",),
    summary="The answer with the largest sum of a scorer's scores.",
    revision=2,
    takes_scores=True,
    takes_answers=True,
    reference="Li et al. 2022, arXiv:2206.02336; Brown et al. 2024, arXiv:2407.21787, section 4.1",
)
