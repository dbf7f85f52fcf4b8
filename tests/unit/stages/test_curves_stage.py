"""The stage of curves, of pools and of runs."""

import numpy as np
import polars as pl
import pytest
from judged import PROBLEMS, WHERE, N, a_study, curve, curves_of, fit_of, write_outcomes

from itscale.errors import DataError, PluginError
from itscale.estimators import best_of_n, coverage, k_grid, until_accepted
from itscale.outcomes import Accuracy
from itscale.stages.curves import estimate_curves
from itscale.store.parquet import payload_hash, read_table, write_table
from itscale.store.schemas import CURVES, FITS, FORECASTS, VERDICTS


def test_every_selector_has_every_k_from_all_completions(tmp_path, pool):
    path = curves_of(tmp_path, pool)
    frame = pl.read_parquet(pool[0])
    correct = frame.group_by("problem_id").agg(pl.col("correct").sum()).sort("problem_id")["correct"]
    for selector in ("oracle", "first", "majority_vote", "best", "weighted"):
        assert curve(path, selector)["budget"].to_list() == k_grid(N).tolist()
    expected = coverage(np.full(PROBLEMS, N), correct.to_numpy(), k_grid(N)).mean(axis=0)
    assert curve(path, "oracle")["estimate"].to_numpy() == pytest.approx(expected)
    assert curve(path, "first")["estimate"].to_numpy() == pytest.approx(correct.sum() / PROBLEMS / N)
    per_problem = [
        best_of_n(part["score_reward"].to_numpy(), part["correct"].to_numpy(), k_grid(N))
        for part in frame.partition_by("problem_id")
    ]
    assert curve(path, "best")["estimate"].to_numpy() == pytest.approx(np.mean(per_problem, axis=0))


def test_intervals_hold_the_estimate_and_selection_stays_below_coverage(tmp_path, pool):
    path = curves_of(tmp_path, pool)
    table = read_table(path, CURVES)
    assert table.filter(~pl.col("estimate").is_between("low", "high")).is_empty()
    assert set(table["problems"]) == {PROBLEMS}
    assert table["simulated"].all()
    ceiling = curve(path, "oracle")["estimate"].to_numpy()
    for selector in ("majority_vote", "best"):
        assert np.all(curve(path, selector)["estimate"].to_numpy() <= ceiling + 1e-9)


def test_tokens_are_k_times_the_ledgers_mean_and_the_prompt_is_read_once(tmp_path, pool):
    path = curves_of(tmp_path, pool)
    for selector in ("oracle", "majority_vote", "best", "weighted"):
        points = curve(path, selector)
        k = points["budget"].to_numpy()
        assert points["generated_tokens"].to_numpy() == pytest.approx(12.0 * k)
        assert points["prompt_tokens"].to_numpy() == pytest.approx(np.full(len(k), 7.0))
        assert points["scorer_tokens"].to_numpy() == pytest.approx(3.0 * k)


def test_a_selector_is_charged_the_completions_it_draws(tmp_path, pool):
    """One completion is one whatever k; the first pass stops there, and its scorer with it."""
    until = {"plugin": "first_pass", "scorer": "reward", "threshold": 0.5}
    study = a_study(selectors={"oracle": {}, "first": {}, "until": until})
    path = curves_of(tmp_path, pool, study)
    first, until = curve(path, "first"), curve(path, "until")
    assert first["generated_tokens"].to_list() == pytest.approx([12.0] * len(first))
    groups = pl.read_parquet(pool[0]).sort("problem_id").partition_by("problem_id")
    drawn = np.mean(
        [
            until_accepted(
                part["score_reward"].to_numpy() >= 0.5, part["correct"].to_numpy(), k_grid(N)
            ).attempts
            for part in groups
        ],
        axis=0,
    )
    assert drawn[-1] < N / 2
    assert until["generated_tokens"].to_numpy() == pytest.approx(12.0 * drawn)
    assert until["scorer_tokens"].to_numpy() == pytest.approx(3.0 * drawn)


