"""From outcomes to curves, fits, forecasts and the summary: what a reader of the tables relies on."""

import numpy as np
import polars as pl
import pytest
from docutils.core import publish_parts
from scipy.special import betaln

from itscale.errors import DataError, PluginError
from itscale.estimators import best_of_n, coverage, k_grid, until_accepted
from itscale.outcomes import Accuracy
from itscale.stages.curves import estimate_curves
from itscale.stages.fits import fit_law
from itscale.stages.summary import read_summary, remarks, summarise, summary_rows, write_summary
from itscale.store.parquet import payload_hash, read_table, write_table
from itscale.store.restructured import side_by_side
from itscale.store.schemas import CURVES, FITS, FORECASTS, LEDGER, MISSING, OUTCOMES, SUMMARY, VERDICTS
from itscale.study import resolve

PROBLEMS, N = 24, 40
LAWS = ("power_law", "exponentiated_power_law", "beta_binomial")
WHERE = ("sums", "sim")


def a_study(**changes):
    return resolve(
        {
            "study": "tiny",
            "tasks": {
                "sums": {"plugin": "jsonl", "file": "x.jsonl", "prompt": "{question}", "reference": "answer"}
            },
            "models": {"sim": {"plugin": "simulated"}},
            "strategies": {
                "repeated": {"plugin": "repeated_sampling", "completions": N},
                "beam": {
                    "plugin": "particle_filter",
                    "budgets": [4, 8, 16],
                    "replicates": 2,
                    "scorer": "reward",
                },
            },
            "verifiers": {"reward": {"plugin": "process_reward"}},
            "selectors": {
                "oracle": {},
                "first": {},
                "majority_vote": {},
                "best": {"plugin": "best_of_n", "scorer": "reward"},
                "weighted": {"plugin": "weighted_vote", "scorer": "reward", "draws": 100},
            },
            "laws": list(LAWS),
            "fits": {"refits": 60},
            **changes,
        }
    )


def outcome_rows(problems=PROBLEMS, n=N, budget=0, replicate=0, seed=0):
    rng = np.random.default_rng((seed, budget, replicate))
    rates = np.random.default_rng(seed).beta(0.5, 3, problems)
    rows = []
    for problem, rate in enumerate(rates):
        for index in range(n):
            right = bool(rng.random() < rate)
            answer = "right" if right else rng.choice(["a", "b", "c", None])
            rows.append((f"p{problem:02d}", budget, replicate, index, answer, right, rng.random()))
    return rows


def write_outcomes(path, rows, simulated=True):
    names = ("problem_id", "budget", "replicate", "index", "answer", "correct", "score_reward")
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        status=pl.lit("judged"), prompt_tokens=7, generated_tokens=pl.col("score_reward") * 100
    )
    types = {**OUTCOMES, "score_reward": pl.Float64}
    frame = frame.select(pl.col(name).cast(dtype) for name, dtype in types.items())
    write_table(frame, path, {"simulated": simulated})
    return path


def write_ledger(path, rows, *, generated, read=0):
    """One generate row and, where a scorer read something, one score row per problem and run."""
    calls = []
    for problem, budget, replicate in sorted({row[:3] for row in rows}):
        base = dict.fromkeys(LEDGER, 0) | {"problem_id": problem, "budget": budget, "replicate": replicate}
        calls.append(
            base
            | {
                "call": "generate",
                "by": "sim",
                "scorer": None,
                "generated_tokens": generated,
                "prompt_tokens": 7,
            }
        )
        calls.append(base | {"call": "score", "by": "sim", "scorer": "reward", "prompt_tokens": read})
    write_table(pl.DataFrame(calls, schema=dict(LEDGER)), path, {})
    return path


@pytest.fixture
def pool(tmp_path):
    rows = outcome_rows()
    return (
        write_outcomes(tmp_path / "outcomes.parquet", rows),
        write_ledger(tmp_path / "ledger.parquet", rows, generated=N * 12, read=N * 3),
        rows,
    )


