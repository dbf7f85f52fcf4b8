"""The laws against curves that follow them exactly, closed forms, and data that do not determine them."""

import warnings

import numpy as np
import pytest
from scipy.special import beta as beta_function
from scipy.special import betaln

from itscale.estimators import coverage, k_grid
from itscale.plugins import registry
from itscale.plugins.laws import FitFailure, FitWarning, LawData


def make(name, **options):
    entry = registry().get("laws", name).entry
    return entry.factory(entry.options.model_validate(options))


def curve_data(budgets, curve):
    none = np.empty(0, dtype=np.int64)
    return LawData(budgets=budgets, coverage=np.asarray(curve), sampled=none, correct=none)


def count_data(sampled, correct):
    sampled, correct = np.asarray(sampled), np.asarray(correct)
    budgets = k_grid(int(sampled.min()))
    curve = coverage(sampled, correct, budgets).mean(axis=0)
    return LawData(budgets=budgets, coverage=curve, sampled=sampled, correct=correct)


def beta_coverage(a, b, k):
    return 1 - np.exp(betaln(a, b + np.asarray(k, dtype=float)) - betaln(a, b))


# --- curves ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", ["power_law", "exponentiated_power_law"])
@pytest.mark.parametrize(
    ("a", "b"), [(8.29, 0.199), (6.36, 0.276), (4.32, 0.379), (2.83, 0.43), (1.35, 0.434), (0.776, 0.466)]
)
def test_a_curve_that_follows_the_law_gives_its_parameters(law, a, b):
    """(a, b) of core.md 1.2, on its grid: 37 values to 10,000."""
    budgets = k_grid(10_000)
    found = make(law).fit(curve_data(budgets, np.exp(-a * budgets**-b)))
    assert found == pytest.approx([a, b], rel=1e-6)
    assert make(law).predict(found, np.array([1.0])) == pytest.approx([np.exp(-a)])


@pytest.mark.parametrize("law", ["power_law", "exponentiated_power_law"])
def test_exponents_from_few_completions_are_biased_as_known(law):
    """supporting.md 5.8: on k <= 100, Beta(.5, 1.5) looks like b = .539, a = 1.417; Beta(.3, 3) like .391."""
    budgets = k_grid(100)
    assert make(law).fit(curve_data(budgets, beta_coverage(0.5, 1.5, budgets))) == pytest.approx(
        [1.417, 0.539], abs=0.002
    )
    found = make(law).fit(curve_data(budgets, beta_coverage(0.3, 3, budgets)))
    assert found[1] == pytest.approx(0.391, abs=0.002)
    assert make(law).predict(found, np.array([1e4]))[0] == pytest.approx(0.936, abs=0.001)
    assert beta_coverage(0.3, 3, 1e4) == pytest.approx(0.915, abs=0.001)


def test_points_without_a_logarithm_are_left_out_and_that_is_said():
    budgets = np.arange(1, 12)
    curve = np.exp(-2.0 * budgets**-0.5)
    curve[-1] = 1.0
    with pytest.warns(FitWarning, match="^1 point with coverage 0 or 1 left out"):
        make("power_law").fit(curve_data(budgets, curve))
    curve[0] = 0.0
    with pytest.warns(FitWarning, match="^2 points with coverage 0 or 1 left out"):
        found = make("power_law").fit(curve_data(budgets, curve))
    assert found == pytest.approx([2.0, 0.5])


@pytest.mark.parametrize("law", ["power_law", "exponentiated_power_law"])
@pytest.mark.parametrize(
    ("curve", "reason"),
    [
        (np.zeros(8), "no completion is correct"),
        (np.ones(8), "nothing is left to scale"),
        (np.full(8, 0.5), "does not scale"),
        ([0, 0, 0, 0, 0.1, 0.2, 0.3, 0.4], "4 usable points of 8"),
    ],
)
def test_a_curve_that_says_nothing_is_a_failure_with_its_reason(law, curve, reason):
    with pytest.raises(FitFailure, match=reason):
        make(law).fit(curve_data(np.arange(1, 9), curve))


