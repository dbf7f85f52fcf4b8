"""Diverse verifier tree search: subtrees apart, each greedy (Beeching, Tunstall and Rush 2024)."""

from contextlib import suppress

from pydantic import Field

from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.strategies import StepwiseOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question
from itscale_builtin.strategies._ranking import best
from itscale_builtin.strategies.beam_search import beam_width


class DvtsOptions(StepwiseOptions):
    """Options of the search; the number of candidates N is the budget of the run."""

    width: int = Field(default=4, ge=1, le=1_000_000)
    """Candidates M for every step of a subtree. N must be a multiple of M; there are N/M subtrees."""


async def dvts(problem: Question, session: Session, options: DvtsOptions) -> list[Completion]:
    """Let N/M subtrees each go on from the best of M next steps, and hand in the M last ones of each.

    A subtree has ended when its best candidate is finished, or after `max_steps`; the other M-1 of its last
    round are handed in as they are, finished or not, as in the released code. It charges N completions of at
    most `max_tokens`, discarded steps included, and a score of every step. Subtrees go step by step together,
    so that they share the prompt; nothing of one is compared with another.
    """
    width = options.width
    stems = [session.start()] * (session.budget // width)
    leaves = [[stem] for stem in stems]
    growing = list(range(len(stems)))
    with suppress(BudgetExhausted):
        for _ in range(options.max_steps):
            made = await session.extend([stems[j] for j in growing for _ in range(width)], options.step())
            scores = await session.score(made)
            for place, j in enumerate(growing):
                own = slice(place * width, (place + 1) * width)
                leaves[j] = made[own]
                (stems[j],) = best(made[own], scores[own], 1)
            growing = [j for j in growing if not stems[j].finished]
            if not growing:
                break
    return session.complete([leaf for candidates in leaves for leaf in candidates])


def admits(options: DvtsOptions, budget: int) -> None:
    """Raise StudyError if the budget cannot be split into subtrees of the wanted width."""
    beam_width(budget, options.width)


entry = StrategyEntry(
    name="dvts",
    aliases=("diverse_verifier_tree_search",),
    factory=dvts,
    family="search",
    options=DvtsOptions,
    draws="runs",
    admits=admits,
    needs=frozenset({"generate", "continue"}),
    summary="N/M subtrees, each of which goes on from the best of M next steps.",
    reference="Beeching, Tunstall and Rush 2024, Scaling Test-Time Compute with Open Models; Liu et al. 2025",
)
