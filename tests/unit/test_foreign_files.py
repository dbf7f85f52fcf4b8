"""Files as people have them: each gives the right counts, or one line that says what to do."""

import gzip
import json
from decimal import Decimal

import polars as pl
import pytest
from typer.testing import CliRunner

from itscale.cli import app
from itscale.curves.pools import open_outcomes
from itscale.errors import DataError, StudyError, UserError
from itscale.estimators import until_success_coverage
from itscale.importing.columns import parse_columns, parse_where
from itscale.importing.judging import oracle_named
from itscale.importing.source import Source
from itscale.messages.numbers import percent
from itscale.stages.imports import import_outcomes
from itscale.store.parquet import read_metadata, write_table
from itscale.store.schemas import OUTCOMES
from itscale.study import resolve


def bring(folder, name, content, columns=None, where=(), oracle=None, design=None, beside=(), successes=None):
    """Write a file and import it; return what was imported and its table."""
    path = folder / name
    if isinstance(content, pl.DataFrame):
        content.write_parquet(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    source = Source.find(
        [path, *beside],
        parse_columns(columns) if columns else None,
        design,
        parse_where(where),
        oracle_named(oracle, "--oracle") if oracle else None,
        successes,
    )
    output = folder / "outcomes.parquet"
    return import_outcomes(source, output), pl.read_parquet(output)


def verdicts(table):
    """Return the correctness of each problem's attempts, as a text of 0 and 1, counts written out."""
    found = {}
    for row in table.iter_rows(named=True):
        digits = str(int(row["correct"])) * row.get("count", 1)
        found[row["problem_id"]] = found.get(row["problem_id"], "") + digits
    return found


TWO = {"a": "1", "b": "0"}
LM_EVAL = "\n".join(
    json.dumps({"doc_id": doc, "filter": name, "exact_match": float(name == "strict-match"), "doc": {"q": 1}})
    for doc in (0, 1)
    for name in ("strict-match", "flexible-extract")
)
INSPECT = json.dumps(
    {
        "version": 2,
        "status": "success",
        "eval": {"task": "t", "model": "m"},
        "plan": {"steps": []},
        "results": {"total_samples": 1},
        "samples": [
            {"id": "s", "epoch": 10, "scores": {"match": {"value": "C", "answer": "4"}}},
            {"id": "s", "epoch": 9, "scores": {"match": {"value": "I", "answer": "5"}}},
            {"id": "s", "epoch": 2, "scores": {"match": {"value": "N", "answer": ""}}},
        ],
        "reductions": [{"scorer": "match", "samples": []}],
    }
)
EVALPLUS = json.dumps(
    {"date": "2026", "eval": {f"HumanEval/{n}": [{"task_id": f"HumanEval/{n}", "base_status": s} for s in row]
     for n, row in enumerate([("pass", "fail"), ("fail", "fail")])}}
)  # fmt: skip
RIGHT = {
    "n as 1e3.csv": ("problem,n,correct\na,1e1,9.0\n", None, {"a": "0" + "1" * 9}),
    "semicolons.csv": ("problem;correct;answer\na;1;x,y\nb;0;z\n", None, TWO),
    "semicolons.tsv": ("problem;correct\na;1\nb;0\n", None, TWO),
    "tabs.csv": ("problem\tcorrect\na\t1\nb\t0\n", None, TWO),
    "bars.csv": ("problem|correct\na|1\nb|0\n", None, TWO),
    "blanks.csv": (" problem , correct\na, 1\nb , 0\n  ,\n", None, TWO),
    "blank lines.csv": ("problem,correct\na,1\n\nb,0\n\n\n", None, TWO),
    "windows.csv": ("problem,correct\r\na,1\r\nb,0\r\n", None, TWO),
    "mark.csv": ("\ufeffproblem,correct\na,1\nb,0\n", None, TWO),
    "mark.jsonl": ('\ufeff{"problem":"a","correct":true}\n{"problem":"b","correct":0}\n\n', None, TWO),
    "lines.json": ('{"problem":"a","correct":1}\n{"problem":"b","correct":"0"}\n', None, TWO),
    "array.jsonl": ('[{"problem":"a","correct":1},\n{"problem":"b","correct":0}]', None, TWO),
    "pretty.jsonl": ('{\n"problem": "a",\n"correct": 1\n}', None, {"a": "1"}),
    "other column.json": (
        json.dumps([{"problem": "a", "correct": 1, "x": [1]}, {"problem": "b", "correct": False, "x": "s"}]),
        None,
        TWO,
    ),
    "columns.json": (json.dumps({"problem": ["a", "b"], "correct": [1, 0]}), None, TWO),
    "pandas.json": (json.dumps({"problem": {"0": "a", "1": "b"}, "correct": {"0": 1, "1": 0}}), None, TWO),
    "by problem.json": (json.dumps({"a": [True, False], "b": [0]}), None, {"a": "10", "b": "0"}),
    "held.json": (
        json.dumps({"meta": [{"a": 1}], "runs": [{"id": "a", "ok": 1}, {"id": "b", "ok": 0}]}),
        "problem=id,correct=ok",
        TWO,
    ),
    "letters.csv": ("problem,correct\na,PPFPF\nb,F\n", None, {"a": "11010", "b": "0"}),
    "digits.csv": ("id,passes\na,1101\nb,000\n", "problem=id,correct=passes[]", {"a": "1101", "b": "000"}),
    "lists.json": (
        json.dumps([{"problem": "a", "correct": [True, False]}, {"problem": "b", "correct": [1]}]),
        None,
        {"a": "10", "b": "1"},
    ),
    "inspect.csv": ("problem,correct\na,C\na,I\nb,N\n", None, {"a": "10", "b": "0"}),
    "inspect.json": (
        INSPECT,
        "problem=id,attempt=epoch,correct=scores.match.value,answer=scores.match.answer",
        {"s": "001"},
    ),
    "evalplus by path.json": (
        EVALPLUS,
        "problem=task_id,correct=base_status",
        {"HumanEval/0": "10", "HumanEval/1": "00"},
    ),
    "evalplus by correctness.json": (
        EVALPLUS,
        "correct=base_status",
        {"HumanEval/0": "10", "HumanEval/1": "00"},
    ),
    "zipped.json.gz": (
        gzip.compress(b'[{"problem":"a","correct":1},{"problem":"b","correct":0}]'),
        None,
        TWO,
    ),
    "zipped.csv.gz": (gzip.compress(b"problem;correct\na;1\nb;0\n"), None, TWO),
    "enum.parquet": (
        pl.DataFrame(
            {"problem": ["a", "b"], "correct": ["1", "0"]},
            schema={"problem": pl.Categorical, "correct": pl.Enum(["1", "0"])},
        ),
        None,
        TWO,
    ),
    "decimal.parquet": (
        pl.DataFrame({"problem": ["a", "b"], "correct": [Decimal(1), Decimal(0)]}), None, TWO
    ),
    "lists.parquet": (
        pl.DataFrame({"problem": ["a", "b"], "correct": [[True, False], [True]]}), None, {"a": "10", "b": "1"}
    ),
    "runs[1].csv": ("problem,correct\na,1\nb,0\n", None, TWO),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_what_can_be_read_is_read_right(tmp_path, name):
    (tmp_path / "runs1.csv").write_text(
        "problem,correct\nc,1\n"
    )  # what `runs[1].csv` would match as a pattern
    content, columns, expected = RIGHT[name]
    assert verdicts(bring(tmp_path, name, content, columns)[1]) == expected


def test_zst_is_read_too(tmp_path):
    path = tmp_path / "x.csv.zst"
    pl.DataFrame({"problem": ["a", "b"], "correct": [1, 0]}).write_csv(path, compression="zstd")
    assert verdicts(bring(tmp_path, path.name, path.read_bytes())[1]) == TWO
    jsonl = tmp_path / "x.jsonl.zst"
    lines = pl.DataFrame({"line": ['{"problem":"a","correct":1}', "", '{"problem":"b","correct":0}']})
    lines.write_csv(jsonl, compression="zstd", include_header=False, quote_style="never")
    assert verdicts(bring(tmp_path, jsonl.name, jsonl.read_bytes())[1]) == TWO


def test_a_late_fraction_is_a_number_like_those_before(tmp_path):
    rows = "problem,correct,score,cost\n" + "a,1,3,1\n" * 10_001 + "a,0,0.5,0.25\n"
    table = bring(tmp_path, "late.csv", rows)[1]
    assert table["score_score"].to_list()[-2:] == [3.0, 0.5]
    assert table["cost"].sum() == 10_001.25


WRONG = {
    "fraction.csv": ("problem,n,correct\na,5.5,1\n", None, r"row 1 \(problem 'a'\): n: found 5.5, expected"),
    "huge.csv": ("problem,n,correct\na,1000000000000,1\n", None, "found 1000000000000, .* up to 10,000,000"),
    "tokens.csv": (
        "problem,correct,generated_tokens\na,1,3e9\n", None, "generated_tokens: found 3e9, .* up to"
    ),
    "half token.csv": ("problem,correct,prompt_tokens\na,1,1.5\n", None, "found 1.5, expected 0"),
    "share.csv": ("problem,n,correct\na,10,0.5\n", None, "found 0.5 of n = 10, expected 0 to n, a whole"),
    "hidden n.csv": ("problem,correct\na,9\nb,11\n", None, r"found 9, expected 0 or 1 \(how many are: map n"),
    "digits.csv": ("problem,correct\na,1101\n", None, r"found 1101, .*each a digit: correct=correct\[\]"),
    "percent.csv": ("problem,correct\na,100%\n", None, "found '100%', expected 0 or 1"),
    "word.csv": ("problem,correct\na,failed: x\n", None, "found 'failed: x', expected 0 or 1, or a word for"),
    "lists.jsonl": (
        '{"doc_id": 1, "resps": [["a", "b"]], "gold": "a"}',
        "problem=doc_id,correct=resps[][]",
        r"'resps\[\]\[\]': found two \[\], expected one: .* \(take one of them: resps\[0\]\[\]\)",
    ),
    "listed.jsonl": (
        '{"doc_id": 1, "resps": [["a", "b"]], "gold": "a"}',
        "problem=doc_id,correct=resps[]",
        r"found a list, expected a value \(one of its elements: resps\[\]\[0\]\)",
    ),
    "evalplus by path.json": (
        '{"eval": {"HumanEval/0": [{"task_id": "HumanEval/0", "base_status": "pass"}]}}',
        "problem=eval[].task_id,correct=eval[].base_status",
        r"found an object before \[\], expected a list \(its records are read by their own names: problem, ",
    ),
    "nothing.csv": ("problem,correct\na,NaN\n", None, "found NaN, expected 0 or 1 .an attempt without"),
    "cost.csv": ("problem,correct,cost\na,1,-1\n", None, "cost: found -1, expected 0 or more"),
    "score.csv": ("problem,correct,score\na,1,nan\n", None, "score: found nan, expected a finite number"),
    "comma.csv": ("problem;n;correct\na;1,000;1\n", None, r"found '1,000', .* \(a number has no comma"),
    "partial.csv": ("problem,correct\na,C\na,P\n", None, "found 'P', which is a pass beside 'F' and"),
    "no id.csv": ("problem,correct\n,1\n", None, "row 1 .*problem: found None, expected an id"),
    "same attempt.csv": ("problem,attempt,correct\na,1,1\na,1.0,0\n", None, "attempt 1.0 .* appears twice"),
    "one.csv": ("problem,correct\na,1,3\n", None, "more fields than the header has names"),
    "quote.csv": ('problem,correct,answer\na,1,"x\nb,0,y\n', None, "a quotation mark that opens and"),
    "twice.csv": ("problem,correct,correct\na,1,0\n", None, "the header names 'correct' twice"),
    "mac.csv": ("problem,correct\ra,1\r", None, "lines that end in CR alone"),
    "utf16.csv": ("problem,correct\na,1\n".encode("utf-16"), None, "text in UTF-16; save it as UTF-8"),
    "latin.csv": ("problem,correct\né,1\n".encode("latin1"), None, "no UTF-8; save it as UTF-8, of Latin-1"),
    "latin.jsonl": ('{"problem":"é","correct":1}'.encode("latin1"), None, "no UTF-8; save it as UTF-8"),
    "cut.csv.gz": (gzip.compress(b"problem,correct\na,1\n")[:-6], None, "compressed data that are not whole"),
    "cut.jsonl": ('{"problem":1,"correct":1}\n{"problem":1,"corr', None, "line 2: no JSON: .*is the file"),
    "cut.json": ('[{"problem":1,"correct":1},', None, "line 1: no JSON: .*is the file whole"),
    "deep.json": ("[" * 100_000, None, "nested too deeply"),
    "digits.json": ('[{"problem":1,"correct":1' + "0" * 5000 + "}]", None, "more digits than can be read"),
    "list.jsonl": ('{"problem":1,"correct":1}\n[1]\n', None, "line 2: found a list, expected an object"),
    "twice.jsonl": ('{"problem":"a","correct":1,"correct":0}', None, "line 1: 'correct' stands twice"),
    "models.json": (
        json.dumps({"m1": [{"problem": "a", "correct": 1}], "m2": [{"problem": "a", "correct": 0}]}),
        None,
        "found an object with 'm1', 'm2', expected an array of records",
    ),
    "empty.json": ("[]", None, "found no records"),
    "empty.csv": ("", None, "found an empty file"),
    "header.csv": ("problem,correct\n", None, "found no rows"),
    "split.json": ('{"columns":["problem"],"data":[["a"]]}', None, "an object with 'columns', 'data',"),
    "path.json": ('[{"id":1,"infos":[{"r":1}]}]', "problem=id,correct=infos[].rr", "no column 'rr' .*'r'"),
    "object.json": ('[{"id":1,"infos":[{"r":1}]}]', "problem=id,correct=infos", r"of it: infos\[\].NAME"),
    "dates.parquet": (
        pl.DataFrame({"problem": ["a"], "correct": [1]}).cast({"correct": pl.Date}), None, "found Date"
    ),
    "sheet.xlsx": (b"PK\x03\x04", None, "a spreadsheet; save the sheet as CSV"),
    "log.eval": (b"PK\x03\x04", None, "a log of inspect; turn it into JSON: inspect log"),
    "log.json": (b"PK\x03\x04", None, "a zip archive: a log of inspect"),
    "pickle.json": (b"\x80\x04\x95", None, "a pickle, which could run code"),
    "summary.json": ('{"results":{"gsm8k":{}},"configs":{}}', None, "lm-eval's summary, which has no"),
    "evalplus.json": (EVALPLUS, None, "no column 'correct'; known: base_status, problem, task_id"),
    "no problem.json": (
        '[{"id": 1, "base_status": "pass"}]',
        "correct=base_status",
        "no column 'problem'; known: base_status, id \\(columns: problem=COLUMN, the problem's id",
    ),
    "lm-eval.jsonl": (
        LM_EVAL,
        "problem=doc_id,correct=exact_match",
        r"problem '0' has rows of 2 values of 'filter' \(flexible-extract, strict-match\), .*--where filter=",
    ),
    "models.csv": ("problem,model,correct\na,x,1\na,y,0\n", None, "rows of 2 values of 'model'"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_read_is_refused_in_one_helpful_line(tmp_path, name):
    content, columns, message = WRONG[name]
    with pytest.raises(UserError, match=message) as caught:
        bring(tmp_path, name, content, columns)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "outcomes.parquet").exists()


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
