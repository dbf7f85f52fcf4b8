"""Beam search over reasoning steps against a scorer (Snell et al. 2024, section 5.1)."""

from contextlib import suppress
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from itscale.errors import BudgetExhausted, StudyError
from itscale.plugins import StrategyEntry
from itscale.plugins.strategies import StepwiseOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question


class BeamSearchOptions(StepwiseOptions):
    """Options of beam search; the number of beams N is the budget of the run."""

    width: Annotated[int, Field(ge=1)] | Literal["sqrt"] = 4
    """Continuations M of each kept beam; `sqrt` is M = sqrt(N). N must be a multiple of M."""


async def beam_search(problem: Question, session: Session, options: BeamSearchOptions) -> list[Completion]:
    """Keep the N/M best of N prefixes after every step and continue each M times.

    Finished beams compete with unfinished ones for the N/M places. One that is kept stands once, and its
    other M-1 places stay empty: copies of it would inflate votes. The search hands in what it holds after
    the round in which every beam is finished, or after `max_steps`.
    """
    width = beam_width(session.budget, options.width)
    beams = [session.start() for _ in range(session.budget)]
    with suppress(BudgetExhausted):
        for _ in range(options.max_steps):
            beams = await session.extend(beams, options.step())
            scores = await session.score(beams)
            if all(beam.finished for beam in beams):
                break
            best = np.argsort(-scores, kind="stable")[: session.budget // width]
            beams = [beams[j] for j in best for _ in range(1 if beams[j].finished else width)]
    return session.complete(beams)


def admits(options: BeamSearchOptions, budget: int) -> None:
    """Raise StudyError if the budget cannot be split into beams of the wanted width."""
    beam_width(budget, options.width)


def beam_width(budget: int, width: int | Literal["sqrt"]) -> int:
    """Return M for N beams.

    Raises
    ------
    StudyError
        If N is not a multiple of M.
    """
    found = round(budget**0.5) if width == "sqrt" else width
    if budget % found or (width == "sqrt" and found**2 != budget):
        raise StudyError(
            f"found budget {budget} with width {width!r}, expected a budget that is "
            f"{'a square number' if width == 'sqrt' else f'a multiple of {width}'}"
        )
    return found


entry = StrategyEntry(
    name="beam_search",
    factory=beam_search,
    family="search",
    options=BeamSearchOptions,
    draws="runs",
    admits=admits,
    needs=frozenset({"generate", "continue"}),
    summary="The N/M best of N prefixes are kept after every step and continued M times each.",
    reference="Snell et al. 2024, Scaling LLM Test-Time Compute Optimally, section 5.1",
)
