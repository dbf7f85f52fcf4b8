"""The contract of a strategy: completions with a lineage, an honest ledger, and no luck of its own."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import pytest

from itscale.boundary import completions_of_run, run_inner, run_strategy, tokens_of_run, worth_of
from itscale.plugins.ingredient import Ingredient
from itscale.plugins.references import references
from itscale.plugins.strategies import SamplingOptions, StrategyEntry
from itscale.sampling.nodes import Recorder
from itscale.sampling.partners import Partners, SessionScorer
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.testing.doubles import Tallied, simulated
from itscale.testing.entries import EntryContract, kept_word
from itscale.types import Completion, Engine, Problem, ScorerDesk, Trajectory

__all__ = ["Run", "StrategyContract"]


class _EngineReward:
    """A scorer that asks the engine."""

    async def score(self, trajectories: Sequence[Trajectory], desk: ScorerDesk) -> list[float]:
        return [reward.whole or 0.0 for reward in await desk.rewards(trajectories)]


@dataclass(frozen=True)
class Run:
    """What a strategy handed in, and what it cost: by the ledger, by the engine's own count, by the tree."""

    completions: list[Completion]
    charged: dict[str, int]
    counted: dict[str, int]
    recorded: dict[str, int]


class StrategyContract(EntryContract):
    """Tests of a strategy, on the simulated engine.

    Attributes
    ----------
    engine
        Options of the simulated engine.
    budgets
        Budgets to run, of completions or what else the entry's axis names; all must be possible with the
        options.
    helpers
        Options of the simulated engines of the helper models that its options name, by label.
    inner
        Strategies that its options name, by label; each has the options that it has by default.
    races
        Whether it cancels branches (`itscale.sampling.concurrency.first`): latency then decides how much
        those had generated, and so on the cost, but on no completion.
    deterministic
        Whether it draws nothing: then every seed and every replicate gives the same.
    """

    engine: ClassVar[Mapping[str, Any]] = {"success": 0.5, "process_reward": {"noise": 1.0}}
    budgets: ClassVar[Sequence[int]] = (4, 16)
    helpers: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    inner: ClassVar[Mapping[str, StrategyEntry]] = {}
    races: ClassVar[bool] = False
    deterministic: ClassVar[bool] = False

    def problem(self, number: int = 0) -> Problem:
        """Return a problem."""
        return Problem(
            problem_id=f"strategy-contract-{number}",
            messages=({"role": "user", "content": f"What is {number} + 1?"},),
            reference=str(number + 1),
        )

    def unit(self, budget: int, *, replicate: int = 0, start: int = 0) -> Unit:
        """Return a session's task: a pool's completions [start, budget), or a run at a budget."""
        name = self.problem().problem_id
        if self.entry.draws == "exchangeable":
            return Unit(problem_id=name, start=start, stop=budget)
        most = completions_of_run(self.ingredient(), budget)
        return Unit(problem_id=name, budget=budget, replicate=replicate, stop=most)

    def run(
        self, unit: Unit, *, seed: int = 0, beside: int = 0, latency: int | None = None, **changes: Any
    ) -> Run:
        """Run the strategy on one problem, while `beside` other problems share the engine.

        Parameters
        ----------
        latency
            Seed of how long the engines take for each request; they answer at once if left out.
        changes
            Options other than those of the contract.
        """
        return asyncio.run(self._run(unit, seed, beside, latency, changes))

    async def _run(
        self, unit: Unit, seed: int, beside: int, latency: int | None, changes: Mapping[str, Any]
    ) -> Run:
        options = self.entry.options.model_validate({**self.options, **changes})
        engine = simulated(self.engine, latency)
        helpers = {label: simulated(given, latency) for label, given in self.helpers.items()}
        mine = [self._session(part, engine, helpers, options, seed) for part in self._parts(unit)]
        others = [
            self._session(
                replace(part, problem_id=self.problem(number).problem_id),
                engine,
                helpers,
                options,
                seed,
                number,
            )
            for number in range(1, beside + 1)
            for part in self._parts(unit)
        ]
        results = await asyncio.gather(
            *(self.entry.factory(session.problem, session, options) for session, _ in [*others, *mine])
        )
        handed_in = [one for part in results[len(others) :] for one in part]
        return Run(
            handed_in,
            _summed(_charged(session) for session, _ in mine),
            _summed(_counted(engines) for _, engines in mine),
            _summed(map(_recorded, (session for session, _ in mine))),
        )

    def _parts(self, unit: Unit) -> list[Unit]:
        """Return what the strategy is called for: the unit, or each of its completions."""
        if self.entry.per == "pool":
            return [unit]
        return [replace(unit, start=index, stop=index + 1) for index in range(unit.start, unit.stop)]

    def _session(
        self,
        unit: Unit,
        engine: Engine,
        helpers: Mapping[str, Engine],
        options: SamplingOptions,
        seed: int,
        number: int = 0,
    ) -> tuple[Session, list[Tallied]]:
        problem = self.problem(number)
        label = next((label for _, label in references(options, "scorers")), None)
        lacking = sorted({name for _, name in references(options, "models")} - helpers.keys())
        assert not lacking, f"helpers: found none called {lacking[0]!r}, which the options name"
        own, others = Tallied(engine), {name: Tallied(helper) for name, helper in helpers.items()}
        inner = self._inner(options)
        session = Session(
            problem,
            unit,
            own,
            model="simulated",
            stream=(seed, problem.problem_id),
            token_limit=options.max_tokens,
            worth=worth_of(replace(self.ingredient(), options=options), inner.values()),
            granted=self._granted(unit.budget, options) if unit.budget else None,
            paired=self.entry.paired,
            pooled=self.entry.per == "pool",
            partners=Partners(
                helpers=others,
                scorer=SessionScorer(scorer=_EngineReward(), label=label, engines={"": own})
                if label
                else None,
                inner={name: partial(run_inner, one) for name, one in inner.items()},
                answer=_last_word,
                passes=lambda text: _last_word(text) == problem.reference,
            ),
        )
        return session, [own, *others.values()]

    def _granted(self, budget: int, options: SamplingOptions) -> int:
        """Return how many tokens may be generated for a budget, of a pool or of a run."""
        ingredient, inner = replace(self.ingredient(), options=options), self._inner(options).values()
        if self.entry.draws == "exchangeable":
            return budget * worth_of(ingredient, inner)
        return tokens_of_run(ingredient, budget, inner)

    def _inner(self, options: SamplingOptions) -> dict[str, Ingredient[StrategyEntry]]:
        """Return the strategies that this one draws from: their texts are as long as its own, at most."""
        shared = {"max_tokens": options.max_tokens}
        return {
            label: Ingredient(label, entry, entry.options.model_validate(shared), "itscale", "0")
            for label, entry in self.inner.items()
        }

    def test_its_options_say_how_to_sample(self) -> None:
        """The session bounds what a run may generate by `max_tokens`."""
        assert issubclass(self.entry.options, SamplingOptions)

    def test_it_admits_the_budgets_it_is_tested_with(self) -> None:
        """A run-based strategy says in `admits` which budgets it cannot run."""
        for budget in self.budgets:
            self.entry.admits(self.validated(), budget)

    def test_completions_belong_to_their_unit(self) -> None:
        """Every completion says which problem, budget, replicate and index it is."""
        for budget in self.budgets:
            unit = self.unit(budget, replicate=2)
            completions = self.run(unit).completions
            assert 1 <= len(completions) <= unit.completions
            assert [one.index for one in completions] == list(range(len(completions)))
            for one in completions:
                assert (one.problem_id, one.budget) == (unit.problem_id, unit.budget)
                assert one.replicate == unit.replicate
            if self.entry.draws == "exchangeable" and self.entry.design == "fixed":
                assert len(completions) == budget, "a pool of a fixed design has to be whole"

    def test_a_study_takes_its_completions(self) -> None:
        """They are made of what the session's engine generated, and of nothing else."""

        async def work() -> None:
            engine = simulated(self.engine, None)
            helpers = {label: simulated(given, None) for label, given in self.helpers.items()}
            for part in self._parts(self.unit(self.budgets[0])):
                session, _ = self._session(part, engine, helpers, self.validated(), 0)
                with kept_word():
                    await run_strategy(self.ingredient(), session)

        asyncio.run(work())

    def test_steps_make_up_the_text(self) -> None:
        """Offsets, token counts and nodes describe the same steps, and the trajectory can be rebuilt."""
        for one in self.run(self.unit(self.budgets[-1])).completions:
            steps = len(one.step_ends)
            assert steps == len(one.step_tokens) == len(one.nodes)
            assert steps == len(one.step_logprobs) == len(one.step_scores)
            assert list(one.step_ends) == sorted(one.step_ends)
            assert one.step_ends[-1] == len(one.text)
            assert sum(tokens or 0 for tokens in one.step_tokens) == one.generated_tokens
            assert all(score is None or 0 <= score <= 1 for score in one.step_scores)
            assert one.trajectory(self.problem()).text == one.text

    def test_lineages_form_one_tree(self) -> None:
        """A node has one parent and one text, in whichever completion it is met."""
        seen: dict[tuple[int, int], tuple[int, str]] = {}
        for one in self.run(self.unit(self.budgets[-1])).completions:
            parent, start = 0, 0
            tree = one.index if self.entry.per == "completion" else 0
            for node, end in zip(one.nodes, one.step_ends, strict=True):
                step = parent, one.text[start:end]
                assert seen.setdefault((tree, node), step) == step
                parent, start = node, end

    def test_the_ledger_is_what_the_engine_computed(self) -> None:
        """Every token is charged: those of discarded branches too, and none twice."""
        for budget in self.budgets:
            run = self.run(self.unit(budget), beside=2)
            assert run.charged == run.counted == run.recorded
            tokens = {
                (one.index if self.entry.per == "completion" else 0, node): count
                for one in run.completions
                for node, count in zip(one.nodes, one.step_tokens, strict=True)
            }
            assert sum(count or 0 for count in tokens.values()) <= run.charged["generated_tokens"]

    def test_it_stays_within_its_budget(self) -> None:
        """Neither a completion nor a run generates more than it was granted, however little that is."""
        for budget in self.budgets:
            for limit in (1, 3, 20):
                run = self.run(self.unit(budget), max_tokens=limit)
                assert all((one.generated_tokens or 0) <= limit for one in run.completions)
                options = self.entry.options.model_validate({**self.options, "max_tokens": limit})
                assert run.counted["generated_tokens"] <= self._granted(budget, options)

    def test_the_same_seed_gives_the_same_completions(self) -> None:
        """Whatever else shares the engine; and another seed gives others, if anything is drawn."""
        unit = self.unit(self.budgets[-1])
        first = self.run(unit, seed=1)
        assert self.run(unit, seed=1) == first
        assert self.run(unit, seed=1, beside=3) == first
        same = self.run(unit, seed=2).completions == first.completions
        assert same == self.deterministic, "say in `deterministic` whether nothing is drawn"

    def test_latency_changes_nothing(self) -> None:
        """Whichever request is answered first, the same is drawn, and the same is charged."""
        unit = self.unit(self.budgets[-1])
        first = self.run(unit, seed=1)
        for latency in range(3):
            again = self.run(unit, seed=1, latency=latency)
            assert again.completions == first.completions
            assert self.races or again == first, "latency changed what was charged; does it cancel branches?"

    def test_a_pool_does_not_depend_on_how_it_is_cut(self) -> None:
        """An exchangeable strategy draws completion 7 alike, whichever block holds it."""
        if self.entry.draws != "exchangeable":
            pytest.skip("this strategy is run anew at each budget")
        if self.entry.design != "fixed" and self.entry.per == "pool":
            pytest.skip("a pool that ends by itself is never cut")
        whole = self.run(self.unit(8)).completions
        parts = self.run(self.unit(3)).completions + self.run(self.unit(8, start=3)).completions
        assert parts == whole

    def test_replicates_are_independent_runs(self) -> None:
        """Two replicates of a run differ."""
        if self.entry.draws == "exchangeable":
            pytest.skip("this strategy has no replicates")
        if self.deterministic:
            pytest.skip("this strategy draws nothing")
        budget = self.budgets[-1]
        first, second = (self.run(self.unit(budget, replicate=number)).completions for number in (0, 1))
        assert [one.text for one in first] != [one.text for one in second]


