"""Verifiers: what counts as the answer, what counts as right, and what hostile answers may not do."""

import asyncio
import math as maths
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itscale.errors import DataError, EngineError
from itscale.plugins import Options
from itscale.types import Problem, Reward, Step, Trajectory
from itscale_builtin.tasks import gsm8k
from itscale_builtin.tasks import reasoning_gym as gym_task
from itscale_builtin.verifiers import (
    answers,
    exact_match,
    logprob,
    math,
    outcome_reward,
    process_reward,
    reasoning_gym,
)
from itscale_builtin.verifiers.puzzles import CHECKS
from itscale_builtin.verifiers.said import said
from itscale_builtin.verifiers.wrappers import tidy


def problem(reference: str = "1") -> Problem:
    return Problem(problem_id="p", messages=({"role": "user", "content": "?"},), reference=reference)


@pytest.fixture(scope="module")
def oracle() -> math.Math:
    return math.Math(math.MathOptions(seconds=1.0))


def correct(oracle: Any, asked: Problem, text: str) -> bool:
    answer = oracle.answer(asked, text)
    return answer is not None and bool(oracle.judge(asked, [answer])[0].correct)


# Finding the answer ------------------------------------------------------------------------------------

FOUND = [
    ("tags", "<answer>1</answer> no: <answer> 2\n3 </answer>.", "2\n3"),
    ("tags", "so <answer>42", "42"),
    ("boxed", r"\boxed{1} then \boxed{\frac{1}{2}} done", r"\frac{1}{2}"),
    ("boxed", r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
    ("boxed", r"\boxed{\boxed{3}}", "3"),
    ("boxed", r"\boxed{5} and \boxed{6", "5"),
    ("hashes", "work #### 7\n#### 1,234 \nmore", "1,234"),
    ("answer_is", "The answer is 3. No.\nThe final answer is $4$.", "$4$"),
    ("answer_is", "**Answer:** -5", "-5"),
    ("answer_is", "answer = 6", "6"),
    ("last_number", "from 3 to 1,234.5 dollars.", "1,234.5"),
    ("last_number", "it is 3/4.", "3/4"),
    ("last_number", "x2 is -7", "-7"),
    ("last_line", "first\n\nlast one \n\n", "last one"),
    ("whole", " all of it\n", "all of it"),
]


@pytest.mark.parametrize(("place", "text", "expected"), FOUND)
def test_where_an_answer_stands(place: answers.Locator, text: str, expected: str) -> None:
    assert answers.locate(text, [place]) == expected


@pytest.mark.parametrize("place", ["tags", "boxed", "hashes", "answer_is", "last_number"])
def test_no_answer_is_none(place: answers.Locator) -> None:
    assert answers.locate("I would rather not say.", [place]) is None


def test_the_first_place_that_holds_an_answer_counts() -> None:
    text = r"The answer is 3, so \boxed{4}"
    assert answers.locate(text, ["boxed", "answer_is"]) == "4"
    assert answers.locate("The answer is 3", ["boxed", "answer_is"]) == "3"


BALANCED = st.recursive(
    st.text("ab12+ ", min_size=1, max_size=5), lambda inner: inner.map(lambda text: "{" + text + "}")
)


@given(
    before=st.text(),
    inside=BALANCED.filter(str.strip),
    after=st.text(st.characters(exclude_characters="\\{}")),
)
def test_a_box_is_found_whatever_stands_before_it(before: str, inside: str, after: str) -> None:
    assert answers.boxed(f"{before} \\boxed{{{inside}}}{after}") == inside.strip()


@given(text=st.text())
def test_what_is_found_stands_in_the_text(text: str) -> None:
    for place in answers.LOCATORS:
        found = answers.locate(text, [place])
        assert found is None or (found and (found in text or found in said(text)))


@given(number=st.integers(), text=st.text(st.characters(categories=["L", "Zs"])))
def test_the_last_number_is_found_in_prose(number: int, text: str) -> None:
    assert answers.last_number(f"12 {text} {number}. {text}") == str(number)
    assert answers.is_number(f"{number:,}")


@given(text=st.text(), reference=st.text())
def test_tidying_twice_changes_nothing_more(text: str, reference: str) -> None:
    once = tidy(text, reference)
    assert tidy(once, reference) == once
    assert once in text


@given(reference=st.text().map(str.strip))
def test_a_reference_is_never_tidied_away(reference: str) -> None:
    assert tidy(reference, reference) == reference


@pytest.mark.parametrize(
    ("answer", "expected"), [("**7**.", "7"), ('"yes".', "yes"), ("$x$", "x"), ("`a`", "a"), ("3.5", "3.5")]
)
def test_tidying_takes_off_what_is_no_part_of_an_answer(answer: str, expected: str) -> None:
    assert tidy(answer) == expected


HOSTILE_RUNS = [
    "$",
    "*",
    "$*",
    '"',
    "1,",
    "1/",
    "(",
    "\\boxed{",
    "\\boxed{1} or ",
    "answer is ",
    "#### $a ",
    "72! ",
    "<think>",
    "</think>",
    "<|channel|>a<|message|>",
    "~~a",
    "wait, no, ",
    '{"answer": ',
    "two hundred ",
    "3:4 ",
    "May 5 ",
    "１",
]


@pytest.mark.parametrize("run", HOSTILE_RUNS)
def test_every_place_is_looked_for_in_a_megabyte(run: str) -> None:
    text = run * (1_000_000 // len(run))
    for place in answers.LOCATORS:
        tidy(answers.locate(text, [place]) or "")  # what was quadratic took minutes


# exact_match -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text", "reference", "expected"),
    [
        ({}, "Because.\nParis", "paris", True),
        ({"ignore_case": False}, "Paris", "paris", False),
        ({}, "not Paris", "paris", False),
        ({}, "The answer is **Paris**.", "Paris", True),
        ({"ignore_punctuation": True}, "It's, Paris!", "It s Paris", True),
        ({"ignore_articles": True}, "the end", "End", True),
        ({"pattern": r"=> (\w+)"}, "=> a\n=> b\nc", "b", True),
        ({"find": ["hashes"]}, "Paris", "Paris", False),
        ({"pattern": r"(\w+\s?)+\.$"}, "a" * 40 + "!", "a", False),  # takes for ever
        ({}, "The answer is 102.", "10²", False),
        ({}, "The answer is 10^2.", "10²", True),
        ({}, "The answer is 10².", "10²", True),
        ({}, r"\boxed{\text{Paris}}", "Paris", True),
        ({}, "The answer is Paris. I hope this answer is helpful!", "Paris", True),
        ({}, "The answer is Washington, D.C.", "Washington, D.C.", True),
        ({}, "The answer is Washington, D.C.", "Washington, D.C", True),
        ({}, "The answer is Paris, which is in France.", "Paris", True),
        ({}, "**Answer:**\nParis", "Paris", True),
        ({}, "It is in the north.\nThe capital is **New York**.", "New York", True),
        ({}, "The capital is not **New York**.", "New York", False),
        ({}, "It is **Albany** rather than **New York**.", "New York", False),
        ({}, "**New York** is the capital\n\nof the land", "New York", False),
        ({}, "The answer is don’t.", "don't", True),
        ({}, "The answer is “x−y”", "x-y", True),
        ({}, "The answer is x+y", "x-y", False),
    ],
)
def test_exact_match(options: dict[str, Any], text: str, reference: str, expected: bool) -> None:
    oracle = exact_match.ExactMatch(exact_match.ExactMatchOptions.model_validate(options))
    assert correct(oracle, problem(reference), text) is expected


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a regular expression"):
        exact_match.ExactMatchOptions(pattern="(")


# math --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        (r"so \boxed{0.5}", r"\frac{1}{2}", True),
        (r"\boxed{\dfrac12}", "0.5", True),
        ("The answer is $1,234.", "1234", True),
        ("#### 1,234", "1234", True),
        ("The answer is 5 apples.", "5", True),
        ("I get 7 and then 8", "8", True),
        ("I get 8 and then 7", "8", False),
        (r"\boxed{x=3}", "3", True),
        (r"\boxed{(1,2)}", "(1, 2)", True),
        (r"\boxed{(2,1)}", "(1,2)", False),
        (r"\boxed{\text{Evelyn}}", r"\text{Evelyn}", True),
        (r"\boxed{2x + 2}", "2(x+1)", True),
        (r"\boxed{not \frac{1}{2} (3)}", r"\frac{1}{2}", False),
        (r"\boxed{007}", "7", True),
        (r"\boxed{-0}", "0", True),
        ("\\boxed{" + "9" * 900 + "}", "9" * 900, True),
        ("\\boxed{" + "9" * 900 + "8}", "9" * 901, False),
    ],
)
def test_equality_as_mathematics(oracle: math.Math, text: str, reference: str, expected: bool) -> None:
    assert correct(oracle, problem(reference), text) is expected