def curves_of(tmp_path, pool, study=None, name="curves", strategy="repeated"):
    output = tmp_path / f"{name}.parquet"
    outcomes, ledger, _ = pool
    estimate_curves(study or a_study(), *WHERE, strategy, outcomes=outcomes, ledgers=[ledger], output=output)
    return output


def fit_of(tmp_path, pool, curves, law, study=None, strategy="repeated", name=""):
    fits, forecasts = tmp_path / f"{law}{name}.parquet", tmp_path / f"{law}{name}.forecasts.parquet"
    files = {"outcomes": pool[0], "curves": curves, "fits": fits, "forecasts": forecasts}
    files["refits"] = tmp_path / f"{law}{name}.refits.parquet"
    fit_law(study or a_study(), *WHERE, strategy, law, **files)
    return fits, forecasts


def curve(path, selector):
    return read_table(path, CURVES).filter(pl.col("selector") == selector).sort("budget")


# --- curves -----------------------------------------------------------------------------------------------


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
    for selector, scorer in (("oracle", 0.0), ("majority_vote", 0.0), ("best", 3.0), ("weighted", 3.0)):
        points = curve(path, selector)
        k = points["budget"].to_numpy()
        assert points["generated_tokens"].to_numpy() == pytest.approx(12.0 * k)
        assert points["prompt_tokens"].to_numpy() == pytest.approx(np.full(len(k), 7.0))
        assert points["scorer_tokens"].to_numpy() == pytest.approx(scorer * k)


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


# --- runs -------------------------------------------------------------------------------------------------


@pytest.fixture
def runs(tmp_path):
    rows = [
        row
        for budget in (4, 8, 16)
        for replicate in (0, 1)
        for row in outcome_rows(6, budget, budget, replicate)
    ]
    spent = write_ledger(tmp_path / "ledger.parquet", rows, generated=100, read=30)
    return write_outcomes(tmp_path / "outcomes.parquet", rows), spent, rows


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


@pytest.mark.parametrize(("strategy", "before"), [("beam", 30.0), ("repeated", 0.0)])
def test_scores_given_afterwards_are_charged_to_the_selectors_that_read_them(
    tmp_path, request, strategy, before
):
    outcomes, ledger, rows = request.getfixturevalue("runs" if strategy == "beam" else "pool")
    asked = {"by": "sim", "prompt_tokens": 9, "cached_prompt_tokens": 0, "generated_tokens": 3}
    whole = {row[:3]: row[3] for row in rows}  # of a pool or run, the score of one completion asks a model
    said = [
        dict.fromkeys(VERDICTS)
        | dict(zip(VERDICTS, row[:4], strict=False))
        | {"asked": [asked] if whole[row[:3]] == row[3] else []}
        for row in rows
    ]
    write_table(pl.DataFrame(said, schema=dict(VERDICTS)), tmp_path / "after.parquet", {})
    paths = {"outcomes": outcomes, "ledgers": [ledger], "verdicts": {"reward": [tmp_path / "after.parquet"]}}
    each = tmp_path / "accuracies.parquet"
    output = tmp_path / "curves.parquet"
    estimate_curves(a_study(), *WHERE, strategy, **paths, output=output, accuracies=each)
    points, tokens = pl.read_parquet(output), pl.read_parquet(each)
    whole = points.filter(pl.col("budget") == points["budget"].max())
    cost = dict(whole.select("selector", "scorer_tokens").iter_rows())
    read = before if strategy == "beam" else N * 3.0
    assert cost["oracle"] == before
    assert cost["best"] == pytest.approx(read + 12)
    assert set(points.filter(selector="best")["generated_tokens"] > 0) == {True}
    by_problem = dict(tokens.group_by("selector").agg(pl.col("tokens").max()).iter_rows())
    assert by_problem["best"] - by_problem["oracle"] == pytest.approx(read + 12 - before)


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


# --- fits -------------------------------------------------------------------------------------------------


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


# --- summary ----------------------------------------------------------------------------------------------


@pytest.fixture
def tables(tmp_path, pool):
    curves = curves_of(tmp_path, pool)
    return {"curves": [curves], "fits": [fit_of(tmp_path, pool, curves, law)[0] for law in LAWS]}


