"""Paired differences: at equal k, at equal cost, tested, and put side by side for a study."""

from itertools import combinations, product

import numpy as np
import polars as pl
import pytest

from itscale.errors import DataError, StudyError
from itscale.estimators import coverage, resample
from itscale.estimators.paired import (
    Arm,
    at_equal_budgets,
    at_equal_cost,
    flips_for,
    holm,
    least_p,
    sign_flip,
)
from itscale.stages.differences import compare_curves, difference_note, difference_rows
from itscale.store.parquet import payload_hash, read_table, write_table
from itscale.store.schemas import ACCURACIES, DIFFERENCES
from itscale.study import resolve

K = np.array([1, 2, 4, 8])


def rng(seed=0):
    return np.random.default_rng(seed)


def arm(seed=0, problems=80, shift=0.0, price=20.0, budgets=K):
    """Return an arm whose problems are those of every other arm, and cost by their difficulty."""
    rates = rng(99).beta(0.5, 2, problems)
    rates = 1 / (1 + np.exp(-shift) * (1 - rates) / rates)
    made = rng(seed)
    n = np.full(problems, 16)
    cost = price * (1 + rng(98).random(problems)) * made.gamma(8, 1 / 8, problems)
    return Arm(budgets, coverage(n, made.binomial(16, rates), budgets), np.outer(cost, budgets))


# --- estimators -------------------------------------------------------------------------------------------


def test_at_equal_k_a_problem_gains_its_own_difference():
    first, second = arm(1), arm(2, budgets=np.array([2, 8, 16]))
    budgets, values = at_equal_budgets(first, second)
    assert budgets.tolist() == [2, 8]
    assert np.array_equal(values, first.accuracy[:, [1, 3]] - second.accuracy[:, [0, 1]])


def test_at_equal_cost_curves_are_interpolated_in_the_logarithm_of_the_mean_cost():
    first, second = arm(1), arm(2, price=35.0)
    costs, values = at_equal_cost(first, second, points=7)
    expected = [
        np.interp(np.log(costs), np.log(each.cost.mean(axis=0)), each.accuracy.mean(axis=0))
        for each in (first, second)
    ]
    assert values.mean(axis=0) == pytest.approx(expected[0] - expected[1])
    assert costs[0] == pytest.approx(second.cost[:, 0].mean())
    assert costs[-1] == pytest.approx(first.cost[:, -1].mean())


def test_the_same_curve_at_twice_the_price_is_the_same_curve_moved():
    first = arm(1)
    costs, values = at_equal_cost(first, Arm(K, first.accuracy, 2 * first.cost), points=3)
    gained = first.accuracy.mean(axis=0)[1:] - first.accuracy.mean(axis=0)[:-1]
    assert costs == pytest.approx(first.cost.mean(axis=0)[1] * np.array([1, 2, 4]) ** 1.0)
    assert values.mean(axis=0) == pytest.approx(gained)


def test_values_at_equal_cost_carry_the_uncertainty_of_the_price():
    """Resampling problems and interpolating anew has the spread that the values say."""
    first, second = arm(1), arm(2, shift=0.5, price=30.0)
    costs, values = at_equal_cost(first, second, points=5)
    error = resample(values, 100, rng()).error[2]
    again, made = [], rng(7)
    for _ in range(1500):
        rows = made.integers(80, size=80)
        curves = [
            np.interp(np.log(costs[2]), np.log(a.cost[rows].mean(axis=0)), a.accuracy[rows].mean(axis=0))
            for a in (first, second)
        ]
        again.append(curves[0] - curves[1])
    assert np.std(again) == pytest.approx(error, rel=0.1)


def test_arms_without_a_cost_in_common_have_no_points():
    first = arm(1)
    costs, values = at_equal_cost(first, Arm(K, first.accuracy, 100 * first.cost))
    assert len(costs) == 0
    assert values.shape == (80, 0)


