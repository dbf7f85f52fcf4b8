"""Plugins as third parties would write them, each held to the contract of its kind."""

from typing import ClassVar

import budget_forcing
import debate
import dvts
import early_stopping_vote
import emulated_fine_tuning
import llm_judge
import self_refine

from itscale.testing import ScorerContract, StrategyContract


class TestSelfRefine(StrategyContract):
    entry = self_refine.entry
    options: ClassVar = {"rounds": 2}


class TestDebate(StrategyContract):
    entry = debate.entry
    options: ClassVar = {"opponent": "other"}
    helpers: ClassVar = {"other": {"success": 0.2}}


class TestBudgetForcing(StrategyContract):
    entry = budget_forcing.entry
    options: ClassVar = {"waits": 2}


class TestEarlyStoppingVote(StrategyContract):
    entry = early_stopping_vote.entry
    options: ClassVar = {"lead": 3}


class TestDvts(StrategyContract):
    entry = dvts.entry
    options: ClassVar = {"scorer": "reward", "max_steps": 8}


class TestLlmJudge(ScorerContract):
    entry = llm_judge.itscale_register_verifiers()[0]
    options: ClassVar = {"judge": "critic", "yes": "holds", "no": "fails"}
    helpers: ClassVar = {"critic": {"success": 0.5}}


class TestEmulatedFineTuning(StrategyContract):
    entry = emulated_fine_tuning.entry
    options: ClassVar = {"tuned": "tuned", "untuned": "untuned"}
    helpers: ClassVar = {"tuned": {"success": 0.8}, "untuned": {"success": 0.3}}
