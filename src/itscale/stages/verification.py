"""Verification: what a verifier says of every completion of a block."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from itscale.boundary import (
    CheckedEngine,
    CheckedOracle,
    Place,
    make_engine,
    make_oracle,
    make_scorer,
)
from itscale.errors import DataError, EngineError
from itscale.plugins.entries import VerifierEntry
from itscale.plugins.given import own_problem
from itscale.plugins.ingredient import Ingredient
from itscale.sampling.blocks import Block
from itscale.sampling.failures import Failure, ProblemFailures, ends_the_job, reason_of
from itscale.sampling.journal import Name, ScoreJournal, journal_of
from itscale.sandbox import containment
from itscale.seeds import digest, seed63
from itscale.stages.declared import VERIFICATION as STAGE
from itscale.stages.problems import problems_digest, read_problems
from itscale.store.parquet import read_metadata, read_table, write_table
from itscale.store.schemas import COMPLETIONS, VERDICTS
from itscale.study.study import Study
from itscale.types import Completion, Oracle, Problem, Trajectory, Verdict

__all__ = ["judge", "name_of", "read_completions", "verify_block"]

Row = dict[str, Any]

Ask = Callable[[Sequence[Trajectory]], Awaitable[list[float]]]
"""A scorer on the engine it needs."""

AT_ONCE = 256
"""Problems (or runs) that are scored at once; an engine has its own bound on requests."""

logger = logging.getLogger(__name__)


def verify_block(
    study: Study,
    task: str,
    model: str,
    strategy: str,
    verifier: str,
    *,
    problems: Path,
    completions: Path,
    model_directories: Mapping[str, Path],
    output: Path,
) -> None:
    """Write the verdicts of one verifier on one block of completions.

    An oracle judges each distinct answer of a problem once. Scores that the strategy asked for while it
    generated are taken from the completions; the engine starts only if others are needed from it. Where a
    verifier fails, the verdict's status is `error` and its detail says why; other scores are in a journal
    beside `output` until all are there, and are not asked for again.

    Parameters
    ----------
    verifier
        Label of the task's oracle, or of a scorer.
    model_directories
        Where models were prepared that were, by label.

    Raises
    ------
    UserError
        If completions and problems do not belong together, or the verifier cannot run.
    TooManyFailuresError
        If the verifier fails on more problems than the study allows.
    """
    ingredient = study.verifier(task, verifier)
    ingredient.require_installed()
    candidates = read_completions(completions)
    known = {problem.problem_id: problem for problem in read_problems(problems)}
    place = f"{task}/{model}/{strategy}: verifiers.{verifier}"
    failures = ProblemFailures(place, len(known), study.config.max_failures)
    strangers = {candidate.problem_id for candidate in candidates} - known.keys()
    if strangers:
        raise DataError(f"{completions}: problem {min(strangers)!r} is not in {problems}")
    _check_problems(completions, problems, list(known.values()))
    inputs = {"problems": problems, "completions": completions}
    judged = {"task": task, "verifier": verifier}
    metadata = STAGE.footer(study, judged, inputs, study.tasks[task], ingredient)
    with (
        containment(study.config.sandbox) as contained,
        ScoreJournal(journal_of(output), metadata["fingerprint"]) as journal,
    ):
        if ingredient.entry.role == "oracle":
            rows = _judged(ingredient, known, candidates, failures)
        else:
            used = study.scorer_of(strategy)
            recorded = used is not None and used.label == verifier
            content = metadata["inputs"]["completions"]
            scorer = _Scoring(
                study, model, ingredient, model_directories.get(model), content, journal, failures
            )
            rows = scorer.rows(known, candidates, recorded=recorded)
        metadata["sandbox"] = contained.used
        write_table(pl.DataFrame(rows, schema=dict(VERDICTS)), output, metadata)
        journal.delete()


def _check_problems(completions: Path, problems: Path, known: Sequence[Problem]) -> None:
    """Refuse completions of other problems that go by the same ids."""
    fingerprint = read_metadata(completions).get("fingerprint", {})
    if "problems" not in fingerprint:
        return
    block = Block.parse(fingerprint["block"])
    if problems_digest(known[block.problem_start : block.problem_stop]) != fingerprint["problems"]:
        raise DataError(
            f"{completions}: completions of other problems than those in {problems}; move it elsewhere, and "
            "`itscale run` samples them again"
        )


def read_completions(path: Path) -> list[Completion]:
    """Return the completions of a file, in its order."""
    frame = read_table(path, COMPLETIONS).select(list(COMPLETIONS))
    return [Completion(**row) for row in frame.iter_rows(named=True)]


def judge(
    oracle: Oracle, problem: Problem, texts: Sequence[str], label: str = "oracle"
) -> list[tuple[str | None, Verdict]]:
    """Return the answer in each text and the verdict on it; each distinct answer is judged once.

    Raises
    ------
    ContractError
        If the oracle does not give one verdict, right or wrong, per answer.
    """
    if not isinstance(oracle, CheckedOracle):
        oracle = CheckedOracle(oracle, Place("verifiers", label))
    answers = [oracle.answer(problem, text) for text in texts]
    distinct = sorted({answer for answer in answers if answer is not None})
    verdicts = oracle.judge(problem, distinct)
    said: dict[str | None, Verdict] = dict(zip(distinct, verdicts, strict=True))
    said[None] = Verdict(correct=False, status="unparsable", detail="no answer found")
    return [(answer, said[answer]) for answer in answers]


def _judged(
    ingredient: Ingredient[VerifierEntry],
    known: Mapping[str, Problem],
    candidates: Sequence[Completion],
    failures: ProblemFailures,
) -> list[Row]:
    oracle = make_oracle(ingredient)
    of_problem: dict[str, list[int]] = {}
    for place, candidate in enumerate(candidates):
        of_problem.setdefault(candidate.problem_id, []).append(place)
    rows: dict[int, Row] = {}
    for problem_id, places in of_problem.items():
        texts = [candidates[place].text for place in places]
        judged = _judged_all_the_same(oracle, known[problem_id], texts, ingredient.label, failures)
        for place, (answer, verdict) in zip(places, judged, strict=True):
            # An oracle that could not judge says nothing for the answer: not judged counts as wrong.
            rows[place] = _row(candidates[place], answer, verdict) | {"correct": bool(verdict.correct)}
    return [rows[place] for place in range(len(candidates))]


def _judged_all_the_same(
    oracle: Oracle, problem: Problem, texts: Sequence[str], label: str, failures: ProblemFailures
) -> list[tuple[str | None, Verdict]]:
    """Judge a problem's texts together; where that fails, each alone, so that only the culprit is lost."""
    try:
        return judge(oracle, problem, texts, label)
    except (Exception, SystemExit) as error:  # an oracle is somebody's plugin: it may raise anything
        if ends_the_job(error):
            raise
        logger.warning("verifiers.%s: problem %s: %s", label, problem.problem_id, reason_of(error))
    said: dict[str, tuple[str | None, Verdict]] = {}
    for text in dict.fromkeys(texts):
        try:
            (said[text],) = judge(oracle, problem, [text], label)
        except (Exception, SystemExit) as error:
            said[text] = None, _lost(failures.add(problem.problem_id, error))
    return [said[text] for text in texts]


