"""The contract of a verifier: the right answer is right, and no text, however hostile, stops it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import pytest

from itscale.boundary import CheckedOracle, CheckedScorer
from itscale.sampling.ledger import Account, Ledger
from itscale.sampling.scoring import Answers, ChargedDesk
from itscale.testing.doubles import Tallied, simulated
from itscale.testing.entries import EntryContract, kept_word
from itscale.testing.judged import judged
from itscale.types import Engine, Problem, Step, Trajectory, Verdict

__all__ = ["HOSTILE_TEXTS", "OracleContract", "ScorerContract", "finish_within"]

HOSTILE_TEXTS: dict[str, str] = {
    "empty": "",
    "blank": " \n\t ",
    "huge": "The answer is 42. " * 20_000,
    "control characters": "\x00\x07\x1b[31m\x7f answer \x00",
    "lone surrogate": "answer \ud800",
    "right to left": "\u202e24 si rewsna ehT",
    "unbalanced braces": "\\boxed{" * 300 + "1",
    "nested parentheses": "(" * 2_000 + "1" + ")" * 2_000,
    "tower of powers": "\\boxed{9**9**9**9}",
    "tower in latex": "$9^{9^{9^{9}}}$",
    "huge factorial": "\\boxed{99999999!}",
    "code": "__import__('os').abort()",
    "format fields": "{0.__class__} %s %(x)s {reference}",
    "a very long number": "#### " + "9" * 20_000,
    "not a number": "nan",
    "infinity": "-inf",
    "markup": "<script>alert(1)</script> \\input{/etc/passwd}",
}
"""Texts a model may well write, by what is wrong with them."""

T = TypeVar("T")


def finish_within(seconds: float, work: Callable[[], T]) -> T:
    """Run `work` in a thread and return its result, or fail if it takes longer than `seconds`."""
    outcome: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # handed to the test's own thread
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        pytest.fail(f"still running after {seconds} s")
    if errors:
        raise errors[0]
    return outcome[0]


def number_problems() -> tuple[Problem, ...]:
    """Return problems whose references are numbers."""
    return tuple(
        Problem(
            problem_id=f"number-{reference}",
            messages=({"role": "user", "content": f"Say {reference}."},),
            reference=reference,
        )
        for reference in ("7", "42", "-3")
    )


class OracleContract(EntryContract):
    """Tests of a verifier that knows what is correct.

    A right text is the reference, unless a method `right(problem)` says otherwise.

    Attributes
    ----------
    problems
        Problems of the sort it judges.
    wrong
        Texts that are wrong answers to every one of them.
    patience
        Seconds within which it must deal with any one text.
    helpers
        Options of the simulated engines of the models that its options name, by label.
    """

    problems: ClassVar[Sequence[Problem]] = number_problems()
    wrong: ClassVar[Sequence[str]] = ("1234567", "I don't know")
    patience: ClassVar[float] = 30.0
    helpers: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    _oracle: ClassVar[Any]

    def make(self) -> Any:
        """Return the one oracle of all tests, as one judges a whole study."""
        own = vars(type(self))
        if "_oracle" not in own:
            type(self)._oracle = super().make()
        return type(self)._oracle

    def judge(self, problem: Problem, answers: Sequence[str]) -> list[Verdict]:
        """Return the oracle's verdicts, waited for if its `judge` is a coroutine."""
        engines: dict[str, Engine] = {name: simulated(how) for name, how in self.helpers.items()}
        return judged(self.make(), self.place(), problem, answers, engines)

    def right(self, problem: Problem) -> str:
        """Return a completion's text that is right: the reference, unless you say otherwise."""
        return problem.reference

    def answers(self, problem: Problem) -> list[str]:
        """Return the distinct answers in a right text and in wrong ones."""
        oracle = self.make()
        found = [oracle.answer(problem, text) for text in (self.right(problem), *self.wrong)]
        return list(dict.fromkeys(answer for answer in found if answer is not None))

    def test_it_is_an_oracle(self) -> None:
        """A verifier's role says which protocol it follows."""
        assert self.entry.role == "oracle"

    def test_the_reference_is_correct(self) -> None:
        """The right answer is found, judged, and judged correct."""
        oracle = self.make()
        for problem in self.problems:
            answer = oracle.answer(problem, self.right(problem))
            assert answer is not None
            (verdict,) = self.judge(problem, [answer])
            assert verdict.correct is True
            assert verdict.status == "judged"

    def test_wrong_answers_are_wrong(self) -> None:
        """A wrong text is judged wrong or has no answer, but never correct."""
        oracle = self.make()
        for problem in self.problems:
            for text in self.wrong:
                answer = oracle.answer(problem, text)
                if answer is not None:
                    assert self.judge(problem, [answer])[0].correct is not True, text

    @pytest.mark.parametrize("kind", HOSTILE_TEXTS)
    def test_hostile_text_gets_a_verdict(self, kind: str) -> None:
        """Whatever a model writes, there is a verdict in finite time, no exception, and no harm done."""
        oracle, problem = self.make(), self.problems[0]

        def judge() -> Any:
            answer = oracle.answer(problem, HOSTILE_TEXTS[kind])
            if answer is None:
                return None
            return answer, oracle.classes([answer]), self.judge(problem, [answer])

        outcome = finish_within(self.patience, judge)
        if outcome is not None:
            answer, classes, verdicts = outcome
            assert classes == [answer]
            assert len(verdicts) == 1
            assert "\n" not in verdicts[0].detail
        self.test_the_reference_is_correct()

    def test_a_study_takes_its_word(self) -> None:
        """Answers, classes and verdicts are checked as they come."""
        oracle = CheckedOracle(self.make(), self.place())
        for problem in self.problems:
            with kept_word():
                found = [oracle.answer(problem, text) for text in (self.right(problem), *self.wrong)]
                answers = sorted({answer for answer in found if answer is not None})
                oracle.classes(answers, problem.problem_id)
                if not oracle.asynchronous:
                    oracle.judge(problem, answers)

    def test_nothing_to_judge(self) -> None:
        """Problems without a single answer occur."""
        oracle = self.make()
        assert oracle.classes([]) == []
        assert self.judge(self.problems[0], []) == []

    def test_verdicts_do_not_depend_on_company(self) -> None:
        """Each answer is judged as it would be alone, and in any order."""
        for problem in self.problems:
            answers = self.answers(problem)
            together = self.judge(problem, answers)
            assert together == [self.judge(problem, [answer])[0] for answer in answers]
            assert together == self.judge(problem, answers[::-1])[::-1]

    def test_classes_are_a_partition(self) -> None:
        """A representative is one of the answers and represents itself; order changes no class."""
        oracle = self.make()
        for problem in self.problems:
            answers = self.answers(problem)
            classes = oracle.classes(answers)
            assert len(classes) == len(answers)
            assert set(classes) <= set(answers)
            assert all(classes[answers.index(name)] == name for name in classes)
            backwards = oracle.classes(answers[::-1])[::-1]
            pairs = [(i, j) for i in range(len(answers)) for j in range(i)]
            for i, j in pairs:
                assert (classes[i] == classes[j]) == (backwards[i] == backwards[j])

    def test_equivalent_answers_are_judged_alike(self) -> None:
        """Votes count classes: a class must not be right and wrong at once."""
        oracle = self.make()
        for problem in self.problems:
            answers = self.answers(problem)
            by_class: dict[str, set[bool | None]] = {}
            for name, verdict in zip(oracle.classes(answers), self.judge(problem, answers), strict=True):
                by_class.setdefault(name, set()).add(verdict.correct)
            assert all(len(found) == 1 for found in by_class.values()), by_class


