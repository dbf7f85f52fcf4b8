"""Scoring: a scorer's word on completions, and what the models that it asks were paid for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from itscale.boundary import CheckedEngine, CheckedScorer, Place, make_engine, make_scorer
from itscale.errors import EngineError
from itscale.plugins.entries import VerifierEntry
from itscale.plugins.given import own_problem
from itscale.plugins.ingredient import Ingredient
from itscale.sampling.failures import ProblemFailures, ends_the_job, reason_of
from itscale.sampling.journal import JournalledAnswers, Name, Run, ScoreJournal
from itscale.sampling.scoring import Asked, ChargedDesk
from itscale.seeds import digest, seed63
from itscale.study.study import Study
from itscale.types import Completion, Problem, Question, Trajectory, Verdict

__all__ = ["Said", "Scoring", "close_all", "name_of", "scorer_stream", "spending"]

AT_ONCE = 256
"""Completions (or pools) that are scored at once; an engine has its own bound on requests."""

Said = tuple[Verdict, list[Asked]]
"""A verdict, and what was asked of models for it, as if it had been asked for alone."""

logger = logging.getLogger(__name__)


def scorer_stream(study: Study, task: str, scorer: Ingredient[VerifierEntry]) -> tuple[Any, ...]:
    """Return the JSON values that the streams of a scorer's questions derive from, beside the problem."""
    return study.config.seed, "scorer", task, digest(study.scorer_fingerprint(scorer))


class _Closes(Protocol):
    async def close(self) -> None: ...


async def close_all(*held: _Closes | None) -> None:
    """Close scorers and engines, all of them whatever one of them raises; what the first raised is raised."""
    closing = (one.close() for one in held if one is not None)
    for error in await asyncio.gather(*closing, return_exceptions=True):
        if isinstance(error, BaseException):
            raise error


def spending(journal: ScoreJournal, candidates: Sequence[Completion]) -> list[dict[str, Any]]:
    """Return the rows of the ledger of a block that was scored, by run (or pool)."""
    first: dict[Run, int] = {}
    for one in candidates:
        run = one.problem_id, one.budget, one.replicate
        first[run] = 0 if one.budget else min(one.index, first.get(run, one.index))
    return [
        row
        for run in sorted(journal.ledgers.keys() & first.keys())
        for row in journal.ledgers[run].rows(
            {"problem_id": run[0], "budget": run[1], "replicate": run[2], "start": first[run]}
        )
    ]


