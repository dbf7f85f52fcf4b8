"""All mistakes of a study are found at once, each at its line; what is right of it hides none."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from itscale.errors import StudyError
from itscale.messages.mistakes import Mistake, MistakesError, independent
from itscale.messages.validation import validate
from itscale.plugins import Options
from itscale.study import load_study, resolve
from itscale.study.strict_yaml import NotYaml, read_yaml

STUDY: dict[str, Any] = {
    "study": "small",
    "tasks": {"sums": {"plugin": "jsonl", "file": "problems.jsonl"}},
    "models": {"toy": {"plugin": "simulated"}},
    "strategies": {"repeated_sampling": {"completions": 8}},
}


def found_in(**changes: Any) -> dict[str, str]:
    """Return the mistakes of the study with some keys changed, by their places."""
    with pytest.raises(MistakesError) as caught:
        resolve({**STUDY, **changes})
    return {".".join(map(str, one.place)): one.message for one in caught.value.mistakes}


def found_in_text(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "small.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StudyError) as caught:
        load_study(path)
    return [line.removeprefix(f"{path}") for line in caught.value.lines()]


def test_six_mistakes_are_six_lines_in_the_order_of_the_file(tmp_path: Path) -> None:
    lines = found_in_text(
        tmp_path,
        """\
study: small
seed: 010
tasks:
  sums: {plugin: jsonl, file: problems.jsonl, promt: "{question}"}
models:
  toy: {plugin: simulatd}
strategies:
  repeated_sampling: {completions: 8, temperature: hot}
  repeated_sampling: {completions: 16}
