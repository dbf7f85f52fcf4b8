"""Mistakes in a study end before anything runs, in one line: where, what was found, what would be right."""

from pathlib import Path
from typing import Any

import pytest

from itscale.errors import StudyError, UserError
from itscale.messages.mistakes import Mistake, MistakesError
from itscale.plugins import (
    EngineEntry,
    FigureEntry,
    LawEntry,
    Options,
    SelectorEntry,
    StrategyEntry,
    TaskEntry,
    VerifierEntry,
)
from itscale.plugins.references import ScorerLabel
from itscale.plugins.strategies import SamplingOptions, StepwiseOptions
from itscale.study import examine, load_study, resolve
from itscale.testing import registry_of


class SumsOptions(Options):
    digits: int = 2
    """Digits."""


class ScorerOptions(Options):
    scorer: ScorerLabel
    """Label of the scorer."""


def even(options: Any, budget: int) -> None:
    if budget % 2:
        raise StudyError(f"found {budget}, expected an even budget")


TOYS = registry_of(
    {
        "toys": [
            TaskEntry(name="sums", factory=list, options=SumsOptions, oracle="equal", summary="Sums."),
            EngineEntry(name="parrot", factory=list, offers=frozenset({"generate"}), summary="Repeats."),
            EngineEntry(
                name="sage",
                factory=list,
                offers=frozenset({"generate", "continue", "rewards"}),
                requires=("no_such_module",),
                extra="itscale[sage]",
                summary="Knows.",
            ),
            StrategyEntry(
                name="repeat", factory=list, options=SamplingOptions, draws="exchangeable", summary="Draws."
            ),
            StrategyEntry(
                name="search",
                factory=list,
                options=StepwiseOptions,
                draws="runs",
                admits=even,
                needs=frozenset({"generate", "continue"}),
                summary="Searches.",
            ),
            StrategyEntry(name="unbounded", factory=list, draws="exchangeable", summary="Bounds nothing."),
            VerifierEntry(name="equal", factory=list, role="oracle", summary="Compares."),
            VerifierEntry(
                name="reward", factory=list, role="scorer", needs=frozenset({"rewards"}), summary="Scores."
            ),
            SelectorEntry(name="oracle", factory=list, summary="Coverage."),
            SelectorEntry(name="first", factory=list, summary="The first."),
            SelectorEntry(
                name="best", factory=list, options=ScorerOptions, takes_scores=True, summary="The best."
            ),
            LawEntry(name="line", factory=list, takes="curve", summary="A line."),
            FigureEntry(name="plot", factory=list, reads=("curves",), caption="A plot.", summary="Plots."),
        ],
        "rivals": [LawEntry(name="parabola", factory=list, takes="curve", summary="A parabola.")],
    }
)


def study(**changes: Any) -> dict[str, Any]:
    return {
        "study": "toy",
        "tasks": {"sums": {}},
        "models": {"sage": {}},
        "strategies": {"repeat": {"completions": 8}},
        "selectors": ["oracle", "first"],
        **changes,
    }


def mistakes(**changes: Any) -> list[Mistake]:
    with pytest.raises(MistakesError) as caught:
        resolve(study(**changes), TOYS, where="toy.yaml")
    return caught.value.mistakes