def trajectories(problem: Problem, *, silent: bool) -> list[Trajectory]:
    """Return trajectories not begun, under way, and finished; one without log-probabilities if `silent`."""
    fresh = Trajectory(problem)
    begun = Trajectory(problem, fresh, Step(text="First,\n\n", tokens=3, logprob=-1.5, node=1))
    more = Trajectory(problem, begun, Step(text="then 42.", tokens=4, logprob=-0.5, node=2), "eos")
    short = Step(text="42", tokens=1, logprob=None if silent else -0.1, node=3)
    empty = Trajectory(problem, fresh, Step(text="", tokens=0, logprob=0.0, node=4), "eos")
    return [fresh, begun, more, Trajectory(problem, fresh, short, "length"), empty]


class ScorerContract(EntryContract):
    """Tests of a verifier that scores.

    Attributes
    ----------
    problems
        Problems whose trajectories it scores.
    engine
        Options of the simulated engine of the model that is sampled, if it needs that.
    helpers
        Options of the simulated engines of the models that its options name, by label.
    reads_logprobs
        Whether it may refuse a trajectory whose log-probabilities are not known.
    """

    problems: ClassVar[Sequence[Problem]] = number_problems()
    engine: ClassVar[Mapping[str, Any]] = {}
    helpers: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    reads_logprobs: ClassVar[bool] = False

    def score(self, given: Sequence[Trajectory], latency: int | None = None) -> list[float]:
        """Score trajectories; `latency` is the seed of how long the engines take, none at all if left out."""
        return self._run(given, latency)[0]

    def _run(
        self, given: Sequence[Trajectory], latency: int | None = None
    ) -> tuple[list[float], Ledger, dict[str, Tallied]]:
        """Return scores, what was charged for them, and the engines by the labels they are charged to."""
        named = {"simulated": self.engine} if self.ingredient().needs else {}
        engines = {name: Tallied(simulated(how, latency)) for name, how in {**named, **self.helpers}.items()}
        by_label = {"" if name in named else name: engine for name, engine in engines.items()}
        problem = next((one for one in self.problems if given and one.question is given[0].problem), None)
        ledger = Ledger()
        desk = ChargedDesk(
            problem or self.problems[0],
            by_label,
            model="simulated",
            scorer=self.entry.name,
            stream=(0,),
            answers=Answers(ledger),
            knows=lambda trajectory: True,
            place=self.place(),
        )
        with kept_word():
            scores = asyncio.run(CheckedScorer(self.make(), self.place()).score(given, desk))
        return scores, ledger, engines

    def trajectories(self, problem: Problem) -> list[Trajectory]:
        """Return the trajectories to be scored."""
        return trajectories(problem, silent=not self.reads_logprobs)

    def test_it_is_a_scorer(self) -> None:
        """A verifier's role says which protocol it follows."""
        assert self.entry.role == "scorer"

    def test_scores_are_in_the_unit_interval(self) -> None:
        """Finished or not, and without log-probabilities unless the scorer reads them."""
        for problem in self.problems:
            given = self.trajectories(problem)
            scores = self.score(given)
            assert len(scores) == len(given)
            assert all(0.0 <= score <= 1.0 for score in scores)

    def test_a_study_takes_its_scores(self) -> None:
        """A number for each trajectory, checked while sampling and after."""
        self.score(self.trajectories(self.problems[0]))

    def test_latency_changes_nothing(self) -> None:
        """Whichever question to a model is answered first, the scores are the same."""
        given = self.trajectories(self.problems[0])
        first = self.score(given)
        for latency in range(3):
            assert self.score(given, latency) == first

    def test_the_ledger_is_what_the_engines_computed(self) -> None:
        """Every token that a model generates or reads is charged to that model, none twice."""
        _, ledger, engines = self._run(self.trajectories(self.problems[0]))
        for label, engine in engines.items():
            account = ledger.accounts.get(("generate", label, self.entry.name), Account())
            made = engine.generated
            assert account.sequences == len(made)
            assert account.generated_tokens == sum(one.tokens for one in made)
            assert account.prompt_tokens == sum(one.prompt_tokens for one in made)
            account = ledger.accounts.get(("score", label, self.entry.name), Account())
            assert account.sequences == len(engine.rewarded)
            assert account.prompt_tokens == sum(one.prompt_tokens or 0 for one in engine.rewarded)

    def test_scores_do_not_depend_on_company(self) -> None:
        """A trajectory scores the same alone, among others, and in any order."""
        given = self.trajectories(self.problems[0])
        together = self.score(given)
        assert together == pytest.approx([self.score([one])[0] for one in given])
        assert together == pytest.approx(self.score(given[::-1])[::-1])

    def test_nothing_to_score(self) -> None:
        """A search that lost all its candidates asks for no score."""
        assert self.score([]) == []

    @pytest.mark.parametrize("kind", HOSTILE_TEXTS)
    def test_hostile_text_gets_a_score(self, kind: str) -> None:
        """Whatever a model writes, there is a score."""
        problem = self.problems[0]
        step = Step(text=HOSTILE_TEXTS[kind], tokens=5, logprob=-3.0, node=1)
        (score,) = self.score([Trajectory(problem, Trajectory(problem), step, "length")])
        assert 0.0 <= score <= 1.0
