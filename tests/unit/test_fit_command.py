"""`itscale fit` and the leaderboard, as a user meets them."""

import json

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from itscale.cli import app
from itscale.store.parquet import payload_hash, read_table
from itscale.store.schemas import FITS, FORECASTS, LEADERBOARD

FAST = ("--refits", "20")


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        return CliRunner().invoke(app, ["fit", *arguments])

    return call


@pytest.fixture
def counts(tmp_path):
    rng = np.random.default_rng(0)
    correct = rng.binomial(64, rng.beta(0.5, 3, 40))
    frame = pl.DataFrame({"id": [f"p{i}" for i in range(40)], "n": [64] * 40, "passed": correct})
    frame.write_csv(tmp_path / "counts.csv")
    return "counts.csv", "--columns", "problem=id,n=n,correct=passed"


@pytest.fixture
def curve(tmp_path):
    k = np.unique(np.geomspace(1, 1e4, 40).round()).astype(int)
    frame = pl.DataFrame({"k": k, "coverage": np.exp(-4.32 * k**-0.379)})
    frame.write_csv(tmp_path / "curve.csv")
    frame.rename({"k": "x", "coverage": "y"}).write_csv(tmp_path / "series.csv")
    return "curve.csv"


def test_counts_with_named_columns_give_intervals_and_files(run, counts, tmp_path):
    result = run("beta_binomial", *counts, *FAST, "--output", "fit.parquet")
    assert result.exit_code == 0, result.output
    fits = read_table(tmp_path / "fit.parquet", FITS)
    assert fits["parameter"].to_list() == ["alpha", "beta"]
    assert (fits["low"] <= fits["estimate"]).all()
    assert fits["holdout_origins"].to_list() == [3, 3]
    roles = read_table(tmp_path / "fit.forecasts.parquet", FORECASTS)["role"]
    assert set(roles) == {"fit", "holdout", "extrapolation"}
    first = payload_hash(tmp_path / "fit.parquet")
    run("beta_binomial", *counts, *FAST, "--output", "again.parquet")
    assert payload_hash(tmp_path / "again.parquet") == first


@pytest.mark.parametrize("file", ["curve.csv", "series.csv"])
def test_a_curve_and_a_series_give_the_parameters_they_were_made_of(run, curve, tmp_path, file):
    """core.md 1.2: Pythia-12B, a = 4.32, b = .379."""
    result = run("power_law", file, "--output", "fit.csv")
    assert result.exit_code == 0, result.output
    fits = pl.read_csv(tmp_path / "fit.csv")
    assert fits["estimate"].to_list() == pytest.approx([4.32, 0.379], rel=1e-6)
    assert "nothing to resample" in result.output


def test_several_laws_have_a_leaderboard_with_an_ensemble(run, counts, tmp_path, monkeypatch):
    from itscale.plugins import Registry

    wanted = ("beta_binomial", "log_linear", "power_law")
    everything = Registry.plugins
    few = lambda self, kind: (one for one in everything(self, kind) if one.entry.name in wanted)  # noqa: E731
    monkeypatch.setattr(Registry, "plugins", few)
    result = run("all", *counts, *FAST, "--output", "fit.parquet")
    assert result.exit_code == 0, result.output
    board = read_table(tmp_path / "fit.leaderboard.parquet", LEADERBOARD)
    assert set(board["law"]) == {*wanted, "ensemble"}
    assert board["law"][0] == "ensemble"
    assert board["place"].to_list() == [1, 2, 3, None]
    assert board["expected_error"][:3].is_sorted()
    straight = board.row(3, named=True)  # it says nothing of k → ∞
    assert straight["law"] == "log_linear"
    assert (straight["weight"], straight["forecast"]) == (None, None)
    assert straight["holdout_error"] > 0
    weights = dict(zip(board["law"], board["weight"], strict=True))
    assert weights["power_law"] == pytest.approx(1)  # of 64 completions: docs/laws.md, Ensemble
    forecasts = read_table(tmp_path / "fit.forecasts.parquet", FORECASTS)
    last = forecasts.filter(pl.col("law") == "ensemble").sort("fitted_to", "budget").row(-1, named=True)
    assert last["budget"] == pytest.approx(6400)
    assert last["low"] < last["estimate"] < last["high"]


def test_where_nothing_is_solved_there_is_an_upper_bound(run, tmp_path):
    rows = {"problem": [f"p{i}" for i in range(20)], "n": [50] * 20, "correct": [0] * 20}
    pl.DataFrame(rows).write_csv(tmp_path / "none.csv")
    result = run("all", "none.csv", *FAST, "--reach", "10", "--output", "fit.parquet")
    assert result.exit_code == 0, result.output
    most = 1 - 0.05 ** (500 / 1000)  # of 1,000 completions none is correct; k = 500
    assert f"at most {100 * most:.3g} " in result.output
    assert "at k = 500" in result.output
    (first,) = read_table(tmp_path / "fit.leaderboard.parquet", LEADERBOARD).filter(place=1).rows(named=True)
    assert (first["law"], first["forecast"], first["forecast_low"]) == ("ensemble", None, 0)
    assert first["forecast_high"] == pytest.approx(most)
    alone = run("beta_binomial", "none.csv", *FAST)
    assert "no completion is correct" in alone.output
    assert "coverage at k = 5000 is at most 100 % (95 %)" in " ".join(alone.output.split())


