"""A stream depends on what it is for and on nothing else: not on order, process or hash randomisation."""

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from itscale.seeds import digest, generator, seed63

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PARTS = st.lists(st.integers(0, 2**70) | st.text() | st.dictionaries(st.text(), st.integers()), max_size=4)


@given(st.dictionaries(st.text(), JSON))
def test_the_order_of_keys_does_not_count(value) -> None:
    assert digest(value) == digest(dict(reversed(value.items())))


@given(PARTS)
def test_seeds_are_63_bits_and_repeatable(parts) -> None:
    assert 0 <= seed63(*parts) < 2**63
    assert seed63(*parts) == seed63(*parts)
    assert np.array_equal(generator(*parts).random(3), generator(*parts).random(3))


def test_seeds_of_neighbours_differ() -> None:
    seeds = {
        seed63(seed, f"problem-{p}", {"name": "s"}, i)
        for seed in range(3)
        for p in range(30)
        for i in range(30)
    }
    assert len(seeds) == 3 * 30 * 30


def test_the_kind_of_a_part_counts() -> None:
    parts = [1, "1", True, 1.0, [1], None, {"1": 1}]
    assert len({seed63(part) for part in parts}) == len(parts)


def test_streams_of_neighbours_are_uncorrelated() -> None:
    draws = np.array([generator(0, "problem", index).random(200) for index in range(60)])
    off_diagonal = np.corrcoef(draws)[~np.eye(60, dtype=bool)]
    assert np.abs(off_diagonal).max() < 6 / np.sqrt(200)
    assert abs(draws.mean() - 0.5) < 6 * np.sqrt(1 / 12 / draws.size)


def test_seeds_are_the_same_in_every_process() -> None:
    program = "from itscale.seeds import seed63; print(seed63(7, 'gcd-3', {'b': 1, 'a': [2]}, 5))"
    found = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {b"%d\n" % seed63(7, "gcd-3", {"a": [2], "b": 1}, 5)}


def test_seeds_never_change() -> None:
    """Studies of past years are repeated with them: if this fails, their completions are lost."""
    assert digest({"a": [1, None, "ü"]}) == "da9973f066766a2722016a2b2e2d2e7c05475ff59db446cf214f1c6109ca995a"
    assert seed63(0, "problem", 1) == 1894391048268785483
