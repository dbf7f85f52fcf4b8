"""Lookahead search: beams ranked by where their steps lead (Snell et al. 2024, section 5.1)."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field

from itscale.errors import StudyError
from itscale.outcomes import FloatArray
from itscale.plugins import StrategyEntry
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory
from itscale_builtin.strategies.beam_search import BeamSearchOptions, beam_width, search


class LookaheadOptions(BeamSearchOptions):
    """Options of lookahead search; the budget of a run is N * (lookahead + 1) for N beams."""

    lookahead: int = Field(default=3, ge=0, le=1_000_000)
    """Steps k that each candidate is rolled out before it is scored. The paper has 3, and 1 with `width:
    sqrt`; 0 is beam search."""


async def lookahead(problem: Question, session: Session, options: LookaheadOptions) -> list[Completion]:
    """Search with beams, each of whose steps is worth what the scorer says at the end of a roll-out from it.

    A roll-out is k greedy steps (temperature 0), fewer where the completion ends; it is scored and discarded.
    The paper charges N * (k + 1) completions: so a budget B has N = B / (k + 1) beams, which are handed in,
    and may generate B completions' tokens. Each step takes one score of each beam, as in beam search. The
    steps of what is handed in have no scores of their own in the tables, but for those that end it.
    """
    greedy = replace(options.step(), temperature=0.0)

    async def judge(beams: Sequence[Trajectory]) -> FloatArray:
        ends = list(beams)
        for _ in range(options.lookahead):
            ends = await session.extend(ends, greedy)
        return await session.score(ends)

    return await search(session, options, beams_of(options, session.budget), judge)


def beams_of(options: LookaheadOptions, budget: int) -> int:
    """Return N, the number of beams that a budget pays for.

    Raises
    ------
    StudyError
        If the budget is no multiple of what a beam costs.
    """
    cost = options.lookahead + 1
    if budget % cost:
        raise StudyError(
            f"found budget {budget} with lookahead {options.lookahead}, expected a multiple of {cost}: "
            "a beam is charged for its roll-outs, too, lookahead + 1 completions in all"
        )
    return budget // cost


def admits(options: LookaheadOptions, budget: int) -> None:
    """Raise StudyError if the budget pays for no whole number of beams, or beams of another width."""
    number = beams_of(options, budget)
    called = "number of beams (budget / (lookahead + 1))" if options.lookahead else "budget"
    beam_width(number, options.width, called)


entry = StrategyEntry(
    name="lookahead",
    aliases=("lookahead_search",),
    factory=lookahead,
    family="search",
    options=LookaheadOptions,
    draws="runs",
    admits=admits,
    hands_in=beams_of,
    grant=lambda options, budget: budget * int(options.max_tokens),
    needs=frozenset({"generate", "continue"}),
    summary="Beam search whose steps are scored at the end of a greedy roll-out of k steps.",
    reference="Snell et al. 2024, Scaling LLM Test-Time Compute Optimally, section 5.1",
)
