"""Sentences of the simulated model as its tokens: the closed form of what it writes next, and of a text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["ANSWER", "DELIMITER", "END", "RIGHT", "WRONG", "Sentence", "Writer"]

DELIMITER = "\n\n"
RIGHT, WRONG = "holds", "fails"
ANSWER = " The answer is "
END, STEP_HOLDS, STEP_FAILS, FIRST_ANSWER = 0, 1, 2, 3
"""Ids: of the end, of a step that holds or fails, of the right answer; those of wrong ones follow."""

FLOOR = math.log(1e-6)
"""Log-probability of a word that the model would never write: a floor, as that of 0 has no number."""

_WORD = re.compile(r"\s*\S+|\s+")


@dataclass(frozen=True)
class Sentence:
    """What the model may write next: a token of it."""

    token_id: int
    text: str
    probability: float


@dataclass(frozen=True)
class Writer:
    """How the model writes about one problem.

    Attributes
    ----------
    steps
        Of a completion.
    holds_with
        Probability that a step holds, if all before it do.
    answers
        The right answer, then the wrong ones.
    weights
        Probabilities of the wrong answers, where one is given.
    """

    steps: int
    holds_with: float
    answers: Sequence[str]
    weights: Sequence[float]

    def after(self, text: str) -> list[Sentence]:
        """Return what may come after a text, by id: whatever has a probability above 0."""
        number = text.count(DELIMITER) + 1
        if text.rpartition(ANSWER)[2] in self.answers and ANSWER in text:
            return [Sentence(END, "", 1.0)]
        holds = 0.0 if WRONG in text else self.holds_with
        right, wrong = f"Step {number} {RIGHT}.", f"Step {number} {WRONG}."
        if number < self.steps:
            found = [Sentence(STEP_HOLDS, right + DELIMITER, holds)]
            found.append(Sentence(STEP_FAILS, wrong + DELIMITER, 1 - holds))
        else:
            correct, *others = self.answers
            found = [Sentence(FIRST_ANSWER, right + ANSWER + correct, holds)]
            found += [
                Sentence(FIRST_ANSWER + place, wrong + ANSWER + answer, (1 - holds) * weight)
                for place, (answer, weight) in enumerate(zip(others, self.weights, strict=True), 1)
            ]
        return [sentence for sentence in found if sentence.probability > 0]

    def read(self, before: str, text: str) -> Iterator[tuple[int, str, float]]:
        """Yield id, text and log-probability of each token of a text that follows another.

        What is none of the sentences is read word by word, each of one id and at the floor.
        """
        while text:
            fit = [one for one in self.after(before) if one.text and text.startswith(one.text)]
            if fit:
                best = max(fit, key=lambda one: len(one.text))
                found = best.token_id, best.text, math.log(best.probability)
            else:
                word = _WORD.match(text)
                assert word is not None
                found = FIRST_ANSWER + len(self.answers), word[0], FLOOR
            yield found
            before, text = before + found[1], text[len(found[1]) :]
