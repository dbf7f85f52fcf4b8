"""Power: simulated plans agree with the closed forms there are, and refuse what cannot be."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import beta, norm
from typer.testing import CliRunner

from itscale.cli import app
from itscale.errors import DataError
from itscale.power import (
    BetaRates,
    Cell,
    PilotRates,
    StudySize,
    cheapest,
    detection_power,
    interval_widths,
    rate_correlation,
    shift_for,
)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("n", [4, 64])
def test_width_at_k_1_is_that_of_the_variance_between_and_within_problems(n):
    """Var of a problem's share of correct completions: Var(p) + E[p (1 - p)] / n."""
    truth = beta(0.5, 3)
    within = truth.mean() - truth.moment(2)
    variance = truth.var() + within / n
    [cell] = interval_widths(BetaRates(0.5, 3), [1], [1600], [n], rng(), studies=400)
    assert cell.value == pytest.approx(2 * norm.ppf(0.975) * np.sqrt(variance / 1600), rel=0.02)
    assert 0 < cell.error < 0.01 * cell.value


def test_more_problems_and_more_completions_never_widen_an_interval():
    cells = interval_widths(BetaRates(0.5, 3), [1, 8], [50, 200], [8, 64], rng(), studies=200)
    width = {(c.k, c.plan.problems, c.plan.completions): c.value for c in cells}
    for k in (1, 8):
        assert width[k, 200, 8] < width[k, 50, 8]
        assert width[k, 50, 64] < width[k, 50, 8]


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_power_at_k_1_is_the_normal_one_of_a_paired_test(correlation):
    """Var of a problem's gain: 2 (1 - rho) Var(p) + 2 E[p (1 - p)] / n, but for the small shift."""
    problems, n, gain = 800, 8, 0.02
    truth = beta(2, 3)
    within = truth.mean() - truth.moment(2)
    error = np.sqrt((2 * (1 - correlation) * truth.var() + 2 * within / n) / problems)
    expected = norm.sf(norm.ppf(0.975) - gain / error) + norm.cdf(norm.ppf(0.025) - gain / error)
    [cell] = detection_power(BetaRates(2, 3), gain, correlation, [1], [problems], [n], rng(1))
    assert cell.value == pytest.approx(expected, abs=0.05)
    assert cell.plan.cost == 2 * problems * n


def test_without_a_difference_power_is_the_level():
    [cell] = detection_power(BetaRates(0.5, 3), 0.0, 0.5, [4], [100], [16], rng(2))
    assert cell.value == pytest.approx(0.05, abs=0.02)


def test_a_shift_gives_the_difference_it_was_solved_for():
    rates = rng().beta(0.5, 3, 5000)
    shift = shift_for(rates, 0.1, 8)
    shifted = 1 / (1 + np.exp(-shift) * (1 - rates) / rates)
    gained = np.mean((1 - rates) ** 8) - np.mean((1 - shifted) ** 8)
    assert gained == pytest.approx(0.1, abs=1e-5)
    with pytest.raises(DataError, match=r"difference: found 0.9 at k = 8, expected between"):
        shift_for(rates, 0.9, 8)


def test_a_pilot_gives_the_rates_it_came_from():
    truth = beta(0.5, 3)
    n = np.full(3000, 20)
    pilot = PilotRates(n, rng().binomial(n, truth.rvs(3000, random_state=1)))
    assert pilot.prior() == pytest.approx((0.5, 3), rel=0.1)
    drawn = pilot.draw(50_000, rng(2))
    assert drawn.mean() == pytest.approx(truth.mean(), rel=0.05)
    assert drawn.var() == pytest.approx(truth.var(), rel=0.1)


def test_correlation_is_freed_of_the_noise_of_counting():
    rates = rng().beta(1, 1, 4000)
    other = np.where(rng(1).random(4000) < 0.6, rates, rng(2).beta(1, 1, 4000))
    n = np.full(4000, 5)
    arms = [(n, rng(seed).binomial(n, p)) for seed, p in ((3, rates), (4, other))]
    assert rate_correlation(*arms) == pytest.approx(0.6, abs=0.05)


def test_the_cheapest_plan_suffices_at_every_k():
    small, deep, wide = StudySize(100, 4), StudySize(100, 16), StudySize(400, 8)
    cells = [Cell(small, 1, 0.1, 0), Cell(deep, 1, 0.1, 0), Cell(wide, 1, 0.04, 0)]
    cells += [Cell(deep, 8, 0.09, 0), Cell(wide, 8, 0.05, 0)]
    assert cheapest(cells, most=0.1) == deep
    assert cheapest(cells, most=0.05) == wide
    assert cheapest(cells, most=0.01) is None


def command(*arguments):
    return CliRunner().invoke(app, ["power", *map(str, arguments)])


def test_the_command_names_the_cheapest_plan(tmp_path):
    counts = tmp_path / "pilot.csv"
    n = np.full(40, 10)
    correct = rng().binomial(n, rng(1).beta(1, 2, 40))
    pl.DataFrame({"problem": [f"p{i}" for i in range(40)], "n": n, "correct": correct}).write_csv(counts)
    found = command("--pilot", counts, "--k", 4, "--width", 0.2, "--problems", 20, "--problems", 300)
    assert found.exit_code == 0, found.output
    assert "cheapest for a width of 20 points: 300 problems x" in found.output
    impossible = command("--pilot", counts, "--width", 0.001, "--problems", 20)
    assert "no plan here gives a width of 0.1 points" in impossible.output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--beta", 1, 1], "expected either --width or --difference"),
        (["--width", 0.1], "expected either --beta ALPHA BETA or --pilot FILE"),
        (["--beta", 0, 1, "--width", 0.1], "--beta: found 0, expected both from 1e-06 to 1,000,000"),
        (["--beta", "inf", 1, "--width", 0.1], "--beta: found inf, expected both from 1e-06 to 1,000,000"),
        (["--beta", "nan", 1, "--width", 0.1], "--beta: found nan, expected both from"),
        (["--beta", 1, 1, "--difference", 0.1], "--correlation: missing"),
        (["--beta", 1, 1, "--k", 8, "--width", 0.1, "--completions", 4], "expected at least k = 8"),
    ],
)
def test_the_command_says_what_is_missing(arguments, reason):
    found = command(*arguments)
    assert found.exit_code == 1
    assert reason in found.output


@pytest.mark.parametrize("option", [("--k", 10**13), ("--problems", 10**12), ("--completions", 10**13)])
def test_sizes_beyond_memory_are_refused(option):
    found = command("--beta", 1, 1, "--width", 0.1, *option)
    assert found.exit_code == 2
    assert option[0] in found.output
