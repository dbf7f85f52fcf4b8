"""Rows of files of others that are chosen, judged and put in order."""

import json

import polars as pl
import pytest
from foreign import LM_EVAL, TWO, bring, verdicts
from typer.testing import CliRunner

from itscale.cli import app
from itscale.errors import DataError, StudyError, UserError
from itscale.importing.columns import parse_where
from itscale.importing.source import Source
from itscale.stages.imports import import_outcomes
from itscale.study import resolve


def test_rows_are_chosen_by_their_columns(tmp_path):
    columns = "problem=doc_id,correct=exact_match"
    strict = bring(tmp_path, "s.jsonl", LM_EVAL, columns, ["filter=strict-match"])[1]
    assert verdicts(strict) == {"0": "1", "1": "1"}
    both = bring(tmp_path, "s.jsonl", LM_EVAL, columns, ["filter=strict-match", "filter=flexible-extract"])[1]
    assert verdicts(both) == {"0": "10", "1": "10"}
    with pytest.raises(DataError, match=r"no row with filter = 'strictmatch'; did you mean 'strict-match'"):
        bring(tmp_path, "s.jsonl", LM_EVAL, columns, ["filter=strictmatch"])
    with pytest.raises(DataError, match=r"no column 'fliter'; did you mean 'filter'"):
        bring(tmp_path, "s.jsonl", LM_EVAL, columns, ["fliter=strict-match"])
    with pytest.raises(StudyError, match="expected COLUMN=VALUE"):
        parse_where(["filter"])


