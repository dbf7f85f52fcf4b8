"""Diverse verifier tree search, as a third party would write it (Beeching, Tunstall and Rush 2024)."""

import asyncio
from contextlib import suppress

from itscale.errors import BudgetExhausted, StudyError
from itscale.plugins import StrategyEntry
from itscale.plugins.strategies import StepwiseOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory


class DvtsOptions(StepwiseOptions):
    """Options of the search; its N candidates are the budget of the run."""

    width: int = 4
    """Candidates M for every step of a subtree; N must be a multiple of M."""


async def dvts(problem: Question, session: Session, options: DvtsOptions) -> list[Completion]:
    """Let N/M subtrees each go on from the best of M next steps, and hand in the M last ones of each."""

    async def subtree(number: int) -> list[Trajectory]:
        leaves, best = [], session.start(key=str(number))
        with suppress(BudgetExhausted):
            for _ in range(options.max_steps):
                leaves = await session.extend([best] * options.width, options.step())
                best = leaves[int((await session.score(leaves)).argmax())]
                if best.finished:
                    break
        return leaves

    trees = await asyncio.gather(*map(subtree, range(session.budget // options.width)))
    return session.complete([leaf for leaves in trees for leaf in leaves])


def admits(options: DvtsOptions, budget: int) -> None:
    if budget % options.width:
        raise StudyError(f"found budget {budget}, expected a multiple of width {options.width}")


about = {"summary": "Independent subtrees, each greedy for a reward.", "draws": "runs", "admits": admits}
needs = frozenset({"generate", "continue"})
entry = StrategyEntry(name="dvts", factory=dvts, options=DvtsOptions, needs=needs, **about)
