"""Requests under way: what an engine tells of their sequences while it generates."""

from __future__ import annotations

from typing import Self, TypedDict

from itscale.sampling.progress import UnitTally

__all__ = ["Watched"]


class Spent(TypedDict):
    """Tokens of a request, as a ledger takes them."""

    prompt_tokens: int | None
    cached_prompt_tokens: int | None
    generated_tokens: int | None


class Watched:
    """The sequences of a request, from whatever the engine tells of them."""

    def __init__(self, tally: UnitTally, *, whole: bool) -> None:
        self.told: dict[int, int] = {}
        self._prompt: tuple[int, int] | None = None
        self._tally = tally
        self._whole = whole
        self._began: dict[int, float] = {}

    def tell(self, place: int, tokens: int) -> None:
        """Note tokens of a sequence, the first of which begin it."""
        if place not in self.told:
            self.told[place] = 0
            self._began[place] = self._tally.begin()
        if tokens:
            self.told[place] += tokens
            self._tally.generate(tokens)

    def read(self, prompt: int, cached: int) -> None:
        """Note the tokens of a prompt, and how many of them were cached; there may be one for each seed."""
        before = self._prompt or (0, 0)
        self._prompt = before[0] + prompt, before[1] + cached

    def spent(self) -> Spent:
        """Return what a request that was broken off had spent; None where the engine had told nothing yet."""
        generated: int | None = sum(self.told.values())
        if self.told and not generated:
            generated = None
        prompt, cached = self._prompt or ((None, None) if self.told else (0, 0))
        return {"prompt_tokens": prompt, "cached_prompt_tokens": cached, "generated_tokens": generated}

    def end(self, place: int) -> None:
        """Note that a sequence ended, once."""
        if place in self._began:
            self._tally.end(self.told[place], self._began.pop(place), whole=self._whole)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """End what an error left under way."""
        for place in list(self._began):
            self._tally.end(self.told[place], self._began.pop(place), whole=False)
