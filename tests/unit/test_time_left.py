"""Speed and time left, against engines that are made up to the token: what is said stays near the truth."""

import numpy as np
import pytest

from itscale.sampling.progress import BlockExtent, Pace, Sampled, Speed, mean_tokens, seconds_left

LIMIT = 512


def engine(lengths, slots, elasticity, *, silent):
    """Yield time and state, second by second, of an engine that shares 8 tokens a second and slot.

    `silent`: it tells of tokens only where a sequence ends.
    """
    made = np.zeros(len(lengths))
    began = np.full(len(lengths), np.nan)
    ended = np.full(len(lengths), np.nan)
    now = 0.0
    while np.isnan(ended).any():
        for _ in range(20):
            under_way = ~np.isnan(began) & np.isnan(ended)
            waiting = np.flatnonzero(np.isnan(began))[: slots - under_way.sum()]
            began[waiting], under_way[waiting] = now, True
            running = max(1, under_way.sum())
            now += 0.05
            made[under_way] += 0.05 * 8 * slots * (running / slots) ** elasticity / running
            ended[under_way & (made >= lengths)] = now
        done, under_way = ~np.isnan(ended), ~np.isnan(began) & np.isnan(ended)
        so_far = int(made[under_way].sum())
        yield (
            now,
            Sampled(
                completions=int(done.sum()),
                tokens=int(lengths[done].sum()) + (0 if silent else so_far),
                running=int(under_way.sum()),
                running_tokens=0 if silent else so_far,
                running_seconds=float((now - began[under_way]).sum()),
                ended=int(done.sum()),
                ended_tokens=int(lengths[done].sum()),
                ended_seconds=float((ended - began)[done].sum()),
            ),
        )


RNG = np.random.default_rng(1)
LENGTHS = {
    "uniform": RNG.integers(50, LIMIT, 1000),
    "half cut off": np.where(RNG.random(1000) < 0.5, LIMIT, RNG.integers(80, 300, 1000)),
    "all cut off": np.full(1000, LIMIT),
    "geometric": np.minimum(LIMIT, RNG.geometric(1 / 200, 1000)),
    "alike": RNG.integers(220, 300, 1000),
}


@pytest.mark.parametrize("elasticity", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("completions", "slots", "silent"),
    [(200, 200, False), (400, 64, False), (400, 64, True)],
    ids=["at once", "in turn", "in turn, silent"],
)
@pytest.mark.parametrize("kind", LENGTHS)
def test_time_left_is_within_a_factor_of_two(kind, completions, slots, silent, elasticity):
    """From the first seconds on, until a quarter is left: three looks of four, and never beyond three.

    That all end in the middle of what the limit allows, at about the same time, is what nobody can foresee.
    """
    pace, said = Pace(), []
    for now, state in engine(LENGTHS[kind][:completions], slots, elasticity, silent=silent):
        pace.see(now, state)
        if speed := pace.speed():
            said.append((now, seconds_left(state, BlockExtent(completions, LIMIT / 2, LIMIT), speed)))
    ratios = {at: left / (now - at) for at, left in said if at < 0.75 * now}
    off = np.abs(np.log2(list(ratios.values())))
    assert silent or next(iter(ratios)) <= 5  # seconds
    assert np.mean(off <= 1) >= 0.75 or (kind, slots) == ("alike", 200)
    assert off.max() <= np.log2(3) or (kind, slots) == ("alike", 200)


def test_a_speed_counts_from_the_first_token():
    pace = Pace()
    for now in range(16):
        pace.see(
            float(now), Sampled(running=4, running_tokens=max(0, now - 10) * 8, tokens=max(0, now - 10) * 8)
        )
    speed = pace.speed()
    assert speed is not None
    assert speed.tokens_per_second == 8


def test_nothing_is_left_of_what_is_done_or_has_failed():
    done = Sampled(completions=7, failed=3, tokens=70, ended=7, ended_tokens=70)
    assert seconds_left(done, BlockExtent(10, 50, 100), Speed(10, 1, 10)) == 0


def test_a_mean_is_between_what_was_expected_and_what_was_seen():
    extent = BlockExtent(100, 50, 100)
    assert mean_tokens(Sampled(), extent) == 50
    assert mean_tokens(Sampled(running=10, running_tokens=400), extent) == 80
    assert mean_tokens(Sampled(running=10, running_tokens=990), extent) == 100
    assert mean_tokens(Sampled(ended=30, ended_tokens=600, running=10), extent) == 0.75 * 20 + 0.25 * 50
