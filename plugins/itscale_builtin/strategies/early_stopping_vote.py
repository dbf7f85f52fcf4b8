"""Votes that stop early: unanimous windows (Li et al. 2024), a posterior (Aggarwal et al. 2023)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Literal

import scipy
from pydantic import Field

from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory
from itscale_builtin.strategies._drawing import DrawingOptions, check_inner, draw


class EarlyStoppingVoteOptions(DrawingOptions):
    """Options of a vote that stops early; the budget of a run is the most completions it draws."""

    temperature: float = Field(default=0.7, ge=0, le=100)
    """Softmax temperature; 0 is greedy."""
    rule: Literal["window", "beta"] = "window"
    """When to stop: a window of completions agrees (early-stopping self-consistency), or the first answer is
    surely ahead of the second (adaptive-consistency)."""
    window: int = Field(default=5, ge=2, le=100_000)
    """Completions of a window, which are drawn together (rule `window`)."""
    threshold: float = Field(default=0.95, gt=0, lt=1)
    """Posterior probability above which the first answer is ahead of the second (rule `beta`)."""
    at_once: int = Field(default=1, ge=1, le=100_000)
    """Completions drawn together between two looks at the posterior (rule `beta`)."""


async def early_stopping_vote(
    problem: Question, session: Session, options: EarlyStoppingVoteOptions
) -> list[Completion]:
    """Draw by windows, or by a few, until the votes need no more; hand in all, for `majority_vote`.

    `window`: until all completions of a window have one answer (ESC, section 3). `beta`: until v1 votes for
    the first answer and v2 for the second leave P(p > 1/2) above the threshold, p ~ Beta(v1 + 1, v2 + 1)
    (Adaptive-Consistency, its Beta criterion). Charged: what is drawn. A completion without an answer is no
    vote (`beta`), and agrees with none (`window`). Answers are the same if the oracle's task reads the same
    text in them; the selector also knows which texts are equivalent. The papers' windows (5 of at most 40;
    8 of 64 on MATH) are from memory.
    """
    together = options.window if options.rule == "window" else options.at_once
    drawn = list[Trajectory]()
    with suppress(BudgetExhausted):
        while len(drawn) < session.budget:
            latest = await draw(session, options, min(together, session.budget - len(drawn)))
            drawn += latest
            if options.rule == "window" and unanimous([session.answer(one) for one in latest]):
                break
            if options.rule == "beta" and ahead(map(session.answer, drawn)) > options.threshold:
                break
    return session.complete(drawn or [session.start()])


def unanimous(answers: Sequence[str | None]) -> bool:
    """Return whether all answers are one and the same; what has none agrees with nothing."""
    return len(set(answers)) == 1 and answers[0] is not None


def ahead(answers: Iterable[str | None]) -> float:
    """Return the posterior probability that the first answer is more frequent than the second."""
    votes = [count for _, count in Counter(one for one in answers if one is not None).most_common(2)]
    first, second = (*votes, 0, 0)[:2]
    return float(scipy.special.betaincc(first + 1, second + 1, 0.5))


entry = StrategyEntry(
    name="early_stopping_vote",
    aliases=("early_stopping_self_consistency", "esc", "adaptive_consistency"),
    factory=early_stopping_vote,
    family="adaptive",
    options=EarlyStoppingVoteOptions,
    draws="runs",
    design="adaptive",
    check=check_inner,
    summary="Completions until a window of them agrees, or one answer is surely ahead.",
    reference="Li et al. 2024, Escape Sky-high Cost: Early-stopping Self-Consistency; Aggarwal et al. 2023, "
    "Let's Sample Step by Step: Adaptive-Consistency",
)
