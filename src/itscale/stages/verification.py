"""Verification: what a verifier says of every completion of a block."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from itscale.boundary import CheckedOracle, Place, make_engine, make_oracle, make_scorer
from itscale.columns import COMPLETIONS, VERDICTS
from itscale.errors import DataError, EngineError
from itscale.plugins import VerifierEntry
from itscale.provenance import provenance
from itscale.sandbox import containment
from itscale.seeds import seed63
from itscale.stages.problems import read_problems
from itscale.store import payload_hash, read_table, write_table
from itscale.study import Ingredient, Study
from itscale.types import Completion, Oracle, Problem, Trajectory, Verdict

__all__ = ["judge", "read_completions", "verify_block"]

Row = dict[str, Any]


def verify_block(
    study: Study,
    task: str,
    model: str,
    strategy: str,
    verifier: str,
    *,
    problems: Path,
    completions: Path,
    model_directory: Path | None,
    output: Path,
) -> None:
    """Write the verdicts of one verifier on one block of completions.

    An oracle judges each distinct answer of a problem once. Scores that the strategy asked for while it
    generated are taken from the completions; the engine starts only if others are needed from it.

    Parameters
    ----------
    verifier
        Label of the task's oracle, or of a scorer.
    model_directory
        Where the model was prepared, if it was.

    Raises
    ------
    UserError
        If completions and problems do not belong together, or the verifier cannot run or breaks its word.
    """
    ingredient = study.verifier(task, verifier)
    ingredient.require_installed()
    candidates = read_completions(completions)
    known = {problem.problem_id: problem for problem in read_problems(problems)}
    strangers = {candidate.problem_id for candidate in candidates} - known.keys()
    if strangers:
        raise DataError(f"{completions}: problem {min(strangers)!r} is not in {problems}")
    with containment(study.config.sandbox) as contained:
        if ingredient.entry.role == "oracle":
            rows = _judged(ingredient, known, candidates)
        else:
            used = study.scorer_of(strategy)
            recorded = used is not None and used.label == verifier
            scorer = _Scoring(study, model, ingredient, model_directory, payload_hash(completions))
            rows = scorer.rows(known, candidates, recorded=recorded)
    inputs = {"problems": problems, "completions": completions}
    fingerprint = {"verifier": ingredient.fingerprint()}
    metadata = provenance("verification", fingerprint, inputs, study.tasks[task], ingredient)
    metadata["sandbox"] = contained.used
    write_table(pl.DataFrame(rows, schema=dict(VERDICTS)), output, metadata)


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
    ingredient: Ingredient[VerifierEntry], known: Mapping[str, Problem], candidates: Sequence[Completion]
) -> list[Row]:
    oracle = make_oracle(ingredient)
    of_problem: dict[str, list[int]] = {}
    for place, candidate in enumerate(candidates):
        of_problem.setdefault(candidate.problem_id, []).append(place)
    rows: dict[int, Row] = {}
    for problem_id, places in of_problem.items():
        texts = [candidates[place].text for place in places]
        judged = judge(oracle, known[problem_id], texts, ingredient.label)
        for place, (answer, verdict) in zip(places, judged, strict=True):
            rows[place] = _row(candidates[place], answer, verdict)
    return [rows[place] for place in range(len(candidates))]


def _row(candidate: Completion, answer: str | None, verdict: Verdict) -> Row:
    return {
        "problem_id": candidate.problem_id,
        "budget": candidate.budget,
        "replicate": candidate.replicate,
        "index": candidate.index,
        "answer": answer,
        # An oracle that could not judge says nothing for the answer: not judged counts as wrong.
        "correct": None if verdict.score is not None else bool(verdict.correct),
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
    ) -> None:
        self.study = study
        self.model = model
        self.scorer = scorer
        self.model_directory = model_directory
        self.content = content

    def rows(
        self, known: Mapping[str, Problem], candidates: Sequence[Completion], *, recorded: bool
    ) -> list[Row]:
        """Return a row for each completion; scores that are `recorded` in it are not asked for again."""
        scores = [_recorded(candidate) if recorded else None for candidate in candidates]
        left = [place for place, score in enumerate(scores) if score is None]
        if left:
            asked = [candidates[place].trajectory(known[candidates[place].problem_id]) for place in left]
            for place, score in zip(left, asyncio.run(self._score(asked)), strict=True):
                scores[place] = score
        return [
            _row(candidate, None, Verdict(score=score))
            for candidate, score in zip(candidates, scores, strict=True)
        ]

    async def _score(self, trajectories: Sequence[Trajectory]) -> list[float]:
        scorer = make_scorer(self.scorer)
        if not self.scorer.entry.needs:
            return await scorer.score(trajectories, None)
        ingredient = self.study.models[self.model]
        ingredient.require_installed()
        seed = seed63(self.study.config.seed, "verification", self.scorer.label, self.content) % 2**31
        engine = make_engine(ingredient, seed=seed, model_directory=self.model_directory)
        try:
            lacking = sorted(self.scorer.entry.needs - engine.offers)
            if lacking:
                raise EngineError(
                    f"verifiers.{self.scorer.label} needs {', '.join(lacking)} of the engine; "
                    f"models.{self.model} as configured offers {', '.join(sorted(engine.offers))}"
                )
            return await scorer.score(trajectories, engine)
        finally:
            await engine.close()


def _recorded(candidate: Completion) -> float | None:
    return candidate.step_scores[-1] if candidate.step_scores else None