def test_classes_join_what_is_equal_whatever_the_order(oracle: math.Math) -> None:
    given = ["1/2", "3", "0.5", r"\frac{1}{2}", "03", "x", "9^{9^{9^{9}}}", "", r"\frac{2}{4}"]
    named = dict(zip(given, oracle.classes(given), strict=True))
    assert named == dict(zip(given[::-1], oracle.classes(given[::-1]), strict=True))
    groups = [{a for a in given if named[a] == name} for name in sorted(set(named.values()))]
    assert {frozenset(group) for group in groups} == {
        frozenset({"1/2", "0.5", r"\frac{1}{2}", r"\frac{2}{4}"}),
        frozenset({"3", "03"}),
        frozenset({"x"}),
        frozenset({"9^{9^{9^{9}}}"}),
        frozenset({""}),
    }
    assert all(named[name] == name for name in named.values())


HOSTILE = [
    "9^{9^{9^{9}}}",
    "9**9**9**9",
    "10000000!",
    r"\binom{100000000}{50000000}",
    "(" * 900,
    r"\frac{" * 160 + "1" + "}{2}" * 5,
    "{" * 499 + "}" * 499,
    "x^{" * 300,
    "1" * 100_000,
]


@pytest.mark.parametrize("answer", HOSTILE)
def test_no_expression_outlasts_the_limit_even_in_another_thread(oracle: math.Math, answer: str) -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend(oracle.judge(problem("3/2"), [answer, "1.5"])))
    thread.start()
    thread.join(60)
    hostile, innocent = found
    assert not hostile.correct
    assert "\n" not in hostile.detail
    assert innocent.correct  # the next answer is judged as if nothing had happened


