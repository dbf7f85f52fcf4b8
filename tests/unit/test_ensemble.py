"""What stands first: laws put together, places on the board, and forecasts that come back from tables."""

import numpy as np
import polars as pl
import pytest
from fitted import SMALL, counts, report
from hypothesis import given, settings
from hypothesis import strategies as st

from itscale.fitting import (
    Evidence,
    Forecast,
    combine,
    evidence_of_counts,
    forecast_rows,
    forecasts_of,
    leaderboard,
    refit_rows,
    solved_bound,
    unsolved_bound,
)
from itscale.fitting.ensemble import DRIFT, far_share, weigh, weighted_midmean

LAWS = ("power_law", "shifted_power_law", "beta_binomial")
STANDING = {"power_law": "far"}


def members(everything, origins):
    return {name: report(name, everything, origins, SMALL).forecasts for name in LAWS}


def test_an_ensemble_is_scored_on_nothing_its_weights_have_seen():
    """What is observed after an origin changes neither the ensemble's forecast nor its band there."""
    everything, origins = counts()
    luckier = evidence_of_counts(everything.sampled, np.minimum(everything.correct + 30, 100))
    before, weights = combine(members(everything, origins))
    after, changed = combine(members(luckier, origins))
    for old, new in zip(before[:2], after[:2], strict=True):
        assert np.array_equal(old.estimate, new.estimate)
        assert np.array_equal(old.refits, new.refits)
    assert weights != changed


def test_an_ensemble_is_the_same_in_whatever_order_laws_are_listed():
    found = members(*counts())
    (*_, one), weights = combine(found, STANDING)
    (*_, other), same = combine(dict(reversed(found.items())), STANDING)
    assert np.array_equal(one.estimate, other.estimate)
    assert np.array_equal(one.refits, other.refits)
    assert weights == same


def test_a_law_that_was_wrong_before_has_little_weight():
    everything, origins = counts(problems=300)
    found = members(everything, origins)
    found["wrong"] = report("saturating_exponential", everything, origins, SMALL).forecasts[:-1]
    found["wrong"].append(found["power_law"][-1])
    _, weights = combine(found)
    assert sum(weights.values()) == pytest.approx(1)
    assert weights["wrong"] < 0.1 < weights["beta_binomial"]


def test_equal_laws_have_equal_weights_and_their_own_forecast():
    everything, origins = counts()
    one = report("power_law", everything, origins, SMALL).forecasts
    both, weights = combine({"a": one, "b": one})
    assert weights == pytest.approx({"a": 0.5, "b": 0.5})
    assert both[-1].estimate == pytest.approx(one[-1].estimate)


@pytest.mark.parametrize(
    ("completions", "share"), [(1, 1), (100, 1), (10**2.5, 0.75), (1000, 0.5), (10_000, 0.5)]
)
def test_steady_laws_weigh_less_the_more_was_seen(completions, share):
    assert far_share(completions) == pytest.approx(share)


def test_other_laws_stand_in_where_a_study_has_none_of_a_kind():
    """docs/laws.md, Ensemble: up to 100 completions the power law has all the weight, from 1,000 half."""
    few, many = counts(n=100), counts(n=1000)
    kinds = {"power_law": "far", "shifted_power_law": "near"}
    assert combine(members(*few), kinds)[1] == pytest.approx({"power_law": 1, "shifted_power_law": 0})
    found = members(*many)
    assert combine(found, kinds)[1] == pytest.approx({"power_law": 0.5, "shifted_power_law": 0.5})
    weights = combine(found, STANDING)[1]
    assert weights["power_law"] == pytest.approx(0.5)
    assert weights["shifted_power_law"] + weights["beta_binomial"] == pytest.approx(0.5)
    alone = combine({"power_law": found["power_law"]}, STANDING)[1]
    assert alone == {"power_law": 1}