def test_rows_in_any_order_give_the_same_payload(tmp_path, pool):
    hashes = set()
    for seed in range(4):
        rows = [pool[2][at] for at in np.random.default_rng(seed).permutation(len(pool[2]))]
        outcomes, output = write_outcomes(tmp_path / "shuffled.parquet", rows), tmp_path / "curves.parquet"
        estimate_curves(a_study(), *WHERE, "repeated", outcomes=outcomes, ledgers=[], output=output)
        hashes.add(payload_hash(output))
    assert len(hashes) == 1


def test_a_selector_does_not_change_when_another_is_added(tmp_path, pool):
    alone = a_study(selectors={"weighted": {"plugin": "weighted_vote", "scorer": "reward", "draws": 100}})
    one, all_of_them = curves_of(tmp_path, pool, alone, "one"), curves_of(tmp_path, pool)
    assert curve(one, "weighted").equals(curve(all_of_them, "weighted"))


def test_ragged_pools_have_the_k_that_all_problems_have(tmp_path, pool):
    rows = [row for row in pool[2] if row[0] != "p00" or row[3] < 10]
    ragged = (write_outcomes(tmp_path / "ragged.parquet", rows), pool[1], rows)
    assert curve(curves_of(tmp_path, ragged), "oracle")["budget"].max() == 10
    wanted = curves_of(tmp_path, ragged, a_study(curves={"budgets": [1, 40]}), "wanted")
    # Not the mean of those that are left at k = 40: they are other problems.
    assert curve(wanted, "oracle").select("budget", "problems").rows() == [(1, PROBLEMS)]
    assert not np.isnan(curve(wanted, "weighted")["estimate"].to_numpy()).any()


def test_a_selector_that_claims_more_than_coverage_is_refused(tmp_path, pool, monkeypatch):
    from itscale_builtin.selectors.first import First

    def boast(self, outcomes, budgets, rng):
        return Accuracy(mean=np.ones(len(budgets)), monte_carlo_error=np.zeros(len(budgets)))

    monkeypatch.setattr(First, "accuracy", boast)
    with pytest.raises(PluginError, match=r"selectors/first: problem 'p..': accuracy\(\): found 1 at k = 1"):
        curves_of(tmp_path, pool)
    assert not (tmp_path / "curves.parquet").exists()


@pytest.mark.parametrize(
    ("spoil", "reason"), [(lambda rows: [], "no outcomes"), (lambda rows: [*rows, rows[3]], "appears twice")]
)
def test_outcomes_that_are_none_are_refused(tmp_path, pool, spoil, reason):
    bad = (write_outcomes(tmp_path / "bad.parquet", spoil(pool[2])), pool[1], [])
    with pytest.raises(DataError, match=reason):
        curves_of(tmp_path, bad)


def test_a_run_is_judged_by_what_is_selected_from_all_of_it(tmp_path, runs):
    path = curves_of(tmp_path, runs, strategy="beam")
    frame = pl.read_parquet(runs[0])
    per_run = frame.group_by("problem_id", "budget", "replicate").agg(pl.col("correct").any())
    expected = per_run.group_by("budget").agg(pl.col("correct").mean()).sort("budget")["correct"]
    points = curve(path, "oracle")
    assert points["budget"].to_list() == [4, 8, 16]
    assert points["estimate"].to_numpy() == pytest.approx(expected.to_numpy())
    assert points["generated_tokens"].to_list() == [100.0] * 3
    assert points["scorer_tokens"].to_list() == [30.0] * 3


