"""Prices per token as a study states them."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from itscale.plugins import Options, PriceEntry
from itscale.sampling.ledger import TokenClass

__all__ = ["PerTokenOptions", "entry", "per_token"]

MILLION = 1_000_000


class PerTokenOptions(Options):
    """Prices of a model, in USD per million tokens, as providers list them."""

    prompt: float = Field(ge=0)
    """USD per million tokens of prompts."""
    cached_prompt: float | None = Field(default=None, ge=0)
    """USD per million tokens of prompts that came from a cache; as other tokens of prompts if left out."""
    generated: float = Field(ge=0)
    """USD per million generated tokens."""
    source: str = ""
    """Where the prices are listed, and of which day they are: for readers of the study."""


def per_token(options: PerTokenOptions) -> Mapping[TokenClass, float]:
    """Return USD per token."""
    cached = options.prompt if options.cached_prompt is None else options.cached_prompt
    return {
        "prompt": options.prompt / MILLION,
        "cached_prompt": cached / MILLION,
        "generated": options.generated / MILLION,
    }


entry = PriceEntry(
    name="per_token",
    factory=per_token,
    options=PerTokenOptions,
    summary="USD per million prompt, cached prompt and generated tokens, as the study states them",
)
