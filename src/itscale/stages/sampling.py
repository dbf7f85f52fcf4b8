"""Sampling: one block of completions by one strategy on one engine, all problems at once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from itscale.blocks import Block
from itscale.boundary import Place, make_engine, make_scorer, run_strategy
from itscale.columns import COMPLETIONS, LEDGER
from itscale.errors import DataError, EngineError
from itscale.evaluation import require_sandbox
from itscale.journal import Journal
from itscale.meter import MeteredEngine
from itscale.provenance import provenance
from itscale.seeds import digest, seed63
from itscale.session import Session, Unit
from itscale.stages.problems import read_problems
from itscale.store import write_table
from itscale.study import Study
from itscale.throughput import BlockTiming
from itscale.types import Completion, Engine, Problem, Scorer

__all__ = ["Progress", "sample_block"]

Progress = Callable[[int, int], None]
"""Called with the completions finished and the tokens generated so far in the block."""

logger = logging.getLogger(__name__)


def sample_block(
    study: Study,
    task: str,
    model: str,
    strategy: str,
    block: Block,
    *,
    problems: Path,
    model_directory: Path | None,
    completions: Path,
    ledger: Path,
    progress: Progress | None = None,
) -> None:
    """Run a strategy on every unit of a block and write its completions and its ledger.

    What is finished when the job is killed is in a journal beside `completions`, and is not redone.

    Raises
    ------
    UserError
        If the problems are not those of the block, or the engine cannot start or go on.
    """
    chosen = _problems_of(block, problems)
    fingerprint = study.sampling_fingerprint(model, strategy)
    identity = {
        "seed": study.config.seed,
        "sampling": fingerprint,
        "block": block.name,
        "problems": digest(
            [[p.problem_id, list(map(dict, p.messages)), p.reference] for p in chosen.values()]
        ),
    }
    study.models[model].require_installed()
    require_sandbox(study, [task])
    journal_path = completions.with_name(f".{completions.stem}.journal")
    with Journal(journal_path, identity) as journal:
        wanted = units_of(block, list(chosen))
        left = [unit for unit in wanted if unit not in journal.finished]
        if len(left) < len(wanted):
            logger.info(
                "%s: %d of %d units are in the journal", block.name, len(wanted) - len(left), len(wanted)
            )
        run = _Run(study, task, model, strategy, journal, progress)
        facts = asyncio.run(run.sample(chosen, left, model_directory, seed63(identity, len(left))))
        rows = [journal.finished[unit] for unit in wanted]
        # The digest of the block's own problems is recorded, not their file's: that may grow.
        took_part = (study.tasks[task], study.models[model], study.strategies[strategy])
        metadata = provenance("sampling", identity, {}, *took_part) | facts
        write_table(_ledger_frame(rows), ledger, metadata)
        write_table(_completion_frame(rows), completions, metadata)
        journal.delete()


def units_of(block: Block, problem_ids: Sequence[str]) -> list[Unit]:
    """Return the sessions of a block: one per problem (exchangeable), or per problem and replicate."""
    if not block.budget:
        return [Unit(problem_id=name, start=block.start, stop=block.stop) for name in problem_ids]
    return [
        Unit(problem_id=name, budget=block.budget, replicate=replicate, stop=block.budget)
        for name in problem_ids
        for replicate in range(block.start, block.stop)
    ]


@dataclass
class _Run:
    """One pass over the units of a block that are not finished."""

    study: Study
    task: str
    model: str
    strategy: str
    journal: Journal
    progress: Progress | None
    tokens: int = 0

    async def sample(
        self, problems: Mapping[str, Problem], units: Sequence[Unit], model_directory: Path | None, seed: int
    ) -> dict[str, Any]:
        """Run every unit at once; return the facts that go into the artifact's metadata."""
        ingredient = self.study.models[self.model]
        started = time.perf_counter()
        engine = MeteredEngine(make_engine(ingredient, seed=seed % 2**31, model_directory=model_directory))
        try:
            self._require(engine)
            self.report()
            async with asyncio.TaskGroup() as group:
                for unit in units:
                    group.create_task(self.run(problems[unit.problem_id], unit, engine))
        except ExceptionGroup as failures:
            # One unit's failure cancels the others; what it says matters, not that they were a group.
            raise failures.exceptions[0] from None
        finally:
            await engine.close()
        timing = BlockTiming(
            tokens=self.tokens,
            completions=sum(unit.completions for unit in units),
            seconds=engine.occupancy().seconds,
            job_seconds=time.perf_counter() - started,
        )
        return {
            "simulated": engine.simulated,
            "seed_scope": engine.seed_scope,
            "timing": asdict(engine.occupancy()) | asdict(timing),
        }

    async def run(self, problem: Problem, unit: Unit, engine: MeteredEngine) -> None:
        """Run the strategy on one unit and put what it hands in into the journal."""
        strategy = self.study.strategies[self.strategy]
        scorer = self.study.scorer_of(self.strategy)
        session = Session(
            problem,
            unit,
            engine,
            model=self.model,
            stream=(
                self.study.config.seed,
                self.task,
                digest(self.study.sampling_fingerprint(self.model, self.strategy)),
            ),
            token_limit=strategy.options.max_tokens,  # type: ignore[attr-defined]
            scorer=self._scorer(),
            scorer_label=scorer.label if scorer else "",
            scorer_computes=bool(scorer and scorer.entry.needs),
            on_tokens=self.count,
            on_active=engine.expect,
            place=Place.of(strategy),
        )
        completions = await run_strategy(strategy, problem, session)
        identity = {"problem_id": unit.problem_id, "budget": unit.budget, "replicate": unit.replicate}
        self.journal.add(unit, completions, session.ledger.rows(**identity, start=unit.start))
        self.report()

    def count(self, tokens: int) -> None:
        """Add tokens to what is reported."""
        self.tokens += tokens
        self.report()

    def report(self) -> None:
        """Tell how far the block is."""
        if self.progress is not None:
            done = sum(unit.completions for unit in self.journal.finished)
            self.progress(done, self.tokens)

    def _scorer(self) -> Scorer | None:
        ingredient = self.study.scorer_of(self.strategy)
        return make_scorer(ingredient) if ingredient else None

    def _require(self, engine: Engine) -> None:
        """Refuse an engine that, as configured, lacks what its plugin can offer."""
        entry = self.study.strategies[self.strategy].entry
        lacking = sorted(entry.needs - engine.offers)
        if lacking:
            raise EngineError(
                f"models.{self.model}: strategy {entry.name!r} needs {', '.join(lacking)} of the engine, "
                f"which as configured offers {', '.join(sorted(engine.offers))}"
            )


def _problems_of(block: Block, path: Path) -> dict[str, Problem]:
    problems = read_problems(path)
    if len(problems) < block.problem_stop:
        raise DataError(
            f"{path}: found {len(problems)} problems, block {block.name} wants more: run `problems` again"
        )
    return {p.problem_id: p for p in problems[block.problem_start : block.problem_stop]}


def _completion_frame(rows: Sequence[tuple[list[Completion], Any]]) -> pl.DataFrame:
    return pl.DataFrame(
        [asdict(completion) for completions, _ in rows for completion in completions],
        schema=dict(COMPLETIONS),
    )


def _ledger_frame(rows: Sequence[tuple[Any, list[dict[str, Any]]]]) -> pl.DataFrame:
    return pl.DataFrame([row for _, ledger in rows for row in ledger], schema=dict(LEDGER))