def test_signs_of_few_problems_are_gone_through():
    gains = rng().normal(0.4, 1, size=(9, 2))
    flipped = np.array([gains.T @ np.array(signs) for signs in product([-1, 1], repeat=9)])
    expected = (np.abs(flipped) >= np.abs(gains.sum(axis=0)) - 1e-9).mean(axis=0)
    found = sign_flip(gains, 511, rng())
    assert found.p_value == pytest.approx(expected)
    assert np.all(found.error == 0)
    # of the curve: the largest of both statistics, each in units of its own length
    largest = np.abs(flipped / np.sqrt((gains**2).sum(axis=0))).max(axis=1)
    observed = np.abs(gains.sum(axis=0)) / np.sqrt((gains**2).sum(axis=0))
    assert found.p_curve == pytest.approx((largest[:, None] >= observed - 1e-9).mean(axis=0))
    assert np.all(found.p_curve >= found.p_value)


def test_the_test_keeps_its_level_and_its_error_is_that_of_its_patterns():
    gains = rng().normal(size=(300, 40, 2))
    found = [sign_flip(each, 200, rng(seed)) for seed, each in enumerate(gains)]
    assert np.mean([each.p_value[0] <= 0.05 for each in found]) == pytest.approx(0.05, abs=0.03)
    assert np.mean([each.p_curve.min() <= 0.05 for each in found]) == pytest.approx(0.05, abs=0.03)
    again = [sign_flip(gains[0], 200, rng(seed)) for seed in range(200)]
    spread = np.std([each.p_value[0] for each in again])
    assert spread == pytest.approx(again[0].error[0], rel=0.3)


def test_clusters_flip_as_one():
    gains = rng().normal(size=(8, 1))
    alone = sign_flip(gains, 300, rng())
    repeated = sign_flip(np.repeat(gains, 6, axis=0), 300, rng(), np.repeat(np.arange(8), 6))
    assert repeated.p_value == pytest.approx(alone.p_value)


def test_holm_steps_down():
    """Holm 1979: sorted p-values times 4, 3, 2, 1, never falling, at most 1."""
    assert holm([0.01, 0.04, 0.03, 0.5]).tolist() == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.9, 0.8]).tolist() == pytest.approx([1.0, 1.0])


def test_holm_is_the_closed_test_of_bonferroni():
    """A hypothesis is rejected where every set of hypotheses that holds it is (Marcus et al. 1976)."""
    for p in rng().choice([0.001, 0.01, 0.02, 0.03, 0.2, 0.7], size=(20, 5)):
        sets = [list(those) for size in range(1, 6) for those in combinations(range(5), size)]
        closed = [
            max(min(1.0, len(those) * p[those].min()) for those in sets if at in those) for at in range(5)
        ]
        assert holm(p) == pytest.approx(closed)


def test_what_a_problem_adds_at_equal_cost_is_how_the_difference_moves_with_its_weight():
    """The derivative of the interpolated difference in the weight of each problem, by small changes of it."""
    first, second = arm(1, problems=12), arm(2, shift=0.5, price=30.0, problems=12)
    costs, values = at_equal_cost(first, second, points=6)

    def difference(weights):
        curves = [
            np.interp(np.log(costs), np.log(weights @ each.cost), weights @ each.accuracy)
            for each in (first, second)
        ]
        return curves[0] - curves[1]

    even, small = np.full(12, 1 / 12), 1e-6
    inner = slice(1, -1)  # at the ends of the range a change of price leaves it
    for at in range(12):
        moved = [even + sign * small * (np.eye(12)[at] - even) for sign in (1, -1)]
        slope = (difference(moved[0]) - difference(moved[1])) / (2 * small)
        assert (values[at] - values.mean(axis=0))[inner] == pytest.approx(slope[inner], abs=1e-6)


@pytest.mark.parametrize("comparisons", [1, 18, 400])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_a_family_of_any_size_can_be_rejected(comparisons, confidence):
    """18 comparisons of 24 problems by 300 sign patterns had no adjusted p below .06."""
    flips = flips_for(comparisons, 1 - confidence)
    found = sign_flip(np.ones((24, 1)), flips, rng()) if comparisons < 400 else None
    assert least_p(24, flips) * comparisons <= (1 - confidence) / 10
    assert found is None or found.p_value[0] == found.least == least_p(24, flips)


def test_the_least_p_of_few_problems_is_that_of_two_patterns():
    found = sign_flip(np.ones((5, 1)), 9_999, rng())
    assert found.p_value[0] == found.least == 2 / 2**5


# --- the stage --------------------------------------------------------------------------------------------


