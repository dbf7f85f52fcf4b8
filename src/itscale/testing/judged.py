"""Verdicts of an oracle as a study gets them, whether its `judge` is waited for or not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from itscale.boundary import CheckedOracle, Place
from itscale.sampling.ledger import Ledger
from itscale.sampling.scoring import Answers, ChargedDesk
from itscale.types import AsynchronousOracle, Engine, Oracle, Problem, Verdict

__all__ = ["judged"]


def judged(
    oracle: Oracle | AsynchronousOracle,
    place: Place,
    problem: Problem,
    answers: Sequence[str],
    engines: Mapping[str, Engine] | None = None,
) -> list[Verdict]:
    """Return an oracle's verdicts on distinct answers to a problem.

    Parameters
    ----------
    oracle
        The oracle.
    place
        How messages call it.
    problem
        What was to be answered.
    answers
        As `oracle.answer` finds them.
    engines
        Of the models that an oracle which is waited for may ask, by label.
    """
    checked = CheckedOracle(oracle, place)
    if not checked.asynchronous:
        return checked.judge(problem, answers)
    desk = ChargedDesk(
        problem,
        engines or {},
        model="simulated",
        scorer=place.name,
        stream=(0,),
        answers=Answers(Ledger()),
        knows=lambda trajectory: False,
        place=place,
    )

    async def ask() -> list[Verdict]:
        return list(await asyncio.gather(*(checked.judge_alone(problem, one, desk) for one in answers)))

    return asyncio.run(ask())