# --- counts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "k", "expected"),
    [
        (1, 1, 9, 0.9),
        (0.3, 3.5, 100, 1 - 0.351513),
        (0.3, 3.5, 1000, 1 - 0.177653),
        (0.5, 2, 1e5, 1 - 0.00420370),
        (0.5, 1.5, 1, 0.25),
        (0.5, 1.5, 2, 0.375),
        (0.5, 1.5, 10, 0.663624),
        (0.5, 1.5, 100, 0.887861),
        (0.5, 1.5, 1000, 0.96434),
    ],
)
def test_coverage_of_a_beta_distribution(a, b, k, expected):
    """Closed forms of core.md 1.6 and supporting.md 5.8."""
    assert make("beta_binomial").predict(np.array([a, b]), np.array([k]))[0] == pytest.approx(
        expected, abs=1e-6
    )


def test_alpha_is_the_asymptotic_exponent_of_failure():
    """core.md 1.6: fail(k) -> Gamma(a+b)/Gamma(b) k^-a; .177821 beside .177653 at k = 1000."""
    law, parameters = make("beta_binomial"), np.array([0.3, 3.5])
    failure = 1 - law.predict(parameters, np.array([1e7, 1e8]))
    assert np.log(failure[0] / failure[1]) / np.log(10) == pytest.approx(0.3, abs=1e-4)


@pytest.mark.parametrize(("a", "b"), [(0.3, 3.5), (0.8, 1.5), (2.0, 2.0)])
def test_known_parameters_are_recovered(a, b):
    rng = np.random.default_rng(0)
    sampled = rng.integers(50, 150, 4000)
    correct = rng.binomial(sampled, rng.beta(a, b, 4000))
    assert make("beta_binomial").fit(count_data(sampled, correct)) == pytest.approx([a, b], rel=0.08)


def test_the_likelihood_has_no_better_point_nearby():
    """The optimum, against the likelihood written down directly."""
    rng = np.random.default_rng(1)
    sampled, correct = np.full(60, 40), rng.binomial(40, rng.beta(0.5, 3, 60))
    found = make("beta_binomial").fit(count_data(sampled, correct))

    def log_likelihood(a, b):
        return np.sum(np.log(beta_function(correct + a, sampled - correct + b) / beta_function(a, b)))

    best = log_likelihood(*found)
    for factor in np.random.default_rng(2).uniform(0.9, 1.1, (200, 2)):
        assert log_likelihood(*(found * factor)) <= best + 1e-6


def test_tiny_rates_need_a_large_beta_and_get_it():
    """core.md 1.7: a bound of 100 binds where problems are hard."""
    rng = np.random.default_rng(3)
    correct = rng.binomial(2000, rng.beta(0.3, 600.0, 2000))
    found = make("beta_binomial").fit(count_data(np.full(2000, 2000), correct))
    assert found == pytest.approx([0.3, 600.0], rel=0.15)


def test_a_bound_that_is_hit_is_reported():
    """Problems that are all alike have no spread: alpha and beta grow without end."""
    with pytest.warns(FitWarning, match="at its bound"):
        make("beta_binomial").fit(count_data([20] * 10, [5] * 10))


@pytest.mark.parametrize(
    ("correct", "reason"),
    [([0, 0], "no completion is correct"), ([9, 9], "every completion"), ([3], "1 problem, ")],
)
def test_counts_that_say_nothing_are_a_failure_with_their_reason(correct, reason):
    with pytest.raises(FitFailure, match=reason):
        make("beta_binomial").fit(count_data([9] * len(correct), correct))


def test_laws_of_a_study_of_real_size_are_quiet():
    rng = np.random.default_rng(4)
    data = count_data(np.full(16, 64), rng.binomial(64, rng.beta(0.3, 5, 16)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("power_law", "exponentiated_power_law", "beta_binomial"):
            predicted = make(name).predict(make(name).fit(data), data.budgets.astype(float))
            assert np.abs(predicted - data.coverage).max() < 0.1
