"""Costs of verdicts, as entries of verifiers state them: jobs are sized by them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["VerdictCost"]


@dataclass(frozen=True, kw_only=True)
class VerdictCost:
    """What a verdict costs.

    Attributes
    ----------
    seconds
        About how long one takes by itself; 0 where that is not worth a thought (an expression compared). A
        block of a study holds no more completions than can be judged in the time that it should take, and a
        job asks a cluster for so long, until blocks that are done tell better.
    at_once
        How many are under way at the same time at most, of a scorer, or an oracle whose `judge` is a
        coroutine.
    memory_mb
        Memory that the verifier takes in its job, beside models.
    tokens
        Most tokens that the models it asks generate for one; None where nobody knows.
    """

    seconds: float = 0.0
    at_once: int = 256
    memory_mb: float = 0.0
    tokens: int | None = None
