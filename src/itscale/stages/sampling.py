"""Sampling: one block of completions by one strategy on one engine, all problems at once."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from itscale.boundary import (
    CheckedOracle,
    CheckedScorer,
    Place,
    make_engine,
    make_oracle,
    make_scorer,
    run_strategy,
    worth_of,
)
from itscale.errors import DataError, EngineError
from itscale.plugins.given import own_problem
from itscale.plugins.ingredient import Ingredient
from itscale.sampling.blocks import Block
from itscale.sampling.failures import Failure, allowed, ends_the_job, log_failure, too_many
from itscale.sampling.journal import Journal, journal_of
from itscale.sampling.nodes import Grown, Recorder, nodes_left_out
from itscale.sampling.occupancy import MeteredEngine
from itscale.sampling.partners import Partners, SessionScorer, may_not_ask
from itscale.sampling.progress import Sampled, Tally
from itscale.sampling.session import Session
from itscale.sampling.throughput import BlockTiming
from itscale.sampling.units import Unit
from itscale.seeds import digest, seed63
from itscale.stages.declared import SAMPLING as STAGE
from itscale.stages.footer import provenance
from itscale.stages.problems import problems_digest, read_problems
from itscale.stages.scoring import close_all, scorer_stream
from itscale.stages.verification import judge
from itscale.store.parquet import write_table
from itscale.store.schemas import COMPLETIONS, LEDGER, TREES, Schema
from itscale.study.evaluation import require_sandbox
from itscale.study.study import Study
from itscale.types import Problem

__all__ = ["Progress", "sample_block"]

Progress = Callable[[Sampled], None]
"""Called with how far the block is, whenever that changes; the first time, when its engine has started."""

logger = logging.getLogger(__name__)


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
) -> None:
    """Run a strategy on every unit of a block and write its completions, its ledger and its trees.

    Helper models that the strategy names are started beside the one that is sampled. What is finished when
    the job is killed is in a journal beside `completions`, and is not redone. A unit that fails leaves no
    completions; what it spent is in the ledger as `failed`, what it made in the trees, and why is in the
    footers.

    Raises
    ------
    UserError
        If the problems are not those of the block, or the engine cannot start or go on.
    TooManyFailuresError
        If more units fail than the study allows.
    """
    require_sandbox(study, [task])
    everyone = read_problems(problems)
    chosen = _problems_of(block, everyone, problems)
    place = {"task": task, "model": model, "strategy": strategy, "block": block.name}
    # The digest of the block's own problems is recorded, not their file's: that may grow.
    identity = STAGE.fingerprint(study, place) | {"problems": problems_digest(chosen.values())}
    # A label is part of the streams, but never was of an engine's seed.
    sampled = {key: value for key, value in identity.items() if key != "task"}
    helpers = study.started_with(strategy)
    for engine in (study.models[model], *helpers.values()):
        engine.require_installed()
    with Journal(journal_of(completions), STAGE.journalled(identity)) as journal:
        pooled = not study.converses(strategy)
        wanted = units_of(block, list(chosen), pooled=pooled)
        left = [unit for unit in wanted if unit not in journal.finished]
        if len(left) < len(wanted):
            logger.info(
                "%s: %d of %d units are in the journal", block.name, len(wanted) - len(left), len(wanted)
            )
        units = _units_of_combination(study, strategy, block, len(everyone))
        done = sum(unit.completions for unit in journal.finished)
        tally = Tally(done, progress) if progress else Tally(done)
        run = _Run(study, task, model, strategy, block, units, journal, tally)
        facts = asyncio.run(run.sample(chosen, left, model_directories, seed63(sampled, len(left))))
        failed = [journal.failed[unit] for unit in wanted if unit in journal.failed]
        if failed:
            facts["failures"] = [failure.record() for failure in failed]
        rows = [journal.finished[unit] for unit in wanted if unit in journal.finished]
        took_part: tuple[Ingredient[Any], ...] = (
            study.tasks[task],
            study.models[model],
            study.strategies[strategy],
            *helpers.values(),
        )
        metadata = provenance(STAGE.name, identity, {}, *took_part) | facts
        metadata |= {"revision": STAGE.revision, "pooled": pooled}  # for who opens the block again
        spent = [row for unit in wanted for row in journal.spending(unit)]
        write_table(_frame(spent, LEDGER), ledger, metadata)
        _write_trees(study, {unit: journal.tree(unit) for unit in wanted}, trees, metadata)
        made = (asdict(one) for handed_in, *_ in rows for one in handed_in)
        write_table(_frame(made, COMPLETIONS), completions, metadata)
        journal.delete()


def units_of(block: Block, problem_ids: Sequence[str], *, pooled: bool = True) -> list[Unit]:
    """Return the sessions of a block: of runs, one per problem and replicate; else one per problem.

    Where a strategy is called per completion, not for the pool, there is one per problem and completion.
    """
    if not block.budget:
        parts = (
            [(block.start, block.stop)] if pooled else [(k, k + 1) for k in range(block.start, block.stop)]
        )
        return [
            Unit(problem_id=name, start=start, stop=stop) for name in problem_ids for start, stop in parts
        ]
    return [
        Unit(problem_id=name, budget=block.budget, replicate=replicate, stop=block.budget)
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


@dataclass
class _Run:
    """One pass over the units of a block that are not finished; `units` are those of all its blocks.

    `engines` are those that were started, by label, `scorer` is what the strategy asks, once it has.
    """

    study: Study
    task: str
    model: str
    strategy: str
    block: Block
    units: int
    journal: Journal
    tally: Tally
    engines: dict[str, MeteredEngine] = field(default_factory=dict)
    scorer: CheckedScorer | None = None

    async def sample(
        self,
        problems: Mapping[str, Problem],
        units: Sequence[Unit],
        model_directories: Mapping[str, Path],
        seed: int,
    ) -> dict[str, Any]:
        """Run every unit at once; return the facts that go into the artifact's metadata."""
        started = time.perf_counter()
        engines = self.engines
        try:
            for number, label in enumerate((self.model, *self.study.started_with(self.strategy))):
                if label not in engines:  # a model may be its own critic
                    engines[label] = self._start(label, model_directories.get(label), seed + number)
            engine = engines[self.model]
            self._require()
            self.tally.report()
            async with asyncio.TaskGroup() as group:
                for unit in units:
                    group.create_task(self.run(problems[unit.problem_id], unit))
        except ExceptionGroup as failures:
            # What ends the job cancels the other units; what it says matters, not that they were a group.
            raise failures.exceptions[0] from None
        finally:
            await close_all(self.scorer, *engines.values())
        timing = BlockTiming(
            tokens=self.tally.state.tokens,
            completions=sum(unit.completions for unit in units),
            seconds=engine.occupancy().seconds,
            job_seconds=time.perf_counter() - started,
        )
        seeded = all(one.seed_scope == "completion" for one in engines.values())
        return {
            "simulated": any(one.simulated for one in engines.values()),
            "seed_scope": "completion" if seeded else "block",
            "timing": asdict(engine.occupancy()) | asdict(timing),
        }

    def _start(self, label: str, directory: Path | None, seed: int) -> MeteredEngine:
        """Start the engine of a model."""
        made = make_engine(self.study.models[label], seed=seed % 2**31, model_directory=directory)
        return MeteredEngine(made)

    async def run(self, problem: Problem, unit: Unit) -> None:
        """Run the strategy on one unit and put what it hands in, or why it failed, into the journal."""
        strategy = self.study.strategies[self.strategy]
        tally = self.tally.unit(unit.completions)
        problem = own_problem(problem)  # others of the block have it, too
        session = Session(
            problem,
            unit,
            self.engines[self.model],
            model=self.model,
            stream=(
                self.study.config.seed,
                self.task,
                digest(self.study.sampling_fingerprint(self.model, self.strategy)),
            ),
            token_limit=strategy.options.max_tokens,  # type: ignore[attr-defined]
            worth=worth_of(strategy),
            pooled=not self.study.converses(self.strategy),
            partners=self._partners(problem),
            tally=tally,
            on_active=self.engines[self.model].expect,
            place=Place.of(strategy),
        )
        session.ledger.observe = partial(self.journal.spend, unit)
        try:
            completions = await run_strategy(strategy, session)
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise  # another unit ended the job
            tally.fail()
            self._fail(unit, session, error)
        except (Exception, SystemExit) as error:  # a strategy is somebody's plugin: it may raise anything
            if ends_the_job(error):
                raise
            tally.fail()
            self._fail(unit, session, error)
        else:
            tree = self._recorder.record(session.tree, unit, completions)
            self.journal.add(unit, completions, session.ledger.rows(unit.identity), tree)
            tally.finish()

    def _fail(self, unit: Unit, session: Session, error: BaseException) -> None:
        """Record a unit's failure; end the job where there are too many."""
        failure = Failure.of(unit, error)
        log_failure(f"{unit} failed", failure, error)
        tree = self._recorder.record(session.tree, unit, [])
        self.journal.add_failure(failure, session.ledger.rows(unit.identity, failed=True), tree)
        bound = self.study.config.max_failures
        if len(self.journal.failed) > allowed(bound, self.units):
            raise too_many(
                f"{self.task}/{self.model}/{self.strategy}, block {self.block.name}",
                list(self.journal.failed.values()),
                self.units,
                bound,
                "run again: what is finished is kept, what failed is tried again",
            )

    def _partners(self, problem: Problem) -> Partners:
        def passes(text: str) -> bool:
            ((_, verdict),) = judge(self._oracle, problem, [text])
            return bool(verdict.correct)

        partners = Partners(
            helpers={label: self.engines[label] for label in self.study.helpers_of(self.strategy)},
            scorer=self._scorer,
            answer=lambda text: self._oracle.answer(problem, text),
            passes=passes,
        )
        asks = self.study.strategies[self.strategy].entry.asks_oracle
        return partners if asks else replace(partners, passes=may_not_ask)

    @cached_property
    def _recorder(self) -> Recorder:
        """What makes rows of what sessions grow."""
        scorer, kept = self.study.scorer_of(self.strategy), self.study.config.trees
        return Recorder(
            model=self.model,
            scorer=scorer.label if scorer else None,
            pooled=not self.study.converses(self.strategy),
            text=kept.text,
            nodes=kept.nodes,
        )

    @cached_property
    def _scorer(self) -> SessionScorer | None:
        """The scorer that the strategy asks: one for the whole job."""
        scorer = self.study.scorer_of(self.strategy)
        if scorer is None:
            return None
        engines = {label: self.engines[label] for label in self.study.models_asked_by(scorer)}
        if scorer.needs:
            engines[""] = self.engines[self.model]
        stream = scorer_stream(self.study, self.task, scorer)
        self.scorer = make_scorer(scorer)
        return SessionScorer(scorer=self.scorer, label=scorer.label, engines=engines, stream=stream)

    @cached_property
    def _oracle(self) -> CheckedOracle:
        """The task's oracle, made when a strategy first asks it for an answer."""
        return make_oracle(self.study.oracles[self.task])

    def _require(self) -> None:
        """Refuse an engine that, as configured, lacks what its plugin can offer."""
        entry = self.study.strategies[self.strategy].entry
        needed = dict.fromkeys(self.study.helpers_of(self.strategy), entry.asks)
        needed[self.model] = needed.get(self.model, frozenset()) | entry.needs
        for label, needs in needed.items():
            if lacking := sorted(needs - self.engines[label].offers):
                raise EngineError(
                    f"models.{label}: strategy {entry.name!r} needs {', '.join(lacking)} of the engine, "
                    f"which as configured offers {', '.join(sorted(self.engines[label].offers))}"
                )


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