@pytest.mark.parametrize(("strategy", "before"), [("beam", 30.0), ("repeated", N * 3.0)])
def test_scores_of_a_strategy_are_charged_to_all_selectors_and_later_ones_to_those_that_read_them(
    tmp_path, request, strategy, before
):
    outcomes, ledger, rows = request.getfixturevalue("runs" if strategy == "beam" else "pool")
    asked = {"by": "sim", "prompt_tokens": 9, "cached_prompt_tokens": 0, "generated_tokens": 3}
    whole = {row[:3]: row[3] for row in rows}  # of a pool or run, the score of one completion asks a model
    said = [
        dict.fromkeys(VERDICTS)
        | dict(zip(VERDICTS, row[:4], strict=False))
        | {"status": "judged", "asked": [asked] if whole[row[:3]] == row[3] else []}
        for row in rows
    ]
    said += [one | {"status": "error"} for one in said]  # what failed is no cost of the scores there are
    write_table(pl.DataFrame(said, schema=dict(VERDICTS)), tmp_path / "after.parquet", {})
    paths = {"outcomes": outcomes, "ledgers": [ledger], "verdicts": {"reward": [tmp_path / "after.parquet"]}}
    each = tmp_path / "accuracies.parquet"
    output = tmp_path / "curves.parquet"
    estimate_curves(a_study(), *WHERE, strategy, **paths, output=output, accuracies=each)
    points, tokens = pl.read_parquet(output), pl.read_parquet(each)
    whole = points.filter(pl.col("budget") == points["budget"].max())
    cost = dict(whole.select("selector", "scorer_tokens").iter_rows())
    assert cost["oracle"] == pytest.approx(before)
    assert cost["best"] == pytest.approx(before + 12)
    assert set(points.filter(selector="best")["generated_tokens"] > 0) == {True}
    by_problem = dict(tokens.group_by("selector").agg(pl.col("tokens").max()).iter_rows())
    assert by_problem["best"] - by_problem["oracle"] == pytest.approx(12)


@pytest.mark.parametrize(("strategy", "counted"), [("repeated", 1), ("beam", 0)])
def test_what_a_pools_scorer_did_not_have_to_ask_again_counts_and_what_failed_does_not(
    tmp_path, request, strategy, counted
):
    """Of a pool: else its cost would depend on how it is cut. A run is a whole, and costs what was paid."""
    outcomes, ledger, rows = request.getfixturevalue("runs" if strategy == "beam" else "pool")
    table = pl.read_parquet(ledger)
    scores = pl.col("scorer").is_not_null()
    saved = pl.when(scores).then(5).otherwise(0).cast(pl.Int64)
    table = table.with_columns(saved_prompt_tokens=saved, saved_generated_tokens=saved)
    write_table(pl.concat([table, table.with_columns(failed=pl.lit(True))]), tmp_path / "saved.parquet", {})
    cost = {}
    for path in (ledger, tmp_path / "saved.parquet"):
        points = curve(curves_of(tmp_path, (outcomes, path, rows), strategy=strategy), "best")
        cost[path] = points.sort("budget")["scorer_tokens"][-1]
    assert cost[tmp_path / "saved.parquet"] - cost[ledger] == pytest.approx(10 * counted)


def test_a_run_that_left_no_completion_counts_as_wrong(tmp_path, runs):
    _, ledger, rows = runs
    kept = [row for row in rows if row[1:3] != (4, 1)]
    lost = (write_outcomes(tmp_path / "lost.parquet", kept), ledger, kept)
    whole = curve(curves_of(tmp_path, lost, strategy="beam"), "oracle")["estimate"][0]
    frame = pl.read_parquet(lost[0]).filter(pl.col("budget") == 4)
    assert whole == pytest.approx(
        frame.group_by("problem_id").agg(pl.col("correct").any())["correct"].mean() / 2
    )


@pytest.mark.parametrize(
    ("law", "reason"), [("power_law", "usable points"), ("beta_binomial", "run anew at each budget")]
)
def test_too_few_runs_for_a_law_are_a_failed_row(tmp_path, runs, law, reason):
    curves = curves_of(tmp_path, runs, strategy="beam")
    fits, forecasts = fit_of(tmp_path, runs, curves, law, strategy="beam")
    row = read_table(fits, FITS).row(0, named=True)
    assert (row["status"], row["parameter"], row["estimate"]) == ("failed", None, None)
    assert reason in row["message"]
    assert read_table(forecasts, FORECASTS).is_empty()