@dataclass
class Scoring:
    """Scores one block by one scorer, which lives as long, with the models that it asks.

    Attributes
    ----------
    model_directories
        Where models were prepared that were, by label.
    content
        Hash of the completions.
    journal
        Where scores and answers are kept.
    engines
        Those that were started, by the labels that the scorer's options name; that of the model that is
        sampled by the empty one.
    answers
        What models answered, by run (or pool).
    """

    study: Study
    task: str
    model: str
    scorer: Ingredient[VerifierEntry]
    model_directories: Mapping[str, Path]
    content: str
    journal: ScoreJournal
    failures: ProblemFailures
    engines: dict[str, CheckedEngine] = field(default_factory=dict)
    answers: dict[Run, JournalledAnswers] = field(default_factory=dict)

    def verdicts(
        self, known: Mapping[str, Problem], candidates: Sequence[Completion], *, recorded: bool
    ) -> list[Said]:
        """Return a verdict on each completion; scores that are `recorded` in it are not asked for again."""
        names = [name_of(candidate) for candidate in candidates]
        said: dict[Name, Said] = {}
        for name, candidate in zip(names, candidates, strict=True):
            if recorded and (score := _recorded(candidate)) is not None:
                said[name] = Verdict(score=score), []  # sampling has paid for it
            elif name in self.journal.scores:
                score, asked = self.journal.scores[name]
                said[name] = Verdict(score=score), asked
        left = {name: one for name, one in zip(names, candidates, strict=True) if name not in said}
        if left:
            said |= asyncio.run(self._score(known, left))
        return [said[name] for name in names]

    async def _score(
        self, known: Mapping[str, Problem], candidates: Mapping[Name, Completion]
    ) -> dict[Name, Said]:
        scorer = make_scorer(self.scorer)
        verdicts: dict[Name, Said] = {}
        at_once = asyncio.Semaphore(AT_ONCE)

        async def score(pool: Mapping[Name, Completion]) -> None:
            async with at_once:
                problem = known[next(iter(pool))[0]]
                verdicts.update(await self._score_pool(scorer, problem, pool))

        try:
            self._start(len(candidates))
            async with asyncio.TaskGroup() as group:
                for pool in self._pools(candidates):
                    group.create_task(score(pool))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the first ended the job
        finally:
            await close_all(scorer, *self.engines.values())
        return verdicts

    def _pools(self, candidates: Mapping[Name, Completion]) -> Iterator[dict[Name, Completion]]:
        """Yield what is scored together: each completion by itself if models are asked, to know what for."""
        if self.engines:
            yield from ({name: candidate} for name, candidate in candidates.items())
            return
        pools: dict[Run, dict[Name, Completion]] = {}
        for name, candidate in candidates.items():
            pools.setdefault(name[:3], {})[name] = candidate
        yield from pools.values()

    def _start(self, left: int) -> None:
        """Start the models that the scorer asks; refuse one that, as configured, lacks what it has to do."""
        scorer = self.scorer
        wanted = {"": self.model} if scorer.needs else {}
        wanted |= {label: label for label in self.study.models_asked_by(self.scorer)}
        stream = (self.study.config.seed, "verification", self.scorer.label, self.content, left)
        for number, (name, label) in enumerate(wanted.items()):
            model = self.study.models[label]
            model.require_installed()
            seed = (seed63(*stream) + number) % 2**31
            directory = self.model_directories.get(label)
            engine = self.engines[name] = make_engine(model, seed=seed, model_directory=directory)
            lacking = sorted((scorer.asks if name else scorer.needs) - engine.offers)
            if lacking:
                raise EngineError(
                    f"verifiers.{self.scorer.label} needs {', '.join(lacking)} of the engine; "
                    f"models.{label} as configured offers {', '.join(sorted(engine.offers))}"
                )
        if self.engines:
            seeded = all(engine.seed_scope == "completion" for engine in self.engines.values())
            simulated = any(engine.simulated for engine in self.engines.values())
            scope = "completion" if seeded else "block"
            self.journal.know({"simulated": simulated, "seed_scope": scope})

    async def _score_pool(
        self, scorer: CheckedScorer, problem: Problem, pool: Mapping[Name, Completion]
    ) -> dict[Name, Said]:
        """Score a pool together; where that fails, each alone, so that only the culprit is lost."""
        run = next(iter(pool))[:3]
        given = _Given()
        desk = ChargedDesk(
            own_problem(problem),
            self.engines,
            model=self.model,
            scorer=self.scorer.label,
            stream=scorer_stream(self.study, self.task, self.scorer),
            answers=self.answers.setdefault(run, JournalledAnswers(self.journal, run)),
            knows=given.has,
            place=Place.of(self.scorer),
        )
        question = own_problem(problem).question  # a scorer has no use for the answer
        try:
            scores = await scorer.score([given.take(one, question) for one in pool.values()], desk)
        except (Exception, SystemExit) as error:  # a scorer is somebody's plugin: it may raise anything
            if len(pool) == 1:
                verdict = self.failures.add(problem.problem_id, error).verdict
                if not isinstance(error, EngineError):
                    self.journal.fail(run, desk.paid)
                return dict.fromkeys(pool, (verdict, desk.asked_by_model))
            if ends_the_job(error):
                raise
            place = f"verifiers.{self.scorer.label}: problem {problem.problem_id}"
            logger.warning("%s: %s", place, reason_of(error))
        else:
            scored = {name: (score, desk.asked_by_model) for name, score in zip(pool, scores, strict=True)}
            self.journal.add(scored)
            return {name: (Verdict(score=score), asked) for name, (score, asked) in scored.items()}
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
        root = _root(made)
        self._roots[id(root)] = root
        return made

    def has(self, trajectory: Trajectory) -> bool:
        """Return whether a trajectory is one of these, or one that such a one continues."""
        return id(_root(trajectory)) in self._roots


def _root(trajectory: Trajectory) -> Trajectory:
    """Return where a trajectory began."""
    while trajectory.parent is not None:
        trajectory = trajectory.parent
    return trajectory


def name_of(candidate: Completion) -> Name:
    """Return what names a completion in a journal of scores."""
    place = candidate.problem_id, candidate.budget, candidate.replicate, candidate.index
    return (*place, digest(asdict(candidate)))


def _recorded(candidate: Completion) -> float | None:
    return candidate.step_scores[-1] if candidate.step_scores else None