def complaint(**changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        resolve(study(**changes), TOYS, where="toy.yaml")
    message = str(caught.value)
    assert message.startswith("toy.yaml: ")
    assert "\n" not in message
    return message.removeprefix("toy.yaml: ")


def test_a_right_study_resolves() -> None:
    found = resolve(study(laws=["line", "rivals/parabola"], figures=["plot"]), TOYS)
    assert found.oracles["sums"].entry.name == "equal"
    assert found.laws["parabola"].distribution == "rivals"
    assert [one.label for one in found.ingredients()] == [
        "sums", "sage", "repeat", "equal", "oracle", "first", "line", "parabola", "plot"
    ]  # fmt: skip


def test_a_list_of_names_is_short_for_sections_without_options() -> None:
    short, long = study(laws=["rivals/parabola"]), study(laws={"parabola": {"plugin": "rivals/parabola"}})
    assert resolve(short, TOYS).config == resolve(long, TOYS).config
    assert resolve(study(models={"sage": None}), TOYS).config == resolve(study(), TOYS).config


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"laws": ["lime"]}, "laws.lime: no plugin 'lime' among the laws; did you mean 'line'?"),
        ({"laws": ["toys/parabola"]}, "laws.parabola: no plugin 'toys/parabola' among the laws"),
        ({"laws": ["line", "toys/line"]}, "laws: 'line' is listed twice; give each a label of its own"),
        ({"modles": {}}, "modles: unknown key; did you mean 'models'?"),
        ({"block": {"problem": 1}}, "block.problem: unknown key; did you mean 'problems'?"),
        ({"tasks": {"sums": {"digit": 3}}}, "tasks.sums.digit: unknown key; did you mean 'digits'?"),
        ({"tasks": {"sums": {"oracel": "equal"}}}, "tasks.sums.oracel: unknown key; did you mean 'oracle'?"),
        (
            {"strategies": {"repeat": {"completion": 8}}},
            "strategies.repeat.completion: unknown key; did you mean 'completions'?",
        ),
        ({"tasks": {"sums": {"digits": "two"}}}, "tasks.sums.digits: found 'two', expected a whole number"),
        ({"seed": "x"}, "seed: found 'x', expected a whole number"),
        ({"tasks": 3}, "tasks: found 3, expected keys and values"),
        ({"tasks": {}}, "tasks: empty, expected tasks by label; or leave the key out"),
        ({"study": "My Study"}, "study: found 'My Study'"),
        (
            {"tasks": {"../sums": {"plugin": "sums"}}},
            "tasks.../sums: found '../sums', expected a name of lower-case letters",
        ),
        (
            {"strategies": {"repeat": {"completions": 0}}},
            "strategies.repeat.completions: found 0, expected at least 1",
        ),
        ({"strategies": {"repeat": {}}}, "strategies.repeat.completions: missing"),
        (
            {"strategies": {"repeat": {"budgets": [1]}}},
            "strategies.repeat.budgets: found [1], expected completions",
        ),
        (
            {"strategies": {"repeat": {"completions": 8, "budgets": [1, 2]}}},
            "strategies.repeat.budgets: found [1, 2], expected completions alone",
        ),
        ({"curves": {"budgets": [4, 16]}}, "curves.budgets: found 16, expected at most the 8 completions"),
        ({"curves": {"budgets": [0]}}, "curves.budgets.0: found 0, expected at least 1"),
        ({"selectors": {"best": {}}}, "selectors.best.scorer: missing, expected label of the scorer"),
        (
            {"selectors": {"best": {"scorer": "rewrad"}}, "verifiers": ["reward"]},
            "selectors.best.scorer: no scorer 'rewrad' among the verifiers; did you mean 'reward'?",
        ),
        (
            {"selectors": {"best": {"scorer": "equal"}}, "verifiers": ["equal"]},
            "selectors.best.scorer: 'equal' knows what is correct, expected",
        ),
        ({"tasks": {"sums": {"oracle": "reward"}}}, "tasks.sums.oracle: 'reward' is a scorer, expected"),
        ({"tasks": {"sums": {"oracle": "equals"}}}, "tasks.sums.oracle: no plugin 'equals' among the verif"),
        (
            {"verifiers": ["reward"], "models": ["parrot"]},
            "verifiers.reward: needs rewards of the engine; models.parrot (parrot) offers generate",
        ),
        (
            {"strategies": {"unbounded": {"completions": 8}}},
            "strategies.unbounded: options of 'unbounded': found Options, expected a subclass of",
        ),
    ],
)
def test_mistakes(changes: dict[str, Any], expected: str) -> None:
    assert complaint(**changes).startswith(expected)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({}, "strategies.search.budgets: missing, expected a list of budgets"),
        ({"budgets": []}, "strategies.search.budgets: found [], expected at least 1"),
        ({"budgets": [2], "completions": 4}, "strategies.search.completions: found 4, expected budgets"),
        ({"budgets": [2, 3]}, "strategies.search.budgets.1: found 3, expected an even budget"),
        ({"budgets": [2, 0]}, "strategies.search.budgets.1: found 0, expected at least 1"),
    ],
)
def test_run_based_strategies_have_budgets(section: dict[str, Any], expected: str) -> None:
    search = {"search": {"scorer": "reward", **section}}
    assert complaint(strategies=search, verifiers=["reward"]).startswith(expected)


