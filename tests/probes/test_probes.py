"""Plugins as third parties would write them, each held to the contract of its kind."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import adaptive_consistency
import archon
import budget_forcing
import debate
import dvts
import early_stopping_vote
import emulated_fine_tuning
import histogram
import llama_server
import llm_judge
import mcts
import other_protocol
import pairwise_judge
import polars as pl
import prices
import pytest
import retrieval
import retry
import self_refine
import tab_separated

from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.testing import (
    EngineContract,
    FigureContract,
    PriceContract,
    ScorerContract,
    SelectorContract,
    StrategyContract,
    TaskContract,
)
from itscale.testing.figures import small_study
from itscale.types import Problem


class TestSelfRefine(StrategyContract):
    entry = self_refine.entry
    options: ClassVar = {"rounds": 2}


class TestDebate(StrategyContract):
    entry = debate.entry
    options: ClassVar = {"opponent": "other"}
    helpers: ClassVar = {"other": {"success": 0.2}}


class TestArchon(StrategyContract):
    entry = archon.entry
    options: ClassVar = {
        "generators": ["small", "large"],
        **dict.fromkeys(("critic", "ranker"), "small"),
        "fuser": "large",
    }
    helpers: ClassVar = {"small": {"success": 0.2}, "large": {"success": 0.6, "truth_seed": 1}}


class TestMcts(StrategyContract):
    entry = mcts.entry
    options: ClassVar = {"scorer": "value"}


class TestPairwiseJudge(StrategyContract):
    entry = pairwise_judge.entry
    options: ClassVar = {
        "judge": "judge",
        "second": "1",
        "words": 200,
    }  # 1 is what half of its answers end on
    helpers: ClassVar = {"judge": {"success": 0.5, "truth_seed": 1}}

    def test_whoever_the_judge_prefers_wins(self) -> None:
        def winner(second: str, seed: int) -> str:
            (won,) = self.run(self.unit(8), seed=seed, second=second).completions
            return won.text

        seeds = range(8)
        assert [winner("1", seed) for seed in seeds] != [winner("never", seed) for seed in seeds]


class TestBudgetForcing(StrategyContract):
    entry = budget_forcing.entry
    options: ClassVar = {"waits": 2}


class TestEarlyStoppingVote(StrategyContract):
    entry = early_stopping_vote.entry
    options: ClassVar = {"lead": 3}


class TestDvts(StrategyContract):
    entry = dvts.entry
    options: ClassVar = {"scorer": "reward", "max_steps": 8}


class TestRetrieval(StrategyContract):
    entry = retrieval.itscale_register_strategies()[0]
    budgets = (1, 4)

    def problem(self, number=0):
        documents = [f"Nothing is said of {n}." for n in range(6)]
        return replace(super().problem(number), material={"documents": documents})


class TestLlmJudge(ScorerContract):
    entry = llm_judge.itscale_register_verifiers()[0]
    options: ClassVar = {"judge": "critic", "yes": "holds", "no": "fails"}
    helpers: ClassVar = {"critic": {"success": 0.5}}


class TestEmulatedFineTuning(StrategyContract):
    entry = emulated_fine_tuning.entry
    options: ClassVar = {"tuned": "tuned", "untuned": "untuned"}
    helpers: ClassVar = {"tuned": {"success": 0.8}, "untuned": {"success": 0.3}}


class TestRetry(StrategyContract):
    entry = retry.entry


class TestTabSeparated(TaskContract):
    entry = tab_separated.entry
    options: ClassVar = {"file": Path(__file__).with_name("sums.tsv")}


class TestAdaptiveConsistency(SelectorContract):
    entry = adaptive_consistency.entry
    options: ClassVar = {"lead": 2}


class TestHistogram(FigureContract):
    entry = histogram.entry

    def test_every_problem_is_counted_once(self) -> None:
        data = small_study()
        table = self.draw(data).table
        problems = data.accuracies["problem_id"].n_unique()
        counted = table.group_by("model", "selector").agg(pl.col("problems").sum()).sort("model")
        assert counted.rows() == [("large", "oracle", problems), ("small", "oracle", problems)]


class TestPrices(PriceContract):
    entry = prices.entry
    options: ClassVar = {"model": "large", "batch": True}


class TestOtherProtocol(EngineContract):
    entry = other_protocol.itscale_register_engines()[0]
    options: ClassVar[dict[str, Any]] = {}
    rereads = True
    server: ClassVar[llama_server.Server]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def served(cls) -> Iterator[None]:
        with llama_server.serving() as cls.server:
            cls.options = {"url": cls.server.url}
            yield

    def test_a_conversation_costs_what_the_server_counts(self) -> None:
        """Requests of several seeds, text that is appended, and continuations."""
        problem = Problem(problem_id="p", messages=({"role": "user", "content": "1 + 1?"},), reference="2")
        forcing = budget_forcing.ForcingOptions(waits=2, max_tokens=30)
        before = self.server.read, self.server.written

        async def run() -> Session:
            engine = self.make()
            unit = Unit(problem_id=problem.problem_id, stop=8)
            session = Session(problem, unit, engine, model="m", stream=(1,), token_limit=30, pooled=False)
            await session.extend([session.start()] * 3, forcing.completion())
            await budget_forcing.budget_forcing(problem.question, session, forcing)
            await engine.close()
            return session

        (row,) = asyncio.run(run()).ledger.rows()
        assert row["prompt_tokens"] == self.server.read - before[0]
        assert row["generated_tokens"] == self.server.written - before[1]
