"""What is said of a fit beside its parameters: closed forms, brute force, and data that mislead."""

import numpy as np
import polars as pl
import pytest
from fitted import SMALL, counts, make, report
from scipy.integrate import quad
from scipy.stats import beta as beta_distribution

from itscale.estimators import k_grid, posterior_coverage
from itscale.fitting import diagnostics as said
from itscale.fitting import (
    evidence_of_counts,
    evidence_of_curve,
    evidence_of_runs,
    origins_of_curve,
    thinned_counts,
)
from itscale.fitting.bootstrap import bounds, fit_with_refits, symmetric_bounds
from itscale.messages.numbers import interval_text
from itscale.plugins.laws import FitFailure

# --- diagnostics ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("a", "b"), [(4.32, 0.379), (0.776, 0.466)])
def test_the_effective_slope_of_a_power_law_is_its_exponent(a, b):
    k = said.slope_budgets(1, 1e4)
    assert said.effective_slope(np.exp(-a * k**-b), k) == pytest.approx(b)
    assert np.isnan(said.effective_slope(np.ones(20), k))


def test_the_effective_slope_of_a_beta_is_no_asymptote():
    """core.md 1.6: at finite k the slope of Beta(.3, 3.5) is above its exponent, far out equal to it."""
    law, parameters = make("beta_binomial"), np.array([0.3, 3.5])
    near, far = (said.slope_budgets(*span) for span in ((1, 100), (1e7, 1e9)))
    assert said.effective_slope(law.predict(parameters, near), near) > 0.36
    assert said.effective_slope(law.predict(parameters, far), far) == pytest.approx(0.3, abs=1e-3)


def test_rmsle_of_the_addition_series():
    """supporting.md 5.6: extrapolation RMSLE 1.092e-2 of a broken power law at x = 800, 864, 928."""
    predicted, truth = np.array([0.7602, 0.6375, 0.5626]), np.array([0.7586, 0.6477, 0.5570])
    scores = said.holdout_scores(predicted, truth, np.ones(3), np.zeros(3))
    assert scores["rmsle"] == pytest.approx(1.092e-2, abs=2e-5)
    assert scores["error"] == pytest.approx(np.mean([0.0016, 0.0102, 0.0056]))
    assert (scores["inside"], scores["inside_80"]) == (1, 0)
    assert said.holdout_scores(2 * truth, truth, truth, truth)["log_error"] == pytest.approx(np.log(2))


def test_aicc_of_residuals():
    """supporting.md 5.11: n ln(RSS/n) + 2p + 2p(p+1)/(n-p-1)."""
    residuals = np.array([0.1, -0.2, 0.05, 0.0, 0.15, -0.1, 0.02])
    aicc, bic = said.information_criteria(said.residual_log_likelihood(residuals), 3, 7)
    rss = np.sum(residuals**2)
    assert aicc == pytest.approx(7 * np.log(rss / 7) + 6 + 24 / 3)
    assert bic == pytest.approx(7 * np.log(rss / 7) + 3 * np.log(7))
    assert np.isnan(said.information_criteria(0.0, 3, 4)[0])


class Slack:
    """A power law with a parameter that changes nothing."""

    parameters = ("a", "b", "idle")
    estimand = "effective slope"

    def fit(self, data, start=None):
        return np.append(make("power_law").fit(data), 1.0)

    def predict(self, parameters, budgets):
        return make("power_law").predict(parameters[:2], budgets)


def test_the_condition_is_that_of_the_analytic_jacobian():
    k, a, b = np.geomspace(1, 100, 30), 2.0, 0.4
    curve = np.exp(-a * k**-b)
    analytic = np.column_stack([-(k**-b) * curve, a * k**-b * np.log(k) * curve])
    analytic /= np.linalg.norm(analytic, axis=0)
    found = said.condition_number(make("power_law"), np.array([a, b]), k)
    assert found == pytest.approx(np.linalg.cond(analytic.T @ analytic), rel=1e-4)
    assert np.isinf(said.condition_number(Slack(), np.array([a, b, 1.0]), k))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"budgets": np.array([1, 20])}, "k spans 1.3 decades, fewer than 1.5"),
        ({"budgets": np.array([1, 50]), "parameters": 3}, "k spans 1.7 decades, fewer than 2"),
        ({"observations": 3}, "3 points for 2 parameters"),
        ({"condition": 2e8}, "condition of J'J is 2.0e+08"),
        ({"condition": np.inf}, "a parameter has no effect on the fitted curve"),
        ({"correlation": 0.985}, "rank correlation 0.985"),
    ],
)
def test_each_gate_says_why_it_closes(change, reason):
    good = {"budgets": np.array([1, 1000]), "observations": 30, "what": "points", "parameters": 2}
    good |= {"condition": 50.0, "correlation": 0.5}
    assert said.gates(**good) == []
    (found,) = said.gates(**(good | change))
    assert reason in found


