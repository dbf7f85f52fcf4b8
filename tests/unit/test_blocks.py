"""Blocks cover the work exactly once, and asking for more leaves those on disk as they are."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itscale.sampling.blocks import BLOCK_PATTERN, Block, plan_blocks

SMALL = st.integers(1, 40)
SIZES = st.integers(1, 16)
BUDGETS = st.lists(st.integers(1, 64), min_size=1, max_size=3, unique=True)


def names(blocks) -> list[str]:
    return [block.name for block in blocks]


def cells(blocks) -> list[tuple[int, int, int]]:
    return [
        (block.budget, problem, unit)
        for block in blocks
        for problem in range(block.problem_start, block.problem_stop)
        for unit in range(block.start, block.stop)
    ]


@given(SMALL, SMALL, SIZES, SIZES, BUDGETS)
def test_blocks_tile_the_work(problems, units, height, width, budgets) -> None:
    plan = plan_blocks(problems, units, problems_per_block=height, units_per_block=width, budgets=budgets)
    covered = cells(plan)
    assert len(covered) == len(set(covered)) == problems * units * len(budgets)
    assert set(covered) == {(n, p, u) for n in budgets for p in range(problems) for u in range(units)}
    assert sum(block.units for block in plan) == len(covered)
    assert all(block.problem_stop - block.problem_start <= height for block in plan)
    assert all(block.stop - block.start <= width for block in plan)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=2, max_size=4), SIZES, SIZES)
def test_a_study_that_grows_keeps_every_block_it_has(extents, height, width) -> None:
    problems, units = 1, 1
    on_disk: set[str] = set()
    for more_problems, more_units in extents:
        problems, units = problems + more_problems, units + more_units
        plan = plan_blocks(
            problems, units, problems_per_block=height, units_per_block=width, existing=on_disk
        )
        assert on_disk <= set(names(plan))
        assert len(cells(plan)) == len(set(cells(plan))) == problems * units
        on_disk = set(names(plan))


@given(SMALL, SMALL, SIZES, SIZES)
def test_a_plan_with_its_own_blocks_on_disk_is_the_same_plan(problems, units, height, width) -> None:
    sizes = {"problems_per_block": height, "units_per_block": width}
    plan = plan_blocks(problems, units, **sizes)
    assert plan_blocks(problems, units, **sizes, existing=names(plan)) == plan


@given(
    st.lists(
        st.tuples(st.integers(1, 20), st.integers(1, 20), SIZES, SIZES, st.integers(0, 2**20)),
        min_size=2,
        max_size=4,
    )
)
def test_blocks_on_disk_stay_whatever_size_is_asked_for_next(steps) -> None:
    on_disk: set[str] = set()
    problems = units = 0
    for more_problems, more_units, height, width, which in steps:
        problems, units = problems + more_problems, units + more_units
        plan = plan_blocks(
            problems, units, problems_per_block=height, units_per_block=width, existing=on_disk
        )
        assert on_disk <= set(names(plan))
        assert len(cells(plan)) == len(set(cells(plan))) == problems * units
        on_disk |= {name for place, name in enumerate(names(plan)) if which >> place & 1}  # some are done


def test_where_blocks_on_disk_overlap_the_first_is_kept() -> None:
    plan = plan_blocks(
        4,
        8,
        problems_per_block=4,
        units_per_block=8,
        existing=["p00000-00004_c00000-00006", "p00000-00004_c00004-00008"],
    )
    assert [(block.start, block.stop) for block in plan] == [(0, 6), (6, 8)]


def test_what_is_free_is_cut_at_the_new_size_not_at_old_edges() -> None:
    old = plan_blocks(64, 64, problems_per_block=16, units_per_block=64)
    plan = plan_blocks(64, 128, problems_per_block=64, units_per_block=64, existing=names(old))
    assert names(plan)[1] == "p00000-00064_c00064-00128"
    assert len(plan) == 5


def test_doubling_the_completions_adds_blocks() -> None:
    sizes = {"problems_per_block": 16, "units_per_block": 64}
    small = plan_blocks(16, 64, **sizes)
    large = plan_blocks(16, 128, **sizes, existing=names(small))
    assert names(small) == ["p00000-00016_c00000-00064"]
    assert names(large) == ["p00000-00016_c00000-00064", "p00000-00016_c00064-00128"]


def test_a_cell_that_was_begun_is_finished_by_a_block_of_its_own() -> None:
    sizes = {"problems_per_block": 16, "units_per_block": 64}
    grown = plan_blocks(16, 128, **sizes, existing=["p00000-00016_c00000-00040"])
    assert [(block.start, block.stop) for block in grown] == [(0, 40), (40, 64), (64, 128)]


def test_blocks_of_another_budget_leave_no_edge() -> None:
    plan = plan_blocks(
        4,
        8,
        problems_per_block=4,
        units_per_block=8,
        budgets=(2, 4),
        existing=["p00000-00004_n2_c00000-00003"],
    )
    assert [block.stop for block in plan if block.budget == 2] == [3, 8]
    assert [block.stop for block in plan if block.budget == 4] == [8]


BLOCKS = st.builds(
    lambda budget, rows, units: Block(budget, *sorted(rows), *sorted(units)),
    st.integers(0, 10**6),
    st.tuples(*[st.integers(0, 10**7)] * 2),
    st.tuples(*[st.integers(0, 10**7)] * 2),
)


@given(BLOCKS)
def test_a_name_is_read_back(block: Block) -> None:
    assert Block.parse(block.name) == block
    assert re.fullmatch(BLOCK_PATTERN, block.name)


def test_names_sort_as_their_blocks_do() -> None:
    plan = plan_blocks(300, 300, problems_per_block=7, units_per_block=50)
    assert all(one < other for one, other in pairwise(names(plan)))


@pytest.mark.parametrize(
    "name", ["", "p0-1", "p0-1_c0-1.parquet", "p0-1_n_c0-1", "../p0-1_c0-1", "p-1-1_c0-1"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a block"):
        Block.parse(name)
