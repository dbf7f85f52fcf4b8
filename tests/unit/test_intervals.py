"""Intervals over problems: their level, what is refused, and what stands where resampling says nothing."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy.stats import beta, binom

from itscale.curves.clusters import clusters_of
from itscale.errors import StudyError
from itscale.estimators import (
    agreement_interval,
    bounded_mean_interval,
    coverage,
    curve_intervals,
    design_effect,
    intraclass_correlation,
    parameter_interval,
    resample,
    resample_two_level,
)
from itscale.estimators.intervals import interval_of
from itscale.study import resolve
from itscale.study.config import CurveSection


def rng(seed=0):
    return np.random.default_rng(seed)


def options(**changes):
    wanted = {"confidence": 0.95, "resamples": 400, "interval": "studentised", "resample": "problems"}
    return SimpleNamespace(**{**wanted, **changes})


def counts(seed, problems=50, n=16, a=0.5, b=1.0):
    made = rng(seed)
    return np.full(problems, n), made.binomial(n, made.beta(a, b, problems))


# --- levels -----------------------------------------------------------------------------------------------


def test_completions_alone_cover_42_percent_where_problems_cover_94():
    """supporting.md 0 [R]: K = 50, p ~ Beta(.5, 1), n = 16: 94.0 %, two-level 94.8 %, completions 42 %."""
    covered = np.zeros(3)
    for seed in range(120):
        n, correct = counts(seed)
        k = np.array([1])
        sources = [
            resample(coverage(n, correct, k), 200, rng(seed)).means[:, 0],
            resample_two_level(n, correct, k, 200, rng(seed)).means[:, 0],
            (rng(seed).binomial(n, correct / n, size=(200, 50)) / n).mean(axis=1),
        ]
        bounds = [np.quantile(means, [0.025, 0.975]) for means in sources]
        covered += [low <= 1 / 3 <= high for low, high in bounds]
    problems, two_level, completions = covered / 120
    assert 0.89 <= problems <= 0.99
    assert problems <= two_level + 0.01
    assert 0.30 <= completions <= 0.54


@pytest.mark.parametrize("word", ["completions", "samples"])
def test_a_study_that_resamples_completions_is_refused_with_the_reason(word):
    study = {
        "study": "s",
        "tasks": {"t": {"plugin": "jsonl", "file": "x.jsonl", "prompt": "{q}", "reference": "a"}},
        "models": {"m": {"plugin": "simulated"}},
        "strategies": {"repeated_sampling": {"completions": 4}},
    }
    with pytest.raises(StudyError, match=rf"curves.resample: found '{word}', .* covers 42 % where 95 %"):
        resolve({**study, "curves": {"resample": word}})
    with pytest.raises(StudyError, match=r"curves.clusters: found '\(', expected a regular expression"):
        resolve({**study, "curves": {"clusters": "("}})


def test_studentised_keeps_its_level_where_few_problems_are_solved():
    """p ~ Beta(.05, 2), 50 problems: percentile intervals cover 85 % at k = 1."""
    truth, covered = 0.05 / 2.05, {"studentised": 0, "percentile": 0}
    for seed in range(150):
        values = coverage(*counts(seed, a=0.05, b=2.0), np.array([1]))
        for kind in covered:
            found = curve_intervals(values, options(interval=kind), rng(seed))
            covered[kind] += bool(found.low[0] <= truth <= found.high[0])
    assert covered["studentised"] / 150 >= 0.92
    assert covered["percentile"] < covered["studentised"]


def test_a_band_holds_the_whole_curve_as_often_as_it_says():
    k = np.array([1, 2, 4, 8, 16])
    truth = np.array([1 - np.prod((3 + np.arange(j)) / (3.5 + np.arange(j))) for j in k])
    inside = pointwise = 0
    for seed in range(150):
        values = coverage(*counts(seed, problems=100, n=32, b=3.0), k)
        found = curve_intervals(values, options(), rng(seed))
        inside += bool(np.all((found.band_low <= truth) & (truth <= found.band_high)))
        pointwise += bool(np.all((found.low <= truth) & (truth <= found.high)))
        assert np.all((found.band_low <= found.low) & (found.high <= found.band_high))
    assert 0.90 <= inside / 150 <= 1.0
    assert pointwise < inside


# --- problems that agree ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["studentised", "percentile", "bca"])
def test_problems_that_agree_leave_the_exact_binomial_bound(kind):
    """0 of 100 problems leave 3.0 % at 95 % (rule of three): P(0 of 100 | 2.95 %) = 5 %."""
    values = np.zeros((100, 2))
    values[:, 1] = 1.0
    found = curve_intervals(values, options(interval=kind), rng())
    assert found.kind == ("exact", "exact")
    assert (found.low[0], found.high[1]) == (0.0, 1.0)
    assert binom.pmf(0, 100, found.high[0]) == pytest.approx(0.05)
    assert found.low[1] == pytest.approx(1 - found.high[0])
    assert np.array_equal(found.band_high, found.high)


def test_problems_that_agree_in_between_leave_both_sides_open():
    found = agreement_interval(np.array([0.25]), np.array([59]), 0.95)
    share = 0.05 ** (1 / 59)
    assert (found.low[0], found.high[0]) == pytest.approx((0.25 * share, 0.25 * share + 1 - share))


def test_bounds_of_values_0_and_1_are_those_of_clopper_and_pearson():
    values = np.concatenate([np.zeros(57), np.ones(3)])[:, None]
    found = bounded_mean_interval(resample(values, 40_000, rng()), 0.95, rng())
    assert found.low[0] == pytest.approx(beta.ppf(0.025, 3, 58), rel=0.05)
    assert found.high[0] == pytest.approx(beta.ppf(0.975, 4, 57), rel=0.02)


def test_bounds_of_a_mean_hold_the_ends_they_are_told():
    """Differences lie between -1 and 1: what shares are bounded by, stretched."""
    values = rng().random((12, 1))
    shares = bounded_mean_interval(resample(values, 500, rng()), 0.95, rng())
    stretched = bounded_mean_interval(resample(2 * values - 1, 500, rng()), 0.95, rng(), within=(-1.0, 1.0))
    assert stretched.low == pytest.approx(2 * shares.low - 1)
    assert stretched.high == pytest.approx(2 * shares.high - 1)


def test_bounds_of_clusters_are_those_of_their_means_and_missing_values_do_not_count():
    values = rng().random((10, 1))
    plain = bounded_mean_interval(resample(values, 500, rng()), 0.95, rng())
    twice = resample(np.repeat(values, 2, axis=0), 500, rng(), np.repeat(np.arange(10), 2))
    assert bounded_mean_interval(twice, 0.95, rng()).low == pytest.approx(plain.low)
    padded = resample(np.vstack([values, np.full((5, 1), np.nan)]), 20_000, rng())
    many = bounded_mean_interval(resample(values, 20_000, rng()), 0.95, rng())
    assert bounded_mean_interval(padded, 0.95, rng()).low == pytest.approx(many.low, rel=0.03)


def test_an_interval_is_never_wider_than_if_each_problem_were_solved_or_not():
    """Near full coverage a single problem may carry all the spread, and resamples without it have none."""
    k = np.arange(1, 65)
    for seed in range(5):
        n, correct = np.full(24, 64), rng(seed).binomial(64, 0.1, 24)
        values = coverage(n, correct, k)
        found = curve_intervals(values, options(resamples=4000), rng(seed))
        solved = 24 * values.mean(axis=0)
        assert np.all(found.low >= beta.ppf(0.025, solved, 25 - solved) - 0.01)


@given(some.lists(some.sampled_from([0.0, 0.1, 0.5, 1.0]), min_size=2, max_size=30))
def test_an_interval_of_shares_holds_the_mean_and_stays_within_0_and_1(shares):
    found = curve_intervals(np.array(shares)[:, None], options(resamples=100), rng())
    assert 0 <= found.low[0] <= np.mean(shares) + 1e-12
    assert np.mean(shares) - 1e-12 <= found.high[0] <= 1


# --- clusters and levels ----------------------------------------------------------------------------------


def test_clusters_are_resampled_whole():
    """20 problems five times over know as much as 20, whatever their number of rows."""
    values = rng().random((20, 1))
    repeated, labels = np.repeat(values, 5, axis=0), np.repeat(np.arange(20), 5)
    plain = resample(values, 4000, rng(1))
    clustered = resample(repeated, 4000, rng(1), labels)
    assert np.allclose(clustered.means, plain.means)
    assert clustered.error == pytest.approx(plain.error)
    naive = resample(repeated, 100, rng(1)).error[0]
    effect = design_effect(5, intraclass_correlation(repeated[:, 0], labels))
    assert clustered.error[0] == pytest.approx(naive * np.sqrt(effect), rel=0.05)


def test_the_error_of_a_cluster_mean_is_that_of_its_resamples():
    values, labels = rng().random((60, 1)), rng(1).integers(15, size=60)
    values += rng(2).normal(size=15)[labels][:, None] / 10
    found = resample(values, 20_000, rng(3), labels)
    assert found.means.std() == pytest.approx(found.error[0], rel=0.06)


def test_intraclass_correlation_is_the_share_of_variance_between_clusters():
    between, within = rng().normal(size=3000), rng(1).normal(size=(3000, 4))
    labels = np.repeat(np.arange(3000), 4)
    assert intraclass_correlation((between[:, None] + within).ravel(), labels) == pytest.approx(0.5, abs=0.03)
    assert design_effect(1, 0.9) == 1
    with pytest.raises(ValueError, match="expected two, and one with two rows"):
        intraclass_correlation(np.arange(3.0), np.arange(3))


def test_labels_of_clusters_come_from_problem_ids():
    problems = ["gsm/12#0", "gsm/12#1", "gsm/13#0", "other"]
    assert clusters_of(problems, r"^(.*)#") == ["gsm/12", "gsm/12", "gsm/13", "other"]
    assert clusters_of(problems, None) is None


def test_two_levels_vary_more_than_problems_and_as_much_as_both_variances():
    """Var p-hat over problems, and E[p (1 - p)] / n once more: the binomial within each problem."""
    n, correct = counts(0, problems=400, n=8)
    rates = correct / n
    found = resample_two_level(n, correct, np.array([1]), 4000, rng())
    expected = (rates.var() + (rates * (1 - rates)).mean() / 8) / 400
    assert found.means.var() == pytest.approx(expected, rel=0.08)
    ragged = resample_two_level(np.array([4, 8]), np.array([2, 2]), np.array([1, 6]), 200, rng())
    assert np.nanmean(ragged.means[:, 0]) == pytest.approx(0.375, abs=0.05)


def test_two_levels_are_named_where_counts_allow_them():
    n, correct = counts(1)
    k = np.array([1, 4])
    values = coverage(n, correct, k)
    found = curve_intervals(values, options(resample="two_level"), rng(), counts=(n, correct, k))
    assert set(found.kind) == {"two-level studentised"}
    assert set(curve_intervals(values, options(resample="two_level"), rng()).kind) == {"studentised"}


def test_bounds_of_coverage_do_not_fall_and_say_whose_they_are():
    """24 problems with p near 1/2: an interval narrower at k = 5 than the exact bound at k = 32."""
    k = np.array([1, 2, 5, 10, 16, 32])
    values = coverage(np.full(24, 32), rng().integers(14, 19, 24), k)
    own = curve_intervals(values, options(), rng())
    found = curve_intervals(values, options(), rng(), rising=k)
    assert np.any(np.diff(own.low) < 0)
    for ends in (found.low, found.high, found.band_low, found.band_high):
        assert np.all(np.diff(ends) >= 0)
    assert np.all((found.low <= own.low) & (found.high >= own.high))
    assert (found.low[-1], found.kind[-1]) == (own.low[-1], "exact")
    assert found.kind[2] == "studentised; low of k = 32"


def test_bounds_of_coverage_hold_where_a_few_problems_hide_that_some_are_hard():
    """Six problems, most p = .9, a tenth of all .005: six solved leave .05^(1/6) = .607, and no more."""
    k = np.array([1, 2, 4, 8, 16, 32])
    truth = 0.9 * (1 - 0.1**k) + 0.1 * (1 - 0.995**k)
    solved = coverage(np.full(6, 32), np.array([20, 20, 20, 22, 22, 22]), k)
    assert curve_intervals(solved, options(), rng()).low.max() > 0.98
    assert curve_intervals(solved, options(), rng(), rising=k).low.max() == pytest.approx(0.05 ** (1 / 6))
    held = np.zeros(len(k))
    for seed in range(100):
        rates = np.where(rng(seed).random(6) < 0.9, 0.9, 0.005)
        values = coverage(np.full(6, 32), rng(seed).binomial(32, rates), k)
        found = curve_intervals(values, options(), rng(seed), rising=k)
        held += (found.low <= truth) & (truth <= found.high)
    assert np.all(held >= 95)


def test_bounds_of_any_mean_are_named_where_few_problems_differ():
    values = np.ones((24, 1))
    values[0] = 0.3
    assert curve_intervals(values, options(), rng()).kind == ("bounded",)


def test_a_missing_value_leaves_its_problem_out_of_its_column_only():
    values = rng().random((40, 2))
    values[:10, 1] = np.nan
    found = interval_of(resample(values, 400, rng()), 0.95, "studentised", rng())
    alone = interval_of(resample(values[10:, 1:], 4000, rng()), 0.95, "studentised", rng())
    assert found.high[1] - found.low[1] == pytest.approx(alone.high[0] - alone.low[0], rel=0.2)
    assert found.high[1] - found.low[1] > found.high[0] - found.low[0]


def test_the_section_of_a_study_is_what_intervals_want():
    found = curve_intervals(rng().random((20, 1)), CurveSection(resamples=100), rng())
    assert found.kind == ("studentised",)


# --- parameters -------------------------------------------------------------------------------------------


def test_parameters_have_symmetric_intervals_on_their_own_side_of_0():
    refits = np.array([[0.2, -0.4, 0.5], [1.9, -1.0, -0.5], [1.0, -0.7, 0.1]])
    found = parameter_interval(np.array([1.0, -0.5, 0.0]), refits, 1.0)
    assert found.low.tolist() == pytest.approx([0.1, -1.0, -0.5])
    assert found.high.tolist() == pytest.approx([1.9, 0.0, 0.5])


def test_problems_that_nearly_agree_tell_no_more_than_those_that_do():
    """95 problems solved and five nearly so leave as much unseen as 100 solved."""
    nearly = [0.98, 0.985, 0.99, 0.99, 0.995]
    values = np.append(np.ones(95), nearly)[:, None]
    all_solved = agreement_interval(np.ones(1), np.array([100]), 0.95)
    found = interval_of(resample(values, 500, np.random.default_rng(0)), 0.95, "studentised", rng())
    assert found.low[0] <= all_solved.low[0] + 1e-9
    assert found.low[0] > 0.9