def _lost(failure: Failure) -> Verdict:
    return Verdict(status="error", detail=failure.reason)


def _row(candidate: Completion, answer: str | None, verdict: Verdict) -> Row:
    return {
        "problem_id": candidate.problem_id,
        "budget": candidate.budget,
        "replicate": candidate.replicate,
        "index": candidate.index,
        "answer": answer,
        "correct": verdict.correct,
        "score": verdict.score,
        "status": verdict.status,
        "detail": verdict.detail,
    }


class _Scoring:
    """Scores one block by one scorer, on the model's engine where the scorer needs it."""

    def __init__(
        self,
        study: Study,
        model: str,
        scorer: Ingredient[VerifierEntry],
        model_directory: Path | None,
        content: str,
        journal: ScoreJournal,
        failures: ProblemFailures,
    ) -> None:
        self.study = study
        self.model = model
        self.scorer = scorer
        self.model_directory = model_directory
        self.content = content
        self.journal = journal
        self.failures = failures

    def rows(
        self, known: Mapping[str, Problem], candidates: Sequence[Completion], *, recorded: bool
    ) -> list[Row]:
        """Return a row for each completion; scores that are `recorded` in it are not asked for again."""
        named = {name_of(candidate): candidate for candidate in candidates}
        verdicts: dict[Name, Verdict] = {}
        for name, candidate in named.items():
            score = _recorded(candidate) if recorded else None
            score = self.journal.scores.get(name) if score is None else score
            if score is not None:
                verdicts[name] = Verdict(score=score)
        left = {name: candidate for name, candidate in named.items() if name not in verdicts}
        if left:
            verdicts |= asyncio.run(self._score(known, left))
        return [_row(candidate, None, verdicts[name]) for name, candidate in named.items()]

    async def _score(
        self, known: Mapping[str, Problem], candidates: Mapping[Name, Completion]
    ) -> dict[Name, Verdict]:
        scorer = make_scorer(self.scorer)
        engine = self._engine() if self.scorer.entry.needs else None
        ask = partial(scorer.score, engine=engine)
        verdicts: dict[Name, Verdict] = {}
        at_once = asyncio.Semaphore(AT_ONCE)

        async def score(problem_id: str, pool: Mapping[Name, Completion]) -> None:
            async with at_once:
                verdicts.update(await self._score_pool(ask, known[problem_id], pool))

        pools: dict[tuple[str, int, int], dict[Name, Completion]] = {}
        for name, candidate in candidates.items():
            pools.setdefault(name[:3], {})[name] = candidate
        try:
            self._require(engine)
            async with asyncio.TaskGroup() as group:
                for (problem_id, *_), pool in pools.items():
                    group.create_task(score(problem_id, pool))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the first ended the job
        finally:
            if engine is not None:
                await engine.close()
        return verdicts

    def _engine(self) -> CheckedEngine:
        ingredient = self.study.models[self.model]
        ingredient.require_installed()
        seed = seed63(self.study.config.seed, "verification", self.scorer.label, self.content) % 2**31
        return make_engine(ingredient, seed=seed, model_directory=self.model_directory)

    def _require(self, engine: CheckedEngine | None) -> None:
        """Refuse an engine that, as configured, lacks what its plugin can offer."""
        lacking = sorted(self.scorer.entry.needs - engine.offers) if engine is not None else []
        if engine is not None and lacking:
            raise EngineError(
                f"verifiers.{self.scorer.label} needs {', '.join(lacking)} of the engine; "
                f"models.{self.model} as configured offers {', '.join(sorted(engine.offers))}"
            )

    async def _score_pool(
        self, ask: Ask, problem: Problem, pool: Mapping[Name, Completion]
    ) -> dict[Name, Verdict]:
        """Score a pool together; where that fails, each alone, so that only the culprit is lost."""
        try:
            return await self._asked(ask, problem, pool)
        except (Exception, SystemExit) as error:  # a scorer is somebody's plugin: it may raise anything
            if ends_the_job(error):
                raise
            place = f"verifiers.{self.scorer.label}: problem {problem.problem_id}"
            logger.warning("%s: %s", place, reason_of(error))
        found: dict[Name, Verdict] = {}
        for name, candidate in pool.items():
            try:
                found |= await self._asked(ask, problem, {name: candidate})
            except (Exception, SystemExit) as error:
                found[name] = _lost(self.failures.add(problem.problem_id, error))
        return found

    async def _asked(
        self, ask: Ask, problem: Problem, pool: Mapping[Name, Completion]
    ) -> dict[Name, Verdict]:
        own = own_problem(problem.question)  # a scorer has no use for the answer
        scores = await ask([candidate.trajectory(own) for candidate in pool.values()])
        scored = dict(zip(pool, scores, strict=True))
        self.journal.add(scored)
        return {name: Verdict(score=score) for name, score in scored.items()}


def name_of(candidate: Completion) -> Name:
    """Return what names a completion in a journal of scores."""
    place = candidate.problem_id, candidate.budget, candidate.replicate, candidate.index
    return (*place, digest(asdict(candidate)))


def _recorded(candidate: Completion) -> float | None:
    return candidate.step_scores[-1] if candidate.step_scores else None
