"""Best-of-n: the completion that a scorer ranks first."""

import numpy as np

from itscale import estimators
from itscale.outcomes import Accuracy, IntArray, ProblemOutcomes
from itscale.plugins import Options, SelectorEntry
from itscale.plugins.references import ScorerLabel

__all__ = ["BestOfN", "BestOfNOptions", "entry"]


class BestOfNOptions(Options):
    """Options of best-of-n."""

    scorer: ScorerLabel
    """Label of the verifier whose scores rank the completions."""


class BestOfN:
    """Takes the completion with the highest score, ties at random; unscored ones come last."""

    def __init__(self, options: BestOfNOptions) -> None:
        self.options = options

    def accuracy(self, outcomes: ProblemOutcomes, budgets: IntArray, rng: np.random.Generator) -> Accuracy:
        """Return the expected accuracy of the best-scored of k completions, exactly."""
        estimators.require_fixed(outcomes.design, "selectors/best_of_n")
        scores = outcomes.scores[self.options.scorer]
        mean = estimators.best_of_n(scores, outcomes.correct, budgets)
        return Accuracy(mean=mean, monte_carlo_error=np.zeros(len(budgets)))


entry = SelectorEntry(
    name="best_of_n",
    aliases=("bon", "best_of_k", "rm_at_k", "rerank", "reranking"),
    factory=BestOfN,
    options=BestOfNOptions,
    designs=("fixed",),
    summary="The completion with the highest score of a scorer.",
    takes_scores=True,
    reference="Cobbe et al. 2021, arXiv:2110.14168, section 4; exact curve over subsets, tie blocks averaged",
)
