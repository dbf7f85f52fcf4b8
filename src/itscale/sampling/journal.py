"""Journals: what is finished before a whole block is, kept so that a killed job redoes nothing."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Self

from itscale.messages.secrets import masked_words
from itscale.sampling.failures import Failure
from itscale.sampling.ledger import Ledger
from itscale.sampling.nodes import Grown
from itscale.sampling.scoring import Answers, Asked, check_answer
from itscale.sampling.units import Unit
from itscale.types import Completion, Verdict

__all__ = ["Journal", "JournalledAnswers", "Name", "Ruling", "Run", "ScoreJournal", "journal_of"]

Rows = list[dict[str, Any]]
"""Rows of a ledger."""

Entry = tuple[list[Completion], Rows, Grown]
"""Completions of a unit, its rows of the ledger, and its nodes."""

Name = tuple[str, int, int, int, str]
"""What names a completion within its strategy: problem, budget, replicate, index, and a digest of it all: a
block that was begun again may hold others at some places."""

Scored = tuple[float, list[Asked]]
"""A score, and what was asked of models for it."""

Ruling = tuple[str, str]
"""What names an oracle's verdict: a digest of the problem, and the answer."""

Run = tuple[str, int, int]
"""What names a run, or the pool of an exchangeable strategy: problem, budget, replicate."""

SYNC_EVERY = 1.0
"""Seconds of scores that cost nothing which a kill may lose: a sync each would cost more."""

logger = logging.getLogger(__name__)


def journal_of(output: Path) -> Path:
    """Return where the journal of a block's table is, beside it.

    It is not an output of the workflow, so nobody deletes it between two tries.
    """
    return output.with_name(f".{output.stem}.journal")


