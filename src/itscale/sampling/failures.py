"""Units that fail: what is one unit's own failure and what is the job's, and how many a study bears."""

from __future__ import annotations

import errno
import logging
import math
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from itscale.errors import DataError, EngineLostError, SandboxError, TooManyFailuresError, UserError
from itscale.messages.printable import one_line, printable
from itscale.sampling.units import Unit
from itscale.store.parquet import read_metadata
from itscale.types import Verdict

__all__ = [
    "Failure",
    "ProblemFailures",
    "allowed",
    "ends_the_job",
    "first_reasons",
    "log_reason",
    "read_failures",
    "reason_of",
    "too_many",
]

EXHAUSTED = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""What the machine has run out of, for whichever unit comes next, too."""

LONGEST_REASON = 500
"""Characters of a reason; a plugin may raise a whole reply."""

SHOWN = 3
"""Failures that a message names."""


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """A unit that failed, and why."""

    unit: Unit
    reason: str

    @classmethod
    def of(cls, unit: Unit, error: BaseException) -> Failure:
        """Say why a unit failed."""
        return cls(unit, reason_of(error))

    @property
    def verdict(self) -> Verdict:
        """What is said of a completion that a verifier failed on."""
        return Verdict(status="error", detail=self.reason)

    def record(self) -> dict[str, Any]:
        """Return it as JSON values, as footers hold it."""
        return {**asdict(self.unit), "reason": self.reason}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Failure:
        """Read it back; KeyError or TypeError if it is none."""
        return cls(Unit(**{name: record[name] for name in Unit.__dataclass_fields__}), str(record["reason"]))


def reason_of(error: BaseException) -> str:
    """Return why something failed, in one line that can be stored and shown.

    A user's error says it by itself; any other is somebody's bug, and its kind and place belong to it. Of a
    group of errors, the first is meant.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    said = one_line(error)[:LONGEST_REASON]
    if isinstance(error, UserError):
        return said
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{f': {said}' if said else ''}{place}"


def read_failures(path: Path) -> list[Failure]:
    """Return the units that failed when a block was sampled, from the footer of its completions or ledger.

    A table that carries no metadata tells of none.
    """
    try:
        records = read_metadata(path).get("failures", [])
    except DataError:
        return []
    return [Failure.from_record(record) for record in records]


def ends_the_job(error: BaseException) -> bool:
    """Return whether an error is not one unit's own: it would meet every other unit as well."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(ends_the_job, error.exceptions))
    if isinstance(error, OSError):
        return error.errno in EXHAUSTED
    return isinstance(error, EngineLostError | SandboxError | MemoryError)


def allowed(max_failures: float, units: int) -> int:
    """Return how many of so many units may fail: a number as it is, of a share at least one."""
    if isinstance(max_failures, int):
        return max_failures
    return max(1, math.floor(max_failures * units)) if max_failures else 0


def too_many(
    place: str,
    failures: Sequence[Failure],
    units: int,
    max_failures: float,
    advice: str,
    things: str = "units",
) -> TooManyFailuresError:
    """Return the error that says which units failed, why, and what to do.

    Parameters
    ----------
    place
        What failed, where.
    units
        Of how many.
    advice
        How to go on once the cause is mended.
    things
        What failed.
    """
    return TooManyFailuresError(
        f"{place}: {len(failures)} of {units} {things} failed, max_failures ({max_failures:g}) allows "
        f"{allowed(max_failures, units)}: {first_reasons(failures)}; mend the cause and "
        f"{advice}, or raise max_failures"
    )


def first_reasons(failures: Sequence[Failure]) -> str:
    """Return the first few different reasons, each with a problem that it was met on."""
    reasons: dict[str, Failure] = {}
    for failure in failures:
        reasons.setdefault(failure.reason, failure)
    first = list(reasons.values())[:SHOWN]
    named = "; ".join(f"problem {one.unit.problem_id!r}: {one.reason}" for one in first)
    more = len(failures) - len(first)
    return f"{named} (and {more} more)" if more else named


def log_reason(what: str, failure: Failure, error: BaseException) -> None:
    """Log that something failed; with where, unless its reason says all there is to be said.

    The traceback is a text by then: what an error holds may be anything, half characters too.
    """
    told = isinstance(error, UserError | SystemExit)
    where = "" if told else "\n" + "".join(traceback.format_exception(error))
    logger.warning("%s: %s%s", printable(what), failure.reason, printable(where))


class ProblemFailures:
    """The problems that a verifier fails on.

    Parameters
    ----------
    place
        What fails, where.
    problems
        How many the task has.
    max_failures
        How many of them it may fail on: a number, or a share.
    """

    def __init__(self, place: str, problems: int, max_failures: float) -> None:
        self.place = place
        self.problems = problems
        self.max_failures = max_failures
        self.found: dict[str, Failure] = {}

    def add(self, problem_id: str, error: BaseException) -> Failure:
        """Note that a verifier failed on a problem; raise where the job, or the study, ends with it."""
        if ends_the_job(error):
            raise error
        failure = Failure.of(Unit(problem_id=problem_id, stop=1), error)
        log_reason(f"{self.place}, problem {problem_id}", failure, error)
        self.found.setdefault(problem_id, failure)
        if len(self.found) > allowed(self.max_failures, self.problems):
            found = list(self.found.values())
            raise too_many(self.place, found, self.problems, self.max_failures, "run again", "problems")
        return failure