def a_study(differences, **changes):
    return resolve(
        {
            "study": "gains",
            "tasks": {"t": {"plugin": "jsonl", "file": "x.jsonl", "prompt": "{q}", "reference": "a"}},
            "models": {"large": {"plugin": "simulated"}, "small": {"plugin": "simulated"}},
            "strategies": {"repeated_sampling": {"completions": 16}},
            "selectors": ["oracle", "majority_vote"],
            "differences": differences,
            "curves": {"resamples": 300},
            **changes,
        }
    )


def write_arm(folder, model, made, problems=None, price=float("nan")):
    names = [f"p{row:02d}" for row in range(len(made.accuracy))]
    rows = [
        {"selector": selector, "problem_id": name, "budget": k, "accuracy": worth * a, "tokens": cost}
        for selector, worth in (("oracle", 1.0), ("majority_vote", 0.5))
        for name, accuracy, costs in zip(names, made.accuracy, made.cost, strict=True)
        for k, a, cost in zip(made.budgets.tolist(), accuracy, costs, strict=True)
        if problems is None or name in problems
    ]
    path = folder / "t" / model / "repeated_sampling.parquet"
    frame = pl.DataFrame(rows).with_columns(monte_carlo_error=0.0, usd=pl.col("tokens") * price)
    frame = frame.select(pl.col(name).cast(dtype) for name, dtype in ACCURACIES.items())
    write_table(frame, path, {"simulated": True})
    return path


def compare(folder, study, paths, name="out"):
    files = {
        "output": folder / f"{name}.parquet",
        "csv": folder / f"{name}.csv",
        "tex": folder / f"{name}.tex",
    }
    compare_curves(study, accuracies=paths, **files)
    return read_table(files["output"], DIFFERENCES), files


@pytest.fixture
def paths(tmp_path):
    arms = {"large": arm(1, shift=1.0, price=45.0), "small": arm(2)}
    return [write_arm(tmp_path, model, made) for model, made in arms.items()]


LARGER = {"larger": {"of": {"model": "large"}, "minus": {"model": "small"}}}


def test_every_selector_is_compared_at_equal_k_and_at_equal_tokens(tmp_path, paths):
    table, files = compare(tmp_path, a_study(LARGER), paths)
    assert set(table["against"]) == {"completions", "tokens"}
    equal = table.filter(against="completions", selector="oracle")
    assert equal["budget"].to_list() == [1, 2, 4, 8]
    expected = arm(1, shift=1.0).accuracy.mean(axis=0) - arm(2).accuracy.mean(axis=0)
    assert equal["estimate"].to_numpy() == pytest.approx(expected)
    assert table.filter(~pl.col("estimate").is_between("low", "high")).is_empty()
    assert table.filter(
        (pl.col("band_low") > pl.col("low")) | (pl.col("band_high") < pl.col("high"))
    ).is_empty()
    # the larger model costs more: what it gains at equal tokens is less than at equal k
    tokens = table.filter(against="tokens", selector="oracle")
    assert tokens["estimate"].max() < equal["estimate"].max()
    assert set(table["comparisons"]) == {2}
    last = table.filter(pl.col("p_holm").is_not_null())
    assert len(last) == 4
    assert last.filter(pl.col("p_holm") < pl.col("p_value")).is_empty()
    assert pl.read_csv(files["csv"]).shape == (4, len(DIFFERENCES))
    assert "Simulated completions" in files["tex"].read_text()
    text = difference_rows(last, {"oracle": "coverage"})[0]
    assert text["of"].startswith("large")
    assert "[" in text["points"]
    assert f" ± {last['p_error'][0]:.1g}" in text["p"]
    note = difference_note(last, 0.95)
    assert "cannot be significant" not in note
    assert "± its Monte Carlo error" in note
    assert "may leave out 0 and the other not reject it" in note
    assert "Monte Carlo error" in files["tex"].read_text()


def test_where_there_are_prices_curves_are_compared_at_equal_usd_too(tmp_path):
    arms = {"large": arm(1, shift=1.0), "small": arm(2)}
    paths = [write_arm(tmp_path, model, made, price=1e-6) for model, made in arms.items()]
    table, files = compare(tmp_path, a_study(LARGER), paths)
    tokens, usd = (table.filter(against=against) for against in ("tokens", "usd"))
    assert usd["budget"].to_numpy() == pytest.approx(1e-6 * tokens["budget"].to_numpy())
    assert usd["estimate"].to_numpy() == pytest.approx(tokens["estimate"].to_numpy())
    assert "usd: " in files["tex"].read_text()


