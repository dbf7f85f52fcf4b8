"""Checks of verifiers: answers, classes and verdicts of an oracle, numbers in [0, 1] of a scorer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from itscale.plugins.costs import VerdictCost
from itscale.plugins.given import own_problem
from itscale.plugins.place import Place, Shown, is_count, is_number, real, textual
from itscale.plugins.process import LASTING, ProcessState
from itscale.types import AsynchronousOracle, Oracle, Problem, Scorer, ScorerDesk, Trajectory, Verdict

if TYPE_CHECKING:
    from itscale.plugins.entries import VerifierEntry
    from itscale.plugins.ingredient import Ingredient

__all__ = ["CheckedOracle", "CheckedScorer", "cost_of", "make_oracle", "make_scorer"]

STATUSES: tuple[str, ...] = get_args(get_type_hints(Verdict)["status"])


def make_oracle(ingredient: Ingredient[VerifierEntry]) -> CheckedOracle:
    """Make an oracle; what it says is checked."""
    place = Place.of(ingredient)
    return CheckedOracle(place.make(ingredient, ("answer", "classes", "judge")), place)


def make_scorer(ingredient: Ingredient[VerifierEntry]) -> CheckedScorer:
    """Make a scorer; what it says is checked."""
    place = Place.of(ingredient)
    return CheckedScorer(place.make(ingredient, ("score",)), place)


def cost_of(ingredient: Ingredient[VerifierEntry]) -> VerdictCost:
    """Return what a verdict costs, as the entry says.

    Raises
    ------
    ContractError
        If it says anything that cannot be.
    """
    place, expected = Place.of(ingredient), "a VerdictCost"
    cost = place.said("cost()", lambda: ingredient.entry.cost(ingredient.options), expected)
    if not isinstance(cost, VerdictCost):
        raise place.broken("cost()", cost, expected)
    checked = (
        ("seconds", is_number(cost.seconds) and cost.seconds >= 0, "a number, at least 0"),
        ("at_once", is_count(cost.at_once, 1), "a whole number, at least 1"),
        ("memory_mb", is_number(cost.memory_mb) and cost.memory_mb >= 0, "a number, at least 0"),
        ("tokens", cost.tokens is None or is_count(cost.tokens), "a whole number, at least 0, or None"),
    )
    for name, right, expected in checked:
        if not right:
            raise place.broken(f"cost(): {name}", getattr(cost, name), expected)
    return cost


async def _close(place: Place, held: Any) -> None:
    """Let a verifier free what it holds, if it has a way to."""
    close = getattr(held, "close", None)
    if callable(close):
        with place.undisturbed("close()", LASTING):
            ended = close()
            if isawaitable(ended):
                await ended


class CheckedOracle:
    """An oracle whose every word is checked; otherwise the oracle it wraps.

    Raises
    ------
    ContractError
        From any call, on an answer that is no text, a class that is none of the answers, or anything but a
        verdict, right or wrong, for each answer.
    """

    def __init__(self, oracle: Oracle | AsynchronousOracle, place: Place) -> None:
        self._oracle = oracle
        self._place = place
        self._kept: tuple[Problem, Problem] | None = None  # the last problem, and the oracle's copy of it
        self._state = ProcessState.now(LASTING)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._oracle, name)

    def answer(self, problem: Problem, text: str) -> str | None:
        """Return the answer in a text, None if there is none."""
        with self._dropped_on_error():
            found = self._oracle.answer(self._own(problem), text)
        if found is not None and not textual(found):
            raise self._place.broken("answer()", found, "a text or None", problem.problem_id)
        return found

    def classes(self, answers: Sequence[str], problem: str | None = None) -> list[str]:
        """Return the representative of each answer's class; `problem` is named if it is none."""
        answers = tuple(answers)
        with self._place.undisturbed("classes()"):
            given = self._oracle.classes(list(answers))
        named = self._place.as_many("classes()", "representatives", given, (len(answers), "answers"), problem)
        by_answer = dict(zip(answers, named, strict=True))
        for name in named:
            if not isinstance(name, str) or name not in by_answer:
                raise self._place.broken("classes()", name, "one of the answers as representative", problem)
            if by_answer[name] != name:
                expected = f"{name!r}, since it represents others, as its own representative"
                raise self._place.broken("classes()", by_answer[name], expected, problem)
        return named

    def _own(self, problem: Problem) -> Problem:
        """Return the oracle's copy of a problem."""
        if self._kept is None or self._kept[0] is not problem:
            self._kept = problem, own_problem(problem)
            self._state = ProcessState.now(LASTING)
        return self._kept[1]

    @contextmanager
    def _dropped_on_error(self) -> Iterator[None]:
        """Let nobody judge what an error may have left half changed."""
        try:
            yield
        except BaseException:
            self._kept = None
            raise

    def _require_unchanged(self) -> None:
        """Refuse verdicts on a problem that the oracle itself changed, here or as it looked for answers."""
        self._place.put_back(self._state, "answer()")
        kept, self._kept = self._kept, None
        if kept is not None and kept[0] != kept[1]:
            raise self._place.changed("judge()", kept[0].problem_id)

    @property
    def asynchronous(self) -> bool:
        """Whether it is asked by `judge_alone`: its `judge` is a coroutine."""
        return iscoroutinefunction(self._oracle.judge)

    def judge(self, problem: Problem, answers: Sequence[str]) -> list[Verdict]:
        """Return a verdict on each answer."""
        if self.asynchronous:
            expected = "a plain function: where a strategy asks, or outcomes are imported, nobody waits"
            raise self._place.broken("judge()", Shown("a coroutine"), expected, problem.problem_id)
        answers = tuple(answers)
        with self._dropped_on_error(), self._place.undisturbed("judge()"):
            given = self._oracle.judge(self._own(problem), list(answers))  # type: ignore[call-arg]
        self._require_unchanged()
        return self._checked(given, answers, problem.problem_id)

    async def judge_alone(self, problem: Problem, answer: str, desk: ScorerDesk) -> Verdict:
        """Return the verdict on an answer; others may be waited for at the same time."""
        own = own_problem(problem)
        with self._place.undisturbed("judge()", LASTING):
            given = await self._oracle.judge(own, [answer], desk)  # type: ignore[call-arg,misc]
        if own != problem:
            raise self._place.changed("judge()", problem.problem_id)
        (verdict,) = self._checked(given, (answer,), problem.problem_id)
        return verdict

    async def close(self) -> None:
        """Let the oracle free what it holds, if it has a way to."""
        await _close(self._place, self._oracle)

    def _checked(self, given: Any, answers: Sequence[str], about: str) -> list[Verdict]:
        verdicts: list[Verdict] = self._place.as_many(
            "judge()", "verdicts", given, (len(answers), "answers"), about
        )
        for verdict in verdicts:
            if not isinstance(verdict, Verdict):
                raise self._place.broken("judge()", verdict, "a Verdict on each answer", about)
            if verdict.status not in STATUSES:
                raise self._place.broken("judge(): status", verdict.status, " or ".join(STATUSES), about)
            if not isinstance(verdict.correct, bool) and (
                verdict.correct is not None or verdict.status == "judged"
            ):
                raise self._place.broken("judge(): correct", verdict.correct, "True or False", about)
            if verdict.score is not None:
                raise self._place.broken("judge(): score", verdict.score, "None of an oracle", about)
            if not textual(verdict.detail):
                raise self._place.broken("judge(): detail", verdict.detail, "a text", about)
        return verdicts


