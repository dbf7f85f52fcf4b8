"""What lies outside of a study is looked at before a run: files, packages, plugins' own checks, folders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from itscale.messages.mistakes import MistakesError
from itscale.planning.readiness import Readiness, ready
from itscale.plugins import Options
from itscale.plugins.entries import EngineEntry, Entry, SelectorEntry, TaskEntry, VerifierEntry
from itscale.study import examine
from itscale.testing import registry_of
from itscale.types import Problem

DOCS = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
STUDY: dict[str, Any] = {
    "study": "small",
    "tasks": {"sums": {"plugin": "jsonl", "file": "sums.jsonl"}},
    "models": {"toy": {"plugin": "simulated"}},
    "strategies": {"repeated_sampling": {"completions": 8}},
}
SAMPLED = ("tasks", "models", "strategies")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [f'{{"prompt": "{n} + {n}?", "reference": {2 * n}}}' for n in range(4)]
    (tmp_path / "sums.jsonl").write_text("\n".join(rows))
    return tmp_path


def looked(*, registry: Any = None, elsewhere: bool = False, **changes: Any) -> Readiness:
    study = {key: value for key, value in {**STUDY, **changes}.items() if value is not None}
    return ready(examine(study, registry), elsewhere=elsewhere)


def found(**changes: Any) -> list[str]:
    with pytest.raises(MistakesError) as caught:
        looked(**changes)
    return [str(one) for one in caught.value.mistakes]


def test_each_column_that_is_missing_has_a_line_and_a_nearest_name_of_its_own(folder: Path) -> None:
    row = '{"question": "?", "gt": 1, "level": 2, "uid": "a"}'
    (folder / "e2.jsonl").write_text(row)
    task = {"prompt": "{questin}", "reference": "answer", "id": "idx", "metadata": ["lvl"]}
    at = "tasks.sums: e2.jsonl: line 1: no column"
    assert found(tasks={"sums": {"plugin": "jsonl", "file": "e2.jsonl", **task}}) == [
        f"{at} 'answer'; known: gt, level, question, uid",
        f"{at} 'idx'; did you mean 'uid'?",
        f"{at} 'lvl'; did you mean 'level'?",
        f"{at} 'questin'; did you mean 'question'?",
    ]


def test_what_follows_from_a_default_that_was_put_back_is_not_said(folder: Path) -> None:
    (folder / "q.jsonl").write_text('{"question": "?", "reference": 1}')
    assert found(tasks={"sums": {"plugin": "jsonl", "file": "q.jsonl", "prompt": "Solve"}}) == [
        "tasks.sums.prompt: found 'Solve', expected at least one {column}"
    ]


def test_outcomes_with_several_mistakes_say_all_of_them(folder: Path) -> None:
    (folder / "a.csv").write_text("problem,correct\np,1\n")
    outcomes: dict[str, Any] = {
        "a": {"path": "gone.csv", "columns": {"problm": "x"}},
        "b": {"path": "gone.csv", "task": "t", "model": "m"},
        "c": {"path": "a.csv", "task": "t", "model": "m"},
    }
    lines = found(**{**dict.fromkeys(SAMPLED), "outcomes": outcomes})
    assert [line.partition(": ")[0] for line in lines] == [
        *("outcomes.a", "outcomes.a.path", "outcomes.a.task", "outcomes.b.path", "outcomes.c")
    ]
    assert "did you mean 'problem'?" in lines[0]
    assert "t/m/repeated_sampling appears twice" in lines[4]


def test_problems_are_counted_once_for_the_plan() -> None:
    assert looked().problems == {"sums": 4}


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"file": "absent.jsonl"}, "tasks.sums: absent.jsonl: no such file"),
        ({"file": "."}, "tasks.sums: .: "),
        ({"file": "sums.jsonl", "problems": 5}, "tasks.sums.problems: found 5, expected at most the 4"),
        ({"file": "sums.jsonl", "reference": "answer"}, "tasks.sums: sums.jsonl: line 1: no column 'answer'"),
        ({"file": "nan.jsonl"}, "tasks.sums: nan.jsonl: line 1: reference: found nan, expected"),
        ({"file": "half.jsonl"}, "tasks.sums"),
        ({"plugin": "reasoning_gym", "dataset": "gdc"}, "tasks.sums: no data set 'gdc'; did you mean 'gcd'?"),
        (
            {"plugin": "reasoning_gym", "dataset": "gcd", "config": {"min_number": 3}},
            "tasks.sums: gcd: config.min_number: unknown; did you mean 'min_numbers'?",
        ),
        (
            {"plugin": "reasoning_gym", "dataset": "gcd", "config": {"min_numbers": 3, "max_numbers": 2}},
            "tasks.sums: gcd: config: ",
        ),
    ],
)
def test_tasks_that_have_no_problems(folder: Path, task: dict[str, Any], said: str) -> None:
    (folder / "nan.jsonl").write_text('{"prompt": "?", "reference": NaN}')
    (folder / "half.jsonl").write_text('{"prompt": "\\ud800?", "reference": 1}')
    (message,) = found(tasks={"sums": {"plugin": "jsonl", **task}})
    assert message.startswith(said)


@pytest.mark.parametrize(
    "address", ["localhost:8000/v1", "v1", "http://", "ftp://host/v1", "http://a b/v1", "http://h:99999/v1",
                "http://[::1/v1", "http://host/v1?key=1", ""]
)  # fmt: skip
def test_an_address_that_no_client_can_call(address: str) -> None:
    (message,) = found(models={"toy": {"plugin": "openai", "model": "m", "base_url": address}})
    assert message.startswith("models.toy.base_url: ")


def test_an_engine_lacks_what_it_is_not_configured_for() -> None:
    server = {"plugin": "openai", "model": "m", "base_url": "http://localhost:8000/v1"}
    search = {"beam_search": {"budgets": [4], "scorer": "logprob"}}
    said = "of the engine; models.toy (openai) offers generate as it is configured; see its options"
    assert found(models={"toy": server}, strategies=search, verifiers=["logprob"]) == [
        f"strategies.beam_search: needs continue {said}",
        f"verifiers.logprob: needs generated_logprobs {said}",
    ]
    able = {**server, "continues": True, "logprobs": True}
    looked(models={"toy": able}, strategies=search, verifiers=["logprob"])


def test_a_server_that_takes_no_parameter_takes_no_strategy_that_needs_it() -> None:
    address = "http://localhost:8000/v1"
    server = {"plugin": "openai", "model": "m", "base_url": address, "omit": ["temperature", "top_p"]}
    looked(models={"toy": server})
    hot = {"repeated_sampling": {"completions": 8, "temperature": 0.8}}
    (message,) = found(models={"toy": server}, strategies=hot)
    assert message == (
        "models.toy: omit: takes no temperature, which is 0.8 here; set temperature: 1 in the strategy "
        "(for strategies.repeated_sampling)"
    )


def test_a_scorer_that_is_missing_is_to_be_added() -> None:
    (message,) = found(selectors={"best_of_n": {"scorer": "logprob"}})
    assert message == (
        "selectors.best_of_n.scorer: no scorer 'logprob'; add it to the study's verifiers: "
        "`verifiers: [logprob]`"
    )


class Picky(Options):
    largest: int = 3
    """Largest number."""


def complains(options: Picky) -> Iterator[str]:
    yield "largest: found 3, expected an even number"
    if options.largest == 4:
        raise RuntimeError("it broke")
    if options.largest == 5:
        yield 5  # type: ignore[misc]


def one_problem(options: Options) -> list[Problem]:
    return [Problem(problem_id="a", messages=({"role": "user", "content": "?"},), reference="1")]


def toys(**task: Any) -> Any:
    entries: list[Entry] = [
        TaskEntry(name="sums", options=Picky, oracle="equal", summary="Sums.", **{"factory": list, **task}),
        EngineEntry(name="toy", factory=list, offers=frozenset({"generate"}), summary="Toys."),
        VerifierEntry(name="equal", factory=list, role="oracle", summary="Compares."),
        SelectorEntry(name="oracle", factory=list, estimand="coverage", summary="Coverage."),
    ]
    from itscale_builtin.strategies import repeated_sampling

    return registry_of({"toys": [*entries, repeated_sampling.entry]})


TOYS = {"tasks": {"sums": {}}, "models": {"toy": {}}, "selectors": ["oracle"]}


@pytest.mark.parametrize(
    ("largest", "more"),
    [
        (3, []),
        (4, ["tasks.sums: the check of plugin toys/sums failed: RuntimeError: it broke"]),
        (5, ["tasks.sums: the check of plugin toys/sums said 5, expected texts"]),
    ],
)
def test_a_plugin_checks_its_own_options(largest: int, more: list[str]) -> None:
    changes = {**TOYS, "tasks": {"sums": {"largest": largest}}}
    said = "tasks.sums: largest: found 3, expected an even number"
    assert found(registry=toys(check=complains), **changes) == sorted([said, *more])


def test_a_plugin_that_fails_to_make_problems_is_named() -> None:
    def broken(options: Picky) -> Any:
        raise KeyError("row")

    (message,) = found(registry=toys(factory=broken), **TOYS)
    assert "toys/sums" in message
    assert "KeyError" in message


def test_what_is_not_installed_is_a_mistake_unless_models_run_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "itscale.plugins.modules.find_spec", lambda module: None if module == "openai" else object()
    )
    server = {"plugin": "openai", "model": "m", "base_url": "http://localhost:8000/v1"}
    (message,) = found(models={"toy": server})
    assert message.startswith("models.toy: engines/openai needs openai, not installed here: pip install")
    assert looked(models={"toy": server}, elsewhere=True).notes == [
        "models.toy: openai is not installed here"
    ]


def test_the_example_of_a_check_in_the_docs_runs(folder: Path) -> None:
    (code,) = (part for part in re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL) if "def check(" in part)
    example: dict[str, Any] = {}
    exec(
        compile(code.replace("from __future__", "# from __future__"), "docs", "exec", dont_inherit=True),
        example,
    )
    (folder / "q").write_text("1\n2\n")
    (folder / "a").write_text("1\n")
    options = example["PairOptions"](questions=folder / "q", answers=folder / "a")
    assert list(example["check"](options)) == [
        "answers: found 1 lines, expected 2, as many as there are questions"
    ]
    gone = example["PairOptions"](questions=folder / "q", answers=folder / "none")
    assert list(example["check"](gone)) == [f"answers: {folder / 'none'}: no such file"]


COUNTS = "problem,n,correct\n" + "".join(f"p{n},{4 + n},{n}\n" for n in range(4))


def outcomes(folder: Path, text: str = COUNTS, **more: Any) -> dict[str, Any]:
    (folder / "counts.csv").write_text(text)
    return {**dict.fromkeys(SAMPLED), "outcomes": {"theirs": {"path": "counts.csv", "task": "t", **more}}}


def test_a_row_that_cannot_be_is_found_before_anything_is_sampled(folder: Path) -> None:
    wrong = outcomes(folder, "problem,n,correct\na,3,5\n")["outcomes"]
    (message,) = found(outcomes=wrong)
    assert message.startswith("outcomes.theirs: counts.csv: row 1 (problem 'a'): correct: found 5 of n = 3")


def test_a_grid_goes_as_far_as_some_pool(folder: Path) -> None:
    changes = outcomes(folder)
    (message,) = found(**changes, curves={"budgets": [1, 64]})
    assert message == (
        "curves.budgets: found 64, expected at most the 4 completions of the outcomes "
        "t/theirs/repeated_sampling"
    )
    sampled = {key: STUDY[key] for key in SAMPLED}
    notes = looked(**{**changes, **sampled}, curves={"budgets": [2, 8]}).notes
    assert notes == [
        "curves.budgets: the outcomes t/theirs/repeated_sampling has 4 completions of each problem: its "
        "curves end there, without k = 8"
    ]
    (message,) = found(**{**changes, **sampled}, curves={"budgets": [8]})
    assert message.startswith("curves.budgets: found 8 or more, expected some of at most 4 for the outcomes")


def test_pools_of_different_sizes_share_a_grid() -> None:
    few = {"plugin": "repeated_sampling", "completions": 2}
    pools = {"repeated_sampling": {"completions": 8}, "few": few}
    (note,) = looked(strategies=pools, curves={"budgets": [1, 2, 8]}).notes
    assert note.startswith("curves.budgets: strategies.few has 2 completions of each problem: its curves end")
    assert note.endswith("without k = 8")
    assert found(strategies=pools, curves={"budgets": [16]}) == [
        "curves.budgets: found 16, expected at most the 8 completions of strategies.repeated_sampling"
    ]


def test_selectors_that_would_be_biased_are_refused_or_left_out(folder: Path) -> None:
    changes = outcomes(folder, "problem,n,correct\na,3,1\nb,1,1\nc,5,0\n", design="until_success")
    messages = found(**changes, selectors=["oracle", "first"])
    assert messages == [
        "selectors.first: found the outcomes t/theirs/repeated_sampling of the design 'until_success', "
        "expected a number of completions fixed beforehand, or the result is biased; of this study's, oracle "
        "can be taken"
    ]
    study = {key: value for key, value in {**STUDY, **changes}.items() if value is not None}
    assert list(examine(study).whole().selectors) == ["oracle"]


def test_a_difference_needs_two_problems_in_common(folder: Path) -> None:
    same = {"theirs": {"path": "counts.csv", "task": "t"}, "ours": {"path": "other.csv", "task": "t"}}
    (folder / "other.csv").write_text("problem,n,correct\np1,4,1\nq,4,1\n")
    changes = {**outcomes(folder), "outcomes": same}
    differences = {"both": {"of": {"model": "theirs"}, "minus": {"model": "ours"}}}
    (message,) = found(**changes, differences=differences)
    assert message.startswith("differences.both: found 1 of the problems of t in both, expected at least 2")
    same["ours"]["task"] = "other"
    (message,) = found(**changes, differences=differences)
    assert message == "differences.both: found no task on which there is both, expected at least one"


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        ("law_fits", "draws fits, of which the study fits no law to completions: add laws, or leave it out"),
        ("difference_curves", "draws differences, of which the study names none: add differences"),
    ],
)
def test_figures_of_what_a_study_does_not_make(figure: str, said: str) -> None:
    (message,) = found(figures=[figure])
    assert message.startswith(f"figures.{figure}: {said}")


def test_more_blocks_than_can_be_planned() -> None:
    strategies = {"repeated_sampling": {"completions": 10_000_000}}
    (message,) = found(strategies=strategies, block={"problems": 1, "completions": 1})
    assert message == "block: found 40,000,000 blocks to sample, expected at most 100,000: larger ones"


def test_folders_that_cannot_be_made(folder: Path) -> None:
    (folder / "results").write_text("")
    (folder / "reports").mkdir()
    (folder / "reports" / "small").write_text("")
    assert found() == [
        "reports/small: found a file, expected a folder for what the study writes",
        "results: found a file, expected a folder for what the study writes",
    ]


def test_everything_is_found_together(folder: Path) -> None:
    (folder / "logs").write_text("")
    messages = found(
        seed="x",
        tasks={"sums": {"plugin": "jsonl", "file": "absent.jsonl"}},
        models={"toy": {"plugin": "simulated", "steps": -1}},
        outcomes={"gone": {"path": "gone.csv", "task": "t"}},
        figures=["law_fits"],
    )
    assert [message.partition(":")[0] for message in messages] == [
        "logs", "figures.law_fits", "models.toy.steps", "outcomes.gone.path", "seed", "tasks.sums",
    ]  # fmt: skip


def test_budgets_are_looked_at_where_a_scorer_is_missing() -> None:
    said = found(strategies={"beam_search": {"width": 4, "budgets": [6]}})
    assert [message.partition(": ")[0] for message in said] == [
        "strategies.beam_search.budgets.0",
        "strategies.beam_search.scorer",
    ]


def test_a_law_that_will_not_be_fitted_is_told_with_what_it_needs() -> None:
    strategies = {"repeated_sampling": {"completions": 32}}
    laws = ["zero_inflated_beta_binomial", "beta_binomial"]
    assert looked(strategies=strategies, laws=laws).notes == [
        "laws.zero_inflated_beta_binomial: needs 50 completions of a problem, strategies.repeated_sampling "
        "has 32: it will not be fitted there"
    ]
    one = {"sums": {**STUDY["tasks"]["sums"], "problems": 1}}
    notes = looked(
        tasks=one, strategies={"repeated_sampling": {"completions": 1}}, laws=["beta_binomial"]
    ).notes
    assert [note.partition(",")[0] for note in notes] == [
        "laws.beta_binomial: needs 2 completions of a problem",
        "laws.beta_binomial: needs 2 problems",
    ]
