"""A scripted engine whose draws are numbered: each has its text, its confidences, its own opinion of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scripted_engine import TOKEN, Scripted

from itscale.sampling.partners import Partners
from itscale.types import NextLogprobs

PARTNERS = Partners(
    answer=lambda text: text.split()[-1] if text.split() and text.split()[-1] != "none" else None,
    passes=lambda text: text.split()[-1:] == ["right"],
)
"""Who finds the last word of a text for an answer, if it is not "none", and "right" for right."""


class Numbered(Scripted):
    """Writes text n for the n-th completion that is begun.

    Parameters
    ----------
    texts
        Each begins with a word of its own.
    sure
        By text, the confidence of each of its words.
    score
        What it makes of a text, by its number and its words so far: P(No), or None to say neither.
    """

    offers = frozenset({"generate", "continue", "next_logprobs", "generated_confidences"})
    tokenizer = "numbered"

    def __init__(
        self,
        texts: Sequence[str],
        *,
        sure: Sequence[Sequence[float]] = (),
        score: Callable[[int, int], float | None] = lambda number, words: 0.5,
        spelt: tuple[str, str] = ("Yes", " No"),
    ) -> None:
        super().__init__(self._text)
        self.texts, self.sure, self.score, self.spelt = list(texts), sure, score, spelt
        self.begun = self.evaluated = 0
        self.asked: list[tuple[int, int]] = []
        assert len({self._first(text) for text in texts}) == len(texts)

    @staticmethod
    def _first(text: str) -> str:
        return text.split()[0]

    def number(self, text: str) -> int:
        return [self._first(one) for one in self.texts].index(self._first(text))

    def _text(self, request, before, seed):
        if not before:
            self.begun += 1
            return self.texts[self.begun - 1]
        whole = self.texts[self.number(before)]
        assert whole.startswith(before)
        return whole[len(before) :]

    async def generate(self, request):
        made = await super().generate(request)
        if not request.params.confidence_top:
            return made
        before = "".join(step.text for step in request.prefix)
        return [replace(one, confidence=self._confidence(before, one.text)) for one in made]

    def _confidence(self, before, text):
        if not text:
            return None
        start = len(TOKEN.findall(before))
        told = self.sure[self.number(before or text)]
        return float(np.mean(told[start : start + len(TOKEN.findall(text))]))

    async def next_logprobs(self, request):
        self.evaluated += 1
        text = request.chat[-2]["content"]
        words = len(TOKEN.findall(text))
        self.asked.append((self.number(text), words))
        score = self.score(self.number(text), words)
        told = {"Perhaps": 1.0} if score is None else {self.spelt[0]: 1 - score, self.spelt[1]: score}
        told = {word: chance for word, chance in told.items() if chance > 0}
        return NextLogprobs(
            token_ids=np.arange(len(told)),
            logprobs=np.log(list(told.values())),
            texts=tuple(told),
            full=True,
            ends=frozenset(),
            tokenizer=self.tokenizer,
            context_tokens=1,
            prompt_tokens=1,
        )
