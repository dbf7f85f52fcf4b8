"""The contract of a price table: USD per token for call classes that there are."""

from __future__ import annotations

from itscale.boundary import make_prices
from itscale.testing.entries import EntryContract, kept_word

__all__ = ["PriceContract"]


class PriceContract(EntryContract):
    """Tests of a price table."""

    def test_prices_are_numbers_by_call_class(self) -> None:
        """At least one, each at least 0."""
        with kept_word():
            assert make_prices(self.ingredient())
