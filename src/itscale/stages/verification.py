"""Verification: what a verifier says of every completion of a block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from itscale.errors import DataError
from itscale.sampling.blocks import Block
from itscale.sampling.failures import ProblemFailures
from itscale.sampling.journal import ScoreJournal, journal_of
from itscale.sampling.scoring import Asked
from itscale.sandbox import containment
from itscale.seeds import digest
from itscale.stages.asking import Asking, Progress, spending
from itscale.stages.declared import VERIFICATION as STAGE
from itscale.stages.judging import Judging
from itscale.stages.problems import problems_digest, read_problems
from itscale.stages.scoring import Scoring
from itscale.store.parquet import read_metadata, read_table, write_table
from itscale.store.schemas import COMPLETIONS, LEDGER, VERDICTS
from itscale.study.study import Study
from itscale.types import Completion, Problem, Verdict

__all__ = ["journalled", "read_completions", "verify_block"]

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
    model_directories: Mapping[str, Path],
    output: Path,
    ledger: Path,
    progress: Progress = lambda done: None,
) -> None:
    """Write the verdicts of one verifier on one block of completions, and what they cost.

    An oracle judges each distinct answer of a problem once. Scores that the strategy asked for while it
    generated are taken from the completions; models are started only if others are needed from them. Where a
    verifier fails, the verdict's status is `error` and its detail says why; other verdicts, and what models
    answered, are in a journal beside `output` until all are there, and are not asked for again.

    Parameters
    ----------
    verifier
        Label of the task's oracle, or of a scorer.
    model_directories
        Where models were prepared that were, by label.
    output, ledger
        Where verdicts (schema `VERDICTS`) and what was spent on them (schema `LEDGER`) go.
    progress
        Called with how far it is.

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
        ScoreJournal(journal_of(output), journalled(metadata["fingerprint"], completions)) as journal,
    ):
        content = metadata["inputs"]["completions"]
        asking = Asking(study, task, model, ingredient, model_directories, content, journal, progress)
        asking.done.wanted = len(candidates)
        judged: list[tuple[str | None, Verdict, list[Asked]]]
        if ingredient.entry.role == "oracle":
            judged = Judging(asking, failures).verdicts(known, candidates)
        else:
            used = study.scorer_of(strategy)
            recorded = used is not None and used.label == verifier
            scored = Scoring(asking, failures).verdicts(known, candidates, recorded=recorded)
            judged = [(None, *said) for said in scored]
        timing = {"verdicts": asking.done.made, "seconds": asking.seconds}
        metadata |= {"sandbox": contained.used, "revision": STAGE.revision, "timing": timing, **journal.facts}
        rows = [_row(one, *said) for one, said in zip(candidates, judged, strict=True)]
        spent = pl.DataFrame(spending(journal, candidates), schema=dict(LEDGER))
        write_table(spent, ledger, metadata)
        write_table(pl.DataFrame(rows, schema=dict(VERDICTS)), output, metadata)
        if not failures.found:  # else it is kept for who tries them again
            journal.delete()


def journalled(
    fingerprint: Mapping[str, Any], completions: Path, revision: int | None = STAGE.revision
) -> dict[str, Any]:
    """Return what the journal of a block's verdicts belongs to.

    Completions that are made otherwise have verdicts of their own; those that are tried again keep theirs.

    Parameters
    ----------
    fingerprint
        That of the verdicts.
    completions
        What they are on.
    revision
        The stage's, when they were made.
    """
    made = digest(read_metadata(completions).get("fingerprint"))
    return {**fingerprint, "completions": made, "revision": revision}


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