class CheckedScorer:
    """A scorer whose scores are checked; otherwise the scorer it wraps.

    Raises
    ------
    ContractError
        From `score`, on anything but a number in [0, 1] for each trajectory.
    """

    def __init__(self, scorer: Scorer, place: Place) -> None:
        self._scorer = scorer
        self._place = place

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)

    async def score(self, trajectories: Sequence[Trajectory], desk: ScorerDesk) -> list[float]:
        """Return a score of each trajectory, in [0, 1]."""
        trajectories = tuple(trajectories)
        before = {id(one.problem): (one.problem, own_problem(one.problem)) for one in trajectories}
        with self._place.undisturbed("score()", LASTING):
            given = await self._scorer.score(list(trajectories), desk)
        for problem, kept in before.values():
            if problem != kept:
                raise self._place.changed("score()", kept.problem_id)
        first = trajectories[0].problem.problem_id if trajectories else None
        wanted = (len(trajectories), "trajectories")
        scores = self._place.as_many("score()", "scores", given, wanted, first)
        numbers = [real(score) for score in scores]
        for trajectory, score, number in zip(trajectories, scores, numbers, strict=True):
            if number is None or not 0 <= number <= 1:
                about = trajectory.problem.problem_id
                raise self._place.broken("score()", score, "a number in [0, 1]", about)
        return [number for number in numbers if number is not None]

    async def close(self) -> None:
        """Let the scorer free what it holds, if it has a way to."""
        await _close(self._place, self._scorer)