def test_correlation_is_of_ranks_and_piles_are_open_sides():
    rng = np.random.default_rng(0)
    a = rng.normal(size=200)
    assert said.largest_correlation(np.column_stack([a, np.exp(3 * a)])) == pytest.approx(1)
    assert said.largest_correlation(np.column_stack([a, rng.normal(size=200)])) < 0.3
    piled = np.column_stack([np.maximum(a, 0), a])
    (reason,) = said.open_sides(("E", "b"), piled, 0.95)
    assert reason.startswith("E is open below")


# --- posterior --------------------------------------------------------------------------------------------


def test_posterior_coverage_is_the_integral():
    a, b, n, c, k = 0.4, 3.0, 20, 2, 50
    found = posterior_coverage(np.array([n]), np.array([c]), np.array([float(k)]), (a, b))[0, 0]
    density = beta_distribution(a + c, b + n - c)
    expected = quad(lambda p: (1 - (1 - p) ** k) * density.pdf(p), 0, 1)[0]
    assert found == pytest.approx(expected, abs=1e-8)


# --- refits -----------------------------------------------------------------------------------------------


class Recorder(Slack):
    """Notes what it is given, and fails where the first problem is not in the resample."""

    parameters = ("rate",)

    def __init__(self):
        self.seen, self.starts = [], []

    def fit(self, data, start=None):
        self.seen.append(tuple(data.correct))
        self.starts.append(start)
        if 0 not in data.correct:
            raise FitFailure("problem 0 is missing")
        return np.array([data.correct.mean()])

    def predict(self, parameters, budgets):
        return np.full(len(budgets), 0.5)


def test_refits_are_warm_counted_and_the_same_resamples_for_every_law():
    evidence = evidence_of_counts(np.full(8, 10), np.arange(8))
    first, second = Recorder(), Recorder()
    fitted = [fit_with_refits(law, evidence, 50, np.random.default_rng(1)) for law in (first, second)]
    assert first.seen == second.seen
    assert first.starts[0] is None
    assert all(start == pytest.approx([3.5]) for start in first.starts[1:])
    failed = sum(0 not in problems for problems in first.seen)
    assert 0 < failed == np.isnan(fitted[0].refits).sum()
    assert f"{failed} of 50 refits failed, mostly: problem 0 is missing" in fitted[0].remarks
    expected = [np.mean(problems) for problems in first.seen[1:] if 0 in problems]
    assert fitted[0].succeeded[:, 0] == pytest.approx(expected)


def test_problems_of_a_cluster_are_resampled_together():
    clusters = ["a", "a", "b", "b", "b", "c"]
    evidence = evidence_of_counts(np.full(6, 10), np.arange(6), clusters=clusters)
    for chosen in evidence.resamples(50, np.random.default_rng(0)):
        drawn = [clusters[problem] for problem in chosen]
        assert drawn.count("a") % 2 == 0
        assert drawn.count("b") % 3 == 0


def test_bounds_need_half_of_the_refits():
    refits = np.full((10, 1), np.nan)
    refits[:4, 0] = 1.0
    assert np.isnan(bounds(refits, 0.9)).all()
    refits[:6, 0] = 1.0
    assert bounds(refits, 0.9)[0] == 1.0


# --- reports ----------------------------------------------------------------------------------------------


def test_a_report_says_all_there_is_to_say():
    everything, origins = counts()
    found = report("beta_binomial", everything, origins, SMALL)
    rows = {row["parameter"]: row for row in found.fits}
    refits = fit_with_refits(make("beta_binomial"), everything, 40, np.random.default_rng(0)).succeeded
    alpha = rows["alpha"]
    assert alpha["asymptotic_exponent"] == pytest.approx(alpha["estimate"])
    assert alpha["asymptotic_exponent"] < alpha["effective_slope"]
    assert (alpha["slope_from"], alpha["slope_to"]) == (1, 100)
    assert alpha["covariance"][1] == pytest.approx(rows["beta"]["covariance"][0])
    assert np.sqrt(alpha["covariance"][0]) == pytest.approx(refits[:, 0].std(), rel=0.6)
    assert alpha["scale"] == "counts"
    assert alpha["aicc"] == pytest.approx(-2 * alpha["log_likelihood"] + 4 + 12 / 57)
    assert (alpha["holdout_origins"], alpha["holdout_gap"]) == (2, 4)
    assert [forecast.fitted_to for forecast in found.forecasts] == [25, 50, 100]


