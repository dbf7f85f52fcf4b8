"""Generators, critic, ranker and fuser, as a third party would write them (Saad-Falcon et al. 2024)."""

import asyncio
import re
from contextlib import suppress

from itscale import hookimpl
from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.references import ModelLabel
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory


class ArchonOptions(SamplingOptions):
    """Options of a small Archon: one layer of generators, a critic, a ranker, a fuser."""

    generators: list[ModelLabel]
    """Labels of the models that draw candidates."""
    samples: int = 2
    """Candidates of each."""
    critic: ModelLabel
    """Label of the model that criticises all candidates."""
    ranker: ModelLabel
    """Label of the model that ranks them."""
    fuser: ModelLabel
    """Label of the model that makes one answer of the best."""
    keep: int = 2
    """Candidates that are fused."""


async def archon(problem: Question, session: Session, options: ArchonOptions) -> list[Completion]:
    """Draw candidates, have them criticised and ranked, and fuse the best."""

    async def ask(task: str, by: str) -> Trajectory:
        listed = "\n\n".join(f"[{place}] {one.text}" for place, one in enumerate(candidates, 1))
        chat = [*problem.messages, {"role": "user", "content": f"{task}\n\n{listed}"}]
        return await session.write(chat, options.completion(), by=by)

    starts = [session.start()] * options.samples
    layers = (session.extend(starts, options.completion(), by=by) for by in options.generators)
    candidates = [one for layer in await asyncio.gather(*layers) for one in layer]
    with suppress(BudgetExhausted):
        critique = (await ask("Name strengths and weaknesses of each answer.", options.critic)).text
        ranking = (await ask(f"{critique}\n\nRank the answers, best first: [2] > [1].", options.ranker)).text
        named = [int(number) - 1 for number in re.findall(r"\[(\d+)\]", ranking)]
        order = dict.fromkeys([*(at for at in named if 0 <= at < len(candidates)), *range(len(candidates))])
        candidates = [candidates[at] for at in order][: options.keep]
        candidates = [await ask(f"{critique}\n\nWrite one answer of these.", options.fuser)]
    return session.complete(candidates[:1])


entry = StrategyEntry(
    name="archon",
    factory=archon,
    options=ArchonOptions,
    draws="exchangeable",
    per="completion",
    worth=lambda options: (len(options.generators) * options.samples + 3) * options.max_tokens,
    summary="One answer fused of the best of several models' candidates.",
)


@hookimpl
def itscale_register_strategies() -> list[StrategyEntry]:
    """Return the strategy."""
    return [entry]
