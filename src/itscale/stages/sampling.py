"""Sampling: one block of completions, all problems at once; and blocks that wait for the same engine."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from itscale.boundary import CheckedEngine, completions_of_run, make_engine
from itscale.errors import DataError
from itscale.plugins.ingredient import Ingredient
from itscale.sampling.blocks import Block
from itscale.sampling.failures import ends_the_job, reason_of
from itscale.sampling.journal import Journal, journal_of
from itscale.sampling.nodes import Grown, nodes_left_out
from itscale.sampling.progress import Sampled, Tally
from itscale.sampling.units import Unit
from itscale.stages.asking import close_all
from itscale.stages.block_run import BlockRun
from itscale.stages.cores import share_cores
from itscale.stages.declared import SAMPLING as STAGE
from itscale.stages.footer import provenance
from itscale.stages.problems import problems_digest, read_problems
from itscale.store.parquet import write_table
from itscale.store.schemas import COMPLETIONS, LEDGER, TREES, Schema
from itscale.study.evaluation import require_sandbox
from itscale.study.study import Study
from itscale.types import Problem

__all__ = ["Progress", "Waiting", "sample_block"]

Progress = Callable[[Sampled], None]
"""Called with how far the block is, whenever that changes; the first time, when its engine has started."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A block that waits for a model, and where its files are; `progress` as of `sample_block`."""

    task: str
    strategy: str
    block: Block
    problems: Path
    completions: Path
    progress: Progress | None = None


def sample_block(
    study: Study,
    task: str,
    model: str,
    strategy: str,
    block: Block,
    *,
    problems: Path,
    model_directories: Mapping[str, Path],
    completions: Path,
    ledger: Path,
    trees: Path,
    progress: Progress | None = None,
    waiting: Iterable[Waiting] = (),
) -> None:
    """Run a strategy on every unit of a block and write its completions, its ledger and its trees.

    Helper models that the strategy names are started beside the one that is sampled. What is finished when
    the job is killed is in a journal beside `completions`, and is not redone. A unit that fails leaves no
    completions; what it spent is in the ledger as `failed`, what it made in the trees, and why is in the
    footers.

    The engines then serve blocks of the same model that are `waiting`, one after the other, each into its
    journal: the job of that block finds it sampled, starts no engine and writes the files.

    Raises
    ------
    UserError
        If the problems are not those of the block, or the engine cannot start or go on.
    TooManyFailuresError
        If more units fail than the study allows.
    """
    place = Waiting(
        task=task,
        strategy=strategy,
        block=block,
        problems=problems,
        completions=completions,
        progress=progress,
    )
    run = _begin(study, model, place)
    with run.journal:
        if run.is_sampled:
            run.tally.report()
        else:
            asyncio.run(_sample(run, model_directories, waiting))
        _write(run, completions, ledger, trees)
        run.journal.delete()


def _begin(study: Study, model: str, place: Waiting, *, wait: bool = True) -> BlockRun:
    """Open the journal of a block; errors as of it, and as of `sample_block`."""
    require_sandbox(study, [place.task])
    block, strategy = place.block, place.strategy
    everyone = read_problems(place.problems)
    chosen = _problems_of(block, everyone, place.problems)
    labels = {"task": place.task, "model": model, "strategy": strategy, "block": block.name}
    # The digest of the block's own problems is recorded, not their file's: that may grow.
    identity = STAGE.fingerprint(study, labels) | {"problems": problems_digest(chosen.values())}
    for engine in (study.models[model], *study.started_with(strategy).values()):
        engine.require_installed()
    journal = Journal(journal_of(place.completions), STAGE.journalled(identity), wait=wait)
    most = completions_of_run(study.strategies[strategy], block.budget) if block.budget else None
    wanted = units_of(block, list(chosen), pooled=not study.converses(strategy), most=most)
    done = sum(unit in journal.finished for unit in wanted)
    if done:
        logger.info("%s: %d of %d units are in the journal", block.name, done, len(wanted))
    units = _units_of_combination(study, strategy, block, len(everyone))
    made = sum(unit.completions for unit in journal.finished)
    tally = Tally(made, place.progress) if place.progress else Tally(made)
    tally.state.failed = sum(unit.completions for unit in journal.failed)
    return BlockRun(
        study, place.task, model, strategy, block, units, journal, tally, identity, chosen, wanted
    )


async def _sample(run: BlockRun, model_directories: Mapping[str, Path], waiting: Iterable[Waiting]) -> None:
    """Start the engines of a block, sample it, then what waits for them."""
    started = time.perf_counter()
    engines: dict[str, CheckedEngine] = {}
    labels = (run.model, *run.study.started_with(run.strategy))
    share_cores(run.study.models[label] for label in dict.fromkeys(labels))
    try:
        for number, label in enumerate(labels):
            if label not in engines:  # a model may be its own critic
                engines[label] = make_engine(
                    run.study.models[label],
                    seed=(run.seed + number) % 2**31,
                    model_directory=model_directories.get(label),
                )
        await run.sample(engines, started)
        await _serve(run.study, run.model, engines, waiting)
    finally:
        await close_all(*engines.values())


