"""Data that were sampled adaptively are refused by what would be biased on them, naming what isn't."""

import numpy as np
import polars as pl
import pytest

from itscale.errors import DesignError, UserError
from itscale.estimators import (
    all_correct,
    coverage,
    posterior_coverage,
    until_accepted,
    until_success_coverage,
)
from itscale.outcomes import ProblemOutcomes
from itscale.plugins import StrategyEntry, registry
from itscale.stages.curves import estimate_curves
from itscale.store.parquet import read_table, write_table
from itscale.store.schemas import OUTCOMES
from itscale.study import resolve

SELECTORS = ["all_correct", "best_of_n", "first", "first_pass", "majority_vote", "oracle", "weighted_vote"]


def judge(selector, design):
    entry = registry().get("selectors", selector).entry
    options = entry.options(**({"scorer": "s"} if entry.takes_scores else {}))
    correct = np.array([False, False, True])
    outcomes = ProblemOutcomes(
        problem_id="p", answers=correct.astype(int), correct=correct, scores={"s": np.ones(3)}, design=design
    )
    return entry.factory(options).accuracy(outcomes, np.array([1, 2]), np.random.default_rng(0))


@pytest.mark.parametrize("selector", SELECTORS)
@pytest.mark.parametrize(
    ("design", "instead"), [("until_success", "until_success_coverage"), ("adaptive", "beta_binomial")]
)
def test_selectors_refuse_what_would_bias_them(selector, design, instead):
    if (selector, design) == ("oracle", "until_success"):
        assert judge(selector, design).mean.tolist() == [0, 0]
        return
    with pytest.raises(DesignError, match=instead) as refused:
        judge(selector, design)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("estimate", [coverage, all_correct])
def test_estimators_of_counts_refuse_too(estimate):
    with pytest.raises(UserError, match="until_success_coverage"):
        estimate([3], [1], [1], design="until_success")


def test_first_passes_are_refused_too():
    with pytest.raises(UserError, match="posterior_coverage"):
        until_accepted(np.ones(3, bool), np.ones(3, bool), np.array([1]), design="adaptive")


def test_coverage_of_adaptive_data_is_biased_and_the_posterior_is_not():
    """The problem with fewest successes next: pass@1 of what comes out is too low or too high."""
    rng = np.random.default_rng(0)
    rates = rng.beta(0.5, 1.5, 20_000)
    drawn = np.where(rng.random(len(rates)) < rates, 1, 12)  # solved at the first try: no more
    right = np.where(drawn == 1, 1, rng.binomial(11, rates))
    truth = 0.25
    assert abs(coverage(drawn, right, [1]).mean() - truth) > 0.05
    assert posterior_coverage(drawn, right, [1], (0.5, 1.5)).mean() == pytest.approx(truth, abs=0.01)


def test_a_strategy_says_at_the_source_that_it_stops():
    made = {"name": "x", "factory": list, "draws": "exchangeable", "summary": "x"}
    assert StrategyEntry(**made).design == "fixed"
    assert StrategyEntry(**made, design="until_success").design == "until_success"


def test_a_study_of_data_sampled_until_success_gets_its_coverage_at_every_k(tmp_path):
    """Small pools are those solved early: leaving them out of large k would be the worst of biases."""
    rng = np.random.default_rng(5)
    cap, rates = 20, rng.beta(0.5, 1.5, 3000)
    needed = rng.geometric(rates)
    rows = [
        (f"p{problem:04d}", 0, 0, index, "a", index + 1 == need)
        for problem, need in enumerate(needed)
        for index in range(min(need, cap))
    ]
    names = ("problem_id", "budget", "replicate", "index", "answer", "correct")
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        status=pl.lit("judged"), prompt_tokens=1, generated_tokens=1
    )
    path, curves = tmp_path / "outcomes.parquet", tmp_path / "curves.parquet"
    typed = frame.select(pl.col(name).cast(dtype) for name, dtype in OUTCOMES.items())
    write_table(typed, path, {"design": "until_success"})
    study = resolve(
        {
            "study": "tiny",
            "tasks": {
                "sums": {"plugin": "jsonl", "file": "x.jsonl", "prompt": "{question}", "reference": "answer"}
            },
            "models": {"sim": {"plugin": "simulated"}},
            "strategies": {"repeated": {"plugin": "repeated_sampling", "completions": cap}},
            "selectors": ["oracle"],
        }
    )
    estimate_curves(study, "sums", "sim", "repeated", outcomes=path, ledgers=[], output=curves)
    found = read_table(curves, dict(pl.read_parquet_schema(curves))).sort("budget")
    k = found["budget"].to_numpy()
    assert k[-1] == cap
    assert set(found["problems"]) == {3000}
    truth = np.array([np.mean(1 - (1 - rates) ** budget) for budget in k])
    assert found["estimate"].to_numpy() == pytest.approx(truth, abs=0.02)
    assert until_success_coverage([1], [1], 1, [cap])[0, 0] == 1