def test_an_overrun_is_called_timeout(oracle: math.Math) -> None:
    (verdict,) = oracle.judge(problem("3"), [r"\int_0^1 \frac{1}{x^{17}+x+1} dx"])
    assert (verdict.correct, verdict.status) == (False, "timeout")
    assert "1 s" in verdict.detail


def test_what_is_too_large_is_refused_without_being_evaluated(oracle: math.Math) -> None:
    verdicts = oracle.judge(problem("3"), ["9^{9^{9^{9}}}", "(9^9^9)!", "1e999999999", r"\sqrt{10000000!}"])
    assert {verdict.status for verdict in verdicts} == {"unparsable"}
    assert all("too many digits" in verdict.detail for verdict in verdicts)


def test_what_is_no_expression_is_unparsable(oracle: math.Math) -> None:
    assert oracle.judge(problem("3"), ["\\"])[0].status == "unparsable"
    assert oracle.answer(problem("3"), "no idea") is None


@pytest.mark.shared_data
def test_every_gsm8k_solution_is_right_and_one_more_is_wrong(oracle: math.Math, shared_data: Path) -> None:
    file = shared_data / "tasks" / "gsm8k" / "test.jsonl"
    for asked in gsm8k.make(gsm8k.Gsm8kOptions(file=file)):
        assert correct(oracle, asked, f"2 + 2.\nThe final answer is ${asked.reference}.")
        assert correct(oracle, asked, f"It makes {int(asked.reference):,}")
        assert not correct(oracle, asked, f"It makes {int(asked.reference) + 1}")


# reasoning_gym -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gym() -> reasoning_gym.ReasoningGym:
    return reasoning_gym.ReasoningGym(reasoning_gym.ReasoningGymOptions(seconds=3.0))


def gym_problems(dataset: str, size: int = 2) -> Iterator[Problem]:
    return gym_task.make(gym_task.ReasoningGymOptions(dataset=dataset, size=size))


