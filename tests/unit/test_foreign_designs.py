"""Commands that read files of others, and designs that the data contradict."""

import json

import polars as pl
import pytest
from foreign import bring
from typer.testing import CliRunner

from itscale.cli import app
from itscale.curves.pools import open_outcomes
from itscale.errors import DataError, StudyError, UserError
from itscale.estimators import until_success_coverage
from itscale.importing.source import Source
from itscale.messages.numbers import percent
from itscale.stages.imports import import_outcomes
from itscale.store.parquet import read_metadata, write_table
from itscale.store.schemas import OUTCOMES

# --- the command ------------------------------------------------------------------------------------------


def run(*arguments):
    result = CliRunner().invoke(app, list(map(str, arguments)))
    said = str(result.exception) if isinstance(result.exception, UserError) else result.output
    return result.exit_code, said


def test_a_source_is_never_written_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, content in (("a.csv", "problem,correct\na,1\n"), ("a.json", '[{"problem":"b","correct":0}]')):
        (tmp_path / name).write_text(content)
        assert run("import", tmp_path / name)[0] == 0
    made = {path.name for path in tmp_path.glob("*.parquet")}
    assert made == {"a.csv.outcomes.parquet", "a.json.outcomes.parquet"}
    parquet = tmp_path / "a.csv.outcomes.parquet"
    before = parquet.read_bytes()
    for output, words in ((parquet, "which is a source"), (tmp_path / "b.csv", "ends in .parquet")):
        code, said = run("import", parquet, "-o", output)
        assert code != 0
        assert words in said
    assert parquet.read_bytes() == before


def test_small_and_large_shares_are_told_from_0_and_100():
    assert [percent(share) for share in (0.0, 0.000199, 0.1234, 0.999996, 1.0)] == [
        "0.00 %",
        "0.0199 %",
        "12.34 %",
        "99.999600 %",
        "100.00 %",
    ]


def test_fit_writes_where_it_is_told_and_never_over_its_data(tmp_path):
    curve = tmp_path / "curve.csv"
    curve.write_text("k;coverage\n1;0.1\n2;0.19\n4;0.33\n8;0.5\n16;0.66\n")
    code, _ = run("fit", "power_law", curve, "--refits", "20", "-o", tmp_path / "fits.csv")
    assert code == 0
    assert (tmp_path / "fits.csv").is_file()
    code, said = run("fit", "power_law", curve, "--where", "k=1")
    assert code != 0
    assert "is a curve" in said
    counts = tmp_path / "counts.csv"
    rows = "".join(f"p{at},{split},20,{at % 7}\n" for at in range(30) for split in ("x", "y"))
    counts.write_text("problem,split,n,correct\n" + rows)
    command = ("fit", "beta_binomial", counts, "--refits", "20")
    assert "rows of 2 values of 'split'" in run(*command)[1]
    assert run(*command, "--where", "split=x")[0] == 0
    code, said = run("fit", "power_law", curve, "-o", curve)
    assert code != 0
    assert "which holds the data" in said


# --- designs ----------------------------------------------------------------------------------------------


STOPS = "problem,n,correct\n" + "".join(f"p{n},{n + 1},1\n" for n in range(9)) + "q,600,0\n"


def test_data_that_contradict_their_design_are_refused(tmp_path):
    _, table = bring(tmp_path, "a.csv", STOPS, design="until_success")
    assert table["count"].sum() == 645
    with pytest.raises(DataError, match=r"'p0' ended after 1 completions with 1 .* the design is adap"):
        bring(tmp_path, "a.csv", STOPS + "r,7,2\n", design="until_success")
    with pytest.raises(DataError, match="problem 'a': found attempts after success number 1, expected none"):
        bring(tmp_path, "a.csv", "problem,correct\na,1\na,0\n", design="until_success", successes=1)
    bring(tmp_path, "a.csv", "problem,n,correct\na,3,2\nb,9,2\nc,10,1\nd,10,0\n", design="until_success")
    assert open_outcomes(tmp_path / "outcomes.parquet").wanted == 2


