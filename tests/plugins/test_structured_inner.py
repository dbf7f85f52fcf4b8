"""Strategies with roles whose candidates other strategies make, and which others draw from."""

from typing import Any, ClassVar

from itscale.testing import StrategyContract
from itscale_builtin.strategies import archon, debate, mixture_of_agents, repeated_sampling, self_refine


class TestArchonOfRefinements(StrategyContract):
    entry = archon.entry
    options: ClassVar[Any] = {
        "layers": [
            [
                {"role": "generator", "inner": "refined", "samples": 2},
                {"role": "generator", "model": "other"},
            ],
            [{"role": "critic"}],
            [{"role": "ranker", "keep": 2}],
            [{"role": "fuser", "model": "other"}],
        ],
        "retries": 1,
    }
    helpers: ClassVar[Any] = {"other": {"success": 0.2}}
    inner: ClassVar[Any] = {"refined": self_refine.entry}
    test_registering_it_imports_nothing_heavy = None


class TestMixtureOfDebates(StrategyContract):
    entry = mixture_of_agents.entry
    options: ClassVar[Any] = {"inner": ["debated"], "samples": 1, "layers": 2}
    inner: ClassVar[Any] = {"debated": debate.entry}
    test_registering_it_imports_nothing_heavy = None


class TestDebateOfSamples(StrategyContract):
    entry = debate.entry
    options: ClassVar[Any] = {"inner": "sampled", "agents": 2}
    inner: ClassVar[Any] = {"sampled": repeated_sampling.entry}
    test_registering_it_imports_nothing_heavy = None
