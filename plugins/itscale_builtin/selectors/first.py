"""One completion, not selected at all: the baseline every selector must beat."""

import numpy as np

from itscale.estimators import require_fixed
from itscale.outcomes import Accuracy, IntArray, ProblemOutcomes
from itscale.plugins import Options, SelectorEntry

__all__ = ["First", "entry"]


class First:
    """Takes a completion without looking at the others.

    The first of k exchangeable draws is any of them, so its expected accuracy is the share of correct
    completions at every k: all n are used, and their order isn't.
    """

    def __init__(self, options: Options) -> None:
        self.options = options

    def accuracy(self, outcomes: ProblemOutcomes, budgets: IntArray, rng: np.random.Generator) -> Accuracy:
        """Return the share of correct completions, at every k."""
        require_fixed(outcomes.design, "selectors/first")
        mean = np.full(len(budgets), outcomes.correct.mean())
        nothing = np.zeros(len(budgets))
        return Accuracy(mean=mean, monte_carlo_error=nothing, drawn=nothing + 1)


entry = SelectorEntry(
    name="first",
    revision=2,
    aliases=("pass_at_1", "avg_at_k", "mean_at_k", "single_sample"),
    factory=First,
    estimand="single",
    designs=("fixed",),
    summary="One completion, unselected: pass@1 at every budget.",
)