def test_no_difference_is_printed_as_a_negative_zero(tmp_path, paths):
    table, _ = compare(tmp_path, a_study(LARGER), paths)
    last = table.filter(pl.col("p_holm").is_not_null()).head(1)
    nothing = last.with_columns(pl.lit(-3e-5).alias(name) for name in ("estimate", "low", "high"))
    assert difference_rows(nothing, {"oracle": "coverage"})[0]["points"] == "+0.0 [+0.0, +0.0]"


def test_equal_inputs_give_equal_payloads_whatever_their_order(tmp_path, paths):
    _, first = compare(tmp_path, a_study(LARGER), paths, "first")
    _, again = compare(tmp_path, a_study(LARGER), paths[::-1], "again")
    assert payload_hash(first["output"]) == payload_hash(again["output"])


def test_the_other_way_round_is_the_negative(tmp_path, paths):
    smaller = {"larger": {"of": {"model": "small"}, "minus": {"model": "large"}}}
    there, _ = compare(tmp_path, a_study(LARGER), paths, "there")
    back, _ = compare(tmp_path, a_study(smaller), paths, "back")
    assert back["estimate"].to_numpy() == pytest.approx(-there["estimate"].to_numpy(), abs=1e-12)
    assert back["p_value"].to_list() == there["p_value"].to_list()


def test_selectors_of_one_pool_are_compared_and_a_model_with_itself_is_not(tmp_path, paths):
    votes = {"votes": {"of": {"selector": "oracle"}, "minus": {"selector": "majority_vote"}}}
    table, _ = compare(tmp_path, a_study(votes), paths)
    assert table.select("model", "minus_model").unique().height == 2
    assert (table["model"] == table["minus_model"]).all()
    assert table["estimate"].min() > 0


def test_only_problems_of_both_count(tmp_path, paths):
    some = [f"p{row:02d}" for row in range(30)]
    fewer = write_arm(tmp_path, "small", arm(2), some)
    table, _ = compare(tmp_path, a_study(LARGER), [paths[0], fewer])
    assert set(table["problems"]) == {30}
    none = write_arm(tmp_path, "small", arm(2), some[:1])
    with pytest.raises(DataError, match=r"differences.larger: t: found 1 problem that large"):
        compare(tmp_path, a_study(LARGER), [paths[0], none])


def test_few_resamples_do_not_keep_a_plain_difference_from_being_significant(tmp_path):
    ahead, behind = (Arm(K, np.full((24, 4), share), np.outer(np.ones(24), K)) for share in (0.9, 0.1))
    paths = [write_arm(tmp_path, name, each) for name, each in (("large", ahead), ("small", behind))]
    table, _ = compare(tmp_path, a_study(LARGER, curves={"resamples": 100}), paths)
    assert table["p_holm"].max() < 0.01


def test_too_few_problems_for_any_p_below_the_level_are_told(tmp_path):
    ahead, behind = (Arm(K, np.full((6, 4), share), np.outer(np.ones(6), K)) for share in (0.9, 0.1))
    paths = [write_arm(tmp_path, name, each) for name, each in (("large", ahead), ("small", behind))]
    table, files = compare(tmp_path, a_study(LARGER), paths)
    last = table.filter(pl.col("p_holm").is_not_null())
    assert set(last["p_least"]) == {1 / 32}
    said = "At equal tokens, 2 of 2 comparisons cannot be significant, whatever their difference: all sign"
    assert said in difference_note(last, 0.95)
    assert "no p below 0.031" in files["tex"].read_text().replace("\n", " ")


def test_a_misspelt_side_is_named_before_anything_runs():
    wrong = {"larger": {"of": {"model": "lagre"}, "minus": {"model": "small"}}}
    with pytest.raises(
        StudyError, match=r"differences.larger.of.model: no model 'lagre'; did you mean 'large'"
    ):
        a_study(wrong)
    half = {"x": {"of": {"model": "large"}, "minus": {"strategy": "repeated_sampling"}}}
    with pytest.raises(StudyError, match=r"minus.model: missing, expected a model on both sides"):
        a_study(half)
    same = {"x": {"of": {"model": "large"}, "minus": {"model": "large"}}}
    with pytest.raises(StudyError, match=r"expected another model, strategy or selector"):
        a_study(same)
