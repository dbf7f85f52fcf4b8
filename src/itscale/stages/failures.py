"""Failures: units, verdicts and scores that a study lacks, with their reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from itscale.messages.numbers import percent
from itscale.sampling.failures import read_failures
from itscale.stages.declared import FAILURES as STAGE
from itscale.stages.outcomes import UNCLASSIFIED, units_of_blocks
from itscale.store.parquet import read_metadata, scan_table, write_csv, write_table
from itscale.store.schemas import COMPLETIONS, FAILURES, MISSING, OUTCOMES, VERDICTS
from itscale.study.imported import Combination
from itscale.study.study import Study

__all__ = ["gather_failures", "incomplete", "missing_lines", "part_text", "unparsable"]

UNIT = ("problem_id", "budget", "replicate")
NEVER_REACHED = ("error", "timeout")
"""Statuses of verdicts that say nothing of the answer."""

MOST_REASONS = 3
"""Reasons that are printed of a task, model and strategy; the table of failures has all."""

Row = dict[str, Any]


@dataclass
class _Files:
    """The files of a task, model and strategy."""

    completions: list[Path] = field(default_factory=list)
    verdicts: list[Path] = field(default_factory=list)
    outcomes: list[Path] = field(default_factory=list)


def gather_failures(
    study: Study,
    *,
    completions: Sequence[Path],
    verdicts: Sequence[Path],
    outcomes: Sequence[Path],
    failures: Path,
    missing: Path,
    csv: Path,
) -> None:
    """Write what failed, row by row with its reason, and how much is missing of each strategy.

    Parameters
    ----------
    completions, verdicts, outcomes
        Every table of these kinds that the study sampled or judged.
    failures, csv
        Where the rows go (schema `FAILURES`).
    missing
        Where the counts go (schema `MISSING`), a row for each task, model and strategy.
    """
    rows: list[Row] = []
    counts: list[Row] = []
    for place, files in sorted(_by_place(completions, verdicts, outcomes).items()):
        found = [*_failed(files), *_not_judged(files), *_not_classified(files, study.oracles[place[0]].label)]
        rows += [dict(zip(("task", "model", "strategy"), place, strict=True)) | row for row in found]
        oracle, pooled = study.oracles[place[0]].label, not study.converses(place[2])
        counts.append(_counts(place, files, found, oracle, pooled=pooled))
    table = pl.DataFrame(rows, schema=dict(FAILURES))
    metadata = STAGE.footer(study, {}, {})
    write_table(table, failures, metadata)
    write_table(pl.DataFrame(counts, schema=dict(MISSING)), missing, metadata)
    write_csv(table, csv)


def incomplete(missing: pl.DataFrame) -> list[str]:
    """Return what is missing, in a few words for each task, model and strategy that lacks something."""
    parts = (
        ("failed_units", "{} of {units:,} units failed ({missing_completions:,} completions missing)"),
        ("not_judged", "{} of {completions:,} completions not judged"),
        ("not_scored", "{} scores missing"),
        ("not_classified", "{} answers not compared"),
    )
    lines = []
    for row in missing.iter_rows(named=True):
        said = [words.format(f"{row[name]:,}", **row) for name, words in parts if row[name]]
        if said:
            lines.append(f"{row['task']}/{row['model']}/{row['strategy']}: {', '.join(said)}")
    return lines


def unparsable(missing: pl.DataFrame) -> list[str]:
    """Return in how many completions no answer was found, and how many replies a strategy could not read.

    A line for each task, model and strategy with any.
    """
    lines = []
    for row in missing.iter_rows(named=True):
        place = f"{row['task']}/{row['model']}/{row['strategy']}"
        if row["unparsable"]:
            part = part_text(row["unparsable"], row["completions"])
            lines.append(f"{place}: no answer was found in {part}; they count as wrong")
        if row["unreadable"]:
            lines.append(f"{place}: {row['unreadable']:,} replies were not what the strategy had asked for")
    return lines


def part_text(part: int, completions: int) -> str:
    """Return a part of the completions as `14 of 120 completions (11.67 %)`."""
    return f"{part:,} of {completions:,} completions ({percent(part / completions)})"


def missing_lines(missing: pl.DataFrame, failures: pl.DataFrame) -> list[str]:
    """Return `incomplete` with the reasons of each strategy, the most frequent first, and how often each is.

    What is counted are the rows of `failures`: a unit that failed is one.
    """
    counts = failures.drop_nulls("reason").group_by("task", "model", "strategy", "reason").len("times")
    counts = counts.sort(pl.col("times"), pl.col("reason"), descending=[True, False])
    reasons = {
        "/".join(map(str, place)): list(group.select("reason", "times").iter_rows())
        for place, group in counts.group_by("task", "model", "strategy", maintain_order=True)
    }
    lines = []
    for line in incomplete(missing):
        mine = reasons.get(line.partition(":")[0], [])
        told = [f"{times} x {reason}" if len(mine) > 1 else reason for reason, times in mine[:MOST_REASONS]]
        told += [f"and {len(mine) - MOST_REASONS:,} more reasons"] * (len(mine) > MOST_REASONS)
        lines.append("; ".join([line, *told]))
    return lines


def _by_place(
    completions: Sequence[Path], verdicts: Sequence[Path], outcomes: Sequence[Path]
) -> Mapping[Combination, _Files]:
    files: dict[Combination, _Files] = {}
    for path in sorted(completions):
        files.setdefault(path.parts[-4:-1], _Files()).completions.append(path)  # type: ignore[arg-type]
    for path in sorted(verdicts):
        files.setdefault(path.parts[-5:-2], _Files()).verdicts.append(path)  # type: ignore[arg-type]
    for path in sorted(outcomes):
        files.setdefault((*path.parts[-3:-1], path.stem), _Files()).outcomes.append(path)  # type: ignore[arg-type]
    return files


def _failed(files: _Files) -> Iterator[Row]:
    for path in files.completions:
        for failure in read_failures(path):
            unit = failure.unit
            yield {
                "stage": "sampling",
                "by": path.parent.name,
                **{name: getattr(unit, name) for name in (*UNIT, "start", "stop")},
                "completions": unit.completions,
                "status": "failed",
                "reason": failure.reason,
            }


def _not_judged(files: _Files) -> Iterator[Row]:
    for path in files.verdicts:
        lost = scan_table(path, VERDICTS).filter(pl.col("status").is_in(NEVER_REACHED))
        yield from _summed(lost.with_columns(reason="detail"), "verification", path.parent.name)


def _not_classified(files: _Files, oracle: str) -> Iterator[Row]:
    reason = pl.lit("the oracle failed to compare the answers: the log of outcomes says why")
    for path in files.outcomes:
        alone = scan_table(path, OUTCOMES).filter(pl.col("status") == UNCLASSIFIED)
        yield from _summed(alone.with_columns(reason=reason), "outcomes", oracle)


def _summed(rows: pl.LazyFrame, stage: str, by: str) -> Iterator[Row]:
    """Yield one row for the completions of a problem (or run) that have one status and one reason."""
    table = rows.group_by(*UNIT, "status", "reason").agg(
        start=pl.col("index").min(), stop=pl.col("index").max() + 1, completions=pl.len()
    )
    for row in table.sort(*UNIT, "start", "reason").collect(engine="streaming").iter_rows(named=True):
        yield {"stage": stage, "by": by, **row}


def _unread(verdicts: Path) -> int:
    """Return in how many completions an oracle found no answer."""
    found = scan_table(verdicts, VERDICTS).filter(pl.col("status") == "unparsable")
    return int(found.select(pl.len()).collect().item())


def _counts(place: Combination, files: _Files, found: Sequence[Row], oracle: str, *, pooled: bool) -> Row:
    def total(**where: str) -> int:
        return sum(row["completions"] for row in found if where.items() <= row.items())

    failed = [row for row in found if row["stage"] == "sampling"]
    judged = total(stage="verification", by=oracle)
    made = [scan_table(path, COMPLETIONS).select(pl.len()).collect().item() for path in files.completions]
    return {
        **dict(zip(("task", "model", "strategy"), place, strict=True)),
        "units": units_of_blocks(files.completions, pooled=pooled),
        "failed_units": len(failed),
        "failed_problems": len({row["problem_id"] for row in failed}),
        "completions": sum(made),
        "missing_completions": sum(row["completions"] for row in failed),
        "not_judged": judged,
        "not_scored": total(stage="verification") - judged,
        "not_classified": total(stage="outcomes"),
        "unparsable": sum(_unread(path) for path in files.verdicts if path.parent.name == oracle),
        "unreadable": sum(read_metadata(path).get("unreadable", 0) for path in files.completions),
    }
