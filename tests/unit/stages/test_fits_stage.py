"""The stage of fits: intervals, hold-outs and failed rows."""

import numpy as np
import polars as pl
import pytest
from judged import LAWS, N, a_study, curve, curves_of, fit_of, write_ledger, write_outcomes
from scipy.special import betaln

from itscale.estimators import k_grid
from itscale.store.parquet import payload_hash


@pytest.mark.parametrize("law", LAWS)
def test_a_fit_has_intervals_hold_out_and_forecasts(tmp_path, pool, law):
    curves = curves_of(tmp_path, pool)
    fits, forecasts = (pl.read_parquet(path) for path in fit_of(tmp_path, pool, curves, law))
    assert set(fits["status"]) == {"ok"}
    assert len(fits) == 2
    assert fits.filter(~pl.col("estimate").is_between("low", "high")).is_empty()
    assert (fits["refits"] + fits["refits_failed"]).to_list() == [60, 60]
    held = forecasts.filter(pl.col("role") == "holdout")
    origins = held.group_by("fitted_to").agg(
        pl.col("budget").min(), (pl.col("estimate") - pl.col("observed")).abs().mean().alias("error")
    )
    assert sorted(origins["fitted_to"]) == [5, 10, 20][3 - fits["holdout_origins"][0] :]
    assert (origins["budget"] >= 2 * origins["fitted_to"]).all()
    assert fits["holdout_error"][0] == pytest.approx(origins["error"].mean())
    assert fits["holdout_gap"][0] == N / origins["fitted_to"].min()
    assert 0 < fits["holdout_error"][0] < 0.15
    beyond = forecasts.filter(pl.col("role") == "extrapolation")
    assert beyond["budget"].max() == pytest.approx(100 * N)
    assert beyond["observed"].null_count() == len(beyond)
    assert forecasts.filter(~(pl.col("low") <= pl.col("high"))).is_empty()
    inside = forecasts.filter(pl.col("role") == "fit", pl.col("fitted_to") == N)
    assert inside["budget"].to_list() == k_grid(N).tolist()
    oracle = curve(curves, "oracle")["estimate"].to_list()
    assert inside["observed"].to_list() == pytest.approx(oracle)


def test_the_hold_out_sees_only_the_first_completions(tmp_path, pool):
    """Correct completions after the first n/4 change the full fit and never what was foretold."""
    curves = curves_of(tmp_path, pool)
    rows = [(*row[:4], "right", True, row[6]) if row[3] >= 10 else row for row in pool[2]]
    luckier = (write_outcomes(tmp_path / "luckier.parquet", rows), pool[1], rows)
    study = a_study(fits={"refits": 20, "origins": [4]})
    before = pl.read_parquet(fit_of(tmp_path, pool, curves, "beta_binomial", study)[1])
    after = pl.read_parquet(fit_of(tmp_path, luckier, curves, "beta_binomial", study, name="2")[1])
    foretold = [frame.filter(pl.col("role") == "holdout")["estimate"].to_list() for frame in (before, after)]
    assert foretold[0] == foretold[1]
    whole = (pl.col("role") == "fit") & (pl.col("fitted_to") == N)
    full = [frame.filter(whole)["estimate"].to_list() for frame in (before, after)]
    assert full[0] != full[1]


def test_known_parameters_lie_in_their_intervals(tmp_path):
    rng = np.random.default_rng(7)
    correct = rng.binomial(N, rng.beta(0.5, 3, 200))
    rows = [
        (f"p{problem:03d}", 0, 0, index, "x", bool(index < c), 0.5)
        for problem, c in enumerate(correct)
        for index in range(N)
    ]
    pool = (
        write_outcomes(tmp_path / "o.parquet", rows),
        write_ledger(tmp_path / "l.parquet", rows, generated=1),
    )
    study = a_study(selectors=["oracle"], fits={"refits": 100, "origins": [2]})
    curves = curves_of(tmp_path, (*pool, rows), study)
    fits, forecasts = (pl.read_parquet(p) for p in fit_of(tmp_path, pool, curves, "beta_binomial", study))
    bounds = {row["parameter"]: (row["low"], row["high"]) for row in fits.iter_rows(named=True)}
    assert bounds["alpha"][0] < 0.5 < bounds["alpha"][1]
    assert bounds["beta"][0] < 3 < bounds["beta"][1]
    far = forecasts.filter(pl.col("role") == "extrapolation").tail(1).row(0, named=True)
    truth = -np.expm1(betaln(0.5, 3 + far["budget"]) - betaln(0.5, 3))
    assert far["low"] < truth < far["high"]


def test_no_success_at_all_is_a_failed_row_of_every_law(tmp_path, pool):
    rows = [(*row[:4], "a", False, row[6]) for row in pool[2]]
    hopeless = (write_outcomes(tmp_path / "hopeless.parquet", rows), pool[1], rows)
    curves = curves_of(tmp_path, hopeless)
    for law in LAWS:
        row = pl.read_parquet(fit_of(tmp_path, hopeless, curves, law)[0]).row(0, named=True)
        assert row["status"] == "failed"
        assert "no completion is correct" in row["message"]


@pytest.mark.parametrize("law", LAWS)
def test_the_same_inputs_give_the_same_payload(tmp_path, pool, law):
    curves = curves_of(tmp_path, pool)
    first = fit_of(tmp_path, pool, curves, law)
    again = fit_of(tmp_path, pool, curves, law, name="again")
    assert [payload_hash(path) for path in first] == [payload_hash(path) for path in again]