def verifiable() -> list[str]:
    from reasoning_gym.factory import DATASETS

    return sorted(set(DATASETS) - set(gym_task.DEFECTIVE))


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 8])
def test_every_data_set_that_is_not_refused_verifies(gym: reasoning_gym.ReasoningGym, every: int) -> None:
    faults = []
    for dataset in verifiable()[::every]:
        for asked in gym_problems(dataset, 1):
            for text in (
                f"So.\n<answer>{asked.reference}</answer>",
                f"<answer>\n{asked.reference}\n</answer>.",
            ):
                if not correct(gym, asked, text):
                    faults.append(f"{dataset}: its own answer {asked.reference!r} is wrong")
            # The string match in front of the scorer is passed by: the scorer itself must agree.
            source = {key: asked.metadata[key] for key in reasoning_gym.NEEDED}
            marks = gym._comparing.call(source, asked.reference, asked.reference)
            if marks.value != 1.0:
                faults.append(f"{dataset}: its scorer gives its own answer {marks}")
            for wrong in ("", "zzz", "-98765", "0", "[]"):
                if wrong != asked.reference and correct(gym, asked, f"The answer is {wrong}"):
                    faults.append(f"{dataset}: {wrong!r} counts as {asked.reference!r}")
    assert faults == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The answer is {}", True),
        ("The answer is **{}**.", True),
        ("It is \\boxed{{{}}}", True),
        ("Divide 12 by 3.\nThe greatest common divisor is {}.", True),
        ("<answer>{}</answer>", True),
        ("It is {}, I think; or 1000", False),
        ("{}1", False),
    ],
)
def test_models_chat_around_a_number(gym: reasoning_gym.ReasoningGym, text: str, expected: bool) -> None:
    for asked in gym_problems("gcd", 3):
        assert correct(gym, asked, text.format(asked.reference)) is expected


def test_part_of_the_marks_is_wrong(gym: reasoning_gym.ReasoningGym) -> None:
    asked = next(gym_problems("caesar_cipher"))
    assert not gym.judge(asked, [f"{asked.reference} or so"])[0].correct


@pytest.mark.parametrize("dataset", sorted(reasoning_gym.EVALUATING))
def test_an_answer_is_never_run_as_a_program(
    gym: reasoning_gym.ReasoningGym, dataset: str, tmp_path: Path
) -> None:
    target = tmp_path / "made-by-an-answer"
    asked = next(gym_problems(dataset))
    for program in (
        f"__import__('os').mkdir('{target}')",
        f"[open('{target}', 'w')]",
        f"(lambda: open('{target}', 'w'))()",
        f"[make for make in [open]][0]('{target}', 'w')",
        f"sqrt(open\n('{target}', 'w'))",
    ):
        (verdict,) = gym.judge(asked, [program])
        assert not verdict.correct
        assert verdict.status == ("error" if dataset in CHECKS else "judged")
    assert not target.exists()


@pytest.mark.parametrize("text", ["3*(4 - 1)", "[[1, 2], [-3, 4]]", "sin(x)/2 + C", "1 2 3", "_ Q _\nQ _ _"])
def test_arithmetic_is_no_program(text: str) -> None:
    assert reasoning_gym.harmless(text)


@pytest.mark.parametrize(
    "text", ["f(x)", "x.y", "[i for i in x]", "lambda: 1", "x if y else z", "a!(b)", "__x__"]
)
def test_what_could_be_a_program_is_one(text: str) -> None:
    assert not reasoning_gym.harmless(text)


def test_a_scorer_that_fails_or_hangs_is_a_verdict(gym: reasoning_gym.ReasoningGym) -> None:
    (failed,) = gym.judge(next(gym_problems("countdown")), ["f(x)"])
    assert (failed.correct, failed.status) == (False, "error")
    (hung,) = gym.judge(next(gym_problems("simple_integration")), ["9**9**9**9"])
    assert (hung.correct, hung.status) == (False, "timeout")


def test_a_problem_that_is_not_its_own_is_refused(gym: reasoning_gym.ReasoningGym) -> None:
    with pytest.raises(DataError, match="metadata lacks dataset"):
        gym.judge(problem(), ["1"])
    asked = next(gym_problems("word_ladder"))
    changed = Problem(
        problem_id="p",
        messages=asked.messages,
        reference=asked.reference,
        metadata={**asked.metadata, "question": "another"},
    )
    with pytest.raises(DataError, match="no longer makes the problem"):
        gym.judge(changed, ["CAT,COT"])


# Scorers -----------------------------------------------------------------------------------------------


def trajectory(*steps: tuple[int, float | None]) -> Trajectory:
    here = Trajectory(problem())
    for node, (tokens, nats) in enumerate(steps, start=1):
        here = Trajectory(problem(), here, Step(text="s", tokens=tokens, logprob=nats, node=node))
    return here