def test_where_everything_is_correct_there_is_a_lower_bound(run, tmp_path):
    rows = {"problem": [f"p{i}" for i in range(12)], "n": [64] * 12, "correct": [64] * 12}
    pl.DataFrame(rows).write_csv(tmp_path / "all.csv")
    result = run("all", "all.csv", *FAST, "--output", "fit.parquet")
    assert result.exit_code == 0, result.output
    least = 1 - 0.95**100 / 12  # one problem alone may be hard
    assert f"at least {100 * least:.4g}" in result.output
    (first,) = read_table(tmp_path / "fit.leaderboard.parquet", LEADERBOARD).rows(named=True)[:1]
    assert (first["law"], first["forecast"], first["forecast_high"]) == ("ensemble", None, 1)
    assert first["forecast_low"] == pytest.approx(least)


def test_the_terminal_says_an_interval_once_and_what_the_columns_are(run, counts, monkeypatch):
    from itscale.plugins import Registry

    everything = Registry.plugins
    wanted = ("log_linear", "power_law", "shifted_power_law")
    few = lambda self, kind: (one for one in everything(self, kind) if one.entry.name in wanted)  # noqa: E731
    monkeypatch.setattr(Registry, "plugins", few)
    words = " ".join(run("all", *counts, *FAST).output.split())
    assert "asymptotic exponent = b" in words
    assert "effective slope = b" in words
    assert "(no interval)" in words or "[.., " in words  # the floor E of a curve without one
    assert "#: place, by expected error." in words
    assert "No place: a law that by its form" in words


@pytest.mark.parametrize(
    ("law", "options"),
    [
        ("broken_power_law", {"n_breaks": 0}),
        ("shifted_power_law", {}),
        ("m4", {}),
        ("saturating_exponential", {}),
        ("log_linear", {}),
        ("logistic", {}),
    ],
)
def test_a_series_may_have_any_x_and_y(run, tmp_path, law, options):
    """docs/laws.md: with `response: value`, a loss against compute; nothing is clipped to [0, 1]."""
    x = np.geomspace(0.5, 60.5, 30)
    y = 2 + 3 * x**-0.5 if law != "logistic" else 5 / (1 + (x / 4) ** -1.5)
    pl.DataFrame({"x": x, "y": y}).write_csv(tmp_path / "loss.csv")
    options = json.dumps({**options, "response": "value"})
    result = run(law, "loss.csv", "--options", options, "--reach", "4", "--output", "fit.parquet")
    assert result.exit_code == 0, result.output
    assert "no fit" not in result.output
    rows = pl.read_parquet(tmp_path / "fit.forecasts.parquet")
    ahead = rows.filter(pl.col("fitted_to") == pl.col("fitted_to").max(), role="fit").sort("budget")
    assert ahead["budget"].to_list() == pytest.approx(x)
    assert ahead["fitted_to"][0] == pytest.approx(60.5)
    assert ahead["estimate"].max() > 1
    if law != "log_linear" and law != "saturating_exponential":
        assert ahead["estimate"].to_list() == pytest.approx(y, rel=1e-3)
    refused = run(law, "loss.csv")
    assert refused.exit_code == 1
    assert "expected a whole number of at least 1" in refused.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("power_lw", "curve.csv"), "no law 'power_lw'; did you mean 'power_law'?"),
        (("power_law", "curv.csv"), "curv.csv: no such file; did you mean 'curve.csv'?"),
        (("power_law", "curve.csv", "--columns", "k=k,coverage=cov"), "curve.csv: no column 'cov'"),
        (("power_law", "curve.csv", "--columns", "k"), "--columns: found 'k', expected FIELD=COLUMN"),
        (("power_law", "bad.csv"), "bad.csv: row 2: coverage: found 1.5, expected a share in [0, 1]"),
        (("power_law", "curve.csv", "--output", "fit.txt"), "a name that ends in .csv or .parquet"),
        (("power_law", "curve.csv", "--options", '{"x": 1}'), "--options: power_law: x"),
        (("power_law", "curve.csv", "--options", "["), "expected a JSON object"),
        (("power_law", "counts.csv", "--design", "fixd"), "--design: found 'fixd'; did you mean 'fixed'?"),
    ],
)
def test_a_mistake_is_one_line(run, curve, counts, tmp_path, arguments, message):
    pl.DataFrame({"k": [1, 2], "coverage": [0.5, 1.5]}).write_csv(tmp_path / "bad.csv")
    result = run(*arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1
