"""Sizes of blocks follow from how fast blocks already done were sampled."""

import math
import os

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itscale.planning.plan import make_plan
from itscale.sampling.throughput import (
    ASSUMED_STARTUP,
    ASSUMED_TOKENS,
    ASSUMED_TOKENS_PER_SECOND,
    LATEST,
    MOST_BLOCKS,
    BlockTiming,
    Throughput,
    cell_size,
    measure,
    pooled,
)
from itscale.store.parquet import write_table
from itscale.study import resolve

FAST = BlockTiming(tokens=3000, completions=10, seconds=2.0, job_seconds=5.0)
SLOW = BlockTiming(tokens=1000, completions=30, seconds=2.0, job_seconds=4.0)
STUDY = {
    "study": "sizes",
    "tasks": {"gcd": {"plugin": "reasoning_gym", "dataset": "gcd", "problems": 64}},
    "models": {"a": {"plugin": "simulated"}, "b": {"plugin": "simulated"}},
    "strategies": {"repeated_sampling": {"completions": 256, "max_tokens": 500}},
}


def put(path, timing):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(pl.DataFrame({"x": [1]}), path, {"timing": timing})


def test_speed_is_that_of_all_tokens_over_all_seconds() -> None:
    found = pooled([FAST, SLOW], [], longest=512)
    assert found == Throughput(1000.0, 100.0, 2.5, measured=True)
    assert found.seconds(10) == 2.5 + 1.0


def test_another_strategy_of_the_model_tells_its_speed_but_not_how_long_completions_are() -> None:
    found = pooled([], [FAST], longest=512)
    assert (found.tokens_per_second, found.tokens_per_completion, found.startup) == (1500.0, 512.0, 3.0)


def test_nothing_done_is_assumed_and_says_so() -> None:
    found = pooled([], [], longest=512)
    assert not found.measured
    assert found.tokens_per_second == ASSUMED_TOKENS_PER_SECOND


def test_a_limit_that_few_reach_is_not_taken_for_the_length_of_every_completion(tmp_path) -> None:
    strategies = {"repeated_sampling": {"completions": 32, "max_tokens": 2**20}}
    study = resolve(STUDY | {"strategies": strategies})
    assert len(make_plan(study, tmp_path).blocks("gcd", "a", "repeated_sampling")) <= 16
    assert pooled([], [FAST], longest=2**20).tokens_per_completion == ASSUMED_TOKENS


def test_a_block_that_found_its_engine_running_says_nothing_of_how_long_that_starts() -> None:
    served = BlockTiming(tokens=10, completions=1, seconds=4.0, job_seconds=4.0)
    assert pooled([FAST, served], [], longest=512).startup == pooled([FAST], [], longest=512).startup
    assert pooled([served], [served, SLOW], longest=512).startup == pooled([SLOW], [], longest=512).startup
    assert pooled([served], [served], longest=512).startup == ASSUMED_STARTUP


def test_only_the_latest_blocks_that_say_it_count(tmp_path) -> None:
    for number in range(LATEST + 2):
        path = tmp_path / f"p{number}.parquet"
        put(path, {"tokens": number + 1, "completions": 1, "seconds": 1.0, "job_seconds": 1.0, "peak": 3})
        os.utime(path, (number, number))
    newest = tmp_path / "p99.parquet"
    put(newest, {"seconds": 1.0})  # of an earlier version
    (tmp_path / "p98.parquet").write_bytes(b"torn")
    assert sorted(block.tokens for block in measure(tmp_path)) == list(range(5, LATEST + 3))


@given(
    st.integers(1, 2000),
    st.integers(1, 20000),
    st.floats(1, 1e8),
    st.none() | st.integers(1, 100),
    st.none() | st.integers(1, 100),
)
def test_a_block_holds_what_is_wanted_and_there_are_not_too_many(
    problems, units, wanted, height, width
) -> None:
    tall, wide = cell_size(problems, units, wanted, height=height, width=width)
    assert (height or tall, width or wide) == (tall, wide)
    blocks = math.ceil(problems / tall) * math.ceil(units / wide)
    if height is None and width is None:
        assert blocks <= MOST_BLOCKS
        assert tall.bit_count() == wide.bit_count() == 1
        if min(tall, problems) * min(wide, units) > 2.01 * wanted:  # only because there would be too many
            assert blocks >= MOST_BLOCKS / 2


def test_a_thousand_problems_ten_thousand_completions_and_four_models_are_hundreds_of_jobs() -> None:
    tall, wide = cell_size(1000, 10_000, Throughput(1000.0, 512.0, 120.0, False).completions(1800))
    blocks = math.ceil(1000 / tall) * math.ceil(10_000 / wide)
    assert 4 * blocks * 2 < 1000  # sampled, and judged


def test_a_small_study_is_one_block(tmp_path) -> None:
    plan = make_plan(resolve(STUDY | {"strategies": {"repeated_sampling": {"completions": 64}}}), tmp_path)
    assert [block.name for block in plan.blocks("gcd", "a", "repeated_sampling")] == [
        "p00000-00064_c00000-00064"
    ]


@pytest.mark.parametrize(("speed", "expected"), [(100.0, 49), (1600.0, 4), (1e6, 2)])
def test_new_blocks_follow_the_speed_of_those_done_which_stay(tmp_path, speed, expected) -> None:
    folder = tmp_path / "completions/gcd/a/repeated_sampling"
    timing = {"tokens": speed * 10, "completions": speed / 50, "seconds": 10.0, "job_seconds": 12.0}
    put(folder / "p00000-00064_c00000-00064.parquet", timing)  # 500 tokens each
    study = resolve(STUDY | {"block": {"minutes": 20}})
    names = [block.name for block in make_plan(study, tmp_path).blocks("gcd", "a", "repeated_sampling")]
    assert "p00000-00064_c00000-00064" in names
    assert len(names) == expected
    # the other model has done nothing
    assert len(make_plan(study, tmp_path).blocks("gcd", "b", "repeated_sampling")) == 8


def test_a_block_that_was_begun_is_gone_on_with(tmp_path) -> None:
    folder = tmp_path / "completions/gcd/a/repeated_sampling"
    folder.mkdir(parents=True)
    (folder / ".p00000-00010_c00000-00100.journal").touch()
    names = [
        block.name for block in make_plan(resolve(STUDY), tmp_path).blocks("gcd", "a", "repeated_sampling")
    ]
    assert names[0] == "p00000-00010_c00000-00100"
