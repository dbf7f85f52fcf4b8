"""The oracle's choice: coverage, the ceiling of every selector."""

import numpy as np

from itscale.estimators import coverage_of_problem
from itscale.outcomes import Accuracy, IntArray, ProblemOutcomes
from itscale.plugins import Options, SelectorEntry

__all__ = ["Oracle", "entry"]


class Oracle:
    """Takes a correct completion whenever there is one among k; also of completions sampled until_success."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def accuracy(self, outcomes: ProblemOutcomes, budgets: IntArray, rng: np.random.Generator) -> Accuracy:
        """Return coverage (pass@k), without bias and exactly."""
        mean = coverage_of_problem(outcomes, budgets)
        return Accuracy(mean=mean, monte_carlo_error=np.zeros(len(budgets)))


entry = SelectorEntry(
    name="oracle",
    aliases=("coverage", "pass_at_k", "pass_at_n", "any_correct"),
    factory=Oracle,
    estimand="coverage",
    designs=("fixed", "until_success"),
    summary="Coverage (pass@k): right if any of k completions is.",
    reference="Chen et al. 2021, arXiv:2107.03374, section 2.1, equation 1",
)
