"""Verification: what a verifier says of every completion of a block."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from itscale.boundary import CheckedOracle, Place, make_oracle
from itscale.errors import DataError
from itscale.plugins.entries import VerifierEntry
from itscale.plugins.ingredient import Ingredient
from itscale.sampling.blocks import Block
from itscale.sampling.failures import ProblemFailures, ends_the_job, reason_of
from itscale.sampling.journal import ScoreJournal, journal_of
from itscale.sampling.scoring import Asked
from itscale.sandbox import containment
from itscale.stages.declared import VERIFICATION as STAGE
from itscale.stages.problems import problems_digest, read_problems
from itscale.stages.scoring import Scoring, spending
from itscale.store.parquet import read_metadata, read_table, write_table
from itscale.store.schemas import COMPLETIONS, LEDGER, VERDICTS
from itscale.study.study import Study
from itscale.types import Completion, Oracle, Problem, Verdict

__all__ = ["judge", "read_completions", "verify_block"]

Row = dict[str, Any]

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
    ledger: Path,
) -> None:
    """Write the verdicts of one verifier on one block of completions, and what they cost.

    An oracle judges each distinct answer of a problem once. Scores that the strategy asked for while it
    generated are taken from the completions; models are started only if others are needed from them. Where a
    verifier fails, the verdict's status is `error` and its detail says why; other scores, and what models
    answered, are in a journal beside `output` until all are there, and are not asked for again.

    Parameters
    ----------
    verifier
        Label of the task's oracle, or of a scorer.
    model_directories
        Where models were prepared that were, by label.
    output, ledger
        Where verdicts (schema `VERDICTS`) and what was spent on them (schema `LEDGER`) go.

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
    labels = {"task": task, "verifier": verifier}
    asked = study.models_asked_by(ingredient).values()
    metadata = STAGE.footer(study, labels, inputs, study.tasks[task], ingredient, *asked)
    with (
        containment(study.config.sandbox) as contained,
        ScoreJournal(journal_of(output), STAGE.journalled(metadata["fingerprint"])) as journal,
    ):
        judged: list[tuple[str | None, Verdict, list[Asked]]]
        if ingredient.entry.role == "oracle":
            said = _judged(ingredient, known, candidates, failures)
            judged = [(answer, verdict, []) for answer, verdict in said]
        else:
            used = study.scorer_of(strategy)
            recorded = used is not None and used.label == verifier
            content = metadata["inputs"]["completions"]
            scoring = Scoring(study, task, model, ingredient, model_directories, content, journal, failures)
            judged = [(None, *said) for said in scoring.verdicts(known, candidates, recorded=recorded)]
        metadata |= {"sandbox": contained.used, "revision": STAGE.revision, **journal.facts}
        rows = [_row(one, *said) for one, said in zip(candidates, judged, strict=True)]
        spent = pl.DataFrame(spending(journal, candidates), schema=dict(LEDGER))
        write_table(spent, ledger, metadata)
        write_table(pl.DataFrame(rows, schema=dict(VERDICTS)), output, metadata)
        if not failures.found:  # else it is kept for who tries them again
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
) -> list[tuple[str | None, Verdict]]:
    oracle = make_oracle(ingredient)
    of_problem: dict[str, list[int]] = {}
    for place, candidate in enumerate(candidates):
        of_problem.setdefault(candidate.problem_id, []).append(place)
    said: dict[int, tuple[str | None, Verdict]] = {}
    for problem_id, places in of_problem.items():
        texts = [candidates[place].text for place in places]
        judged = _judged_all_the_same(oracle, known[problem_id], texts, ingredient.label, failures)
        for place, (answer, verdict) in zip(places, judged, strict=True):
            # An oracle that could not judge says nothing for the answer: not judged counts as wrong.
            said[place] = answer, replace(verdict, correct=bool(verdict.correct))
    return [said[place] for place in range(len(candidates))]


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
            said[text] = None, failures.add(problem.problem_id, error).verdict
    return [said[text] for text in texts]


def _row(candidate: Completion, answer: str | None, verdict: Verdict, asked: list[Asked]) -> Row:
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
        "asked": [one._asdict() for one in asked],
    }
