"""Beam search over reasoning steps against a scorer (Snell et al. 2024, section 5.1)."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Annotated, Literal

from pydantic import Field

from itscale.errors import BudgetExhausted, StudyError
from itscale.outcomes import FloatArray
from itscale.plugins import StrategyEntry
from itscale.plugins.strategies import StepwiseOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory
from itscale_builtin.strategies._ranking import AGGREGATES, Aggregation, best

__all__ = ["BeamSearchOptions", "beam_search", "beam_width", "entry", "search"]

Judge = Callable[[Sequence[Trajectory]], Awaitable[FloatArray]]
"""Says what each beam's last step is worth."""


class BeamSearchOptions(StepwiseOptions):
    """Options of beam search; the number of beams N is the budget of the run."""

    width: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["sqrt"] = 4
    """Continuations M of each kept beam; `sqrt` is M = sqrt(N). N must be a multiple of M."""
    aggregation: Aggregation = "last"
    """What a beam is ranked by: the score of its `last` step, the smallest (`min`), the `product` or the
    `mean` of the scores of its steps, each as it was when the beam ended there."""
    enough: float = Field(default=1.0, gt=0, le=1)
    """Share of the beams that must have finished for the search to stop; the finished ones alone are handed
    in then. 1 goes on until all have."""


async def beam_search(problem: Question, session: Session, options: BeamSearchOptions) -> list[Completion]:
    """Keep the N/M best of N prefixes after every step and continue each M times.

    It charges N beams of at most `max_tokens`, discarded ones included, and a score of every step. Where the
    paper is silent: finished beams compete with unfinished ones for the N/M places. One that is kept stands
    once, and its other M-1 places stay empty: copies of it would inflate votes. The search hands in the
    candidates of its last round, each once: that in which `enough` beams are finished, the one after
    `max_steps`, or the last before the budget ran out.
    """
    return await search(session, options, session.budget, session.score)


async def search(session: Session, options: BeamSearchOptions, number: int, judge: Judge) -> list[Completion]:
    """Search with so many beams, each step of which is worth what `judge` says."""
    width = beam_width(number, options.width)
    aggregate = AGGREGATES[options.aggregation]
    beams = chosen = [session.start()] * number
    worth: dict[int, float] = {}  # of each step, by its node
    with suppress(BudgetExhausted):
        for _ in range(options.max_steps):
            beams = await session.extend(chosen, options.step())
            scores = await judge(beams)
            worth |= {beam.node: float(score) for beam, score in zip(beams, scores, strict=True)}
            finished = [beam for beam in beams if beam.finished]
            if len(finished) / len(beams) >= options.enough:
                beams = finished
                break
            ranks = [aggregate([worth[step.node] for step in beam.steps]) for beam in beams]
            kept = best(beams, ranks, number // width)
            chosen = [beam for beam in kept for _ in range(1 if beam.finished else width)]
    return session.complete(beams)


def admits(options: BeamSearchOptions, budget: int) -> None:
    """Raise StudyError if the budget cannot be split into beams of the wanted width."""
    beam_width(budget, options.width)


def beam_width(number: int, width: int | Literal["sqrt"], called: str = "budget") -> int:
    """Return M for N beams, which messages call by some name.

    Raises
    ------
    StudyError
        If N is not a multiple of M.
    """
    found = round(number**0.5) if width == "sqrt" else width
    if number % found or (width == "sqrt" and found**2 != number):
        raise StudyError(
            f"found {called} {number} with width {width!r}, expected a {called} that is "
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
    revision=2,
)
