"""All of k correct: reliability, where coverage is luck."""

import numpy as np

from itscale import estimators
from itscale.outcomes import Accuracy, IntArray, ProblemOutcomes
from itscale.plugins import Options, SelectorEntry

__all__ = ["AllCorrect", "entry"]


class AllCorrect:
    """Selects nothing: right only if every one of k completions is."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def accuracy(self, outcomes: ProblemOutcomes, budgets: IntArray, rng: np.random.Generator) -> Accuracy:
        """Return pass^k, without bias and exactly."""
        right = [outcomes.correct.sum()]
        mean = estimators.all_correct([outcomes.n], right, budgets, design=outcomes.design)[0]
        return Accuracy(mean=mean, monte_carlo_error=np.zeros(len(budgets)))


entry = SelectorEntry(
    name="all_correct",
    aliases=("pass_hat_k", "reliability"),
    factory=AllCorrect,
    estimand="reliability",
    designs=("fixed",),
    summary="Reliability (pass^k): right if all of k completions are.",
    reference="Yao et al. 2024, arXiv:2406.12045, section 3",
)
