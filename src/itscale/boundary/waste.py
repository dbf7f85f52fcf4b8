"""What answers of engines had cost that are refused: it was paid, and is charged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from itscale.errors import ContractError
from itscale.plugins.place import is_count
from itscale.sampling.ledger import TOKEN_COUNTS
from itscale.types import Embedding, NextLogprobs, OnWaste, Reward, TextLogprobs

__all__ = ["charged_if_refused"]

ANSWERS = Reward | Embedding | TextLogprobs | NextLogprobs


@contextmanager
def charged_if_refused(given: Any, on_waste: OnWaste) -> Iterator[None]:
    """Tell `on_waste` what each answer says it had cost, where that can be, if they are refused."""
    try:
        yield
    except ContractError:
        for one in given if isinstance(given, Sequence) else ():
            if isinstance(one, ANSWERS):
                read, cached, generated = (getattr(one, name, 0) for name in TOKEN_COUNTS)
                if is_count(read) and is_count(cached) and is_count(generated) and cached <= read:
                    on_waste(int(read), int(cached), int(generated))
        raise
