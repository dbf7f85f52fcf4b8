"""A model is asked whether a completion is right, as a third party would write it (Zheng et al. 2023)."""

import asyncio
import re

from itscale import hookimpl
from itscale.plugins import Options, VerdictCost, VerifierEntry
from itscale.plugins.references import ModelLabel
from itscale.types import SamplingParams, ScorerDesk, Trajectory


class LlmJudgeOptions(Options):
    """Options of the judge."""

    judge: ModelLabel
    """Model that is asked."""
    yes: str = "yes"
    """What the judge ends on if the completion is right."""
    no: str = "no"
    """What it ends on if not."""
    max_tokens: int = 200
    """Most tokens of an answer."""


class LlmJudge:
    """Scores 1 where the judge ends on yes, 0 where on no; a judge that says neither is an error."""

    def __init__(self, options: LlmJudgeOptions) -> None:
        self.options = options

    async def score(self, trajectories: list[Trajectory], desk: ScorerDesk) -> list[float]:
        return await asyncio.gather(*(self.ask(trajectory, desk) for trajectory in trajectories))

    async def ask(self, trajectory: Trajectory, desk: ScorerDesk) -> float:
        asked = f"Is this right, {self.options.yes} or {self.options.no}?\n\n{trajectory.text}"
        chat = [*trajectory.chat, {"role": "user", "content": asked}]
        params = SamplingParams(max_tokens=self.options.max_tokens)
        said = await desk.generate(chat, params, by=self.options.judge)
        words = re.findall(f"{self.options.yes}|{self.options.no}", said.text)
        if not words:
            raise ValueError(f"found neither yes nor no in {said.text!r}")
        return float(words[-1] == self.options.yes)


@hookimpl
def itscale_register_verifiers() -> list[VerifierEntry]:
    """Return the judge."""
    about = {"name": "llm_judge", "summary": "Whether a model finds a completion right."}
    about |= {"cost": lambda options: VerdictCost(tokens=options.max_tokens)}
    return [VerifierEntry(**about, factory=LlmJudge, options=LlmJudgeOptions, role="scorer")]