def _last_word(text: str) -> str | None:
    return text.split()[-1] if text.split() else None


def _charged(session: Session, *but: str) -> Counter[str]:
    kept = {key: account for key, account in session.ledger.accounts.items() if key[0] not in ("score", *but)}
    accounts = kept.values()
    return Counter(
        {
            "sequences": sum(account.sequences for account in accounts),
            "prompt_tokens": sum(account.prompt_tokens or 0 for account in accounts),
            "generated_tokens": sum(account.generated_tokens or 0 for account in accounts),
        }
    )


def _recorded(session: Session) -> Counter[str]:
    """Count what was drawn by the tree, and what was only read by the ledger: no step comes of that."""
    recorder = Recorder(model="", scorer=None, pooled=True, text=0, nodes=sys.maxsize)
    rows = recorder.record(session.tree, session.unit, []).rows
    drawn = [row for row in rows if row["kind"] == "drawn"]
    tokens = ("prompt_tokens", "generated_tokens")
    spent = {name: sum(row[name] or 0 for row in drawn) for name in tokens}
    return _charged(session, "generate") + Counter({"sequences": len(drawn), **spent})


def _counted(engines: Sequence[Tallied]) -> Counter[str]:
    made = [one for engine in engines for one in engine.generated]
    read = [one for engine in engines for one in engine.read]
    return Counter(
        {
            "sequences": len(made) + len(read),
            "prompt_tokens": sum(one.prompt_tokens or 0 for one in [*made, *read]),
            "generated_tokens": sum(one.tokens for one in made)
            + sum(one.generated_tokens or 0 for one in read),
        }
    )


def _summed(counts: Iterable[Counter[str]]) -> dict[str, int]:
    return dict(sum(counts, Counter()))
