"""What a judge is asked, and how its word is read."""

import asyncio
from dataclasses import dataclass, field

import pytest

from itscale.types import Problem, Step, Trajectory
from itscale_builtin.verifiers.llm_judge import LlmJudge, LlmJudgeOptions, check

PROBLEM = Problem(
    problem_id="p", messages=({"role": "user", "content": "What is {answer} + 1?"},), reference="2"
)


@dataclass
class Says:
    """A desk at which the judge says one thing after the other."""

    words: list[str]
    asked: list[str] = field(default_factory=list)

    async def generate(self, messages, params, *, by, key):
        self.asked.append(messages[0]["content"])
        return Step(text=self.words[len(self.asked) - 1], tokens=1, logprob=None, node=1)


def judged(*words, text="It is {question}.", **options):
    desk = Says(list(words))
    start = Trajectory(PROBLEM.question, None, None)
    one = Trajectory(PROBLEM.question, start, Step(text=text, tokens=1, logprob=None, node=1))
    judge = LlmJudge(LlmJudgeOptions(judge="critic", votes=len(words), temperature=1.0, **options))
    return asyncio.run(judge.score([one], desk))[0], desk


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ("Yes.", 1.0),
        ("**NO**", 0.0),
        ("No, wait: it is, so yes", 1.0),
        ("I know that. Nothing is wrong: yes", 1.0),
    ],
)
def test_the_last_word_counts_as_a_whole_word(said, score):
    assert judged(said)[0] == score


@pytest.mark.parametrize(
    ("right", "wrong", "said", "score"),
    [
        ("[[A]]", "[[B]]", "Between [[A]] and [[B]], the verdict: [[B]]", 0.0),
        ("+", "-", "so: +", 1.0),
        ("是", "否", "答案是的", 1.0),
        ("correct", "not correct", "That is not correct", 0.0),
        ("correct", "incorrect", "Incorrect!", 0.0),
        ("да", "нет", "Да, нетто: да.", 1.0),
    ],
)
def test_words_may_be_of_any_script_or_none(right, wrong, said, score):
    assert judged(said, right=right, wrong=wrong)[0] == score


def test_words_that_cannot_be_told_apart_are_refused_before_a_run():
    (said,) = check(LlmJudgeOptions(judge="critic", right="yes", wrong="YES"))
    assert said == "wrong: found 'YES', expected another word than for right completions"


def test_votes_are_averaged_and_one_that_says_neither_is_an_error():
    assert judged("yes", "no", "no", "yes, yes")[0] == 0.5
    with pytest.raises(ValueError, match="neither 'yes' nor 'no': 'I cannot tell'"):
        judged("yes", "I cannot tell")


def test_what_a_problem_and_a_completion_say_is_put_into_the_prompt_as_it_is():
    _, desk = judged("yes")
    assert "What is {answer} + 1?" in desk.asked[0]
    assert "It is {question}." in desk.asked[0]


def test_prompts_and_votes_that_make_no_sense_are_said():
    options = LlmJudgeOptions(judge="critic", prompt="Is {answer} right?", votes=3)
    assert list(check(options)) == [
        "prompt: found {question} 0 times, expected it once",
        "votes: found 3 at temperature 0, expected 1: all would be the same",
    ]
