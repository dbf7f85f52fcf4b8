"""Scoring: a scorer's word on every completion of a block."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from itscale.boundary import CheckedScorer, make_scorer
from itscale.errors import EngineError
from itscale.plugins.given import own_problem
from itscale.sampling.failures import ProblemFailures, ends_the_job, reason_of
from itscale.sampling.journal import Name, Run
from itscale.sampling.scoring import Asked
from itscale.seeds import digest
from itscale.stages.asking import Asking, close_all
from itscale.types import Completion, Problem, Question, Trajectory, Verdict

__all__ = ["Said", "Scoring", "name_of"]

Said = tuple[Verdict, list[Asked]]
"""A verdict, and what was asked of models for it, as if it had been asked for alone."""

logger = logging.getLogger(__name__)


@dataclass
class Scoring:
    """Scores one block by one scorer, which lives as long.

    Attributes
    ----------
    asking
        What it asks models by.
    failures
        The problems that it fails on.
    """

    asking: Asking
    failures: ProblemFailures

    def verdicts(
        self, known: Mapping[str, Problem], candidates: Sequence[Completion], *, recorded: bool
    ) -> list[Said]:
        """Return a verdict on each completion; scores that are `recorded` in it are not asked for again."""
        names = [name_of(candidate) for candidate in candidates]
        scores = self.asking.journal.scores
        said: dict[Name, Said] = {}
        for name, candidate in zip(names, candidates, strict=True):
            if recorded and (score := _recorded(candidate)) is not None:
                said[name] = Verdict(score=score), []  # sampling has paid for it
            elif name in scores:
                score, asked = scores[name]
                said[name] = Verdict(score=score), asked
        self.asking.tell(len(said), made=False)
        left = {name: one for name, one in zip(names, candidates, strict=True) if name not in said}
        if left:
            said |= asyncio.run(self._score(known, left))
        return [said[name] for name in names]

    async def _score(
        self, known: Mapping[str, Problem], candidates: Mapping[Name, Completion]
    ) -> dict[Name, Said]:
        scorer = make_scorer(self.asking.verifier)
        verdicts: dict[Name, Said] = {}
        at_once = self.asking.at_once()

        async def score(pool: Mapping[Name, Completion]) -> None:
            async with at_once:
                problem = known[next(iter(pool))[0]]
                verdicts.update(await self._score_pool(scorer, problem, pool))

        try:
            self.asking.start(len(candidates))
            async with asyncio.TaskGroup() as group:
                for pool in self._pools(candidates):
                    group.create_task(score(pool))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the first ended the job
        finally:
            await close_all(scorer, *self.asking.engines.values())
        return verdicts

    def _pools(self, candidates: Mapping[Name, Completion]) -> Iterator[dict[Name, Completion]]:
        """Yield what is scored together: each completion by itself if models are asked, to know what for."""
        if self.asking.engines:
            yield from ({name: candidate} for name, candidate in candidates.items())
            return
        pools: dict[Run, dict[Name, Completion]] = {}
        for name, candidate in candidates.items():
            pools.setdefault(name[:3], {})[name] = candidate
        yield from pools.values()

    async def _score_pool(
        self, scorer: CheckedScorer, problem: Problem, pool: Mapping[Name, Completion]
    ) -> dict[Name, Said]:
        """Score a pool together; where that fails, each alone, so that only the culprit is lost."""
        run, journal = next(iter(pool))[:3], self.asking.journal
        given = _Given()
        desk = self.asking.desk(problem, run, given.has)
        question = own_problem(problem).question  # a scorer has no use for the answer
        try:
            scores = await scorer.score([given.take(one, question) for one in pool.values()], desk)
        except (Exception, SystemExit) as error:  # a scorer is somebody's plugin: it may raise anything
            if len(pool) == 1:
                verdict = self.failures.add(problem.problem_id, error).verdict
                if not isinstance(error, EngineError):
                    journal.fail(run, desk.paid)
                self.asking.tell(1, failed=True)
                return dict.fromkeys(pool, (verdict, desk.asked_by_model))
            if ends_the_job(error):
                raise
            place = f"verifiers.{self.asking.verifier.label}: problem {problem.problem_id}"
            logger.warning("%s: %s", place, reason_of(error))
        else:
            asked = desk.asked_by_model
            journal.add({name: (score, asked) for name, score in zip(pool, scores, strict=True)})
            self.asking.tell(len(pool))
            return {name: (Verdict(score=score), asked) for name, score in zip(pool, scores, strict=True)}
        found: dict[Name, Said] = {}
        for name, candidate in pool.items():
            found |= await self._score_pool(scorer, problem, {name: candidate})
        return found


class _Given:
    """The trajectories that a scorer was given, by where they begin."""

    def __init__(self) -> None:
        self._roots: dict[int, Trajectory] = {}

    def take(self, completion: Completion, question: Question) -> Trajectory:
        """Return a completion as a trajectory."""
        made = completion.trajectory(question)
        self._roots[id(made.root)] = made.root
        return made

    def has(self, trajectory: Trajectory) -> bool:
        """Return whether a trajectory begins as one of these."""
        return id(trajectory.root) in self._roots


def name_of(candidate: Completion) -> Name:
    """Return what names a completion in a journal of scores."""
    place = candidate.problem_id, candidate.budget, candidate.replicate, candidate.index
    return (*place, digest(asdict(candidate)))


def _recorded(candidate: Completion) -> float | None:
    return candidate.step_scores[-1] if candidate.step_scores else None
