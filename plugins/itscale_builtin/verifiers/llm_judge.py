"""A judge: a model of the study that is asked whether a completion is right (Zheng et al. 2023)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence

from pydantic import Field

from itscale.plugins import Options, VerdictCost, VerifierEntry
from itscale.plugins.references import ModelLabel
from itscale.types import SamplingParams, ScorerDesk, Trajectory

__all__ = ["LlmJudge", "LlmJudgeOptions", "entry"]

PLACES = ("{question}", "{answer}")


class LlmJudgeOptions(Options):
    """Who is asked what, and how its word is read."""

    judge: ModelLabel
    """Label of the model that judges."""
    prompt: str = (
        "Question:\n{question}\n\nProposed answer:\n{answer}\n\n"
        "Is the proposed answer correct? Check it briefly, then end with yes or no."
    )
    """What the judge is asked; `{question}` and `{answer}` stand for the problem and the completion."""
    yes: str = Field(default="yes", min_length=1)
    """Its word for a completion that is right; of this and `no`, the last one that it says counts."""
    no: str = Field(default="no", min_length=1)
    """Its word for one that is not."""
    votes: int = Field(default=1, ge=1, le=1000)
    """How often it is asked: the score is the share of `yes`. Above 1 it takes a temperature."""
    temperature: float = Field(default=0.0, ge=0, le=100)
    """Softmax temperature of the judge; 0 is greedy."""
    max_tokens: int = Field(default=256, ge=1, le=1_000_000)
    """Most tokens of what the judge says."""


class LlmJudge:
    """Scores a completion by the share of votes for it."""

    def __init__(self, options: LlmJudgeOptions) -> None:
        self.options = options
        words = (rf"\b{re.escape(word)}\b" for word in (options.yes, options.no))
        self._yes, self._no = (re.compile(word, re.IGNORECASE) for word in words)

    async def score(self, trajectories: Sequence[Trajectory], desk: ScorerDesk) -> list[float]:
        """Return the share of votes for each trajectory, in [0, 1].

        Raises
        ------
        ValueError
            If the judge says neither yes nor no.
        """
        return await asyncio.gather(*(self._share(trajectory, desk) for trajectory in trajectories))

    async def _share(self, trajectory: Trajectory, desk: ScorerDesk) -> float:
        votes = range(self.options.votes)
        said = await asyncio.gather(*(self._ask(trajectory, str(vote), desk) for vote in votes))
        return sum(map(self._is_yes, said)) / len(said)

    async def _ask(self, trajectory: Trajectory, vote: str, desk: ScorerDesk) -> str:
        question = "\n\n".join(str(message["content"]) for message in trajectory.chat)
        before, _, after = self.options.prompt.partition("{answer}")
        asked = trajectory.text.join(part.replace("{question}", question) for part in (before, after))
        params = SamplingParams(temperature=self.options.temperature, max_tokens=self.options.max_tokens)
        chat = [{"role": "user", "content": asked}]
        return (await desk.generate(chat, params, by=self.options.judge, key=vote)).text

    def _is_yes(self, said: str) -> bool:
        ends = {
            right: max((match.end() for match in word.finditer(said)), default=-1)
            for right, word in ((True, self._yes), (False, self._no))
        }
        if ends[True] == ends[False]:
            raise ValueError(
                f"the judge says neither {self.options.yes!r} nor {self.options.no!r}: {said[-60:]!r}"
            )
        return ends[True] > ends[False]


def check(options: LlmJudgeOptions) -> Iterator[str]:
    """Yield what is missing in the prompt, and votes that would all be the same."""
    for place in PLACES:
        if options.prompt.count(place) != 1:
            yield f"prompt: found {place} {options.prompt.count(place)} times, expected it once"
    if options.votes > 1 and options.temperature == 0:
        yield f"votes: found {options.votes} at temperature 0, expected 1: all would be the same"


entry = VerifierEntry(
    name="llm_judge",
    aliases=("judge", "llm_as_a_judge"),
    factory=LlmJudge,
    options=LlmJudgeOptions,
    role="scorer",
    check=check,
    cost=lambda options: VerdictCost(tokens=options.votes * options.max_tokens),
    summary="The share of votes of a model that is asked whether a completion is right.",
    reference="Zheng et al. 2023, Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena, arXiv:2306.05685",
)