def test_the_band_is_that_of_these_problems():
    """Beyond the data it holds chance and drift, begins at what was observed and never falls below it."""
    ks, roles = np.array([10.0, 100, 1000]), ("fit", "extrapolation", "extrapolation")
    refits = np.tile([0.3, 0.65, 0.79], (400, 1))
    one = Forecast(10, ks, roles, np.array([0.4, np.nan, np.nan]), refits[0], refits)
    band = combine({"a": [one]}, {}, problems=100)[0][-1].refits
    assert band[:, 0] == pytest.approx(0.3)  # within the data refits are as they are
    expected = 0.4 + 0.6 * np.array([0.5, 0.7])
    assert band[:, 1:].mean(axis=0) == pytest.approx(expected, abs=2e-3)
    chance = 0.6 * np.array([0.5, 0.7]) * np.array([0.5, 0.3]) / 100
    drift = (DRIFT * np.array([1, 2])) ** 2
    assert band[:, 1:].std(axis=0) == pytest.approx(np.sqrt(chance + drift), rel=0.02)
    assert band[:, 1:].min() >= 0.4


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 10_000))
def test_the_bound_of_unsolved_problems_holds_for_any_rates(problems, n, seed):
    """Rates that leave all unsolved with a chance of 5 % have no more coverage than the bound, at any k."""
    rng = np.random.default_rng(seed)
    hazards = rng.dirichlet(np.full(problems, rng.choice([0.1, 1.0, 100.0]))) * -np.log(0.05) / n
    k = np.array([1.0, 3, n, 100 * n])
    coverage = -np.expm1(-np.outer(k, hazards)).mean(axis=1)
    bound = unsolved_bound(problems, n, k, 0.95)
    assert np.all(coverage <= bound + 1e-12)
    equal = np.full(problems, -np.log(0.05) / n / problems)
    assert -np.expm1(-np.outer(k, equal)).mean(axis=1) == pytest.approx(bound)
    assert unsolved_bound(16, 64, np.array([1.0]), 0.95)[0] == pytest.approx(3 / 1024, rel=0.01)


def test_a_law_with_wild_refits_has_little_weight():
    ks, roles = np.array([1.0, 10, 100, 1000]), ("fit", "fit", "extrapolation", "extrapolation")
    seen = np.array([0.1, 0.3, np.nan, np.nan])

    def forecast(spread):
        refits = 0.5 + spread * np.linspace(-1, 1, 21)[:, None] * np.ones(4)
        return Forecast(10, ks, roles, seen, np.array([0.1, 0.3, 0.5, 0.6]), refits)

    weights = weigh({"calm": forecast(0.05), "wild": forecast(0.3)}, {"calm": [], "wild": []})
    assert weights["calm"] > 0.95


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.integers(0, 10_000))
def test_the_weighted_midmean_rises_and_stays_between(laws, seed):
    rng = np.random.default_rng(seed)
    values, weights = np.sort(rng.random((laws, 30)), axis=1), rng.dirichlet(np.ones(laws))
    found = weighted_midmean(values, weights)
    assert np.all(np.diff(found) >= -1e-12)
    assert np.all((values.min(axis=0) <= found) & (found <= values.max(axis=0)))
    far = np.vstack([values, np.full(30, 5.0)])
    light = np.append(weights * (1 - 1e-9), 1e-9)
    assert weighted_midmean(far, light) == pytest.approx(found, abs=1e-6)


def test_places_go_by_the_error_that_is_expected_far_out():
    everything, origins = counts()
    found = members(everything, origins)
    ensemble, _ = combine(found, STANDING)
    found["log_linear"] = report("log_linear", everything, origins, SMALL).forecasts
    *placed, last = leaderboard(found, ensemble, 0.95, LAWS)
    assert last["law"] == "log_linear"
    assert last["holdout_error"] > 0
    assert not last.keys() & {"place", "forecast", "expected_error"}
    assert [row["place"] for row in placed] == [1, 2, 3, 4]
    assert placed[0]["law"] == "ensemble"
    errors = [row["expected_error"] for row in placed]
    assert errors == sorted(errors)
    band = ensemble[-1].refits[:, -1]
    for row in placed:
        distance = row["forecast"] - placed[0]["forecast"]
        noise = np.mean((band - placed[0]["forecast"]) ** 2)
        assert row["expected_error"] == pytest.approx(np.sqrt(distance**2 + noise))
    held = [forecast.only("holdout") for forecast in found["power_law"][:2]]
    expected = np.mean([np.mean(np.abs(one.estimate - one.observed)) for one in held])
    assert next(row for row in placed if row["law"] == "power_law")["holdout_error"] == pytest.approx(
        expected
    )


