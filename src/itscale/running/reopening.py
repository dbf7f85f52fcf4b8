"""Blocks that are done but for what failed, opened again: a next run does that and nothing else of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from itscale.sampling.blocks import Block
from itscale.sampling.failures import Failure, read_failures
from itscale.sampling.journal import Journal, Run, ScoreJournal, journal_of
from itscale.sampling.ledger import Ledger
from itscale.sampling.nodes import Grown
from itscale.sampling.scoring import Asked
from itscale.stages.judging import ruling
from itscale.stages.problems import read_problems
from itscale.stages.sampling import units_of
from itscale.stages.scoring import name_of
from itscale.stages.verification import journalled, read_completions
from itscale.store.parquet import read_metadata, read_table
from itscale.store.schemas import LEDGER, TREES, VERDICTS
from itscale.types import Completion, Verdict

__all__ = ["Reopened", "reopen_failures"]


_Of = tuple[str, int, int, int]
"""Problem, budget, replicate and first index of a unit."""


@dataclass(frozen=True)
class Reopened:
    """What will be tried again: units that failed, and completions that a verifier failed on."""

    units: int
    verdicts: int


def reopen_failures(results: Path, manifest: Path, *, only_count: bool = False) -> Reopened:
    """Put what is right of blocks with failures back into their journals, and remove the blocks.

    The manifest goes, too: it stands for a study that is done. A kill on the way loses nothing.

    Parameters
    ----------
    results
        Results of a study; no run is under way there.
    manifest
        Its manifest, if it has one.
    only_count
        Change nothing.
    """
    blocks = sorted(results.glob("completions/*/*/*/p*.parquet"))
    failed = {path: found for path in blocks if (found := read_failures(path))}
    tables = sorted(results.glob("verdicts/*/*/*/*/p*.parquet"))
    broken = {path: lost for path in tables if (lost := _lost(path))}
    if not only_count and (failed or broken):
        manifest.unlink(missing_ok=True)
        for path in tables:
            below = path.relative_to(results / "verdicts")
            judged = results / "completions" / below.parent.parent / below.name
            if path in broken or judged in failed:
                problems = results / "problems" / f"{below.parts[0]}.parquet"
                _reopen_verdicts(path, judged, results / "ledger" / below, problems)
        for path, failures in failed.items():
            below = path.relative_to(results / "completions")
            _reopen_block(path, results / "ledger" / below, results / "trees" / below, failures)
    return Reopened(sum(map(len, failed.values())), sum(broken.values()))


def _lost(path: Path) -> int:
    """Return how many completions of a table of verdicts their verifier failed on."""
    return int((read_table(path, VERDICTS, ["status"])["status"] == "error").sum())


def _reopen_block(completions: Path, ledger: Path, trees: Path, failures: list[Failure]) -> None:
    metadata = read_metadata(completions)
    block, pooled = Block.parse(completions.stem), metadata.get("pooled", True)
    candidates = read_completions(completions)
    rows = list(read_table(ledger, LEDGER).select(*LEDGER).iter_rows(named=True))
    problems = sorted({one.problem_id for one in candidates} | {row["problem_id"] for row in rows})
    units = units_of(block, problems, pooled=pooled, most=metadata.get("most"))
    # Of which unit a completion or a row of the ledger is, an index says; of which run, the replicate does.
    starts = {index: unit.start for unit in units for index in range(unit.start, unit.stop)}
    made: dict[_Of, list[Completion]] = {}
    for one in candidates:
        made.setdefault((one.problem_id, one.budget, one.replicate, starts[one.index]), []).append(one)
    spent: dict[tuple[_Of, bool], list[dict[str, Any]]] = {}
    for row in rows:
        of = row["problem_id"], row["budget"], row["replicate"], row["start"]
        spent.setdefault((of, row["failed"]), []).append(row)
    grown = _grown(trees, starts)
    lost = {failure.unit for failure in failures}
    with Journal(journal_of(completions), _journalled(metadata)) as journal:
        for unit in units:
            of = unit.problem_id, unit.budget, unit.replicate, unit.start
            if wasted := spent.get((of, True), []) if unit not in journal.wasted else []:
                journal.waste(unit, wasted)
            paid = spent.get((of, False), [])
            if unit not in lost and unit not in journal.finished and (of in made or paid):
                journal.add(unit, made.get(of, []), paid, grown.get(of, Grown([])))
    for path in (completions, ledger):
        path.unlink()
    trees.unlink(missing_ok=True)


def _grown(trees: Path, starts: Mapping[int, int]) -> dict[_Of, Grown]:
    """Return the nodes of each unit; `starts` has the first index of the unit that a completion is of."""
    if not trees.is_file():  # of a version that kept none: another revision begins its blocks anew
        return {}
    left_out = {
        (unit["problem_id"], unit["budget"], unit["replicate"], unit["start"]): unit["nodes"]
        for unit in read_metadata(trees).get("trees", {}).get("left_out", [])
    }
    first = min(starts.values(), default=0)
    rows: dict[_Of, list[dict[str, Any]]] = {of: [] for of in left_out}
    for row in read_table(trees, TREES).select(*TREES).iter_rows(named=True):
        # A tree that is no completion's own is its problem's only unit, or a run's, which starts at 0.
        own = 0 if row["budget"] else first if row["completion"] is None else row["completion"]
        rows.setdefault((row["problem_id"], row["budget"], row["replicate"], own), []).append(row)
    return {of: Grown(found, left_out.get(of, 0)) for of, found in rows.items()}


def _journalled(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the journal of a table belongs to: the revision is that which made the table."""
    return {**metadata["fingerprint"], "revision": metadata.get("revision")}


def _reopen_verdicts(path: Path, completions: Path, ledger: Path, problems: Path) -> None:
    """Keep the verdicts there are, and what was paid for them: what the journal does not hold is put back."""
    table = read_table(path, VERDICTS)
    spent = list(read_table(ledger, LEDGER).select(*LEDGER).iter_rows(named=True)) if ledger.is_file() else []
    metadata = read_metadata(path)
    identity = journalled(metadata["fingerprint"], completions, metadata.get("revision"))
    with ScoreJournal(journal_of(path), identity) as journal:
        journal.know({name: metadata[name] for name in ("simulated", "seed_scope") if name in metadata})
        for run, paid in _by_run(spent).items():
            if run not in journal.ledgers:
                journal.pay(run, {}, paid)
        names = {name[:4]: name for name in map(name_of, read_completions(completions))}
        known = {one.problem_id: one for one in read_problems(problems)} if problems.is_file() else {}
        for row in table.filter(pl.col("status") != "error").iter_rows(named=True):
            asked = [Asked(**one) for one in row["asked"]]
            name = names.get((row["problem_id"], row["budget"], row["replicate"], row["index"]))
            if row["score"] is not None and name is not None and name not in journal.scores:
                journal.add({name: (row["score"], asked)})
            elif row["answer"] is not None and (problem := known.get(row["problem_id"])):
                key, answer = ruling(problem, row["answer"])
                if answer not in journal.rulings.get(key, {}):
                    said = {name: row[name] for name in ("correct", "status", "detail")}
                    journal.rule((key, answer), Verdict(**said), asked)
    path.unlink()
    ledger.unlink(missing_ok=True)


def _by_run(rows: Iterable[Mapping[str, Any]]) -> dict[Run, Ledger]:
    """Return ledgers of runs (or pools) from their rows."""
    ledgers: dict[Run, Ledger] = {}
    for row in rows:
        ledgers.setdefault((row["problem_id"], row["budget"], row["replicate"]), Ledger()).add_row(row)
    return ledgers
