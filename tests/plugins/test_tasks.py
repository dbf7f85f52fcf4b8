"""Tasks: what a user's file or a data set's name turns into, and what is said of a wrong one."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from itscale.errors import DataError, StudyError
from itscale.plugins import TaskEntry, registry
from itscale.stages.problems import count_problems, load_problems, read_problems, write_problems
from itscale.store.parquet import payload_hash, read_metadata
from itscale.study import Ingredient, resolve
from itscale_builtin.tasks import gsm8k, math500
from itscale_builtin.tasks.reasoning_gym import DEFECTIVE

ROWS = [{"q": "1 + 1?", "a": 2, "name": "one"}, {"q": "2 + {2}?", "a": "4", "name": "two"}]
COLUMNS = {"prompt": "Say: {q}", "reference": "a"}


def task(plugin: str, **options: Any) -> Ingredient[TaskEntry]:
    found = registry().get("tasks", plugin)
    assert isinstance(found.entry, TaskEntry)
    checked = found.entry.options.model_validate(options)
    return Ingredient("mine", found.entry, checked, found.distribution, found.version)


def rows_file(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def study_of(**section: Any) -> Any:
    return resolve(
        {
            "study": "tiny",
            "tasks": {"mine": section},
            "models": {"sim": {"plugin": "simulated"}},
            "strategies": {"repeated_sampling": {"completions": 1}},
        }
    )


def test_jsonl_maps_columns_to_problems(tmp_path: Path) -> None:
    file = rows_file(tmp_path / "rows.jsonl", ROWS)
    first, second = load_problems(
        task("jsonl", file=file, id="name", system="Be brief.", metadata=["q"], **COLUMNS), None
    )
    assert (first.problem_id, first.reference, first.metadata) == ("one", "2", {"q": "1 + 1?"})
    assert [dict(turn) for turn in second.messages] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Say: 2 + {2}?"},  # braces in the data are no placeholders
    ]


def test_jsonl_reads_gzip_and_numbers_rows(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl.gz"
    file.write_bytes(gzip.compress(("\n" + "\n\n".join(map(json.dumps, ROWS))).encode()))
    assert [p.problem_id for p in load_problems(task("jsonl", file=file, **COLUMNS), None)] == ["0", "1"]


@pytest.mark.parametrize(
    ("lines", "options", "words"),
    [
        ([], {}, ["no problems"]),
        ([ROWS[0], ROWS[0]], {"id": "name"}, ["problems 0 and 1", "'one'"]),
        ([ROWS[0], {**ROWS[1], "a": None}], {}, ["line 2", "a: found null"]),
        ([ROWS[0], {**ROWS[1], "a": " "}], {}, ["line 2", "a: found nothing"]),
        ([{**ROWS[0], "a": ["2"]}], {}, ["line 1", "a: found list"]),
        ([ROWS[0]], {"reference": "nam"}, ["line 1", "no column 'nam'", "did you mean 'name'?"]),
        ([ROWS[0]], {"prompt": "{qq}"}, ["line 1", "no column 'qq'", "did you mean 'q'?"]),
        ([[1]], {}, ["line 1", "found list", "JSON object"]),
    ],
)
def test_a_wrong_file_is_named_with_its_row(
    tmp_path: Path, lines: list[Any], options: dict[str, Any], words: list[str]
) -> None:
    file = rows_file(tmp_path / "rows.jsonl", lines)
    with pytest.raises(DataError) as caught:
        load_problems(task("jsonl", file=file, **{**COLUMNS, **options}), None)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(json.dumps(ROWS[0]).encode() + b'\n{"q": \xff')
    with pytest.raises(DataError, match=r"rows\.jsonl: line 2: not JSON"):
        load_problems(task("jsonl", file=file, **COLUMNS), None)


def test_a_missing_file_and_the_nearest_one(tmp_path: Path) -> None:
    rows_file(tmp_path / "rows.jsonl", ROWS)
    wrong = task("jsonl", file=tmp_path / "rosw.jsonl", **COLUMNS)
    for asked in (lambda: load_problems(wrong, None), wrong.fingerprint):
        with pytest.raises(DataError, match=r"no such file; did you mean .*rows\.jsonl"):
            asked()


def test_more_problems_than_there_are(tmp_path: Path) -> None:
    file = rows_file(tmp_path / "rows.jsonl", ROWS)
    for ask in (load_problems, count_problems):
        with pytest.raises(DataError, match=r"tasks\.mine\.problems: found 3, expected at most the 2"):
            ask(task("jsonl", file=file, **COLUMNS), 3)
        with pytest.raises(DataError, match="found 9, expected at most the 4"):
            ask(task("reasoning_gym", dataset="gcd", size=4), 9)


def test_a_template_without_a_column_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"tasks\.mine.*\{column\}"):
        study_of(plugin="jsonl", file="rows.jsonl", prompt="Say something.")


def test_a_changed_file_changes_the_fingerprint_and_another_option_does_too(tmp_path: Path) -> None:
    file = rows_file(tmp_path / "rows.jsonl", ROWS)
    before = task("jsonl", file=file, **COLUMNS).fingerprint()
    assert task("jsonl", file=file, **COLUMNS).fingerprint() == before
    assert task("jsonl", file=file, id="name", **COLUMNS).fingerprint() != before
    rows_file(file, ROWS[::-1])
    assert task("jsonl", file=file, **COLUMNS).fingerprint() != before


def test_problems_survive_the_file_and_say_where_they_come_from(tmp_path: Path) -> None:
    file = rows_file(tmp_path / "rows.jsonl", ROWS)
    study = study_of(plugin="jsonl", file=str(file), metadata=["name"], problems=2, **COLUMNS)
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    write_problems(study, "mine", first)
    write_problems(study, "mine", second)
    assert read_problems(first) == load_problems(study.tasks["mine"], 2)
    assert first.read_bytes() == second.read_bytes()
    metadata = read_metadata(first)
    assert metadata["stage"] == "problems"
    assert metadata["inputs"] == {"file": payload_hash(file)}
    assert "itscale" in metadata["versions"]


def test_gsm8k_takes_what_follows_the_hashes(tmp_path: Path) -> None:
    file = rows_file(tmp_path / "g.jsonl", [{"question": "Q?", "answer": "a\n#### 1,234,567"}])
    (problem,) = load_problems(task("gsm8k", file=file), None)
    assert problem.reference == "1234567"
    assert "Problem: Q?" in problem.messages[-1]["content"]
    rows_file(file, [{"question": "Q?", "answer": "no number"}])
    with pytest.raises(DataError, match="line 1: answer: found no '#### number'"):
        load_problems(task("gsm8k", file=file), None)


@pytest.mark.shared_data
def test_the_real_files_are_read_whole(shared_data: Path) -> None:
    tasks = shared_data / "tasks"
    words = load_problems(task("gsm8k", file=tasks / "gsm8k" / "test.jsonl"), None)
    maths = load_problems(task("math500", file=tasks / "math500" / "test.jsonl"), None)
    assert (len(words), len(maths)) == (1319, 500)
    assert all(problem.reference.lstrip("-").replace(".", "").isdigit() for problem in words)
    assert maths[0].messages[0]["content"].endswith("\\boxed{}.")
    assert gsm8k.entry.oracle == math500.entry.oracle == "math"


def test_reasoning_gym_keeps_its_problems_when_more_are_asked_for() -> None:
    few = load_problems(task("reasoning_gym", dataset="gcd", seed=3, size=9), 4)
    more = load_problems(task("reasoning_gym", dataset="gcd", seed=3, size=9), 9)
    assert few == more[:4]
    grown = load_problems(task("reasoning_gym", dataset="gcd", seed=3, size=90), 4)
    assert [(p.problem_id, p.messages) for p in grown] == [(p.problem_id, p.messages) for p in few]
    other = load_problems(task("reasoning_gym", dataset="gcd", seed=4, size=9), 4)
    assert {p.problem_id for p in other}.isdisjoint(p.problem_id for p in few)


def test_reasoning_gym_takes_parameters_of_the_data_set() -> None:
    hard = task("reasoning_gym", dataset="gcd", size=3, config={"min_numbers": 5, "max_numbers": 5})
    assert all(p.messages[0]["content"].count(",") >= 4 for p in load_problems(hard, None))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dataset": "gdc"}, "no data set 'gdc'; did you mean 'gcd'"),
        ({"dataset": "gcd", "config": {"min_number": 1}}, "did you mean 'min_numbers'"),
        ({"dataset": "gcd", "config": {"min_numbers": 0}}, "gcd: config: "),
    ],
)
def test_reasoning_gym_says_what_it_does_not_know(options: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_problems(task("reasoning_gym", **options), 1)


@pytest.mark.parametrize("dataset", DEFECTIVE)
def test_defective_data_sets_are_refused_with_the_reason_before_anything_runs(dataset: str) -> None:
    with pytest.raises(StudyError) as caught:
        study_of(plugin="reasoning_gym", dataset=dataset)
    assert DEFECTIVE[dataset] in str(caught.value)
    assert "tasks.mine" in str(caught.value)


def test_reasoning_gym_makes_the_same_problems_in_any_process() -> None:
    program = (
        "from itscale_builtin.tasks.reasoning_gym import *\n"
        "for name in ('gcd', 'isomorphic_strings', 'list_functions', 'ransom_note'):\n"
        "    options = ReasoningGymOptions(dataset=name, size=2)\n"
        "    print([(p.messages, p.reference) for p in make(options)])\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
