"""Scorers and oracles are believed in nothing, and change nothing that others see."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hostile import GOOD, NAN, WHERE, Obliging, hostile, refusal, sample

from itscale.boundary import CheckedOracle, Place
from itscale.stages.judging import judge
from itscale.stages.outcomes import gather_outcomes
from itscale.stages.verification import verify_block
from itscale.types import Verdict


def verify(study, verifier):
    verify_block(
        study,
        *WHERE,
        verifier,
        problems=Path("problems.parquet"),
        completions=Path("block.parquet"),
        model_directories={},
        output=Path(f"{verifier}.parquet"),
        ledger=Path(f"{verifier}.ledger.parquet"),
    )


def gather(study):
    judged = {label: [Path(f"{label}.parquet")] for label in ("judge", "reward")}
    files = {"problems": Path("problems.parquet"), "output": Path("outcomes.parquet")}
    gather_outcomes(study, *WHERE, completions=[Path("block.parquet")], verdicts=judged, **files)


def scorer(say):
    class Hostile:
        async def score(self, trajectories, desk):
            return say(trajectories)

    return lambda options: Hostile()


SCORES = [
    (lambda given: None, "score(): found None, expected a list of scores"),
    (lambda given: [0.5] * (len(given) - 1), "scores for"),
    (lambda given: [None] * len(given), "score(): found None, expected a number in [0, 1]"),
    (lambda given: [NAN] * len(given), "score(): found nan, expected a number in [0, 1]"),
    (lambda given: [3.0] * len(given), "score(): found 3, expected a number in [0, 1]"),
    (lambda given: [-1] * len(given), "score(): found -1, expected a number in [0, 1]"),
    (lambda given: ["0.5"] * len(given), "score(): found '0.5', expected a number in [0, 1]"),
    (lambda given: [10**400] * len(given), "expected a number in [0, 1]"),
    (lambda given: [Fraction(10**400, 3)] * len(given), "expected a number in [0, 1]"),
    (lambda given: [Obliging(7)] * len(given), "score(): found 7, expected a number in [0, 1]"),
    (lambda given: {n / 10 for n in range(len(given))}, "expected a list of scores"),
    (lambda given: dict.fromkeys(range(len(given)), 0.5), "expected a list of scores"),
    (lambda given: [True] * len(given), "score(): found True, expected a number in [0, 1]"),
    (lambda given: np.full((len(given), 1), 0.5), "score(): found array([0.5]), expected a number in [0, 1]"),
]


@pytest.mark.parametrize(("say", "said"), SCORES)
def test_scorers_while_sampling_and_after(study, say, said):
    name = "verifiers/process_reward (label 'reward'): problem '"
    sample(study)
    changed = hostile(study, "scorers", "reward", scorer(say))
    for action in (lambda: verify(changed, "reward"), lambda: sample(changed, "search")):
        assert said in refusal(action, name)


class Judge:
    """An oracle as it should be."""

    def answer(self, problem, text):
        return text

    def classes(self, answers):
        return list(answers)

    def judge(self, problem, answers):
        return [Verdict(correct=False) for _ in answers]


def oracle(**methods):
    return lambda options: type(
        "Hostile", (Judge,), {name: staticmethod(how) for name, how in methods.items()}
    )()


def judging(**verdict):
    return oracle(judge=lambda problem, answers: [Verdict(**verdict)] * len(answers))


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (lambda options: scorer(len)(options), "factory: found"),
        (oracle(answer=lambda problem, text: 7), "answer(): found 7, expected a text or None"),
        (oracle(answer=lambda problem, text: [text]), "answer(): found ["),
        (oracle(judge=lambda problem, answers: None), "judge(): found None, expected a list of verdicts"),
        (oracle(judge=lambda problem, answers: []), "judge(): found 0 verdicts for"),
        (
            oracle(judge=lambda problem, answers: [True] * len(answers)),
            "judge(): found True, expected a Verdict",
        ),
        (judging(correct="yes"), "judge(): correct: found 'yes', expected True or False"),
        (judging(correct=1), "judge(): correct: found 1, expected True or False"),
        (judging(correct=None), "judge(): correct: found None, expected True or False"),
        (judging(correct=True, score=0.5), "judge(): score: found 0.5, expected None of an oracle"),
        (judging(correct=True, status="fine"), "judge(): status: found 'fine', expected judged or"),
        (judging(correct=False, detail=None), "judge(): detail: found None, expected a text"),
    ],
)
def test_oracles(study, factory, said):
    sample(study)
    changed = replace(study, oracles=hostile(study, "oracles", "sums", factory).oracles)
    assert said in refusal(lambda: verify(changed, "judge"), "verifiers/exact_match (label 'judge'): ")


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (lambda answers: None, "classes(): found None, expected a list of representatives"),
        (lambda answers: answers[1:], "representatives for"),
        (lambda answers: ["another"] * len(answers), "found 'another', expected one of the answers"),
        (lambda answers: [7] * len(answers), "classes(): found 7, expected one of the answers"),
        (lambda answers: [*answers[1:], answers[0]], "as its own representative"),
    ],
)
def test_classes_of_oracles(study, classes, said):
    changed = hostile(study, "oracles", "sums", oracle(classes=classes))
    sample(changed)
    for verifier in ("judge", "reward"):
        verify(changed, verifier)
    line = refusal(lambda: gather(changed), "verifiers/exact_match (label 'judge'): problem '", "classes()")
    assert said in line


SPELLINGS = ["10", "5", "5.0"]


@pytest.mark.parametrize("spoil", [list.clear, list.reverse, lambda given: given.sort(key=len, reverse=True)])
def test_an_oracle_gets_lists_of_its_own(spoil):
    def classes(answers):
        kept: dict[float, str] = {}
        named = [kept.setdefault(float(answer), answer) for answer in answers]
        spoil(answers)
        return named

    def verdicts(problem, answers):
        made = [Verdict(correct=float(answer) == 5) for answer in answers]
        spoil(answers)
        return made

    checked = CheckedOracle(oracle(classes=classes, judge=verdicts)(None), Place("verifiers", "x"))
    given = SPELLINGS.copy()
    assert checked.classes(given) == ["10", "5", "5"]
    assert [verdict.correct for verdict in checked.judge(GOOD, given)] == [False, True, True]
    assert given == SPELLINGS


def test_an_oracle_that_sorts_before_it_names_is_measured_by_what_it_was_given():
    def classes(answers):
        answers.sort(key=len, reverse=True)  # 5.0, 10, 5: each name is at another's place
        kept: dict[float, str] = {}
        return [kept.setdefault(float(answer), answer) for answer in answers]

    checked = CheckedOracle(oracle(classes=classes)(None), Place("verifiers", "x"))
    refusal(lambda: checked.classes(SPELLINGS), "verifiers/x: classes()", "as its own representative")


def nested(problem):
    problem.metadata["numbers"].append(4)


@pytest.mark.parametrize("spoil", [nested, lambda problem: problem.messages[0].update(content="!")])
@pytest.mark.parametrize("where", ["answer", "judge"])
def test_an_oracle_that_changes_its_problem_is_named_and_nobody_else_sees_it(spoil, where):
    def answer(problem, text):
        if where == "answer":
            spoil(problem)
        return text

    def verdicts(problem, answers):
        if where == "judge":
            spoil(problem)
        return [Verdict(correct=True) for _ in answers]

    problem = replace(GOOD, messages=({"role": "user", "content": "1?"},), metadata={"numbers": [1, 2, 3]})
    checked = CheckedOracle(oracle(answer=answer, judge=verdicts)(None), Place("verifiers", "x"))
    refusal(lambda: judge(checked, problem, ["a", "b"]), "verifiers/x: problem '1': judge()", "as it was")
    assert problem == replace(GOOD, metadata={"numbers": [1, 2, 3]})


def test_a_set_has_no_order_and_gives_no_answer_its_own():
    checked = CheckedOracle(oracle(classes=set)(None), Place("verifiers", "x"))
    refusal(
        lambda: checked.classes(SPELLINGS), "verifiers/x: classes()", "expected a list of representatives"
    )


def test_a_scorer_that_changes_its_problem_is_named(study):
    sample(study)

    def spoil(given):
        given[0].problem.messages[0]["content"] = "easier"
        return [0.5] * len(given)

    changed = hostile(study, "scorers", "reward", scorer(spoil))
    refusal(lambda: verify(changed, "reward"), "score(): found a change of the problem itself")
