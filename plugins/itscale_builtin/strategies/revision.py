"""Sequential revisions: chains of attempts, each after those before it (Snell et al. 2024, section 6)."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Annotated, Literal

from pydantic import Field

from itscale.errors import BudgetExhausted, StudyError
from itscale.plugins import StrategyEntry
from itscale.plugins.prompts import fill, fills, shipped
from itscale.plugins.references import ScorerLabel
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory
from itscale_builtin.strategies._chats import go_on, question
from itscale_builtin.strategies._drawing import DrawingOptions, draw

Ratio = Annotated[float, Field(gt=0, le=1_000_000)] | Literal["sequential", "parallel"]


class RevisionOptions(DrawingOptions):
    """Options of sequential revisions; the number of all attempts N is the budget of the run.

    With `inner`, that strategy makes the first attempt of each chain.
    """

    ratio: Ratio = "sequential"
    """Attempts in a chain, divided by chains: a number, or all in one chain (`sequential`), or chains of one
    attempt (`parallel`). N times the ratio must be a square number."""
    context: int = Field(default=4, ge=1, le=1_000)
    """Most attempts that the next one reads, the latest ones."""
    revise: Annotated[str, fills()] = shipped(__package__, "revision", "revise")
    """What the user says after an attempt; `{problem}` is what the problem asks."""
    hands_in: Literal["attempts", "chains"] = "attempts"
    """All attempts of all chains, or the best attempt of each chain by its scorer."""
    scorer: ScorerLabel | None = None
    """Label of the scorer that judges attempts, where the best of each chain are handed in."""


async def revision(problem: Question, session: Session, options: RevisionOptions) -> list[Completion]:
    """Draw n chains side by side; in each, revise the latest attempts again and again.

    N attempts are n_parallel * n_sequential. A later attempt may spoil a right one (38 % of them in the
    paper), so all attempts are handed in, chain by chain: `majority_vote`, `best_of_n` and `weighted_vote`
    then select over whole chains, flat. The paper's verifier selects within each chain, then across: with
    `hands_in: chains` each chain hands in the highest scored attempt of the answer with the largest sum of
    scores, and the selector chooses across chains. In the tree, the chat of an attempt names the attempts
    that it reads, so chains can be followed.

    The paper trains a model to revise; here any model is asked to, in a conversation. Charged: N generations,
    with a prompt that grows by up to `context` attempts.
    """
    chains, length = split(session.budget, options.ratio)
    firsts = [session.start()] * chains
    with suppress(BudgetExhausted):
        firsts = await draw(session, options, chains)
    made = await asyncio.gather(
        *(_chain(problem, session, options, first, number, length) for number, first in enumerate(firsts))
    )
    if options.hands_in == "chains":
        made = [[one] for one in await asyncio.gather(*(best(session, chain) for chain in made))]
    return session.complete([attempt for chain in made for attempt in chain])


async def _chain(
    problem: Question, session: Session, options: RevisionOptions, first: Trajectory, number: int, length: int
) -> list[Trajectory]:
    """Return a chain of attempts, which may be shorter if the session's tokens run out."""
    attempts, asked = [first], fill(options.revise, problem=question(problem))
    with suppress(BudgetExhausted):
        for _ in range(length - 1):
            recent = attempts[-options.context :]
            chat = go_on(problem, *(text for one in recent for text in (one.text, asked)))
            # Two chains may have come to the same texts: their streams are their own all the same.
            key = f"chain {number}"
            attempts.append(await session.write(chat, options.completion(), key=key, reads=recent[::-1]))
    return attempts


async def best(session: Session, chain: Sequence[Trajectory]) -> Trajectory:
    """Return the highest scored attempt of the answer with the largest sum of scores; the latest of equals.

    Attempts without an answer have no vote; where none has one, the highest scored attempt is taken.
    """
    begun = [attempt for attempt in chain if attempt.step]
    if not begun:
        return chain[-1]
    scores = await session.score(begun)
    answers = [session.answer(attempt) for attempt in begun]
    sums = {
        answer: scores[[one == answer for one in answers]].sum() for answer in answers if answer is not None
    }
    voted = max(sums, key=lambda answer: sums[answer], default=None)
    fit = [place for place, answer in enumerate(answers) if voted is None or answer == voted]
    return begun[max(fit, key=lambda place: (scores[place], place))]


def split(budget: int, ratio: float | Literal["sequential", "parallel"]) -> tuple[int, int]:
    """Return the number of chains and of attempts in each.

    Raises
    ------
    StudyError
        If N is not their product at this ratio.
    """
    if isinstance(ratio, str):
        return (1, budget) if ratio == "sequential" else (budget, 1)
    length = round(math.sqrt(budget * ratio))
    if length < 1 or budget % length or not math.isclose(length * length, budget * ratio):
        raise StudyError(
            f"found budget {budget} with ratio {ratio:g}, expected one of n chains of {ratio:g} * n attempts"
        )
    return budget // length, length


def admits(options: RevisionOptions, budget: int) -> None:
    """Raise StudyError if the budget cannot be split at the wanted ratio."""
    split(budget, options.ratio)


def hands_in(options: RevisionOptions, budget: int) -> int:
    """Return how many attempts a run hands in."""
    return split(budget, options.ratio)[0] if options.hands_in == "chains" else budget


def check(options: RevisionOptions) -> Iterator[str]:
    """Yield what is wrong with options that are right one by one."""
    if (options.hands_in == "chains") != (options.scorer is not None):
        yield f"scorer: found {options.scorer} with hands_in: {options.hands_in}, expected both or neither"


entry = StrategyEntry(
    name="revision",
    aliases=("revisions", "sequential_revision", "sequential_revisions"),
    family="sequential",
    factory=revision,
    options=RevisionOptions,
    check=check,
    draws="runs",
    admits=admits,
    hands_in=hands_in,
    grant=lambda options, budget: budget * options.max_tokens,
    summary="Chains of attempts, each of which revises those before it.",
    reference="Snell et al. 2024, Scaling LLM Test-Time Compute Optimally, section 6",
)
