"""The allowance: tokens that a session may still generate, lent to requests and given back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from itscale.errors import BudgetExhausted

__all__ = ["Allowance"]


class Allowance:
    """Tokens that are left. What a request may use is set aside, so that requests together never overrun it.

    Parameters
    ----------
    tokens
        All there are.
    place
        How messages call whose they are.

    Attributes
    ----------
    left
        Tokens that are neither used nor lent.
    exhausted
        Whether a request was refused for want of tokens.
    """

    def __init__(self, tokens: int, place: str) -> None:
        self.left = self._all = tokens
        self.exhausted = False
        self._place = place
        self._lent = 0
        self._returned = asyncio.Event()

    async def lend(self, wanted: Sequence[int]) -> list[int]:
        """Set aside tokens for some generations: what each wants, or an equal share of what is left.

        Where that is less than wanted and other requests are under way, their rest is waited for first.

        Raises
        ------
        BudgetExhausted
            If there is less than a token for each.
        """
        while self.left // len(wanted) < max(wanted) and self._lent:
            await self._returned.wait()
        share = self.left // len(wanted)
        if share < 1:
            self.exhausted = True
            left = f"{self.left:,} of {self._all:,} tokens left for {len(wanted)} trajectories"
            why = "an entry's `worth` says how many it may take (max_tokens a completion if it is left out)"
            raise BudgetExhausted(f"{self._place}: {left}; {why}")
        lent = [min(most, share) for most in wanted]
        self.left -= sum(lent)
        self._lent += 1
        return lent

    def settle(self, lent: Sequence[int], used: int) -> None:
        """Take back what a request did not use."""
        self.left += sum(lent) - used
        self._lent -= 1
        waited, self._returned = self._returned, asyncio.Event()
        waited.set()
