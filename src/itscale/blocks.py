"""Blocks: the units of sampling work, cut so that asking for more only adds some."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["BLOCK_PATTERN", "Block", "plan_blocks"]

BLOCK_PATTERN = r"p\d+-\d+(_n\d+)?_c\d+-\d+"
"""What block names look like, for wildcard constraints."""

_NAME = re.compile(r"p(\d+)-(\d+)(?:_n(\d+))?_c(\d+)-(\d+)")


@dataclass(frozen=True, order=True)
class Block:
    """Problems [problem_start, problem_stop) x completion indices (or replicates) [start, stop).

    `budget` is 0 for an exchangeable strategy, else the budget of the block's runs.
    """

    budget: int
    problem_start: int
    problem_stop: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """File name without its ending: says what the block holds."""
        budget = f"_n{self.budget}" if self.budget else ""
        return f"p{self.problem_start:05d}-{self.problem_stop:05d}{budget}_c{self.start:05d}-{self.stop:05d}"

    @classmethod
    def parse(cls, name: str) -> Block:
        """Read a block from its name.

        Raises
        ------
        ValueError
            If it is not a block's name.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            raise ValueError(
                f"{name!r} is not the name of a block, expected for example p00000-00016_c00000-00064"
            )
        problem_start, problem_stop, budget, start, stop = (int(group or 0) for group in match.groups())
        return cls(budget, problem_start, problem_stop, start, stop)

    @property
    def units(self) -> int:
        """Completions (or runs) in the block."""
        return (self.problem_stop - self.problem_start) * (self.stop - self.start)


def plan_blocks(
    problems: int,
    units: int,
    *,
    problems_per_block: int,
    units_per_block: int,
    budgets: Iterable[int] = (0,),
    existing: Iterable[str] = (),
) -> list[Block]:
    """Cover problems x units (x budgets) with blocks.

    Blocks lie on a fixed grid, so a larger study has the blocks of a smaller one and more. Where a smaller
    study ended inside a cell of the grid, its block is kept as it is and the rest of the cell becomes a
    block of its own.

    Parameters
    ----------
    problems
        Number of problems.
    units
        Completions per problem (exchangeable), or replicates per problem and budget (run-based).
    existing
        Names of blocks on disk: their edges inside the wanted range are edges of the plan, too.
    """
    known = [Block.parse(name) for name in existing]
    plan = []
    for budget in budgets:
        mine = [block for block in known if block.budget == budget]
        rows = _edges(problems, problems_per_block, (block.problem_stop for block in mine))
        for top, bottom in rows:
            beside = (
                block.stop for block in mine if block.problem_start < bottom and block.problem_stop > top
            )
            plan += [Block(budget, top, bottom, *span) for span in _edges(units, units_per_block, beside)]
    return plan


def _edges(length: int, size: int, extra: Iterable[int]) -> Iterator[tuple[int, int]]:
    edges = {*range(0, length, size), *(edge for edge in extra if edge < length), length}
    return pairwise(sorted(edges))
