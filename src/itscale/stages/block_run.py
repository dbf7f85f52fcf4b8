"""The run of a strategy over the units of a block, on engines that run: what finishes is in the journal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from itscale.boundary import (
    CheckedEngine,
    CheckedOracle,
    CheckedScorer,
    Place,
    make_oracle,
    make_scorer,
    run_inner,
    run_strategy,
    tokens_of_run,
    worth_of,
)
from itscale.errors import EngineError, StudyError
from itscale.plugins.given import own_problem
from itscale.plugins.ingredient import Ingredient
from itscale.plugins.references import references
from itscale.plugins.strategies import StrategyEntry
from itscale.sampling.blocks import Block
from itscale.sampling.failures import Failure, allowed, ends_the_job, log_reason, too_many
from itscale.sampling.journal import Journal
from itscale.sampling.nodes import Recorder
from itscale.sampling.occupancy import MeteredEngine
from itscale.sampling.partners import Partners, SessionScorer, may_not_ask
from itscale.sampling.progress import Tally
from itscale.sampling.session import Session
from itscale.sampling.throughput import BlockTiming
from itscale.sampling.units import Unit
from itscale.seeds import digest, seed63
from itscale.stages.asking import close_all, scorer_stream
from itscale.stages.judging import judge
from itscale.study.study import Study
from itscale.types import Capability, Problem

__all__ = ["BlockRun"]


@dataclass
class BlockRun:
    """One pass over the units of a block that are not finished; `units` are those of all its blocks.

    `problems` and `wanted` are those of the block, `engines` those that serve it, by label, `scorer` and
    `oracle` are what the strategy asks, once it has.
    """

    study: Study
    task: str
    model: str
    strategy: str
    block: Block
    units: int
    journal: Journal
    tally: Tally
    identity: Mapping[str, Any]
    problems: Mapping[str, Problem]
    wanted: Sequence[Unit]
    engines: dict[str, MeteredEngine] = field(default_factory=dict)
    scorer: CheckedScorer | None = None
    oracle: CheckedOracle | None = None

    @property
    def is_sampled(self) -> bool:
        """Whether another try, or another job, went through all units."""
        journal = self.journal
        return bool(journal.facts) and journal.finished.keys() | journal.failed.keys() >= set(self.wanted)

    @property
    def left(self) -> list[Unit]:
        """The units to do."""
        return [unit for unit in self.wanted if unit not in self.journal.finished]

    @property
    def seed(self) -> int:
        """What an engine that is started for the block is seeded with."""
        # A label is part of the streams, but never was of an engine's seed.
        sampled = {key: value for key, value in self.identity.items() if key != "task"}
        return seed63(sampled, len(self.left))

    async def sample(self, engines: Mapping[str, CheckedEngine], started: float | None = None) -> None:
        """Run every unit at once, and conclude the journal with the facts for the artifact's metadata.

        Parameters
        ----------
        engines
            Those that the strategy needs, or more.
        started
            When they began to start, if that was for this block.
        """
        left = self.left
        self.journal.failed.clear()  # it is done again
        for label in (self.model, *self.study.started_with(self.strategy)):
            self.engines[label] = MeteredEngine(engines[label])
        engine = self.engines[self.model]
        self._require()
        self.tally.report()
        try:
            async with asyncio.TaskGroup() as group:
                for unit in left:
                    group.create_task(self.run(self.problems[unit.problem_id], unit))
        except ExceptionGroup as failures:
            # What ends the job cancels the other units; what it says matters, not that they were a group.
            raise failures.exceptions[0] from None
        finally:
            await close_all(self.scorer, self.oracle)
        occupancy = engine.occupancy()
        timing = BlockTiming(
            tokens=self.tally.state.tokens,
            completions=sum(unit.completions for unit in left),
            seconds=occupancy.seconds,
            job_seconds=occupancy.seconds if started is None else time.perf_counter() - started,
        )
        self.journal.conclude(
            {
                "simulated": any(one.simulated for one in self.engines.values()),
                "seed_scope": self._seed_scope(alone=started is not None),
                "timing": asdict(occupancy) | asdict(timing),
            }
        )

    def _seed_scope(self, *, alone: bool) -> str:
        """Return whether the seed of a completion, of the block or of a job with several blocks made it."""
        if all(one.seed_scope == "completion" for one in self.engines.values()):
            return "completion"
        return "block" if alone else "job"

    async def run(self, problem: Problem, unit: Unit) -> None:
        """Run the strategy on one unit and put what it hands in, or why it failed, into the journal."""
        strategy = self.study.strategies[self.strategy]
        inner = tuple(self._inner.values())
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
            token_limit=max(one.options.max_tokens for one in (strategy, *inner)),  # type: ignore[attr-defined]
            worth=worth_of(strategy, inner),
            granted=tokens_of_run(strategy, unit.budget, inner) if unit.budget else None,
            paired=strategy.entry.paired,
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
        log_reason(f"{unit} failed", failure, error)
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
            inner={label: partial(run_inner, one) for label, one in self._inner.items()},
            answer=lambda text: self._oracle.answer(problem, text),
            passes=passes,
        )
        asks = self.study.strategies[self.strategy].entry.asks_oracle
        return partners if asks else replace(partners, passes=may_not_ask)

    @cached_property
    def _inner(self) -> dict[str, Ingredient[StrategyEntry]]:
        """The strategies that the strategy draws from."""
        return self.study.inner_of(self.strategy)

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
        self.oracle = make_oracle(self.study.oracles[self.task])
        return self.oracle

    def _require(self) -> None:
        """Refuse engines that, as configured, lack what is needed, and an oracle to be waited for."""
        entry = self.study.strategies[self.strategy].entry
        needed: dict[str, frozenset[Capability]] = {self.model: frozenset()}
        for one in (self.study.strategies[self.strategy], *self._inner.values()):
            needed[self.model] |= one.entry.needs
            for _, label in references(one.options, "models"):
                needed[label] = needed.get(label, frozenset()) | one.entry.asks
        for label, needs in needed.items():
            if lacking := sorted(needs - self.engines[label].offers):
                raise EngineError(
                    f"models.{label}: strategy {entry.name!r} needs {', '.join(lacking)} of the engine, "
                    f"which as configured offers {', '.join(sorted(self.engines[label].offers))}"
                )
        if entry.asks_oracle and self._oracle.asynchronous:
            raise StudyError(
                f"strategies.{self.strategy}: asks the oracle while it samples, and judge() of verifiers."
                f"{self.study.oracles[self.task].label} is a coroutine; expected one that answers at once"
            )
