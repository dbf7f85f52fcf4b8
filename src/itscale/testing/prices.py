"""The contract of a price table: USD per token, of every class of tokens."""

from __future__ import annotations

from itscale.boundary import make_prices
from itscale.testing.entries import EntryContract, kept_word

__all__ = ["PriceContract"]


class PriceContract(EntryContract):
    """Tests of a price table."""

    def test_prices_are_numbers_by_class_of_tokens(self) -> None:
        """Those of prompts and of what is generated, each at least 0; the same every time."""
        with kept_word():
            assert make_prices(self.ingredient()) == make_prices(self.ingredient())
