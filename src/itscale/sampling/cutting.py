"""Cutting: a step without what it ends with, in its own tokens where the engine says what each of them is."""

from __future__ import annotations

from dataclasses import replace

from itscale.sampling.desk import Desk
from itscale.sampling.lineage import node_of
from itscale.types import Lineage, Step, Trajectory

__all__ = ["beginning"]


async def beginning(desk: Desk, whole: Trajectory, kept: str, lineage: Lineage) -> Step:
    """Return the last step of a trajectory with the beginning of its text alone.

    Tokens are spelt from the last one backwards. Where the engine gave none, or one of them holds both what
    is kept and what is not, the step has a text alone, and counts as many tokens as before.
    """
    step = whole.step
    assert step is not None
    tokens = await _tokens(desk, whole, step, len(step.text) - len(kept))
    return replace(
        step,
        text=kept,
        token_ids=tokens or (),
        tokens=step.tokens if tokens is None else len(tokens),
        logprob=None,
        node=node_of(lineage),
    )


async def _tokens(desk: Desk, whole: Trajectory, step: Step, dropped: int) -> tuple[int, ...] | None:
    """Return the tokens of a step before its last `dropped` characters; None if that is not known."""
    if not step.token_ids or not desk.spells(step.by):
        return None
    end = len(step.token_ids)
    while dropped > 0 and end:
        end -= 1
        before = replace(whole, step=replace(step, text="", token_ids=step.token_ids[:end]))
        dropped -= len(await desk.spell(before, step.token_ids[end], step.by))
    return None if dropped else step.token_ids[:end]
