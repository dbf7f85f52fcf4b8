"""Blocks: the units of sampling work, cut so that asking for more only adds some."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

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

    Blocks that exist are kept as they are, whatever size was asked for when they were cut; what they leave is
    cut along a fixed grid, so a larger study has the blocks of a smaller one and more. A cell of the grid
    that is covered in part is finished by blocks of its own.

    Parameters
    ----------
    problems
        Number of problems.
    units
        Completions per problem (exchangeable), or replicates per problem and budget (run-based).
    existing
        Names of blocks to keep, where they lie in the wanted range; of two that overlap, the first.
    """
    known = [Block.parse(name) for name in existing]
    plan: list[Block] = []
    for budget in budgets:
        area = _Area([block for block in known if block.budget == budget], problems, units)
        plan += area.kept
        for top in range(0, problems, problems_per_block):
            for start in range(0, units, units_per_block):
                bottom, stop = min(top + problems_per_block, problems), min(start + units_per_block, units)
                plan += area.rest(Block(budget, top, bottom, start, stop))
    return sorted(plan)


class _Area:
    """Problems x units, and what of it is covered by blocks that are kept.

    Coverage is an array over the spans between the edges of blocks: asking it takes one slice.
    """

    def __init__(self, blocks: list[Block], problems: int, units: int) -> None:
        inside = [block for block in blocks if block.problem_stop <= problems and block.stop <= units]
        self._rows = _edges((0, problems), ((block.problem_start, block.problem_stop) for block in inside))
        self._columns = _edges((0, units), ((block.start, block.stop) for block in inside))
        self._covered = np.zeros((len(self._rows) - 1, len(self._columns) - 1), dtype=bool)
        self.kept: list[Block] = []
        for block in inside:
            place = self._place(block)
            if block.units and not self._covered[place].any():
                self._covered[place] = True
                self.kept.append(block)

    def rest(self, cell: Block) -> Iterator[Block]:
        """Yield blocks that cover what is free of a cell: itself, where all of it is."""
        covered = self._covered[self._place(cell)]
        if covered.all():
            return
        if not covered.any():
            yield cell
            return
        beside = [block for block in self.kept if _overlap(block, cell)]
        for top, bottom in _spans(
            cell.problem_start, cell.problem_stop, beside, "problem_start", "problem_stop"
        ):
            band = replace(cell, problem_start=top, problem_stop=bottom)
            across = [block for block in beside if _overlap(block, band)]
            for start, stop in _spans(cell.start, cell.stop, across, "start", "stop"):
                piece = replace(band, start=start, stop=stop)
                if not self._covered[self._place(piece)].any():
                    yield piece

    def _place(self, block: Block) -> tuple[slice, slice]:
        """Return where the spans are that a block touches."""
        return (
            slice(
                bisect_right(self._rows, block.problem_start) - 1, bisect_left(self._rows, block.problem_stop)
            ),
            slice(bisect_right(self._columns, block.start) - 1, bisect_left(self._columns, block.stop)),
        )


def _overlap(one: Block, other: Block) -> bool:
    return (
        one.problem_start < other.problem_stop
        and other.problem_start < one.problem_stop
        and one.start < other.stop
        and other.start < one.stop
    )


def _edges(extent: tuple[int, int], spans: Iterable[tuple[int, int]]) -> list[int]:
    return sorted({*extent, *(edge for span in spans for edge in span)})


def _spans(
    start: int, stop: int, blocks: Iterable[Block], first: str, last: str
) -> Iterator[tuple[int, int]]:
    """Yield the spans between the edges of blocks inside [start, stop)."""
    edges = {getattr(block, name) for block in blocks for name in (first, last)}
    return pairwise(sorted({start, stop, *(edge for edge in edges if start < edge < stop)}))
