"""Intervals over problems: what they cover and what they leave alone."""

import numpy as np
import pytest

from itscale.estimators import resample
from itscale.estimators.intervals import interval_of


def test_equal_seeds_give_equal_intervals_and_all_k_see_the_same_problems():
    values = np.random.default_rng(0).random((12, 1))
    both = np.hstack([values, values])
    means = resample(both, 200, np.random.default_rng(5)).means
    assert np.array_equal(means[:, 0], means[:, 1])
    assert np.array_equal(means, resample(both, 200, np.random.default_rng(5)).means)


def test_the_bootstrap_of_a_mean_has_its_standard_error():
    values = np.random.default_rng(0).random((50, 1))
    means = resample(values, 20_000, np.random.default_rng(1)).means
    assert means.std() == pytest.approx(values.std() / np.sqrt(50), rel=0.03)


def test_a_missing_value_leaves_its_problem_out_of_its_column_only():
    values = np.array([[0.0, np.nan], [1.0, 0.5], [1.0, 0.5]])
    means = resample(values, 500, np.random.default_rng(0)).means
    assert set(np.unique(means[~np.isnan(means[:, 1]), 1])) == {0.5}
    assert means[:, 0].mean() == pytest.approx(2 / 3, abs=0.05)


@pytest.mark.parametrize("kind", ["percentile", "bca"])
def test_intervals_over_problems_cover_about_as_often_as_they_say(kind):
    """supporting.md 0: K = 50 problems, p ~ Beta(.5, 1), n = 16; completions alone would cover 42 %."""
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        rates = rng.binomial(16, rng.beta(0.5, 1.0, 50)) / 16
        found = interval_of(resample(rates[:, None], 400, rng), 0.95, kind, rng)
        covered += found.low[0] <= 1 / 3 <= found.high[0]
    assert 0.89 <= covered / 200 <= 0.99


def test_bca_leans_the_way_the_data_are_skewed():
    values = np.random.default_rng(0).exponential(size=(40, 1)) / 10
    found = resample(values, 4000, np.random.default_rng(1))
    plain, corrected = (
        interval_of(found, 0.95, kind, np.random.default_rng()) for kind in ("percentile", "bca")
    )
    assert corrected.low[0] > plain.low[0]
    assert corrected.high[0] > plain.high[0]
