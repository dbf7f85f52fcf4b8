"""Cutting: a step without what it ends with, in its own tokens where the engine says what each of them is."""

from __future__ import annotations

from dataclasses import replace

from itscale.sampling.desk import Desk
from itscale.sampling.lineage import node_of
from itscale.types import Lineage, Step, Trajectory

__all__ = ["beginning"]


async def beginning(desk: Desk, whole: Trajectory, length: int, lineage: Lineage) -> Step:
    """Return the last step of a trajectory with the beginning of its text alone, of so many characters.

    Tokens are spelt from the last one backwards. White space that shares a token with what is dropped is
    dropped, too. Where the engine gave no tokens, or one of them holds more of what is kept, the step has a
    text alone, and counts as many tokens as before.
    """
    step = whole.step
    assert step is not None
    kept = replace(step, text=step.text[:length], token_ids=(), logprob=None, node=node_of(lineage))
    if not step.token_ids or not desk.spells(step.by):
        return kept
    count, start = len(step.token_ids), len(step.text)
    while start > length and count:
        count -= 1
        before = replace(whole, step=replace(step, text="", token_ids=step.token_ids[:count]))
        start -= len(await desk.spell(before, step.token_ids[count], step.by))
    if start > length or start < 0 or step.text[start:length].strip():
        return kept
    return replace(kept, text=step.text[:start], token_ids=step.token_ids[:count], tokens=count)