selectors: [oracle, best_of_n]
curves: {budgets: [4, 4]}
""",
    )
    assert [line.partition(" ")[0] for line in lines] == [":2:", ":4:", ":6:", ":9:", ":10:", ":11:"]
    assert lines[0] == (
        ":2: seed: found 010, which YAML reads as 8; write 8 if that is meant, or put it in quotes if it is "
        "a text"
    )
    assert lines[1] == ":4: tasks.sums.promt: unknown key; did you mean 'prompt'?"
    assert "did you mean 'simulated'?" in lines[2]
    assert lines[3] == ":9: strategies.repeated_sampling: stands twice, in lines 8 and 9; keep one"
    assert lines[4].startswith(":10: selectors.best_of_n.scorer: missing, expected label of the verifier")
    assert lines[5] == ":11: curves.budgets: found 4 twice, expected every value once"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("010", "found 010, which YAML reads as 8"),
        ("1:30", "found 1:30, which YAML reads as 90"),
        ("1:30.5", "found 1:30.5, which YAML reads as 90.5"),
        ('"\\ud800"', "found half of a character"),
        ('"a\\0b"', "found the null character"),
        ("!!binary aGk=", "found the tag binary"),
    ],
)
def test_what_yaml_reads_as_something_else_is_said(value: str, said: str) -> None:
    (mistake,) = read_yaml(f"a:\n  b: {value}\n").mistakes
    assert mistake.place == ("a", "b")
    assert mistake.message.startswith(said)


@pytest.mark.parametrize("value", ["10", "0", "-3", "0x10", "1_000", "08", '"010"', "0.5", "'1:30'", "1e3"])
def test_what_yaml_reads_as_it_stands_is_not(value: str) -> None:
    assert read_yaml(f"a: {value}").mistakes == ()


def test_a_key_that_yaml_takes_for_true_is_named() -> None:
    (mistake,) = read_yaml("models:\n  on: {}\n").mistakes
    assert mistake.place == ("models", "on")


@pytest.mark.parametrize(
    "text",
    [
        "a: [1",
        "a: &x [*x]\n",
        "[" * 50_000,
        f"a: {'9' * 5000}",
        "a: 2024-99-99",
        "a: 1\n---\nb: 2\n",
        "? [a]\n: b",
        "a: \0",
    ],
    ids=["open", "itself", "deep", "digits", "date", "two documents", "a list for a key", "null character"],
)
def test_what_is_no_yaml_is_said_in_one_line(text: str) -> None:
    with pytest.raises(NotYaml) as caught:
        read_yaml(text)
    assert "\n" not in str(caught.value)


def test_aliases_do_not_make_a_small_file_a_large_study() -> None:
    rows = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(NotYaml, match="more than 100,000 values"):
        read_yaml("\n".join(["a0: &a0 [1, 1]", *rows]))


INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("strategies.repeated_sampling.completions", True, "found true, expected a number"),
        ("strategies.repeated_sampling.completions", 10**13, "expected at most 10,000,000"),
        ("strategies.repeated_sampling.temperature", INF, "found inf, expected a finite number"),
        ("strategies.repeated_sampling.max_tokens", True, "found true, expected a number"),
        ("models.toy.success", {"a": INF}, "expected a finite number"),
        ("models.toy.success", True, "found true, expected a number"),
        ("models.toy.step_tokens", INF, "expected a finite number"),
        ("models.toy.step_tokens", 1e300, "expected at most 1,000,000"),
        ("tasks.gcd.config", {"x": NAN}, "found nan, expected a finite number"),
        ("tasks.gcd.config", {"x": 10**400}, "expected at most 9,223,372,036,854,775,807"),
        ("seed", 2**63, "expected at most 9,223,372,036,854,775,807"),
        ("seed", NAN, "expected a finite number"),
        ("study", "a" * 300, "expected at most 64 characters"),
        ("study", "x_" + "ab" * 20, "expected a name that does not end in 'ab' twenty times over"),
        ("laws", {"a" * 20: {"plugin": "power_law"}}, "does not end in 'a' twenty times over"),
        ("fits.reach", INF, "expected a finite number"),
        ("fits.reach", 1e300, "expected at most 1,000,000"),
        ("fits.origins", [2, 2], "found 2 twice"),
        ("block.minutes", INF, "expected a finite number"),
        ("curves.budgets", [], "expected at least 1"),
        ("curves.budgets", [4, 4], "found 4 twice"),
        ("curves.resamples", 10**9, "expected at most 100,000"),
        ("curves.confidence", NAN, "expected a finite number"),
        ("curves.interval", "studentized", "did you mean 'studentised'?"),
        ("selectors", [], "empty, expected selectors by label"),
        ("laws", [], "empty, expected laws by label"),
        ("laws", None, "empty, expected laws by label; or leave the key out"),
        ("outcomes.x.taks", "b", "did you mean 'task'?"),
    ],
)
def test_values_that_no_study_means(place: str, value: Any, said: str) -> None:
    study: dict[str, Any] = {
        **copy.deepcopy(STUDY),
        "fits": {},
        "block": {},
        "curves": {},
        "outcomes": {"x": {"path": "a.csv"}},
    }
    study["tasks"]["gcd"] = {"plugin": "reasoning_gym", "dataset": "gcd"}
    *above, last = place.split(".")
    here = study
    for key in above:
        here = here[key]
    here[last] = value
    assert said in " ".join(message for at, message in found_in(**study).items() if at.startswith(place))


def test_mistakes_in_different_places_hide_none_of_each_other() -> None:
    found = found_in(
        seed="x",
        models={"toy": {"plugin": "simulated", "steps": 0, "wrong": 1}, "other": {"plugin": "none_such"}},
        strategies={"repeated_sampling": {"budgets": [2]}, "beam_search": {"budgets": [4, 6], "scorer": "x"}},
        selectors={"oracle": {}, "best_of_n": {"scorer": "logprob"}},
        differences={"more": {"of": {"model": "toy"}, "minus": {"model": "toyy"}}},
        figures=["law_fits"],
    )
    assert set(found) == {
        "seed",
        "models.toy.steps",
        "models.toy.wrong",
        "models.other",
        "strategies.repeated_sampling.budgets",
        "strategies.beam_search.budgets.1",
        "strategies.beam_search.scorer",
        "selectors.best_of_n.scorer",
        "differences.more.minus.model",
        "figures.law_fits",
    }


def test_a_mistake_is_not_said_again_where_it_has_consequences() -> None:
    # without its completions the strategy would lack them, without its tasks the study would
    assert set(found_in(strategies={"repeated_sampling": {"completion": 8}})) == {
        "strategies.repeated_sampling.completion"
    }
    assert set(found_in(strategies={"repeated_sampling": {"completions": "x"}})) == {
        "strategies.repeated_sampling.completions"
    }
    assert set(found_in(tasks={"Sums": {"plugin": "jsonl", "file": "a"}})) == {"tasks.Sums"}
    assert set(found_in(verifiers={"logprop": {}}, selectors={"best_of_n": {"scorer": "logprop"}})) == {
        "verifiers.logprop"
    }


def test_independent_mistakes_are_kept() -> None:
    earlier = [Mistake(("a", "b", 1), "wrong")]
    later = [Mistake(place, "wrong") for place in [("a", "b"), ("a", "b", "c"), ("a",), ("a", "d"), ()]]
    assert [one.place for one in independent(earlier, later)] == [("a", "d"), ()]


class Shape(Options):
    sides: int = Field(default=3, ge=3)
    """Sides."""


class Drawing(Options):
    name: str
    """What it is called."""
    size: float | Shape = 1.0
    """How large."""


def test_what_may_be_several_things_is_one_mistake() -> None:
    drawing, mistakes = validate(Drawing, {"name": "a", "size": "large"}, place=("figures", "x"))
    assert drawing == Drawing(name="a")
    assert mistakes == [
        Mistake(("figures", "x", "size"), "found 'large', expected a number, or keys and values")
    ]
    assert validate(Drawing, {"name": "a", "size": {"sides": 2}})[1] == [
        Mistake(("size", "sides"), "found 2, expected at least 3")
    ]
    assert validate(Drawing, {"size": {"side": 4}}) == (
        None,
        [
            Mistake(("name",), "missing, expected what it is called"),
            Mistake(("size", "side"), "unknown key; did you mean 'sides'?", "sides"),
        ],
    )


def test_a_value_of_a_credential_is_never_shown() -> None:
    found = found_in(models={"toy": {"plugin": "openai", "model": "m", "api_key": "sk-abcdefgh12345678abcd"}})
    assert "credential" in found["models.toy.api_key"]
    assert "sk-" not in "".join(found.values())
