"""First pass: resample until a verifier passes, or k attempts are spent."""

from typing import Literal

import numpy as np
from pydantic import Field

from itscale.estimators import until_accepted
from itscale.outcomes import Accuracy, IntArray, ProblemOutcomes
from itscale.plugins import Options, SelectorEntry
from itscale.plugins.references import ScorerLabel

__all__ = ["FirstPass", "FirstPassOptions", "entry"]


class FirstPassOptions(Options):
    """Options of the first pass."""

    scorer: ScorerLabel
    """Label of the verifier that passes or fails a completion."""
    threshold: float = Field(default=0.5, ge=0, le=1)
    """Least score that passes."""
    if_none: Literal["abstain", "any"] = "abstain"
    """What is answered where all k attempts fail: nothing, which counts as wrong, or any one of them."""


class FirstPass:
    """Takes the first completion that passes; an unscored one fails."""

    def __init__(self, options: FirstPassOptions) -> None:
        self.options = options

    def accuracy(self, outcomes: ProblemOutcomes, budgets: IntArray, rng: np.random.Generator) -> Accuracy:
        """Return the chance that the answer is correct within k attempts, over all orders, exactly."""
        passed = outcomes.scores[self.options.scorer] >= self.options.threshold
        found = until_accepted(passed, outcomes.correct, budgets, design=outcomes.design)
        mean = found.correct
        if self.options.if_none == "any" and not passed.all():
            mean = mean + found.abstained * outcomes.correct[~passed].mean()
        return Accuracy(mean=mean, monte_carlo_error=np.zeros(len(budgets)), drawn=found.attempts)


entry = SelectorEntry(
    name="first_pass",
    revision=2,
    aliases=("resample_until_pass", "resampling"),
    factory=FirstPass,
    options=FirstPassOptions,
    designs=("fixed",),
    summary="Resampling: the first completion that a verifier passes.",
    takes_scores=True,
    reference="Stroebl et al. 2024, arXiv:2411.17501, section 2; exact over orders",
)