def test_the_summary_has_the_ends_of_the_curves_and_the_laws(tables):
    summary = summarise(a_study(), **tables)
    assert summary.schema == SUMMARY
    oracle = curve(tables["curves"][0], "oracle").filter(pl.col("budget").is_in([1, N]))
    mine = summary.filter(role="selector", label="oracle")
    for name in ("interval", "problems", "estimand"):
        assert mine[name].to_list() == oracle[name].to_list()
    for name in ("estimate", "low", "high"):  # but for what sums of floats leave
        assert mine[name].to_list() == pytest.approx(oracle[name].to_list(), rel=1e-11)
    assert mine["k"].to_list() == [1, N]
    (exponent,) = summary.filter(role="law", label="power_law", quantity="b").iter_rows(named=True)
    assert exponent["status"] == "ok"
    assert exponent["low"] < exponent["estimate"] < exponent["high"]
    assert len(summary.filter(label="power_law", quantity="holdout_error")) == 1
    (text,) = summary_rows(summary)
    assert (text["k"], text["problems"]) == (str(N), str(PROBLEMS))
    assert text["pass@1"].startswith(f"{100 * oracle['estimate'][0]:.1f} % [")
    assert text["coverage"].startswith(f"{100 * oracle['estimate'][1]:.1f} % [")
    assert text["model"].endswith(" (simulated)")
    assert text["power_law"].startswith("a = ")
    assert "b = " in text["power_law"]
    assert "holdout_error" not in text["power_law"]


def test_a_law_at_its_bound_is_marked_in_the_summary_and_its_remarks_are_told():
    """A fit whose status is ok: beta at 1e6, no hold-out at any k."""
    message = "beta is at its bound 1e+06; k spans 0.9 decades, fewer than 1.5"
    place = {"task": "t", "model": "m", "simulated": False, "status": "ok", "role": "law"}
    law = place | {"label": "beta_binomial", "message": message}
    found = [
        law | {"quantity": "alpha", "estimate": 7.02e5, "low": 5.65e5, "high": 8.39e5},
        law | {"quantity": "beta", "estimate": 1e6, "low": 1e6, "high": 1e6},
    ]
    own = {"role": "selector", "label": "oracle", "estimand": "coverage", "quantity": "accuracy", "k": 1}
    rows = [
        {**row, "strategy": strategy}
        for strategy in ("s", "u")
        for row in (place | own | {"message": "", "estimate": 0.5, "problems": 9}, *found)
    ]
    summary = pl.DataFrame([{name: row.get(name) for name in SUMMARY} for row in rows], schema=dict(SUMMARY))
    text = summary_rows(summary)[0]["beta_binomial"]
    assert text == "alpha = 7.02e+05 [5.65e+05, 8.39e+05], beta = 1e+06 (no interval) *"
    assert remarks(summary) == [f"beta_binomial (t · m · s; t · m · u): {message}"]
    assert remarks(summary.filter(strategy="s")) == [f"beta_binomial: {message}"]
    assert remarks(summary.with_columns(message=pl.lit(""))) == []


HOSTILE = {
    "oracle": {"plugin": "majority_vote"},
    "coverage": {"plugin": "first"},
    "budget": {"plugin": "oracle"},
    "problems": {"plugin": "majority_vote"},
    "k": {"plugin": "oracle"},
    "line": {"plugin": "all_correct"},
}


