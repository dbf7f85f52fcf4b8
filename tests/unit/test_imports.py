"""Imported outcomes: what is read, what is refused, and that nothing downstream can tell."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from itscale.cli import app
from itscale.curves import pools
from itscale.curves.pools import open_outcomes
from itscale.errors import DataError, StudyError
from itscale.importing.columns import parse_columns
from itscale.importing.judging import oracle_named
from itscale.importing.source import Source
from itscale.stages import imports, outcomes
from itscale.stages.curves import estimate_curves
from itscale.stages.fits import fit_law
from itscale.stages.imports import import_outcomes
from itscale.store.parquet import payload_hash, read_metadata, read_table
from itscale.store.schemas import CURVES, FITS, FORECASTS, OUTCOMES
from itscale.study import resolve

ROWS = [  # problem, attempt, correct, answer
    ("b", 7, 1, "4"),
    ("b", 3, 0, "5"),
    ("b", 5, 0, ""),
    ("a", 1, 1, "x"),
    ("a", 2, 1, " x "),
]
NAMES = ("problem", "attempt", "correct", "answer")


def bring(path, columns=None, design=None, output=None):
    mapping = parse_columns(columns) if isinstance(columns, str) else columns
    output = output or path.with_name("outcomes.parquet")
    return import_outcomes(Source.find([path], mapping, design), output), read_table(output, OUTCOMES)


def write(path, rows, names=NAMES):
    frame = pl.DataFrame(rows, schema=list(names), orient="row")
    writers = {".csv": frame.write_csv, ".jsonl": frame.write_ndjson, ".json": frame.write_json}
    writers.get(path.suffix, frame.write_parquet)(path)
    return path


@pytest.mark.parametrize("ending", ["csv", "jsonl", "json", "parquet"])
def test_attempts_come_out_the_same_from_every_kind_of_file(tmp_path, ending):
    done, table = bring(write(tmp_path / f"results.{ending}", ROWS))
    assert (done.problems, done.attempts, done.fewest, done.most) == (2, 5, 2, 3)
    assert done.single == pytest.approx((1 + 1 / 3) / 2)
    assert table["problem_id"].to_list() == ["a", "a", "b", "b", "b"]
    assert table["index"].to_list() == [0, 1, 0, 1, 2]
    assert table["correct"].to_list() == [True, True, False, False, True]  # of b: attempts 3, 5, 7
    assert table["answer"].to_list() == ["x", "x", "5", None, "4"]
    assert table["status"].to_list() == ["judged"] * 3 + ["unparsable", "judged"]


def test_answers_in_a_csv_stay_text(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("problem,correct,answer\n007,1,1.0\n007,0,01\n")
    _, table = bring(path)
    assert set(table["problem_id"]) == {"007"}
    assert table["answer"].to_list() == ["1.0", "01"]


@pytest.mark.parametrize("one", [1, True, 1.0, "1", "true", "True"])
def test_correctness_is_known_by_every_usual_name(tmp_path, one):
    zero = (
        {"true": "false", "True": "False", "1": "0"}.get(one, type(one)(0))
        if isinstance(one, str)
        else type(one)(0)
    )
    path = write(tmp_path / "results.jsonl", [("p", one), ("p", zero)], ("problem", "correct"))
    assert bring(path)[1]["correct"].to_list() == [True, False]


def test_lists_and_objects_are_reached(tmp_path):
    records = [
        {
            "id": 1,
            "runs": [{"ok": 1, "s": [0.1, 0.9]}, {"ok": 0, "s": [0.2, 0.3]}],
            "meta": {"tokens": [5, 6]},
        },
        {"id": 2, "runs": [{"ok": 0, "s": [0.5, 0.4]}], "meta": {"tokens": [7]}},
    ]
    path = tmp_path / "nested.json"
    path.write_text(json.dumps(records))
    columns = "problem=id,correct=runs[].ok,score.rm=runs[].s[-1],generated_tokens=meta.tokens[]"
    done, table = bring(path, columns)
    assert done.scorers == ("rm",)
    assert table["correct"].to_list() == [True, False, False]
    assert table["score_rm"].to_list() == [0.9, 0.3, 0.4]
    assert table["generated_tokens"].to_list() == [5, 6, 7]
    records[0]["meta"]["tokens"] = [5]
    path.write_text(json.dumps(records))
    with pytest.raises(DataError, match=r"record 1: found 2 of correct, .* expected lists of one length"):
        bring(path, columns)


@pytest.mark.parametrize(
    ("rows", "names", "columns", "message"),
    [
        ([*ROWS, ("a", 2, 0, "y")], NAMES, None, r"attempt 2 at problem 'a' appears twice"),
        (
            [("a", 1), ("b", 2)],
            ("problem", "correct"),
            None,
            r"row 2 \(problem 'b'\): correct: found 2, expected 0 or 1",
        ),
        (
            [("a", 1), ("b", None)],
            ("problem", "correct"),
            None,
            r"row 2 .*: correct: found None, expected 0 or 1",
        ),
        ([("a", 0.5)], ("problem", "correct"), None, r"correct: found 0.5, expected 0 or 1"),
        ([("a", "maybe")], ("problem", "correct"), None, r"found 'maybe', expected 0 or 1"),
        ([(None, 1)], ("problem", "correct"), None, r"row 1 .*: problem: found None"),
        (
            [("a", 1, -5)],
            ("problem", "correct", "generated_tokens"),
            None,
            r"generated_tokens: found -5, expected 0",
        ),
        ([("a", 1)], ("problem", "corect"), None, r"no column 'correct'; did you mean 'corect'\?"),
        (
            [("a", 1)],
            ("problem", "ok"),
            "problem=problem,correct=okk",
            r"no column 'okk'; did you mean 'ok'\?",
        ),
        ([("a", 9, 10)], ("problem", "n", "correct"), None, r"correct: found 10 of n = 9, expected 0 to n"),
        ([("a", 9, -1)], ("problem", "n", "correct"), None, r"correct: found -1 of n = 9, expected 0 to n"),
        ([("a", -9, 0)], ("problem", "n", "correct"), None, r"n: found -9, expected"),
        ([("a", 9, 1), ("a", 9, 2)], ("problem", "n", "correct"), None, r"row 2: problem 'a' appears twice"),
    ],
)
def test_what_cannot_be_is_refused_with_its_row(tmp_path, rows, names, columns, message):
    path = write(tmp_path / "results.parquet", rows, names)
    with pytest.raises((DataError, StudyError), match=message):
        bring(path, columns)
    assert not (tmp_path / "outcomes.parquet").exists()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("problm=a,correct=b", "no field 'problm'; did you mean 'problem'"),
        ("problem=a,correct", "found 'correct', expected FIELD=COLUMN"),
        ("problem=a,problem=b,correct=c", "'problem' stands twice"),
        ("problem=a,correct=b,n=c,answer=d", "'answer' beside 'n'"),
    ],
)
def test_a_mapping_that_is_none_is_refused(columns, message):
    with pytest.raises(StudyError, match=message):
        parse_columns(columns)


def test_files_that_are_not_there_or_not_what_they_say_are_named(tmp_path):
    write(tmp_path / "results.csv", ROWS)
    with pytest.raises(DataError, match=r"result.csv: no such file; did you mean .*results.csv"):
        bring(tmp_path / "result.csv")
    (tmp_path / "broken.parquet").write_text("no parquet")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        bring(tmp_path / "broken.parquet")
    with pytest.raises(DataError, match=r"found the ending '.log', expected one of \.csv"):
        bring(tmp_path / "results.log")


def test_a_table_of_ours_needs_no_mapping_and_keeps_its_design(tmp_path):
    _, first = bring(write(tmp_path / "results.csv", ROWS), design="until_success")
    again, second = bring(tmp_path / "outcomes.parquet", output=tmp_path / "again.parquet")
    assert second.equals(first)
    assert again.design == "until_success"
    assert read_metadata(tmp_path / "again.parquet")["design"] == "until_success"
    assert next(open_outcomes(tmp_path / "again.parquet").pools()).outcomes.design == "until_success"


# --- counts -----------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(counts=st.lists(st.tuples(st.integers(1, 40), st.floats(0, 1)), min_size=1, max_size=6))
def test_counts_and_attempts_give_the_same_curve(tmp_path_factory, counts):
    """What is known of a pool is how many there are and how many are right: the curve knows no more."""
    folder = tmp_path_factory.mktemp("counts")
    pairs = [(n, round(n * share)) for n, share in counts]
    rows = [(f"p{at}", n, c) for at, (n, c) in enumerate(pairs)]
    each = [(f"p{at}", index < c) for at, (n, c) in enumerate(pairs) for index in range(n)]
    sources = {
        "counts": write(folder / "counts.csv", rows, ("problem", "n", "correct")),
        "attempts": write(folder / "attempts.csv", each, ("problem", "correct")),
    }
    tables = {}
    for name, path in sources.items():
        _, table = bring(path, output=folder / f"{name}.parquet")
        tables[name] = curves_of(folder, name)
        assert name != "counts" or len(table) <= 2 * len(pairs)
    assert tables["counts"].equals(tables["attempts"])


def curves_of(folder, name, **changes):
    study = a_study(folder / f"{name}.parquet", **{"curves": {"resamples": 100}, **changes})
    where = {"outcomes": folder / f"{name}.parquet", "ledgers": [], "output": folder / "curves.parquet"}
    estimate_curves(study, "t", "x", "repeated_sampling", **where)
    return read_table(folder / "curves.parquet", CURVES)


def a_study(path, **changes):
    return resolve({"study": "s", "outcomes": {"x": {"path": str(path), "task": "t"}}, **changes})


def test_fewer_of_counts_are_drawn_without_replacement(tmp_path):
    rows = [(f"p{at:04}", 100, 30) for at in range(2000)]
    bring(write(tmp_path / "counts.csv", rows, ("problem", "n", "correct")))
    part = open_outcomes(tmp_path / "outcomes.parquet").counts(first=25)
    assert set(part.sampled) == {25}
    assert part.correct.mean() == pytest.approx(7.5, abs=0.15)  # hypergeometric: deviation 1.99
    assert part.correct.var() == pytest.approx(25 * 0.3 * 0.7 * 75 / 99, rel=0.15)
    assert np.array_equal(part.correct, open_outcomes(tmp_path / "outcomes.parquet").counts(first=25).correct)


def test_a_law_is_fitted_to_counts_and_tried_on_fewer(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(f"p{at}", 1000, int(rng.binomial(1000, rng.beta(0.5, 3)))) for at in range(60)]
    bring(write(tmp_path / "counts.csv", rows, ("problem", "n", "correct")), output=tmp_path / "c.parquet")
    changes = {"laws": ["beta_binomial"], "fits": {"refits": 20, "holdout_refits": 20}}
    curves_of(tmp_path, "c", **changes)
    made = {name: tmp_path / f"{name}.parquet" for name in ("curves", "fits", "forecasts", "refits")}
    study = a_study(tmp_path / "c.parquet", **changes)
    fit_law(study, "t", "x", "repeated_sampling", "beta_binomial", outcomes=tmp_path / "c.parquet", **made)
    fits = read_table(made["fits"], FITS)
    assert set(fits["status"]) == {"ok"}
    found = dict(zip(fits["parameter"], fits["estimate"], strict=True))
    assert found["alpha"] == pytest.approx(0.5, rel=0.5)
    roles = read_table(made["forecasts"], FORECASTS)["role"].unique()
    assert {"fit", "holdout", "extrapolation"} <= set(roles)


# --- in a study -------------------------------------------------------------------------------------------


def test_a_study_without_selectors_has_those_that_can_work(tmp_path):
    bring(write(tmp_path / "counts.csv", [("p", 9, 1)], ("problem", "n", "correct")))
    assert list(a_study(tmp_path / "outcomes.parquet").selectors) == ["oracle", "first"]
    bring(write(tmp_path / "results.csv", ROWS))
    assert list(a_study(tmp_path / "outcomes.parquet").selectors) == ["oracle", "first", "majority_vote"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"selectors": ["majority_vote"]},
            r"selectors.majority_vote: needs answers, the outcomes t/x/repeated_sa",
        ),
        (
            {"selectors": {"best_of_n": {"scorer": "rm"}}},
            r"selectors.best_of_n.scorer: no scores of 'rm' in the out",
        ),
        ({"outcomes": {"x": {"path": "counts.cvs", "task": "t"}}}, r"x.path: .*found the ending '.cvs'"),
        (
            {"outcomes": {"x": {"path": "counts.csv", "task": "t", "columns": {"problem": "p"}}}},
            r"'correct' is not mapped; did you mean 'correct'\? \(columns: correct=COLUMN, 0 or 1,",
        ),
        ({"outcomes": {"x": {"path": "counts.csv"}}}, "outcomes.x.task"),
        (
            {"outcomes": {name: {"path": "counts.csv", "task": "t", "model": "m"} for name in "xy"}},
            "appears twice",
        ),
        ({"models": ["simulated"]}, "tasks: missing"),
    ],
)
def test_what_cannot_be_selected_or_found_is_refused_before_anything_runs(
    tmp_path, monkeypatch, changes, message
):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "counts.csv", [("p", 9, 1)], ("problem", "n", "correct"))
    with pytest.raises(StudyError, match=message):
        a_study("counts.csv", **changes)


def test_tokens_nobody_counted_are_not_zero(tmp_path):
    bring(write(tmp_path / "results.csv", ROWS), output=tmp_path / "results.parquet")
    assert curves_of(tmp_path, "results")["generated_tokens"].null_count() == 2 * 3
    path = write(tmp_path / "t.csv", [("p", 1, 10), ("p", 0, 20)], ("problem", "correct", "generated_tokens"))
    bring(path, output=tmp_path / "t.parquet")
    assert curves_of(tmp_path, "t", selectors=["oracle"])["generated_tokens"].to_list() == [15.0, 30.0]


def test_a_sum_without_the_tokens_nobody_counted_is_no_sum(tmp_path):
    rows = [("p", 1, 10), ("p", 0, 20), ("q", 1, 40), ("q", 0, None)]
    bring(
        write(tmp_path / "t.csv", rows, ("problem", "correct", "generated_tokens")),
        output=tmp_path / "t.parquet",
    )
    assert curves_of(tmp_path, "t", selectors=["oracle"])["generated_tokens"].to_list() == [None, None]


def test_curves_end_where_the_first_problem_tells_nothing(tmp_path):
    rows = [("p", right) for right in (1, 0, 0)] + [("q", right) for right in (1, 0, 0, 0, 1)]
    bring(write(tmp_path / "u.csv", rows, ("problem", "correct")), output=tmp_path / "u.parquet")
    ragged = curves_of(tmp_path, "u", curves={"resamples": 100, "budgets": [1, 3, 5]})
    for selector in ("oracle", "first"):
        assert ragged.filter(selector=selector)["budget"].to_list() == [1, 3]
    with pytest.raises(DataError, match="found none up to 3, expected one"):
        curves_of(tmp_path, "u", curves={"resamples": 100, "budgets": [4, 5]})


def test_scores_that_a_selector_cannot_weigh_are_named(tmp_path):
    rows = [("p", 1, "a", -0.5), ("p", 0, "b", 2.0)]
    path = write(tmp_path / "scored.csv", rows, ("problem", "correct", "answer", "score_rm"))
    bring(path, output=tmp_path / "scored.parquet")
    best = curves_of(tmp_path, "scored", selectors={"best_of_n": {"scorer": "rm"}})
    assert best["estimate"].to_list() == [0.5, 0.0]
    with pytest.raises(DataError, match=r"selectors\.weighted_vote: problem 'p': weights: expected finite"):
        curves_of(tmp_path, "scored", selectors={"weighted_vote": {"scorer": "rm"}})


# --- batches ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 7, 10_000])
def test_batches_change_neither_outcomes_nor_curves(tmp_path, monkeypatch, rows):
    rng = np.random.default_rng(3)
    each = [
        (f"p{at % 11}", int(rng.random() < 0.3), rng.choice(["a", "b", ""])) for at in rng.permutation(200)
    ]
    path = write(tmp_path / "results.csv", each, ("problem", "correct", "answer"))
    bring(path, output=tmp_path / "whole.parquet")
    whole = curves_of(tmp_path, "whole")
    for module in (imports, pools, outcomes):
        monkeypatch.setattr(module, "BATCH_ROWS", rows)
    bring(path, output=tmp_path / "parts.parquet")
    assert payload_hash(tmp_path / "parts.parquet") == payload_hash(tmp_path / "whole.parquet")
    assert curves_of(tmp_path, "parts").equals(whole)


def test_a_score_is_called_as_it_is_mapped(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_text('{"p": 1, "c": [0, 1], "s": [0.5]}\n')
    columns = parse_columns("problem=p,correct=c[],score.rm=s[]")
    with pytest.raises(DataError, match=r"found 2 of correct, 1 of score\.rm"):
        import_outcomes(Source.find([path], columns), tmp_path / "out.parquet")


WIDE = "pid,pass_0,pass_1,pass_10,pass_2\na,1,0,1,0\nb,0,0,0,1\n"


def test_a_pattern_of_columns_is_an_attempt_each(tmp_path):
    (tmp_path / "w.csv").write_text(WIDE)
    (tmp_path / "w.jsonl").write_text('{"pid": "a", "pass_10": 1, "pass_2": 0, "pass_0": 1, "pass_1": 0}\n')
    pl.read_csv(tmp_path / "w.csv").write_parquet(tmp_path / "w.parquet")
    for kind, problems in (("csv", 2), ("parquet", 2), ("jsonl", 1)):
        found, table = bring(tmp_path / f"w.{kind}", "problem=pid,correct=pass_*")
        assert (found.problems, found.fewest, found.most) == (problems, 4, 4)
        assert table.filter(pl.col("problem_id") == "a")["correct"].to_list() == [True, False, False, True]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("problem=pid,correct=pass_[]", r"did you mean 'pass_\*', the 4 columns pass_0 to pass_10\?"),
        ("problem=pid,correct=pass_11", r"did you mean 'pass_\*', the 4 columns pass_0 to pass_10\?"),
        ("problem=pid,correct=ok_*", r"no column matches 'ok_\*'; known: pid, pass_0"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_one_of_several_columns_is_never_suggested(tmp_path, columns, said, kind):
    path = tmp_path / f"w.{kind}"
    row = {"pid": 1} | {f"pass_{n}": 1 for n in (0, 1, 2, 10)}
    path.write_text(WIDE if kind == "csv" else json.dumps(row))
    with pytest.raises(DataError, match=said):
        bring(path, columns)


def test_a_field_that_stands_twice_is_answered_by_the_pattern():
    with pytest.raises(StudyError, match=r"give the pattern: correct=pass_\*"):
        parse_columns("problem=pid,correct=pass_0,correct=pass_1")


@pytest.mark.parametrize("way", ["l", "l[]"])
@pytest.mark.parametrize("cell", ["[0, 0, 1]", "[False, False, True]", '["fail", "fail", "pass"]', "[0 0 1]"])
def test_a_list_in_a_cell_is_read_as_one(tmp_path, way, cell):
    path = tmp_path / "l.csv"
    pl.DataFrame({"pid": ["a", "b"], "l": [cell, cell]}).write_csv(path)
    found, table = bring(path, f"problem=pid,correct={way}")
    assert (found.problems, found.fewest) == (2, 3)
    assert table["correct"].to_list() == [False, False, True] * 2


CITIES = ["Sydney", "Perth", "Canberra"]
CHOICES = [{"q": "a", "t": text, "gold": "C", "c": CITIES} for text in ("It is Canberra.", "?")]


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv", "letters"])
def test_an_oracle_is_given_the_metadata_that_are_mapped(tmp_path, kind):
    path = tmp_path / f"c.{'csv' if kind == 'letters' else kind}"
    if kind == "jsonl":
        path.write_text("\n".join(map(json.dumps, CHOICES)))
    elif kind == "parquet":
        pl.DataFrame(CHOICES).write_parquet(path)
    else:
        flat = [row | dict(zip("ABC", CITIES, strict=True)) | {"c": str(row["c"])} for row in CHOICES]
        pl.DataFrame(flat).write_csv(path)
    choices = "metadata.choices=c"
    if kind == "letters":
        choices = ",".join(f"metadata.choices.{letter}={letter}" for letter in "ABC")
    columns = parse_columns(f"problem=q,answer=t,reference=gold,{choices}")
    judge = oracle_named("multiple_choice", "--oracle")
    found = import_outcomes(Source.find([path], columns, oracle=judge), tmp_path / "out.parquet")
    assert (found.single, found.statuses) == (0.5, {"unparsable": 1})


def test_metadata_that_differ_among_attempts_are_refused(tmp_path):
    path = tmp_path / "c.jsonl"
    rows = [CHOICES[0], CHOICES[1] | {"c": ["Rome", "Bonn"]}]
    path.write_text("\n".join(map(json.dumps, rows)))
    columns = parse_columns("problem=q,answer=t,reference=gold,metadata.choices=c")
    with pytest.raises(DataError, match=r"metadata\.choices: found 2 "):
        import_outcomes(
            Source.find([path], columns, oracle=oracle_named("mcq", "")), tmp_path / "out.parquet"
        )
    with pytest.raises(StudyError, match=r"found metadata\.choices and no oracle"):
        Source.find([path], parse_columns("problem=q,correct=t,metadata.choices=c"))


def test_the_command_writes_here_says_what_had_no_answer_and_spares_other_files(tmp_path, monkeypatch):
    there, here = tmp_path / "data", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    (there / "c.jsonl").write_text("\n".join(map(json.dumps, CHOICES)))
    command = ["import", str(there / "c.jsonl"), "--oracle", "multiple_choice", "--columns"]
    command += ["problem=q,answer=t,reference=gold,metadata.choices=c"]
    for _ in range(2):  # what an import made is made again
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
    assert "no answer found, counted as wrong: 1 of 2 attempts (50.00 %)" in done.output
    assert [path.name for path in there.iterdir()] == ["c.jsonl"]
    made = here / "c.jsonl.outcomes.parquet"
    made.write_bytes(b"mine")
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert "which no import has made" in done.output
    assert made.read_bytes() == b"mine"