def test_the_engine_must_offer_what_a_strategy_needs() -> None:
    search = {"search": {"scorer": "equal", "budgets": [2]}}
    found = {one.place: one.message for one in mistakes(strategies=search, models=["parrot"])}
    assert found["strategies", "search"].startswith("needs continue of the engine; models.parrot (parrot)")


def test_a_missing_module_says_what_to_install() -> None:
    with pytest.raises(UserError, match=r"engines/sage needs no_such_module.*pip install 'itscale\[sage\]'"):
        resolve(study(), TOYS).models["sage"].require_installed()


def test_huge_values_are_not_repeated_in_full() -> None:
    assert len(complaint(seed="x" * 10_000)) < 200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n- b\n", "found a list, expected the keys and values of a study"),
        ("", "found nothing, expected the keys and values of a study"),
        ("laws", "found the single value 'laws', expected the keys and values of a study"),
        (
            "a: [1\nb: 2",
            "not YAML: while parsing a flow sequence at line 1, column 4: expected ',' or ']', but",
        ),
    ],
)
def test_files_that_are_no_study(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "toy.yaml"
    path.write_text(text)
    with pytest.raises(StudyError) as caught:
        load_study(path, TOYS)
    assert str(caught.value).startswith(f"{path}: {expected}")
    assert "\n" not in str(caught.value)


def test_a_missing_file_suggests_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "default.yaml").write_text("")
    with pytest.raises(StudyError, match=r"defualt\.yaml: no such study; did you mean '.*default\.yaml'"):
        load_study(tmp_path / "defualt.yaml", TOYS)


def test_a_fingerprint_is_what_outputs_depend_on() -> None:
    def fingerprint(**section: Any) -> dict[str, Any]:
        return resolve(study(tasks={"sums": section}), TOYS).tasks["sums"].fingerprint()

    assert fingerprint() == {"name": "toys/sums", "revision": 1, "options": {"digits": 2}}
    assert fingerprint(problems=3) == fingerprint(digits=2) == fingerprint()
    assert fingerprint(digits=3) != fingerprint()


def test_a_larger_study_keeps_the_random_streams_of_a_smaller_one() -> None:
    small, large = (resolve(study(strategies={"repeat": {"completions": n}}), TOYS) for n in (8, 16))
    hotter = resolve(study(strategies={"repeat": {"completions": 8, "temperature": 2}}), TOYS)
    names = ("sage", "repeat")
    assert small.sampling_fingerprint(*names) == large.sampling_fingerprint(*names)
    assert small.sampling_fingerprint(*names) != hotter.sampling_fingerprint(*names)


def test_all_laws_are_no_law_among_others() -> None:
    found = examine({"study": "a", "laws": ["power_law", "all"]}, TOYS).mistakes
    assert "laws: found 'all' in a list, expected it alone: `laws: all`" in map(str, found)


def test_a_study_that_is_not_there_is_likened_to_names_that_are_alike(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").touch()
    with pytest.raises(StudyError, match=r"nofile\.yaml: no such study; there is \S*e\.yaml$"):
        load_study(tmp_path / "nofile.yaml", TOYS)
    with pytest.raises(StudyError, match="found a folder, expected a study, a YAML file"):
        load_study(tmp_path, TOYS)
