"""Judging: an oracle's word on every completion of a block, each distinct answer of a problem once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from itscale.boundary import CheckedOracle, Place, make_oracle
from itscale.errors import EngineError
from itscale.sampling.failures import ProblemFailures, ends_the_job, reason_of
from itscale.sampling.journal import Ruling
from itscale.sampling.scoring import Asked
from itscale.seeds import digest
from itscale.stages.asking import Asking, close_all
from itscale.types import Completion, Oracle, Problem, Verdict

__all__ = ["Judging", "judge", "ruling"]

Judged = tuple[str | None, Verdict, list[Asked]]
"""An answer, the verdict on it, and what was asked of models for that, as if for it alone."""

NO_ANSWER = Verdict(correct=False, status="unparsable", detail="no answer found")

logger = logging.getLogger(__name__)


def ruling(problem: Problem, answer: str) -> Ruling:
    """Return what names the verdict on an answer in a journal: verdicts on another problem are others."""
    return digest(asdict(problem)), answer


def judge(
    oracle: Oracle,
    problem: Problem,
    texts: Sequence[str],
    label: str = "oracle",
    known: Mapping[str, Verdict] | None = None,
) -> list[tuple[str | None, Verdict]]:
    """Return the answer in each text and the verdict on it; each distinct answer is judged once.

    Parameters
    ----------
    known
        Verdicts that there are, by answer.

    Raises
    ------
    ContractError
        If the oracle does not give one verdict, right or wrong, per answer.
    """
    if not isinstance(oracle, CheckedOracle):
        oracle = CheckedOracle(oracle, Place("verifiers", label))
    answers = [oracle.answer(problem, text) for text in texts]
    said: dict[str | None, Verdict] = {None: NO_ANSWER}
    said.update((known or {}).items())
    distinct = sorted({answer for answer in answers if answer is not None} - said.keys())
    said |= zip(distinct, oracle.judge(problem, distinct), strict=True)
    return [(answer, said[answer]) for answer in answers]


@dataclass
class Judging:
    """Judges one block by one oracle, which lives as long.

    Attributes
    ----------
    asking
        What it asks models by, if its `judge` is a coroutine.
    failures
        The problems that it fails on.
    """

    asking: Asking
    failures: ProblemFailures

    def verdicts(self, known: Mapping[str, Problem], candidates: Sequence[Completion]) -> list[Judged]:
        """Return answer and verdict of each completion. Not judged counts as wrong."""
        oracle = make_oracle(self.asking.verifier)
        of_problem: dict[str, list[int]] = {}
        for place, candidate in enumerate(candidates):
            of_problem.setdefault(candidate.problem_id, []).append(place)
        said: dict[int, Judged]
        if oracle.asynchronous:
            said = asyncio.run(self._ask(oracle, known, candidates, of_problem))
        else:  # which may run a loop of its own
            said = {}
            try:
                for problem_id, places in of_problem.items():
                    texts = [candidates[place].text for place in places]
                    said |= zip(places, self._judge(oracle, known[problem_id], texts), strict=True)
            finally:
                asyncio.run(close_all(oracle))
        judged = (said[place] for place in range(len(candidates)))
        return [
            (answer, replace(verdict, correct=bool(verdict.correct)), asked)
            for answer, verdict, asked in judged
        ]

    def _judge(self, oracle: CheckedOracle, problem: Problem, texts: Sequence[str]) -> list[Judged]:
        """Judge a problem's texts together; where that fails, each alone: only the culprit is lost."""
        label, journal = self.asking.verifier.label, self.asking.journal
        key, _ = ruling(problem, "")
        known = {answer: verdict for answer, (verdict, _) in journal.rulings.get(key, {}).items()}
        try:
            found = judge(oracle, problem, texts, label, known)
        except (Exception, SystemExit) as error:  # an oracle is somebody's plugin: it may raise anything
            if ends_the_job(error):
                raise
            logger.warning("verifiers.%s: problem %s: %s", label, problem.problem_id, reason_of(error))
            alone = {text: self._judge_alone(oracle, problem, text, known) for text in dict.fromkeys(texts)}
            found = [alone[text] for text in texts]
        new = {answer: verdict for answer, verdict in found if answer is not None and answer not in known}
        for answer, verdict in new.items():
            if verdict.status != "error":
                journal.rule((key, answer), verdict, [])
        failed = sum(verdict.status == "error" for _, verdict in found)
        self.asking.tell(len(found) - failed)
        self.asking.tell(failed, failed=True)
        return [(answer, verdict, []) for answer, verdict in found]

    def _judge_alone(
        self, oracle: CheckedOracle, problem: Problem, text: str, known: Mapping[str, Verdict]
    ) -> tuple[str | None, Verdict]:
        try:
            return judge(oracle, problem, [text], self.asking.verifier.label, known)[0]
        except (Exception, SystemExit) as error:
            return None, self.failures.add(problem.problem_id, error).verdict

    async def _ask(
        self,
        oracle: CheckedOracle,
        known: Mapping[str, Problem],
        candidates: Sequence[Completion],
        of_problem: Mapping[str, Sequence[int]],
    ) -> dict[int, Judged]:
        """Ask an oracle that is waited for about each distinct answer of each problem, all at once."""
        said: dict[int, Judged] = {}
        at_once = self.asking.at_once()

        async def rule(problem: Problem, answer: str, places: Sequence[int]) -> None:
            async with at_once:
                found = await self._rule(oracle, problem, answer, candidates[places[0]], len(places))
                said.update(dict.fromkeys(places, found))

        try:
            asked: list[tuple[Problem, str, list[int]]] = []
            for problem_id, places in of_problem.items():
                problem = known[problem_id]
                with_answer: dict[str, list[int]] = {}
                for place in places:
                    answer = self._answer(oracle, problem, candidates[place].text)
                    if isinstance(answer, str):
                        with_answer.setdefault(answer, []).append(place)
                    else:
                        said[place] = None, answer or NO_ANSWER, []
                asked += [(problem, answer, places) for answer, places in with_answer.items()]
            self.asking.tell(len(said))
            self.asking.start(len(asked))
            async with asyncio.TaskGroup() as group:
                for one in asked:
                    group.create_task(rule(*one))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the first ended the job
        finally:
            await close_all(oracle, *self.asking.engines.values())
        return said

    def _answer(self, oracle: CheckedOracle, problem: Problem, text: str) -> str | Verdict | None:
        """Return the answer in a text, None if there is none, or the verdict that says why it failed."""
        try:
            return oracle.answer(problem, text)
        except (Exception, SystemExit) as error:
            return self.failures.add(problem.problem_id, error).verdict

    async def _rule(
        self, oracle: CheckedOracle, problem: Problem, answer: str, first: Completion, completions: int
    ) -> Judged:
        """Return the verdict on an answer of so many completions, charged to the run of the first."""
        journal, key = self.asking.journal, ruling(problem, answer)
        if (there := journal.rulings.get(key[0], {}).get(answer)) is not None:
            self.asking.tell(completions, made=False)
            return answer, *there
        run = first.problem_id, first.budget, first.replicate
        desk = self.asking.desk(problem, run)
        try:
            verdict = await oracle.judge_alone(problem, answer, desk)
        except (Exception, SystemExit) as error:
            failed = self.failures.add(problem.problem_id, error).verdict
            if not isinstance(error, EngineError):
                journal.fail(run, desk.paid)
            self.asking.tell(completions, failed=True)
            return None, failed, desk.asked_by_model
        if verdict.status != "error":
            journal.rule(key, verdict, desk.asked_by_model)
        self.asking.tell(completions, failed=verdict.status == "error")
        return answer, verdict, desk.asked_by_model
