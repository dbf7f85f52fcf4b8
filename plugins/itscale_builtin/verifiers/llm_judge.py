"""A judge: a model of the study that is asked whether a completion is right (Zheng et al. 2023)."""

from __future__ import annotations

import asyncio
import re
import unicodedata
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
    right: str = Field(default="yes", min_length=1)
    """Its word for a completion that is right; of this and `wrong`, the last one that it says counts."""
    wrong: str = Field(default="no", min_length=1)
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
        self._right, self._wrong = map(_pattern, (options.right, options.wrong))

    async def score(self, trajectories: Sequence[Trajectory], desk: ScorerDesk) -> list[float]:
        """Return the share of votes for each trajectory, in [0, 1].

        Raises
        ------
        ValueError
            If the judge says neither word.
        """
        return await asyncio.gather(*(self._share(trajectory, desk) for trajectory in trajectories))

    async def _share(self, trajectory: Trajectory, desk: ScorerDesk) -> float:
        votes = range(self.options.votes)
        said = await asyncio.gather(*(self._ask(trajectory, str(vote), desk) for vote in votes))
        return sum(map(self._is_right, said)) / len(said)

    async def _ask(self, trajectory: Trajectory, vote: str, desk: ScorerDesk) -> str:
        question = "\n\n".join(str(message["content"]) for message in trajectory.chat)
        before, _, after = self.options.prompt.partition("{answer}")
        asked = trajectory.text.join(part.replace("{question}", question) for part in (before, after))
        params = SamplingParams(temperature=self.options.temperature, max_tokens=self.options.max_tokens)
        chat = [{"role": "user", "content": asked}]
        return (await desk.generate(chat, params, by=self.options.judge, key=vote)).text

    def _is_right(self, said: str) -> bool:
        right, wrong = (_last(word, said) for word in (self._right, self._wrong))
        if right == wrong:
            words = f"{self.options.right!r} nor {self.options.wrong!r}"
            raise ValueError(f"the judge says neither {words}: {said[-60:]!r}")
        return right > wrong


def _pattern(word: str) -> re.Pattern[str]:
    """Return what finds a word, not as a part of a longer one in scripts that set words apart."""
    before = r"(?<!\w)" if _joins(word[0]) else ""
    after = r"(?!\w)" if _joins(word[-1]) else ""
    return re.compile(f"{before}{re.escape(word)}{after}", re.IGNORECASE)


def _joins(letter: str) -> bool:
    """Return whether a letter beside another would make them one word."""
    return letter.isalnum() and unicodedata.east_asian_width(letter) not in "WF"


def _last(word: re.Pattern[str], said: str) -> tuple[int, int]:
    """Return where a word was said last: its end, and its length, as "not correct" ends on "correct"."""
    return max(((match.end(), len(match[0])) for match in word.finditer(said)), default=(-1, 0))


def check(options: LlmJudgeOptions) -> Iterator[str]:
    """Yield what is missing in the prompt, and votes that would all be the same."""
    for place in PLACES:
        if options.prompt.count(place) != 1:
            yield f"prompt: found {place} {options.prompt.count(place)} times, expected it once"
    if options.right.casefold() == options.wrong.casefold():
        yield f"wrong: found {options.wrong!r}, expected another word than for right completions"
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
