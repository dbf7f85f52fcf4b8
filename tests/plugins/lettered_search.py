"""A model that writes letters, a letter a step, and a scorer that is told what each path is worth."""

import random
import re
from collections.abc import Callable, Mapping

from scripted_engine import Script, Scripted, run

from itscale.sampling.partners import Partners, SessionScorer
from itscale.sampling.session import Session
from itscale.types import Completion, GenerationRequest

Value = Callable[[str], float] | Mapping[str, float]
"""What a path is worth, by its letters."""

END = "z"
"""A letter that ends a text at once."""


def path(text: str) -> str:
    """The letters of a text."""
    return "".join(re.findall("[a-z]", text))


def written(letters: str, ends: bool) -> str:
    """Letters as the model writes them: a step ends at its point, a text at its end."""
    return " ".join(f"{letter}." for letter in letters).removesuffix("." if ends else "")


def drawn(choices: str, depth: int, greedy: str = "g") -> Script:
    """Draw every letter at random, greedily the one and the same."""

    def script(request: GenerationRequest, before: str, seed: int) -> str:
        rng, letters = random.Random(seed), ""
        while len(path(before) + letters) < depth and END not in letters:
            letters += greedy if request.params.temperature == 0 else rng.choice(choices)
        return written(letters, ends=True)

    return script


def in_order(choices: str, depth: int) -> Script:
    """Let continuations that are asked for together begin with one letter after the other."""

    def script(request: GenerationRequest, before: str, seed: int) -> str:
        letter = choices[request.seeds.index(seed) % len(choices)]
        left = depth - len(path(before))
        return written(letter * (1 if letter == END else left), ends=True)

    return script


class Told:
    """Scores a path by what it was told."""

    def __init__(self, value: Value) -> None:
        self.value = value
        self.asked: list[str] = []

    async def score(self, trajectories, desk):
        paths = [path(one.text) for one in trajectories]
        self.asked += paths
        return [self.value(one) if callable(self.value) else self.value.get(one, 0.0) for one in paths]


def search(
    entry, script: Script, value: Value, *, budget: int, replicate: int = 0, **given
) -> tuple[list[Completion], Session, Scripted, Told]:
    """Run a search; return what it hands in, its session, and who was asked."""
    engine, scorer = Scripted(script), Told(value)
    partners = Partners(scorer=SessionScorer(scorer=scorer, label="r"))
    given = {"scorer": "r", "delimiter": ".", **given}
    granted = given.pop("granted", None)
    if granted is None:
        options = entry.options(**given)
        granted = entry.grant(options, budget) if entry.grant else budget * options.max_tokens
    made, session = run(
        entry,
        engine,
        budget=budget,
        replicate=replicate,
        granted=granted,
        partners=partners,
        completions=budget,
        **given,
    )
    return made, session, engine, scorer


def matched(wanted: str) -> Callable[[str], float]:
    """Worth of a path: the share of wanted letters that it has at their places."""
    return lambda letters: sum(a == b for a, b in zip(letters, wanted, strict=False)) / len(wanted)