class _Lines(ABC):
    """An append-only file of records, one a line.

    A first line says what the records belong to; a journal of anything else is started anew. A line torn by a
    kill, and all after it, is dropped. One process at a time has it open, where the file system has locks.

    Parameters
    ----------
    path
        Where the journal is.
    identity
        JSON value: fingerprint and inputs of the block.
    wait
        Wait while another process has it open.

    Raises
    ------
    OSError
        If it is not to wait, and another process has it open or nobody can know.
    """

    def __init__(self, path: Path, identity: Any, *, wait: bool = True) -> None:
        self.path = path
        self.identity = identity
        self._header = json.dumps({"block": identity}, sort_keys=True).encode() + b"\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _locked(path, wait=wait)
        whole = self._read()
        self._file.truncate(whole)
        self._file.seek(whole)
        if not whole:
            self._file.write(self._header)
            self._sync()

    @abstractmethod
    def _take(self, record: Any) -> None:
        """Take over a record of an earlier try; ValueError, TypeError or KeyError if it is none."""

    def _read(self) -> int:
        """Take over the whole lines of a journal of this block; return their length in bytes."""
        lines = self._file.read().splitlines(keepends=True)
        if not lines or lines[0] != self._header:
            return 0
        length = len(lines[0])
        for line in lines[1:]:
            if not line.endswith(b"\n"):
                break
            try:
                self._take(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                break
            length += len(line)
        return length

    def _append(self, record: Mapping[str, Any]) -> None:
        self._file.write(masked_words(json.dumps(record)).encode() + b"\n")

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def delete(self) -> None:
        """Remove the journal: its block is written."""
        self.path.unlink(missing_ok=True)
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()


def _locked(path: Path, *, wait: bool) -> BinaryIO:
    """Open a file, made if it isn't there, that no other process has open by this; arguments as `_Lines`.

    The lock is the process's own: children that it forks do not hold it, and none outlives it.
    """
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if not wait:
                file.close()
                raise
            if isinstance(error, BlockingIOError | PermissionError):
                logger.info("%s: another job has it open; waiting for it", path)
                fcntl.lockf(file, fcntl.LOCK_EX)
        if _is_at(path, file):
            return file
        file.close()  # who had it open removed it


def _is_at(path: Path, file: BinaryIO) -> bool:
    """Return whether an open file is the one at a path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


class Journal(_Lines):
    """The journal of a block that is sampled, synced unit by unit.

    A later try does again what failed, and what was under way when a job ended: what that had spent by then
    is kept, request by request.

    Attributes
    ----------
    finished
        Units with what they made and spent.
    failed
        Units that failed in this try, or in the one that concluded the block.
    wasted
        What was spent for nothing on a unit, in this try or an earlier one.
    grown
        What units had made that failed.
    facts
        What is known (JSON values) once all units were tried: the block is sampled, nothing is done again.
    """

    def __init__(self, path: Path, identity: Any, *, wait: bool = True) -> None:
        self.finished: dict[Unit, Entry] = {}
        self.failed: dict[Unit, Failure] = {}
        self.wasted: dict[Unit, Ledger] = {}
        self.grown: dict[Unit, Grown] = {}
        self.facts: dict[str, Any] = {}
        self._under_way: dict[Unit, Ledger] = {}
        super().__init__(path, identity, wait=wait)
        for unit, spent in self._under_way.items():
            self.waste(unit, spent.rows(failed=True))
        self._under_way.clear()

    def _take(self, record: Any) -> None:
        if "facts" in record:
            self.facts = dict(record["facts"])
            for told in record["failures"]:
                failure = Failure.from_record(told)
                self.failed[failure.unit] = failure
                self.grown[failure.unit] = Grown(**told["tree"])
            return
        unit = Unit(**record["unit"])
        if "spent" in record:
            self._under_way.setdefault(unit, Ledger()).add_row(record["spent"])
            return
        if "wasted" in record:
            self._note_waste(unit, record["wasted"])
        else:
            made = [Completion(**row) for row in record["completions"]]
            self.finished[unit] = made, record["ledger"], Grown(**record["tree"])
        self._under_way.pop(unit, None)

    def _note_waste(self, unit: Unit, rows: Rows) -> None:
        ledger = self.wasted.setdefault(unit, Ledger())
        for row in rows:
            ledger.add_row(row)

    def spend(self, unit: Unit, row: dict[str, Any]) -> None:
        """Record what a request of a unit under way cost; it outlives the process when this returns."""
        self._append({"unit": vars(unit), "spent": row})
        self._file.flush()

    def add(self, unit: Unit, completions: list[Completion], ledger: Rows, tree: Grown) -> None:
        """Record a finished unit and all that it spent; it is on disk when this returns."""
        rows = [asdict(row) for row in completions]
        record = {"unit": asdict(unit), "completions": rows, "ledger": ledger, "tree": vars(tree)}
        self._append(record)
        self._sync()
        self.finished[unit] = (completions, ledger, tree)

    def waste(self, unit: Unit, ledger: Rows) -> None:
        """Record all that a try of a unit spent for nothing; it is on disk when this returns."""
        self._append({"unit": asdict(unit), "wasted": ledger})
        self._sync()
        self._note_waste(unit, ledger)

    def add_failure(self, failure: Failure, ledger: Rows, tree: Grown) -> None:
        """Record a unit that failed, and what it spent; what it had made is kept for this try's table."""
        self.waste(failure.unit, ledger)
        self.failed[failure.unit] = failure
        self.grown[failure.unit] = tree

    def conclude(self, facts: Mapping[str, Any]) -> None:
        """Record that all units were tried; it is on disk when this returns."""
        failures = [
            {**failure.record(), "tree": vars(self.grown[unit])} for unit, failure in self.failed.items()
        ]
        self._append({"facts": facts, "failures": failures})
        self._sync()
        self.facts = dict(facts)

    def spending(self, unit: Unit) -> Rows:
        """Return the rows of the ledger of a unit: of what was made, and of what came to nothing."""
        made = self.finished[unit][1] if unit in self.finished else []
        wasted = self.wasted.get(unit, Ledger())
        return [*made, *wasted.rows(unit.identity)]

    def tree(self, unit: Unit) -> Grown:
        """Return what a unit made; nothing of one that was not tried."""
        return self.finished[unit][2] if unit in self.finished else self.grown.get(unit, Grown([]))


class ScoreJournal(_Lines):
    """The journal of a block that is verified: scores, rulings, and what models answered to the verifier.

    Answers of models are on disk when they are known; what follows from them or costs nothing, within a
    second.

    Attributes
    ----------
    scores
        By completion, with what was asked of models for it.
    rulings
        Verdicts of an oracle, by digest of the problem and answer, with what was asked for them.
    answers, costs, ledgers
        By run (or pool): answers by digests of their questions, what each of them cost, and all that was
        spent.
    facts
        What is known of the engines.
    """

    def __init__(self, path: Path, identity: Any) -> None:
        self.scores: dict[Name, Scored] = {}
        self.rulings: dict[str, dict[str, tuple[Verdict, list[Asked]]]] = {}
        self.answers: dict[Run, dict[str, Any]] = {}
        self.costs: dict[Run, dict[str, Ledger]] = {}
        self.ledgers: dict[Run, Ledger] = {}
        self.facts: dict[str, Any] = {}
        super().__init__(path, identity)
        self._synced = time.monotonic()

    def _take(self, record: Any) -> None:
        if "facts" in record:
            self.facts |= record["facts"]
        elif "run" in record:
            problem, budget, replicate = record["run"]
            run, spent = (str(problem), int(budget), int(replicate)), Ledger()
            for row in record["spent"]:
                spent.add_row(row)
            if "failed" in record:
                self.ledgers[run].fail(spent)
                for question in record["failed"]:
                    self.answers[run].pop(question, None)
                return
            for answer in record["answers"].values():
                check_answer(answer)
            self._note(run, record["answers"], spent)
        elif "ruling" in record:
            problem, answer = record["ruling"]
            said = Verdict(**record["verdict"]), [Asked(*one) for one in record["asked"]]
            self.rulings.setdefault(str(problem), {})[str(answer)] = said
        else:
            problem, budget, replicate, index, content = record["completion"]
            name = str(problem), int(budget), int(replicate), int(index), str(content)
            self.scores[name] = float(record["score"]), [Asked(*one) for one in record["asked"]]

    def _note(self, run: Run, answers: Mapping[str, Any], spent: Ledger) -> None:
        self.answers.setdefault(run, {}).update(answers)
        self.costs.setdefault(run, {}).update(dict.fromkeys(answers, spent))
        self.ledgers.setdefault(run, Ledger()).add(spent)

    def know(self, facts: Mapping[str, Any]) -> None:
        """Record facts (JSON values) of the engines that are asked."""
        self._append({"facts": facts})
        self.facts |= facts

    def pay(self, run: Run, answers: Mapping[str, Any], spent: Ledger) -> None:
        """Record answers and what they cost; they are on disk when this returns."""
        self._append({"run": run, "answers": answers, "spent": spent.rows()})
        self._sync()
        self._note(run, answers, spent)

    def fail(self, run: Run, paid: Mapping[str, Ledger]) -> None:
        """Record that answers, by their questions, came to nothing: a later try asks again."""
        if paid:
            spent = Ledger()
            for ledger in paid.values():
                spent.add(ledger)
            self._append({"run": run, "failed": list(paid), "spent": spent.rows()})
            self.ledgers[run].fail(spent)

    def add(self, scores: Mapping[Name, Scored]) -> None:
        """Record scores; they are on disk within a second, or when the journal is left."""
        for name, (score, asked) in scores.items():
            self._append({"completion": name, "score": score, "asked": asked})
        self.scores.update(scores)
        self._sync_soon()

    def rule(self, ruling: Ruling, verdict: Verdict, asked: list[Asked]) -> None:
        """Record the verdict on an answer, as scores are."""
        self._append({"ruling": ruling, "verdict": asdict(verdict), "asked": asked})
        self.rulings.setdefault(ruling[0], {})[ruling[1]] = verdict, asked
        self._sync_soon()

    def _sync_soon(self) -> None:
        if time.monotonic() - self._synced >= SYNC_EVERY:
            self._sync()
            self._synced = time.monotonic()

    def __exit__(self, *exc: object) -> None:
        if not self._file.closed:
            self._sync()
        super().__exit__(*exc)


class JournalledAnswers(Answers):
    """Answers about one run (or pool) that are in a journal as soon as they are known."""

    def __init__(self, journal: ScoreJournal, run: Run) -> None:
        self._journal = journal
        self._run = run
        kept = (kept.setdefault(run, {}) for kept in (journal.answers, journal.costs))
        super().__init__(journal.ledgers.setdefault(run, Ledger()), *kept)

    def keep(self, answers: Mapping[str, Any], spent: Ledger) -> None:
        """Keep and charge them; they are on disk when this returns."""
        if answers or spent.accounts:
            self._journal.pay(self._run, answers, spent)

    def save(self, scorer: str, cost: Ledger) -> None:
        """Note nothing: each verdict says what was asked for it, whoever paid, in whichever try."""
