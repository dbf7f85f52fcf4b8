"""A common budget spent where the next completion brings most: a stopping rule with a shared price."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy
from pydantic import Field

from itscale.errors import BudgetExhausted
from itscale.outcomes import FloatArray
from itscale.plugins import StrategyEntry
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory
from itscale_builtin.strategies._drawing import DrawingOptions, check_inner, draw

__all__ = ["AllocationOptions", "allocate", "check", "entry", "gain_of_votes", "threshold_for"]


class AllocationOptions(DrawingOptions):
    """Options of every allocation; the budget of a run is the most completions of one problem."""

    threshold: float = Field(default=0.005, ge=0, le=1e6)
    """Expected gain, in the probability of being right, that the next completion has to bring: the price
    lambda that all problems share. `threshold_for` finds the one for a wanted mean of completions."""
    price_of: Literal["completion", "thousand_tokens"] = "completion"
    """What the threshold is the price of; of tokens, by the problem's mean so far."""
    a: float = Field(default=1.0, gt=0, le=1e6)
    """First parameter of the Beta prior of every problem."""
    b: float = Field(default=1.0, gt=0, le=1e6)
    """Second parameter."""


def check(options: AllocationOptions) -> Iterator[str]:
    """Yield what cannot be: a price that no gain is worth, or one of tokens that are not all seen."""
    yield from check_inner(options)
    if options.price_of == "completion" and options.threshold > 1:
        yield f"threshold: found {options.threshold:g}, expected at most 1, as gains are of probabilities"
    if options.price_of == "thousand_tokens" and options.inner is not None:
        yield "price_of: found thousand_tokens with inner, whose last text alone is seen; expected completion"


class DynamicAllocationOptions(AllocationOptions):
    """Options of dynamic allocation by agreement."""

    look_ahead: int = Field(default=16, ge=1, le=1_000)
    """Most further completions whose gain is looked ahead to."""


async def dynamic_allocation(
    problem: Question, session: Session, options: DynamicAllocationOptions
) -> list[Completion]:
    """Draw while the leading answer may change for the better at the common price; hand in all, for a vote.

    p, the share of the leading answer against the second, is Beta(a + v1, b + v2) after v1 and v2 votes for
    them; what has no answer is no vote. The vote is on the right side with V = max(P(p > 1/2), P(p < 1/2)).
    The gain of the next completion is (E[V after m more] - V) / m, the largest of m = 1 ... `look_ahead`, as
    one more vote alone often changes no mind.

    Problems don't see each other, nor need they: to draw, over all problems, where the gain is largest until
    none is above lambda ends in the same draws as to stop each problem as soon as its own gain is below
    lambda. This is the dual of a common budget: lambda is its price, and the mean spent follows from it.
    Charged: what is drawn.

    Snell et al. 2024 and Damani et al. 2024 allocate by a predicted difficulty, here by what was drawn.
    """

    def gain(drawn: Sequence[Trajectory]) -> float:
        most = min(options.look_ahead, session.budget - len(drawn))
        return gain_of_votes(map(session.answer, drawn), options, most)

    return await allocate(session, options, gain)


async def allocate(
    session: Session, options: AllocationOptions, gain: Callable[[Sequence[Trajectory]], float]
) -> list[Completion]:
    """Draw one completion after the other while its expected gain is worth the price."""
    drawn = list[Trajectory]()
    with suppress(BudgetExhausted):
        while len(drawn) < session.budget:
            if drawn and gain(drawn) < options.threshold * cost(drawn, options):
                break
            drawn += await draw(session, options, 1)
    return session.complete(drawn or [session.start()])


def cost(drawn: Sequence[Trajectory], options: AllocationOptions) -> float:
    """Return what the next completion is expected to cost, in units of the price."""
    if options.price_of == "completion":
        return 1.0
    return sum(one.tokens for one in drawn) / len(drawn) / 1000


def gain_of_votes(answers: Iterable[str | None], options: DynamicAllocationOptions, most: int) -> float:
    """Return the expected gain of the next completion, by the answers so far, if so many more may follow."""
    counts = Counter(answer for answer in answers if answer is not None)
    first, second = (*(count for _, count in counts.most_common(2)), 0, 0)[:2]
    return _gain(options.a + first, options.b + second, most)


@lru_cache(maxsize=100_000)
def _gain(a: float, b: float, most: int) -> float:
    log_beta, gains = scipy.special.betaln, [0.0]
    for more in range(1, most + 1):
        votes = np.arange(more + 1.0)
        left = more - votes
        ways = -np.log(more + 1) - log_beta(left + 1, votes + 1)  # log of the binomial coefficients
        chance = np.exp(ways + log_beta(a + votes, b + left) - log_beta(a, b))
        gains.append(float(chance @ _sure(a + votes, b + left) - _sure(a, b)) / more)
    return max(gains)


def _sure(a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
    """Return the probability of the likelier side of 1/2, where p ~ Beta(a, b)."""
    above = scipy.special.betaincc(a, b, 0.5)
    return np.asarray(np.maximum(above, 1 - above))


def threshold_for(
    pilot: Sequence[Sequence[float]], wanted: float, *, prices: Sequence[Sequence[float]] | None = None
) -> float:
    """Return the least threshold at which pilot problems would have spent a wanted mean, or less.

    Parameters
    ----------
    pilot
        Of each problem, the gain after each of its completions but the last one, in order: what
        `gain_of_votes` says of the first answer, of the first two, and so on.
    wanted
        Mean number of completions of a problem, at least 1.
    prices
        What each gain is divided by (`thousand_tokens`); 1 if left out.

    Returns
    -------
    float
        Of as many completions as each problem has, if the wanted mean is more than that: 0.
    """
    costs = prices or [[1.0] * len(gains) for gains in pilot]
    # A problem is left at its first gain below the threshold, so the lowest one so far decides.
    reached = [
        np.minimum.accumulate(np.array(gains, dtype=float) / np.array(cost, dtype=float))
        for gains, cost in zip(pilot, costs, strict=True)
        if len(gains)
    ]
    every = np.sort(np.concatenate([*reached, np.zeros(0)]))[::-1]
    allowed = int(np.floor((wanted - 1) * len(pilot) + 1e-9))
    if allowed >= len(every):
        return 0.0
    return float(np.nextafter(every[allowed], np.inf))


entry = StrategyEntry(
    name="dynamic_allocation",
    aliases=("adaptive_allocation",),
    factory=dynamic_allocation,
    family="adaptive",
    options=DynamicAllocationOptions,
    check=check,
    draws="runs",
    design="adaptive",
    summary="Completions where the leading answer may yet change, at a price that all problems share.",
    reference="Damani et al. 2024, Learning How Hard to Think; Frazier & Powell 2010, Paradoxes in Learning "
    "and the Marginal Value of Information (the gain)",
)