def test_the_interval_of_a_bounded_parameter_stays_within_its_bounds():
    everything, _ = counts()
    found = report("zero_inflated_beta_binomial", everything, [], SMALL)
    rows = {row["parameter"]: row for row in found.fits}
    assert 0 <= rows["unsolvable"]["low"] <= rows["unsolvable"]["estimate"] <= rows["unsolvable"]["high"] <= 1
    assert rows["alpha"]["low"] >= 0


@pytest.mark.parametrize("design", ["until_success", "adaptive"])
def test_data_whose_number_depends_on_what_was_seen_go_to_laws_of_counts(design):
    sampled, correct = np.array([3, 9, 40, 2, 60]), np.array([1, 1, 1, 1, 0])
    evidence = evidence_of_counts(sampled, correct, design=design)
    refused = report("power_law", evidence, [], SMALL)
    assert refused.fits[0]["status"] == "failed"
    assert f"{design.replace('_', ' ')}; laws of counts (beta_binomial)" in refused.fits[0]["message"]
    found = report("beta_binomial", evidence, [], SMALL)
    assert found.ok
    assert found.fits[0]["holdout_error" if "holdout_error" in found.fits[0] else "scale"] == "counts"


def test_a_curve_alone_has_a_fit_and_a_hold_out_but_no_intervals():
    k = k_grid(1000).astype(float)
    curve = evidence_of_curve(k[::-1], np.exp(-3 * k**-0.4)[::-1])
    found = report("power_law", curve, origins_of_curve(curve, (4, 2)), SMALL)
    assert [row["estimate"] for row in found.fits] == pytest.approx([3, 0.4])
    assert {row["low"] for row in found.fits} == {None}
    assert "nothing to resample" in found.fits[0]["message"]
    assert found.fits[0]["holdout_error"] == pytest.approx(0, abs=1e-9)
    refused = report("beta_binomial", curve, [], SMALL)
    assert "takes counts" in refused.fits[0]["message"]


def test_runs_are_withheld_by_budget():
    rows = [("p", 4, 0, True), ("p", 8, 0, False), ("q", 4, 0, False), ("q", 8, 0, True), ("q", 8, 1, True)]
    frame = pl.DataFrame(rows, schema=["problem_id", "budget", "replicate", "correct"], orient="row")
    evidence = evidence_of_runs(frame, np.array([4, 8]), 2)
    assert evidence.coverage.tolist() == [[0.5, 0.0], [0.0, 1.0]]
    (origin,) = origins_of_curve(evidence, (2,))
    assert origin.budgets.tolist() == [4]
    assert evidence.withheld_from(origin).coverage.tolist() == [[0.0], [1.0]]


def test_thinned_counts_are_hypergeometric():
    rng = np.random.default_rng(0)
    sampled, correct = np.full(20_000, 10), np.full(20_000, 3)
    kept, drawn = thinned_counts(sampled, correct, 5, rng)
    assert set(kept) == {5}
    assert drawn.mean() == pytest.approx(1.5, abs=0.03)
    assert drawn.var() == pytest.approx(5 * 0.3 * 0.7 * 5 / 9, abs=0.03)


# --- one quantity, one interval ---------------------------------------------------------------------------


@pytest.mark.parametrize(("law", "parameter"), [("beta_binomial", "alpha"), ("power_law", "b")])
def test_an_exponent_that_is_a_parameter_has_its_interval(law, parameter):
    everything, _ = counts()
    row = next(row for row in report(law, everything, [], SMALL).fits if row["parameter"] == parameter)
    mine = [row[f"asymptotic_exponent{end}"] for end in ("", "_low", "_high")]
    assert mine == pytest.approx([row[end] for end in ("estimate", "low", "high")])


def test_an_estimate_where_refits_pile_up_is_the_end_of_its_interval_and_says_so():
    refits = np.column_stack([np.r_[np.full(20, 10.0), np.linspace(5, 9, 20)], np.full(40, 2.0)])
    low, high = symmetric_bounds(np.array([10.0, 2.0]), refits, 0.95)
    assert (low[0] < 10, high.tolist()) == (True, [10, 2])
    assert interval_text(10.0, low[0], high[0]).endswith(", ..]")
    assert interval_text(2.0, low[1], high[1]) == "2 (no interval)"
    assert interval_text(2.0, 1.5, 2.25) == "2 [1.5, 2.25]"
    assert interval_text(2.0, None, None) == "2"
