"""The stage of the summary."""

import polars as pl
import pytest
from docutils.core import publish_parts
from judged import LAWS, PROBLEMS, WHERE, N, a_study, curve, curves_of, fit_of, pool_in

from itscale.stages.summary import read_summary, remarks, summarise, summary_rows, write_summary
from itscale.store.parquet import write_table
from itscale.store.restructured import side_by_side
from itscale.store.schemas import MISSING, SUMMARY


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    pool = pool_in(folder)
    curves = curves_of(folder, pool)
    return {"curves": [curves], "fits": [fit_of(folder, pool, curves, law)[0] for law in LAWS]}


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
