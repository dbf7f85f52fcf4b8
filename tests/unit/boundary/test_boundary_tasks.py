"""Tasks are believed in nothing: a broken word is one line that names who gave it."""

from dataclasses import replace
from pathlib import Path

import pytest
from hostile import GOOD, NAN, hostile, refusal

from itscale.stages.problems import load_problems


@pytest.mark.parametrize(
    ("problems", "said"),
    [
        (None, "factory: found None, expected an iterable of problems"),
        ([{"problem_id": "1"}], "problem 0: found {'problem_id': '1'}, expected a Problem"),
        ([GOOD, GOOD], "problems 0 and 1 both have the id: found '1', expected every problem id once"),
        ([replace(GOOD, problem_id=7)], "problem 0: problem_id: found 7, expected a text"),
        ([replace(GOOD, problem_id="")], "problem_id: found '', expected a text"),
        ([replace(GOOD, problem_id="\ud800")], r"problem_id: found '\ud800', expected a text"),
        ([replace(GOOD, messages="1?")], "problem 0 ('1'): messages: found '1?', expected a chat"),
        ([replace(GOOD, messages=())], "messages: found (), expected a chat"),
        ([replace(GOOD, messages=({"role": "user"},))], "messages: found {'role': 'user'}, expected turns"),
        ([replace(GOOD, messages=({"role": "user", "content": ["x"]},))], "both text"),
        ([replace(GOOD, messages=({"role": "user", "content": "x", "image": "y"},))], "both text"),
        ([replace(GOOD, reference=None)], "reference: found None, expected the right answer as text"),
        ([replace(GOOD, reference=4)], "reference: found 4, expected the right answer as text"),
        ([replace(GOOD, metadata={"x": NAN})], "metadata: found {'x': nan} (Out of range float values"),
        ([replace(GOOD, metadata={"x": {1, 2}})], "expected JSON values"),
        ([replace(GOOD, metadata={1: 2})], "metadata: found {1: 2}, expected values by name"),
        ([replace(GOOD, metadata=None)], "metadata: found None, expected values by name"),
    ],
)
def test_tasks(study, problems, said):
    task = hostile(study, "tasks", "sums", lambda options: problems).tasks["sums"]
    assert said in refusal(lambda: load_problems(task, None), "tasks/jsonl (label 'sums'): ")


def test_a_task_that_fills_one_dict_again_and_again(study):
    def problems(options):
        metadata = {"numbers": [0]}
        for number in range(3):
            metadata["numbers"][0] = number
            yield replace(GOOD, problem_id=str(number), metadata=metadata)

    loaded = load_problems(hostile(study, "tasks", "sums", problems).tasks["sums"], None)
    assert [problem.metadata for problem in loaded] == [{"numbers": [number]} for number in range(3)]


def test_a_plugin_cannot_change_the_options_that_its_fingerprint_is_made_of(study):
    task = study.tasks["sums"]

    def renames(options):
        object.__setattr__(options, "file", Path("elsewhere.jsonl"))
        vars(options)["file"] = Path("elsewhere.jsonl")
        return [GOOD]

    before = task.fingerprint()
    load_problems(hostile(study, "tasks", "sums", renames).tasks["sums"], None)
    assert task.fingerprint() == before
