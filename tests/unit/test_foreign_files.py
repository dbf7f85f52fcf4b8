"""Files of others: read right, or refused in one line that helps."""

import gzip
import json
from decimal import Decimal

import polars as pl
import pytest
from foreign import LM_EVAL, TWO, bring, verdicts

from itscale.errors import UserError

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
