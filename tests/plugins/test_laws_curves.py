"""The laws of curves: limits in each other, parameters given back, and what they do not know."""

import warnings

import numpy as np
import pytest
from scipy.optimize import brentq

from itscale.estimators import k_grid
from itscale.plugins import registry
from itscale.plugins.laws import FitFailure, FitWarning, LawData
from itscale_builtin.laws.broken_power_law import broken_power_law
from itscale_builtin.laws.m4 import m4

K = k_grid(10_000).astype(float)
NONE = np.empty(0, dtype=np.int64)
FALLING = ("shifted_power_law", "saturating_exponential", "broken_power_law", "m4")


def make(name, **options):
    entry = registry().get("laws", name).entry
    return entry.factory(entry.options.model_validate(options))


def curve(x, y, design="fixed"):
    x, y = np.asarray(x), np.asarray(y, dtype=float)
    return LawData(budgets=x, coverage=y, sampled=NONE, correct=NONE, design=design)


def fit(law, data, start=None):
    """Return the parameters and the remarks."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = law.fit(data, start)
    assert all(issubclass(w.category, FitWarning) for w in caught)
    return found, "; ".join(str(w.message) for w in caught)


# --- parameters given back ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "truth", "rel"),
    [
        ("shifted_power_law", {}, [0.1, 3.0, 0.45], 1e-6),
        ("shifted_power_law", {"response": "failure"}, [0.05, 0.9, 0.3], 1e-6),
        ("shifted_power_law", {"response": "value"}, [1.7, 410.0, 0.3], 1e-6),
        ("log_linear", {}, [0.05, 0.09], 1e-9),
        ("log_linear", {"response": "value"}, [3.0, -0.2], 1e-9),
        ("logistic", {}, [0.9, 60.0, 0.7], 1e-6),
        ("logistic", {"chance": 0.25}, [0.8, 30.0, 1.1], 1e-6),
        ("logistic", {"response": "value", "chance": 2.0}, [40.0, 100.0, 0.6], 1e-6),
        ("saturating_exponential", {}, [0.2, 0.6, 40.0], 1e-6),
        ("saturating_exponential", {"response": "value"}, [3.0, 8.0, 500.0], 1e-6),
        ("m4", {}, [0.1, 1.02, 1.3, 6.0, 0.6], 1e-4),
        ("m4", {"response": "value"}, [2.0, 9.0, 0.7, 0.4, 0.5], 1e-4),
        ("broken_power_law", {"starts": 30}, [0.02, 3.0, 0.15, 0.4, 50.0, 0.5], 1e-3),
        ("broken_power_law", {"response": "value", "starts": 30}, [0.4, 2.0, 0.5, -0.9, 300.0, 0.3], 1e-3),
    ],
)
def test_a_curve_that_follows_the_law_gives_its_parameters(name, options, truth, rel):
    law = make(name, **options)
    data = curve(K, law.predict(np.array(truth), K))
    found, remarks = fit(law, data)
    assert found == pytest.approx(truth, rel=rel)
    assert "not converged" not in remarks
    again, _ = fit(law, data, found * 1.3)
    assert law.predict(again, K) == pytest.approx(data.coverage, rel=1e-5)


def test_two_breaks_are_told_apart():
    law = make("broken_power_law", n_breaks=2, response="value", starts=30)
    truth = np.array([0.1, 2.0, 0.1, 0.8, 30.0, 0.2, -0.7, 1000.0, 0.2])
    x = np.geomspace(1, 30_000, 60)
    found, _ = fit(law, curve(x, broken_power_law(truth, x)))
    assert law.predict(found, x) == pytest.approx(broken_power_law(truth, x), rel=1e-4)
    assert found[[4, 7]] == pytest.approx([30.0, 1000.0], rel=0.02)


# --- limits (supporting.md 5.2) -------------------------------------------------------------------------


def test_shift_without_a_floor_is_pow():
    shifted, straight = make("shifted_power_law"), make("power_law")
    assert shifted.predict(np.array([0.0, 2.0, 0.4]), K) == pytest.approx(
        straight.predict(np.array([2.0, 0.4]), K)
    )
    data = curve(K, straight.predict(np.array([2.0, 0.4]), K))
    found, remarks = fit(shifted, data)
    assert found == pytest.approx([0.0, 2.0, 0.4], abs=1e-6)
    assert "E is only an upper bound" in remarks
    assert shifted.asymptotic_exponent(np.array([0.0, 2.0, 0.4])) == 0.4
    assert np.isnan(shifted.asymptotic_exponent(np.array([0.1, 2.0, 0.4])))


def test_bnsl_whose_slope_does_not_change_is_shift():
    shifted = make("shifted_power_law").predict(np.array([0.1, 3.0, 0.45]), K)
    broken = make("broken_power_law")
    assert broken.predict(np.array([0.1, 3.0, 0.45, 0.0, 50.0, 0.2]), K) == pytest.approx(shifted)
    found, _ = fit(make("broken_power_law", n_breaks=0, starts=10), curve(K, shifted))
    assert found == pytest.approx([0.1, 3.0, 0.45], rel=1e-5)


def test_m4_with_alpha_zero_is_shift():
    shifted = make("shifted_power_law", response="value").predict(np.array([1.5, 4.0, 0.3]), K)
    assert m4(np.array([1.5, 99.0, 0.0, 4.0, 0.3]), K) == pytest.approx(shifted)
    assert m4(np.array([1.5, 99.0, 1e-7, 4.0, 0.3]), K) == pytest.approx(shifted, rel=1e-5)


def test_exppow_at_large_k_is_one_minus_a_power():
    tail = np.geomspace(1e8, 1e10, 5)
    assert 1 - make("exponentiated_power_law").predict(np.array([2.0, 0.5]), tail) == pytest.approx(
        2.0 * tail**-0.5, rel=2e-4
    )


@pytest.mark.parametrize("alpha", [0.05, 0.5, 1.0, 3.0])
def test_m4_solves_its_own_equation(alpha):
    floor, ceiling, scale, exponent = 0.1, 1.3, 0.9, 0.6
    for x in (0.9, 1.0, 50.0, 1e6):
        root = brentq(
            lambda y, x=x: np.log(y - floor) - alpha * np.log(ceiling - y) - np.log(scale * x**-exponent),
            floor * (1 + 1e-15),
            ceiling * (1 - 1e-15),
            xtol=1e-15,
        )
        assert m4(np.array([floor, ceiling, alpha, scale, exponent]), np.array([x]))[0] == pytest.approx(root)


def test_m4_does_not_need_b_to_be_one_or_more():
    """supporting.md 5.6: the reference fits log B with a constraint that forces B >= 1."""
    law = make("m4", response="value")
    truth = np.array([0.01, 0.2, 0.5, 0.3, 0.4])
    found, _ = fit(law, curve(K, m4(truth, K)))
    assert found == pytest.approx(truth, rel=1e-3)


# --- core.md 1.2 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", ["power_law", "exponentiated_power_law"])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        (8.29, 0.199),
        (6.36, 0.276),
        (5.60, 0.290),
        (5.61, 0.320),
        (4.34, 0.347),
        (4.51, 0.360),
        (4.32, 0.379),
        (2.83, 0.430),
        (2.11, 0.447),
        (1.35, 0.434),
        (0.776, 0.466),
    ],
)
def test_exponentiated_power_law_from_sampled_counts_of_that_kind(law, a, b):
    """The table of core.md 1.2 on its 37 values of k: a within 3 %, b within .01, from a noisy start."""
    assert len(K) == 37
    data = curve(K, np.exp(-a * K**-b))
    for start in (None, np.array([1.4 * a, 0.7 * b])):
        found, _ = fit(make(law), data, start)
        assert found[0] == pytest.approx(a, rel=0.03)
        assert found[1] == pytest.approx(b, abs=0.01)


# --- supporting.md 5.6: truncation ----------------------------------------------------------------------

BNSL = np.array([0.41388, 2.27727, 0.05508, 5.6629, 612.58, 0.05919])
X = 160.0 + 48 * np.arange(17)
Y = broken_power_law(BNSL, X) * np.exp(6e-4 * np.random.default_rng(2).standard_normal(17))


def test_bnsl_finds_the_break_in_the_first_14_points():
    """The synthetic twin of the 4-digit-addition series, with the noise of that fit (RMSLE 6e-4)."""
    found, remarks = fit(make("broken_power_law", response="value", starts=60), curve(X[:14], Y[:14]))
    assert found == pytest.approx(BNSL, rel=0.03)
    error = np.log(broken_power_law(found, X[14:]) / Y[14:])
    assert np.sqrt(np.mean(error**2)) < 1.1e-2
    assert "no data beyond" not in remarks
    exact, _ = fit(
        make("broken_power_law", response="value", starts=20), curve(X[:14], broken_power_law(BNSL, X[:14]))
    )
    assert exact == pytest.approx(BNSL, rel=1e-4)


@pytest.mark.parametrize(("points", "off"), [(8, 1.0), (10, 0.5), (12, 0.1)])
def test_bnsl_cannot_foresee_a_break_and_says_so(points, off):
    """A break is not foreseen before it is entered, though starts agree: convergence is not validity."""
    law = make("broken_power_law", response="value", points_per_parameter=1, starts=25)
    found, remarks = fit(law, curve(X[:points], Y[:points]))
    assert abs(np.log(law.predict(found, X[-1:])[0] / Y[-1])) > off
    assert "no data beyond the last break" in remarks
    assert "not converged" not in remarks


def test_bnsl_wants_two_points_per_parameter():
    with pytest.raises(FitFailure, match="10 points for 6 parameters, expected 12"):
        make("broken_power_law", response="value").fit(curve(X[:10], Y[:10]))


# --- gates (supporting.md 5.10) -------------------------------------------------------------------------


def test_aicc_picks_the_power_law_where_there_is_no_floor():
    """supporting.md 5.11: 13 points, 1 % noise; with a floor of .1 a power law forecasts .04, not .107."""
    x = np.geomspace(1, 1000, 13)
    noise = np.exp(0.01 * np.random.default_rng(0).standard_normal(13))

    def aicc(law, found, data):
        gaps = np.log(data.coverage / law.predict(found, x))
        p = len(found) + 1  # sigma is one
        return 13 * np.log(np.mean(gaps**2)) + 2 * p + 2 * p * (p + 1) / (13 - p - 1)

    shift = make("shifted_power_law", response="value")

    def power(data):
        slope, height = np.polyfit(np.log(x), np.log(data.coverage), 1)
        return np.array([np.exp(height), -slope])

    class Pow:
        def predict(self, parameters, at):
            return parameters[0] * at ** -parameters[1]

    free, floored = curve(x, 0.6 * x**-0.4 * noise), curve(x, (0.1 + 0.6 * x**-0.4) * noise)
    assert aicc(Pow(), power(free), free) < aicc(shift, fit(shift, free)[0], free)
    found, _ = fit(shift, floored)
    assert aicc(shift, found, floored) < aicc(Pow(), power(floored), floored) - 40
    assert power(floored)[1] == pytest.approx(0.236, abs=0.01)
    assert Pow().predict(power(floored), 1e5) == pytest.approx(0.041, abs=0.004)
    assert shift.predict(found, np.array([1e5]))[0] == pytest.approx(0.107, abs=0.006)


def test_a_floor_far_below_the_points_is_only_an_upper_bound():
    law = make("shifted_power_law", response="value")
    noise = np.exp(0.02 * np.random.default_rng(1).standard_normal(len(K)))
    assert "E is only an upper bound" in fit(law, curve(K, (1e-4 + K**-0.3) * noise))[1]
    assert "upper bound" not in fit(law, curve(K, (0.2 + K**-0.3) * noise))[1]


def test_few_decades_are_said():
    law = make("shifted_power_law", response="value")
    x = np.geomspace(1, 20, 12)
    assert "the points span 1.3 decades, a floor needs 2" in fit(law, curve(x, 0.2 + x**-0.3))[1]


def test_a_logistic_before_its_midpoint_says_nothing_of_its_ceiling():
    law, truth = make("logistic"), np.array([0.9, 300.0, 0.8])
    early, late = K[K < 100], K
    assert "no data beyond the midpoint" in fit(law, curve(early, law.predict(truth, early)))[1]
    assert "midpoint," not in fit(law, curve(late, law.predict(truth, late)))[1]


def test_a_line_says_where_it_leaves_the_unit_interval():
    law = make("log_linear")
    found, remarks = fit(law, curve(K, 0.1 + 0.09 * np.log(K)))
    assert "above 1 for k > 2.2e+04" in remarks
    assert law.predict(found, np.array([1e6]))[0] == 1.0
    assert make("log_linear", response="value").predict(found, np.array([1e6]))[0] > 1


def test_a_plateau_that_was_not_reached_is_only_an_upper_bound():
    law, truth = make("saturating_exponential"), np.array([0.2, 0.6, 400.0])
    early = K[K < 300]
    assert "only an upper bound" in fit(law, curve(early, law.predict(truth, early)))[1]


@pytest.mark.parametrize("name", ["power_law", "exponentiated_power_law", "log_linear", "logistic", *FALLING])
def test_curves_of_adaptive_sampling_are_refused(name):
    data = curve(K, np.exp(-3 * K**-0.4), design="until_success")
    with pytest.raises(FitFailure, match=r"until success.*beta_binomial"):
        make(name).fit(data)


@pytest.mark.parametrize("name", FALLING)
def test_values_are_not_clipped(name):
    law = make(name, response="value", **({"starts": 10} if name == "broken_power_law" else {}))
    data = curve(K, 5 + 20 * K**-0.5)
    found, _ = fit(law, data)
    assert law.predict(found, K).max() > 10