async def _serve(
    study: Study, model: str, engines: Mapping[str, CheckedEngine], waiting: Iterable[Waiting]
) -> None:
    """Sample blocks on engines that run; whatever is wrong with one is left for its own job to meet."""
    for place in waiting:
        if not study.started_with(place.strategy).keys() <= engines.keys():
            continue
        name = f"{place.task}/{model}/{place.strategy}/{place.block.name}"
        try:
            run = _begin(study, model, place, wait=False)
            with run.journal:
                if not run.is_sampled:
                    logger.info("%s: sampled on the same engine", name)
                    await run.sample(engines)
        except Exception as error:  # another job may sample it, its problems may not be there, it may fail
            logger.warning("%s: left to its own job: %s", name, reason_of(error))
            if ends_the_job(error):
                return


def _write(run: BlockRun, completions: Path, ledger: Path, trees: Path) -> None:
    """Write the files of a block that is sampled."""
    study, journal = run.study, run.journal
    facts = journal.facts
    failed = [journal.failed[unit] for unit in run.wanted if unit in journal.failed]
    if failed:
        facts = facts | {"failures": [failure.record() for failure in failed]}
    rows = [journal.finished[unit] for unit in run.wanted if unit in journal.finished]
    took_part: tuple[Ingredient[Any], ...] = (
        study.tasks[run.task],
        study.models[run.model],
        study.strategies[run.strategy],
        *study.inner_of(run.strategy).values(),
        *study.started_with(run.strategy).values(),
    )
    metadata = provenance(STAGE.name, run.identity, {}, *took_part) | facts
    metadata["axis"] = study.axis(run.strategy)
    # For who opens the block again.
    metadata |= {"revision": STAGE.revision, "pooled": not study.converses(run.strategy)}
    metadata["most"] = max((unit.completions for unit in run.wanted), default=0) if run.block.budget else None
    spent = [row for unit in run.wanted for row in journal.spending(unit)]
    metadata["unreadable"] = sum(row["unreadable"] for row in spent)
    write_table(_frame(spent, LEDGER), ledger, metadata)
    _write_trees(study, {unit: journal.tree(unit) for unit in run.wanted}, trees, metadata)
    made = (asdict(one) for handed_in, *_ in rows for one in handed_in)
    write_table(_frame(made, COMPLETIONS), completions, metadata)


def units_of(
    block: Block, problem_ids: Sequence[str], *, pooled: bool = True, most: int | None = None
) -> list[Unit]:
    """Return the sessions of a block: of runs, one per problem and replicate; else one per problem.

    Where a strategy is called per completion, not for the pool, there is one per problem and completion. A
    run hands in at most so many completions, as many as its budget if that is left out.
    """
    if not block.budget:
        parts = (
            [(block.start, block.stop)] if pooled else [(k, k + 1) for k in range(block.start, block.stop)]
        )
        return [
            Unit(problem_id=name, start=start, stop=stop) for name in problem_ids for start, stop in parts
        ]
    return [
        Unit(problem_id=name, budget=block.budget, replicate=replicate, stop=most or block.budget)
        for name in problem_ids
        for replicate in range(block.start, block.stop)
    ]


def _units_of_combination(study: Study, strategy: str, block: Block, problems: int) -> int:
    """Return how many units a strategy has on one task and model, if all blocks are as wide as this one."""
    section = study.config.strategies[strategy]
    if block.budget:
        return problems * section.replicates * len(section.budgets or ())
    width = 1 if study.converses(strategy) else block.stop - block.start
    return problems * math.ceil((section.completions or 1) / width)


def _problems_of(block: Block, problems: Sequence[Problem], path: Path) -> dict[str, Problem]:
    if len(problems) < block.problem_stop:
        raise DataError(
            f"{path}: found {len(problems)} problems, block {block.name} wants more: run `problems` again"
        )
    return {p.problem_id: p for p in problems[block.problem_start : block.problem_stop]}


def _frame(rows: Iterable[Mapping[str, Any]], schema: Schema) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=dict(schema))


def _write_trees(
    study: Study, grown: Mapping[Unit, Grown], output: Path, metadata: Mapping[str, Any]
) -> None:
    """Write the nodes that every unit of a block made, and say how many are left out."""
    kept = study.config.trees.model_dump(mode="json") | {"left_out": nodes_left_out(grown.items())}
    rows = chain.from_iterable(one.rows for one in grown.values())
    write_table(_frame(rows, TREES), output, {**metadata, "trees": kept})
