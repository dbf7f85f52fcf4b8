"""Step-level best-of-n: of n next steps the best is taken, again and again (Liu F. et al. 2025)."""

from contextlib import suppress

from pydantic import Field

from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.strategies import StepwiseOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question
from itscale_builtin.strategies._ranking import best


class StepBestOfNOptions(StepwiseOptions):
    """Options of step-level best-of-n; the candidates n of each step are the budget of the run."""

    max_steps: int = Field(default=20, ge=1, le=1_000_000)
    """Most steps of the completion; what is unfinished then stays unfinished."""


async def step_best_of_n(
    problem: Question, session: Session, options: StepBestOfNOptions
) -> list[Completion]:
    """Draw n next steps, go on from the one with the best score, and hand in the one path that results.

    It charges n completions of at most `max_tokens`, n - 1 candidates of every step being discarded, and n
    scores a step. Its steps are those of `dvts` with one subtree, or of `beam_search` with one kept beam.
    """
    path = session.start()
    with suppress(BudgetExhausted):
        for _ in range(options.max_steps):
            steps = await session.extend([path] * session.budget, options.step())
            (path,) = best(steps, await session.score(steps), 1)
            if path.finished:
                break
    return session.complete([path])


entry = StrategyEntry(
    name="step_best_of_n",
    aliases=("step_level_best_of_n", "stepwise_best_of_n"),
    factory=step_best_of_n,
    family="search",
    options=StepBestOfNOptions,
    draws="runs",
    hands_in=lambda options, budget: 1,
    grant=lambda options, budget: budget * int(options.max_tokens),
    needs=frozenset({"generate", "continue"}),
    summary="One completion, each step of which is the best of n.",
    reference="Liu F. et al. 2025, Bag of Tricks for Inference-time Computation of LLM Reasoning",
)