def test_logprob_is_the_geometric_mean_of_token_probabilities() -> None:
    scorer = logprob.Logprob(Options())
    given = [trajectory((2, -1.0), (3, -4.0)), trajectory((1, 0.0)), trajectory()]
    scores = asyncio.run(scorer.score(given, None))
    assert scores == pytest.approx([maths.exp(-1.0), 1.0, 0.0])


def test_logprob_says_when_the_engine_reports_none() -> None:
    with pytest.raises(EngineError, match="reports no log-probabilities"):
        asyncio.run(logprob.Logprob(Options()).score([trajectory((2, -1.0), (2, None))], None))


class Rewards:
    """A desk whose only model says the same of whatever it reads."""

    def __init__(self, *steps: float, whole: float | None = None) -> None:
        self._reward = Reward(whole=whole, steps=steps, prompt_tokens=1)

    async def rewards(self, trajectories: Any, by: str | None = None) -> list[Reward]:
        return [self._reward for _ in trajectories]


STEPWISE = {"last": 0.8, "min": 0.2, "product": 0.9 * 0.2 * 0.8, "mean": 1.9 / 3, "max": 0.9, "model": 0.6}


def test_rewards_of_steps_are_aggregated_as_the_scorer_is_told() -> None:
    given, desk = [trajectory(*[(1, None)] * 3), trajectory()], Rewards(0.9, 0.2, 0.8, whole=0.6)
    for aggregate, expected in STEPWISE.items():
        options = process_reward.ProcessRewardOptions(aggregate=aggregate)
        assert asyncio.run(process_reward.ProcessReward(options).score(given, desk)) == pytest.approx(
            [expected, 1.0]
        )


def test_a_completion_drawn_in_one_piece_is_cut_at_a_delimiter() -> None:
    def of(*texts: str) -> Trajectory:
        here = Trajectory(problem())
        for node, text in enumerate(texts, 1):
            here = Trajectory(problem(), here, Step(text=text, tokens=6, logprob=-1.0, node=node), "eos")
        return here

    def pieces(*texts: str) -> list[str]:
        return [step.text for step in process_reward.cut(of(*texts), "\n\n").steps]

    assert pieces("a\n\nb\n\n", "c\n\n\n\nd\ne") == ["a\n\n", "b\n\n", "c\n\n\n\n", "d\ne"]
    assert pieces("\n\na\n\n", "", "\n\n") == ["\n\na\n\n", "", "\n\n"]
    whole, pieced = of("a\n\nb"), process_reward.cut(of("a\n\nb"), "\n\n")
    assert (pieced.text, pieced.tokens, pieced.finish_reason) == (whole.text, whole.tokens, "eos")
    assert process_reward.cut(whole, "x") is whole


def test_a_reward_of_another_kind_than_is_aggregated_is_refused() -> None:
    given = [trajectory((1, None))]
    for aggregate, desk in (("model", Rewards(0.5)), ("min", Rewards(whole=0.5))):
        options = process_reward.ProcessRewardOptions(aggregate=aggregate)
        with pytest.raises(EngineError, match=f"alone, which aggregate: {aggregate} has no use for"):
            asyncio.run(process_reward.ProcessReward(options).score(given, desk))
    scorer = outcome_reward.OutcomeReward(outcome_reward.OutcomeRewardOptions())
    assert asyncio.run(scorer.score(given, Rewards(0.5, whole=0.25))) == [0.25]
    with pytest.raises(EngineError, match="steps alone, expected one of the whole; take process_reward"):
        asyncio.run(scorer.score(given, Rewards(0.5)))


def test_answers_are_found_in_the_texts_the_prompts_ask_for(gym: reasoning_gym.ReasoningGym) -> None:
    for dataset in ("letter_counting", "word_sorting", "time_intervals"):
        for asked in islice(gym_problems(dataset), 2):
            assert correct(gym, asked, f"I count.\nThe answer is {asked.reference}")


def test_prose_is_a_class_of_its_own_even_if_its_letters_are_those_of_another():
    oracle = math.Math(math.MathOptions())
    answers = ["sore bolts", "bolts sore", "2 bolts", "two bolts", "2.50", "5/2"]
    assert oracle.classes(answers) == ["sore bolts", "bolts sore", "2 bolts", "2 bolts", "2.50", "2.50"]