@pytest.mark.parametrize(("ending", "value"), [("csv", "true"), ("jsonl", True), ("parquet", True)])
def test_values_of_rows_are_compared_by_what_they_say(tmp_path, ending, value):
    other = "false" if ending == "csv" else False
    frame = pl.DataFrame(
        {
            "problem": ["a", "b", "a"],
            "correct": [1, 0, 0],
            "kept": [value, value, other],
            "k": [1.0, 1.0, 2.0],
        }
    )
    path = tmp_path / f"source.{ending}"
    {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[ending](path)
    for where in (["kept=True"], ["k=1"], ["kept=true", "k=1.0"]):
        assert verdicts(bring(tmp_path, path.name, path.read_bytes(), where=where)[1]) == TWO


def test_answers_are_judged_by_their_references(tmp_path):
    rows = [(1, "The answer is 0.5", "1/2"), (1, "\\boxed{\\frac12}", "1/2"), (1, "", "1/2"), (2, "8", "7")]
    content = "\n".join(json.dumps(dict(zip(("id", "said", "gold"), row, strict=True))) for row in rows)
    columns = "problem=id,answer=said,reference=gold"
    done, table = bring(tmp_path, "a.jsonl", content, columns, oracle="math")
    assert verdicts(table) == {"1": "110", "2": "0"}
    assert table["status"].to_list() == ["judged", "judged", "unparsable", "judged"]
    assert table["answer"][0] == table["answer"][1]
    assert done.answers
    csv = "id,said,gold\n1,Yes,yes\n1,no,{}\n"
    with pytest.raises(DataError, match=r"problem '1': reference: found 2 \(\['yes', 'no'\]\), expected one"):
        bring(tmp_path, "a.csv", csv.format("no"), columns, oracle="exact_match")
    with pytest.raises(StudyError, match="found a reference and no oracle"):
        bring(tmp_path, "a.csv", csv.format("yes"), columns)
    with pytest.raises(StudyError, match="no oracle 'mathh'; did you mean 'math'"):
        bring(tmp_path, "a.csv", csv.format("yes"), columns, oracle="mathh")
    with pytest.raises(UserError, match="reasoning_gym"):
        bring(tmp_path, "a.csv", csv.format("yes"), columns, oracle="reasoning_gym")


@pytest.mark.shared_data
def test_a_column_of_answers_is_judged_like_the_completions_they_are_from(tmp_path, shared_data):
    file = shared_data / "completions" / "math-cot-100" / "math_cot_100.jsonl"
    found = []
    for column in ("pred[]", "code[]"):
        output = tmp_path / "o.parquet"
        columns = f"problem=idx,answer={column},reference=gt"
        args = ["import", str(file), "--columns", columns, "--oracle", "math", "-o", str(output)]
        assert CliRunner().invoke(app, args).exit_code == 0
        found.append(pl.read_parquet(output)["correct"].to_list())
    assert found[0] == found[1]
    assert sum(found[0]) == 737  # 728 recorded as right, and 9 that are right after all


@pytest.mark.shared_data
@pytest.mark.parametrize("oracle", ["math", "exact_match"])
def test_references_that_are_solutions_are_read_for_their_answer(tmp_path, shared_data, oracle):
    rows = (shared_data / "tasks" / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    solutions = [json.loads(row)["answer"] for row in rows]
    content = "\n".join(
        json.dumps({"id": place, "gold": solution, "said": solution.rpartition("#### ")[2]})
        for place, solution in enumerate(solutions)
    )
    columns = "problem=id,answer=said,reference=gold"
    assert bring(tmp_path, "a.jsonl", content, columns, oracle=oracle)[0].single == 1.0
    math500 = (shared_data / "tasks" / "math500" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    asked = [json.loads(row) for row in math500]
    for field in ("answer", "solution"):
        content = "\n".join(
            json.dumps({"id": place, "gold": row[field], "said": row["answer"]})
            for place, row in enumerate(asked)
        )
        single = bring(tmp_path, "b.jsonl", content, columns, oracle=oracle)[0].single
        assert single == 1.0 if field == "answer" else single > 0.98, (field, single)


@pytest.mark.parametrize(
    ("oracle", "expected"),
    [
        (["--oracle", "math"], [1, 0]),
        (["--oracle", "math", "--oracle-options", '{"find": ["whole"]}'], [1, 1]),
        (["--oracle", "math", "--oracle-options", '{"find": ["last_number"]}'], [0, 0]),
        (["--oracle", "math", "--oracle-options", '{"fnd": 1}'], "--oracle-options: math: fnd: "),
        (
            ["--oracle", "math", "--oracle-options", "["],
            "--oracle-options: found '[', expected a JSON object",
        ),
        (["--oracle", "math", "--oracle-options", "[]"], "found [], expected a JSON object"),
        (["--oracle-options", "{}"], "--oracle-options: found '{}' and no --oracle, expected both"),
    ],
)
def test_an_oracle_has_options_on_the_command_line(tmp_path, oracle, expected):
    path = tmp_path / "a.jsonl"
    rows = [
        {"id": 1, "said": r"\frac{1}{9}", "gold": "1/9"},
        {"id": 2, "said": "it is odd", "gold": "it is odd"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    output = tmp_path / "o.parquet"
    args = ["import", str(path), "--columns", "problem=id,answer=said,reference=gold", "-o", str(output)]
    done = CliRunner().invoke(app, args + oracle)
    if isinstance(expected, str):
        assert expected in " ".join(f"{done.output} {done.exception}".split())
    else:
        assert pl.read_parquet(output)["correct"].to_list() == expected


def test_a_study_chooses_rows_and_judges_answers_too(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [{"id": n, "said": "4", "gold": str(n), "split": split} for n in (4, 5) for split in ("x", "y")]
    path.write_text("\n".join(map(json.dumps, rows)))
    columns = {"problem": "id", "answer": "said", "reference": "gold"}
    section = {"path": str(path), "task": "t", "columns": columns, "oracle": "exact_match"}
    study = resolve({"study": "s", "outcomes": {"m": section | {"where": {"split": "x"}}}})
    source = study.outcomes["t", "m", "repeated_sampling"]
    import_outcomes(source, tmp_path / "o.parquet")
    assert verdicts(pl.read_parquet(tmp_path / "o.parquet")) == {"4": "1", "5": "0"}
    assert source.fingerprint()["where"] == {"split": ["x"]}
    assert source.fingerprint()["oracle"]["name"].endswith("exact_match")


def test_the_oracle_of_outcomes_may_have_options_in_a_study(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"id": 1, "said": "it is odd", "gold": "it is odd"}))
    columns = {"problem": "id", "answer": "said", "reference": "gold"}
    section = {"path": str(path), "task": "t", "columns": columns, "oracle": "strict"}
    for find, right in (["whole"], "1"), (["last_number"], "0"):
        verifiers = {"strict": {"plugin": "math", "find": find}}
        study = resolve({"study": "s", "outcomes": {"m": section}, "verifiers": verifiers})
        import_outcomes(study.outcomes["t", "m", "repeated_sampling"], tmp_path / "o.parquet")
        assert verdicts(pl.read_parquet(tmp_path / "o.parquet")) == {"1": right}


@pytest.mark.parametrize("names", [("10", "9", "2"), ("run10", "run9", "run2"), ("1e1", "9.0", "2")])
def test_attempts_are_in_the_order_of_their_numbers(tmp_path, names):
    rows = "".join(f"a,{name},{int(name == names[0])},{name}\n" for name in names)
    table = bring(tmp_path, "x.csv", "problem,attempt,correct,answer\n" + rows)[1]
    assert table["answer"].to_list() == list(reversed(names))


def test_the_same_file_twice_is_refused_by_whatever_name(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("problem,correct\na,1\n")
    (tmp_path / "link.csv").symlink_to(path)
    for second in (path, tmp_path / "sub" / ".." / "a.csv", tmp_path / "link.csv"):
        (tmp_path / "sub").mkdir(exist_ok=True)
        with pytest.raises(DataError, match=r"the same file as .*a\.csv"):
            Source.find([path, second])


def test_files_of_several_kinds_are_one(tmp_path):
    (tmp_path / "b.json").write_text('[{"problem": 2, "correct": false}]')
    pl.DataFrame({"problem": [1, 3], "correct": [True, False]}).write_parquet(tmp_path / "c.parquet")
    beside = [tmp_path / "b.json", tmp_path / "c.parquet"]
    table = bring(tmp_path, "a.csv", "problem,correct\n1,0\n", beside=beside)[1]
    assert verdicts(table) == {"1": "01", "2": "0", "3": "0"}
    with pytest.raises(DataError, match=r"b\.json: no column 'answer'"):
        bring(tmp_path, "a.csv", "problem,correct,answer\n1,0,x\n", beside=beside)
