"""Majority vote (self-consistency): the most frequent answer."""

import numpy as np
from pydantic import Field

from itscale.estimators import majority, require_fixed, tally
from itscale.outcomes import Accuracy, IntArray, ProblemOutcomes
from itscale.plugins import Options, SelectorEntry

__all__ = ["MajorityVote", "MajorityVoteOptions", "entry"]


class MajorityVoteOptions(Options):
    """Options of the majority vote."""

    draws: int = Field(default=500, ge=100, le=1_000_000)
    """Draws per problem and k, should the exact vote take too long: rarely below a million completions."""


class MajorityVote:
    """Takes the answer class with most votes, a random one of those that tie; no answer is no vote."""

    def __init__(self, options: MajorityVoteOptions) -> None:
        self.options = options

    def accuracy(self, outcomes: ProblemOutcomes, budgets: IntArray, rng: np.random.Generator) -> Accuracy:
        """Return the expected accuracy of the plurality answer of k completions."""
        require_fixed(outcomes.design, "selectors/majority_vote")
        votes = tally(outcomes.answers, outcomes.correct)
        return majority(votes, budgets, rng, draws=self.options.draws)


entry = SelectorEntry(
    name="majority_vote",
    aliases=(
        "self_consistency",
        "maj_at_k",
        "majority",
        "majority_voting",
        "cons_at_k",
        "consensus",
        "plurality",
        "plurality_vote",
        "unweighted_vote",
    ),
    factory=MajorityVote,
    options=MajorityVoteOptions,
    designs=("fixed",),
    summary="Self-consistency: the most frequent answer, ties at random.",
    revision=2,
    takes_answers=True,
    reference="Wang et al. 2022, arXiv:2203.11171, section 2",
)