def test_a_label_decides_nothing(tmp_path, pool):
    plain = {row["selector"]: row for row in pl.read_parquet(curves_of(tmp_path, pool)).to_dicts()}
    study = a_study(
        selectors=HOSTILE, laws={"line": {"plugin": "power_law"}, "model": {"plugin": "log_linear"}}
    )
    curves = curves_of(tmp_path, pool, study, "hostile")
    ends = {row["selector"]: row for row in pl.read_parquet(curves).filter(budget=N).to_dicts()}
    estimands = {label: row["estimand"] for label, row in ends.items()}
    assert estimands == {
        "oracle": "selected",
        "coverage": "single",
        "budget": "coverage",
        "problems": "selected",
        "k": "coverage",
        "line": "reliability",
    }
    for label, was in (("oracle", "majority_vote"), ("coverage", "first"), ("budget", "oracle")):
        for name in ("estimate", "low", "high"):
            assert ends[label][name] == pytest.approx(plain[was][name])
    fits = [fit_of(tmp_path, pool, curves, law, study)[0] for law in study.laws]
    write_summary(
        study,
        curves=[curves],
        fits=fits,
        csv=tmp_path / "s.csv",
        tex=tmp_path / "s.tex",
        rst=tmp_path / "s.rst",
    )
    (text,) = summary_rows(read_summary(tmp_path / "s.csv"))
    assert text["problems"] == str(PROBLEMS)
    assert text["k"] == str(N)
    assert list(text) == [
        "task",
        "model",
        "strategy",
        "problems",
        "pass@1",
        "k",
        "oracle",
        "coverage (budget)",
        "problems (selector)",
        "coverage (k)",
        "line (selector)",
        "line (law)",
        "model (law)",
    ]


def test_the_summary_is_written_the_same_twice_and_says_what_is_simulated(tmp_path, tables):
    written = []
    for name in ("first", "second"):
        files = {kind: tmp_path / f"{name}.{kind}" for kind in ("csv", "tex", "rst")}
        write_summary(a_study(), **tables, **files)
        written.append([path.read_bytes() for path in files.values()])
    assert written[0] == written[1]
    latex = written[0][1].decode()
    assert r"\toprule" in latex
    assert "Simulated completions" in latex
    assert r"best\_" not in latex
    assert r"power\_law" in latex
    page = publish_parts(written[0][2].decode(), writer="html", settings_overrides={"halt_level": 2})
    assert "<table" in page["body"]
    assert "majority_vote" in page["body"]


def test_the_text_of_a_report_is_set_literally():
    rows = [{"task": "a_ `b` |c| *d* <script>", "model": ""}, {"task": "x"}]
    body = publish_parts(side_by_side(rows), writer="html", settings_overrides={"halt_level": 2})["body"]
    assert "a_ `b` |c| *d* &lt;script&gt;" in body


def test_the_summary_counts_what_is_missing(tmp_path, tables):
    counts = dict.fromkeys(MISSING, 0) | {"failed_units": 2, "missing_completions": 1234}
    where = {"task": WHERE[0], "model": WHERE[1]}
    rows = [{**where, "strategy": name} for name in ("lost", "repeated")]
    table = pl.DataFrame([{**counts, **row} for row in rows], schema=dict(MISSING))
    write_table(table, tmp_path / "missing.parquet", {})
    summary = summarise(a_study(), **tables, missing=[tmp_path / "missing.parquet"])
    found = summary.filter(role="missing", strategy="repeated")
    assert dict(found.select("quantity", "estimate").rows()) == {
        "failed_units": 2,
        "missing_completions": 1234,
    }
    lost, whole = summary_rows(summary)
    said = "failed units: 2, missing completions: 1,234"
    assert lost == {**where, "strategy": "lost", "missing": said}
    assert (whole["missing"], whole["problems"]) == (said, str(PROBLEMS))
    assert whole["model"].endswith(" (simulated)")


def test_the_summary_says_the_share_of_answers_that_were_not_found(tmp_path, tables):
    counts = dict.fromkeys(MISSING, 0) | {"unparsable": 14, "completions": 120}
    row = {**counts, "task": WHERE[0], "model": WHERE[1], "strategy": "repeated"}
    write_table(pl.DataFrame([row], schema=dict(MISSING)), tmp_path / "missing.parquet", {})
    summary = summarise(a_study(), **tables, missing=[tmp_path / "missing.parquet"])
    assert summary_rows(summary)[0]["missing"] == "unparsable: 14 of 120 completions (11.67 %)"


def test_a_failed_law_says_so_in_the_summary(tmp_path, runs):
    curves = curves_of(tmp_path, runs, strategy="beam")
    fits = [fit_of(tmp_path, runs, curves, law, strategy="beam")[0] for law in LAWS]
    (text,) = summary_rows(summarise(a_study(), [curves], fits))
    assert text["pass@1"] == "—"
    assert text["beta_binomial"].startswith("no fit: takes counts")