CAPPED = "problem,n,correct\na,4,1\nb,4,1\nc,4,0\nd,4,1\n"
IN_ORDER = "".join(
    json.dumps({"problem": problem, "passes": passes}) + "\n"
    for problem, passes in zip("abcd", ("1000", "0100", "0000", "0010"), strict=True)
)


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("a.csv", CAPPED, None),
        ("a.csv", CAPPED.replace("c,4,0\n", ""), None),
        ("a.jsonl", IN_ORDER, "problem=problem,correct=passes[]"),
    ],
)
def test_where_the_cap_came_first_for_all_the_successes_wanted_are_to_be_said(
    tmp_path, name, content, columns
):
    with pytest.raises(
        DataError, match=r"4 completions of every problem, at most 1 .* `successes` beside it"
    ):
        bring(tmp_path, name, content, columns, design="until_success")
    found, _ = bring(tmp_path, name, content, columns, design="until_success", successes=2)
    assert found.successes == read_metadata(tmp_path / "outcomes.parquet")["successes"] == 2
    opened = open_outcomes(tmp_path / "outcomes.parquet")
    counts = opened.counts()
    each = until_success_coverage(counts.sampled, counts.correct, opened.wanted, [1])
    assert each.sum() == pytest.approx(3 / 4)  # once right of 4, three times; nothing stopped early
    assert each.mean() == pytest.approx(counts.correct.sum() / counts.sampled.sum())


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [("a,4,1\nb,4,0\nc,2,1\n", 1), ("a,4,4\nb,4,1\n", 4), ("a,1,1\nb,1,0\n", 1), ("a,4,0\nb,4,0\n", 1)],
)
def test_where_the_data_prove_them_the_successes_wanted_are_found(tmp_path, rows, wanted):
    found, _ = bring(tmp_path, "a.csv", f"problem,n,correct\n{rows}", design="until_success")
    assert found.successes == open_outcomes(tmp_path / "outcomes.parquet").wanted == wanted


def test_successes_that_contradict_data_or_design_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"successes: found 1, but problem 'a' has 2 .* expected at most 1"):
        bring(tmp_path, "a.csv", "problem,n,correct\na,4,2\nb,2,2\n", design="until_success", successes=1)
    with pytest.raises(DataError, match=r"'b' ended after 2 completions with 2 correct; expected 3 correct"):
        bring(tmp_path, "a.csv", "problem,n,correct\na,4,2\nb,2,2\n", design="until_success", successes=3)
    with pytest.raises(DataError, match="found attempts after success number 1"):
        bring(
            tmp_path,
            "a.jsonl",
            IN_ORDER,
            "problem=problem,correct=passes[]",
            design="until_success",
            successes=1,
        )
    with pytest.raises(StudyError, match="successes: found 2 with the design 'fixed', expected the design"):
        bring(tmp_path, "a.csv", CAPPED, successes=2)


def test_a_table_of_ours_keeps_the_successes_that_were_said(tmp_path):
    bring(tmp_path, "a.csv", CAPPED, design="until_success", successes=2)
    again = import_outcomes(Source.find([tmp_path / "outcomes.parquet"]), tmp_path / "again.parquet")
    assert again.successes == 2


def test_the_command_says_after_how_many_successes_problems_were_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.csv"
    path.write_text(CAPPED)
    command = ("import", path, "--design", "until_success")
    code, said = run(*command)
    assert code != 0
    assert "successes" in said
    code, said = run(*command, "--successes", "2")
    assert code == 0
    assert "design until_success (2 correct)" in said


def test_outcomes_of_which_nothing_was_sampled_say_why(tmp_path) -> None:
    path = tmp_path / "outcomes.parquet"
    said = "all 2 units failed: problem 'a': 400, the request is refused (and 1 more)"
    write_table(pl.DataFrame(schema=dict(OUTCOMES)), path, {"stage": "outcomes", "empty": said})
    with pytest.raises(DataError, match=r"no outcomes: all 2 units failed: .*; failures.csv of the reports"):
        open_outcomes(path)
