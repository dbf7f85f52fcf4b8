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


NAMES = ("problem_id", "budget", "replicate", "index", "answer", "correct")


def curves_of(folder, rows, strategy, selectors):
    """Write outcomes that were sampled until a success, and estimate their curves."""
    path, curves = folder / "outcomes.parquet", folder / "curves.parquet"
    frame = pl.DataFrame(rows, schema=NAMES, orient="row").with_columns(
        status=pl.lit("judged"), prompt_tokens=1, generated_tokens=1
    )
    typed = frame.select(pl.col(name).cast(dtype) for name, dtype in OUTCOMES.items())
    write_table(typed, path, {"design": "until_success"})
    study = resolve(
        {
            "study": "tiny",
            "tasks": {
                "sums": {"plugin": "jsonl", "file": "x.jsonl", "prompt": "{question}", "reference": "answer"}
            },
            "models": {"sim": {"plugin": "simulated"}},
            "strategies": {"drawn": strategy},
            "verifiers": ["exact_match", "logprob"],
            "selectors": selectors,
        }
    )
    estimate_curves(study, "sums", "sim", "drawn", outcomes=path, ledgers=[], output=curves)
    return read_table(curves, dict(pl.read_parquet_schema(curves))).sort("selector", "budget")


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
    strategy = {"plugin": "repeated_sampling", "completions": cap}
    found = curves_of(tmp_path, rows, strategy, ["oracle"])
    k = found["budget"].to_numpy()
    assert k[-1] == cap
    assert set(found["problems"]) == {3000}
    truth = np.array([np.mean(1 - (1 - rates) ** budget) for budget in k])
    assert found["estimate"].to_numpy() == pytest.approx(truth, abs=0.02)


def test_runs_that_end_at_a_success_are_judged_one_by_one_and_whole(tmp_path):
    """Both runs of p succeed, which no pool that ends at a success could; q ends early without one."""
    rows = [
        ("p", 4, 0, 0, "7", False),
        ("p", 4, 0, 1, "5", True),
        ("p", 4, 1, 0, "5", True),
        *(("q", 4, 0, index, "8", False) for index in range(4)),
        *(("q", 4, 1, index, "8", False) for index in range(3)),
    ]
    strategy = {"plugin": "beam_search", "budgets": [4], "replicates": 2, "width": 2, "scorer": "logprob"}
    found = curves_of(tmp_path, rows, strategy, ["majority_vote", "oracle"])
    assert found.select("selector", "estimate").rows() == [("majority_vote", 0.375), ("oracle", 0.5)]