def test_a_law_that_could_not_be_fitted_earlier_gains_nothing_by_it():
    everything, origins = counts()
    found = members(everything, origins)
    found["late"] = found["power_law"][1:]
    weights = combine(found)[1]
    assert weights["late"] <= weights["power_law"] * (1 + 1e-9)


def test_forecasts_come_back_from_their_tables():
    everything, origins = counts()
    found = report("power_law", everything, origins, SMALL).forecasts
    forecasts = pl.DataFrame([row for one in found for row in forecast_rows(one, 0.95)])
    refits = pl.DataFrame([row for one in found for row in refit_rows(one)])
    for old, new in zip(found, forecasts_of(forecasts, refits), strict=True):
        assert (old.fitted_to, old.roles) == (new.fitted_to, new.roles)
        assert new.estimate == pytest.approx(old.estimate)
        beyond = np.array([role != "fit" for role in old.roles])
        assert new.refits[:, beyond] == pytest.approx(old.refits[:, beyond])
        within = ~beyond
        within[old.budgets == old.fitted_to] = False  # the last budget seen: bands begin there
        assert np.isnan(new.refits[:, within]).all()
        assert new.refits[:, old.budgets == old.fitted_to] == pytest.approx(
            old.refits[:, old.budgets == old.fitted_to]
        )


def test_evidence_needs_the_budgets_it_is_asked_for():
    assert report("power_law", None, [], SMALL).fits[0]["status"] == "failed"
    evidence = Evidence(np.array([1, 4]), np.zeros((2, 2)), np.array([4, 4]), np.array([0, 0]))
    assert "no completion is correct" in report("power_law", evidence, [], SMALL).fits[0]["message"]


# --- where everything is solved ---------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(0, 10_000))
def test_the_bound_of_solved_problems_holds_for_any_rates(problems, seed):
    """Rates that solve every problem with a chance of 5 % fail no more than the bound, at any k >= n."""
    rng = np.random.default_rng(seed)
    hazards = rng.dirichlet(np.full(problems, rng.choice([0.1, 1.0, 100.0]))) * -np.log(0.05)
    missed, ratios = -np.expm1(-hazards), np.array([1.0, 1.01, 2, 5, 100])
    (bound,) = solved_bound(problems, ratios, np.array([0.05]))
    assert np.all((missed[:, None] ** ratios).mean(axis=0) <= bound + 1e-12)
    assert np.all(np.diff(bound) <= 0)
    assert bound[0] == pytest.approx(1 - 0.05 ** (1 / problems))  # Clopper and Pearson, one-sided
    alone = 0.95**100 / problems  # the worst case far out: one problem alone is hard
    assert bound[-1] == pytest.approx(alone)


def saturated(problems=10, n=20):
    rng = np.random.default_rng(3)
    correct = rng.integers(3, n + 1, problems)
    whole = evidence_of_counts(np.full(problems, n), correct)
    return whole, [evidence_of_counts(np.full(problems, n // 2), np.maximum(correct // 2, 1))]


def test_bands_of_solved_problems_have_a_width_and_hold_the_estimate():
    """Ten problems, all solved: refits alone would promise 100 % [100, 100]."""
    everything, origins = saturated()
    found = members(everything, origins)
    ensemble, _ = combine(found, STANDING, problems=10)
    ahead = ensemble[-1].only("extrapolation")
    low, high = ahead.band(0.95)
    exact = 1 - solved_bound(10, ahead.budgets / 20, np.array([0.025]))[0]
    assert low == pytest.approx(np.minimum(exact, ahead.estimate), abs=0.06)  # of 40 refits
    assert np.all(low < 1)
    assert np.all(np.diff(low) >= 0)
    assert np.all(high <= 1)
    for forecast in (*ensemble, *(one for law in found.values() for one in law)):
        low, high = forecast.band(0.95)
        known = ~np.isnan(low)
        assert np.all((low <= forecast.estimate)[known])
        assert np.all((forecast.estimate <= high)[known])
        assert np.all((low >= 0)[known] & (high <= 1)[known])
        assert np.all(np.diff(forecast.estimate) >= -1e-12)
    power = found["power_law"][-1].only("extrapolation").band(0.95)[0]
    assert power == pytest.approx(np.full(len(power), 0.025 ** (1 / 10)), abs=0.06)
    rows = leaderboard(found, ensemble, 0.95, LAWS)
    assert all(row["expected_error"] > 0 for row in rows)
