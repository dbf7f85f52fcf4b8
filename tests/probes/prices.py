"""A provider's price list of one day, as a third party would publish it."""

from typing import Literal

from itscale import hookimpl
from itscale.plugins import Options, PriceEntry

MILLION = 1_000_000
LISTED = {"small": (0.05, 0.025, 0.2), "large": (1.0, 0.5, 4.0)}
"""USD per million tokens by model: of prompts, of those from a cache, generated."""


class ListedOptions(Options):
    """Options of the list."""

    model: Literal["small", "large"]
    """Name of the model on the list."""
    batch: bool = False
    """Prices of the batch interface: half of the others."""


def listed(options: ListedOptions) -> dict[str, float]:
    """Return USD per token."""
    share = 0.5 if options.batch else 1.0
    classes = ("prompt", "cached_prompt", "generated")
    return {name: share * usd / MILLION for name, usd in zip(classes, LISTED[options.model], strict=True)}


entry = PriceEntry(name="listed", factory=listed, options=ListedOptions, summary="The list of 1 July 2026.")


@hookimpl
def itscale_register_prices() -> list[PriceEntry]:
    """Return the price list."""
    return [entry]
