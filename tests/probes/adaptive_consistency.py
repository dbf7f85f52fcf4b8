"""A vote that stops where one answer leads, as a third party would write it (Aggarwal et al. 2023)."""

import numpy as np

from itscale import hookimpl
from itscale.estimators import require_fixed
from itscale.outcomes import UNPARSABLE, Accuracy, ProblemOutcomes
from itscale.plugins import Options, SelectorEntry


class AdaptiveConsistencyOptions(Options):
    """Options of the vote."""

    lead: int = 3
    """Votes that the first answer must be ahead of the second."""
    orders: int = 200
    """Random orders of the completions that are averaged over."""


class AdaptiveConsistency:
    """Takes completions one by one until an answer leads, or k are drawn; then the one with most votes."""

    def __init__(self, options: AdaptiveConsistencyOptions) -> None:
        self.options = options

    def accuracy(self, outcomes: ProblemOutcomes, budgets: np.ndarray, rng: np.random.Generator) -> Accuracy:
        require_fixed(outcomes.design, "selectors/adaptive_consistency")
        right, drawn = np.zeros((2, self.options.orders, len(budgets)))
        for row in range(self.options.orders):
            right[row], drawn[row] = self.once(outcomes, budgets, rng.permutation(outcomes.n))
        error = right.std(axis=0, ddof=1) / np.sqrt(self.options.orders)
        return Accuracy(mean=right.mean(axis=0), monte_carlo_error=error, drawn=drawn.mean(axis=0))

    def once(self, outcomes: ProblemOutcomes, budgets: np.ndarray, order: np.ndarray) -> tuple:
        votes = np.zeros(outcomes.answers.max(initial=0) + 2, dtype=int)
        right, stopped = np.zeros((2, len(order)))
        for place, completion in enumerate(order):
            answer = outcomes.answers[completion]
            votes[answer] += answer != UNPARSABLE
            first, second = np.argsort(-votes, kind="stable")[:2]
            among = outcomes.answers == first
            right[place] = votes[first] > 0 and outcomes.correct[among].any()
            stopped[place] = votes[first] - votes[second] >= self.options.lead
        ends = np.flatnonzero(stopped)
        ends = np.minimum(budgets - 1, ends[0] if len(ends) else len(order))
        return right[ends], ends + 1


entry = SelectorEntry(
    name="adaptive_consistency",
    factory=AdaptiveConsistency,
    options=AdaptiveConsistencyOptions,
    takes_answers=True,
    designs=("fixed",),
    summary="A vote that stops where one answer leads.",
)


@hookimpl
def itscale_register_selectors() -> list[SelectorEntry]:
    """Return the selector."""
    return [entry]
