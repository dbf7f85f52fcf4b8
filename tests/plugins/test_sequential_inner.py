"""Sequential strategies in one another: drafts that were refined, thinkings that are revised."""

from typing import Any, ClassVar

from itscale.testing import StrategyContract
from itscale_builtin.strategies import budget_forcing, iterative_deepening, revision, self_refine


class TestRevisionsOfRefinements(StrategyContract):
    entry = revision.entry
    options: ClassVar[Any] = {"inner": "refined", "ratio": 1}
    inner: ClassVar[Any] = {"refined": self_refine.entry}
    test_registering_it_imports_nothing_heavy = None


class TestRefinementsOfThinking(StrategyContract):
    entry = self_refine.entry
    options: ClassVar[Any] = {"inner": "forced", "attempts": 2}
    inner: ClassVar[Any] = {"forced": budget_forcing.entry}
    test_registering_it_imports_nothing_heavy = None


class TestRefinementsOfDeepening(StrategyContract):
    entry = self_refine.entry
    options: ClassVar[Any] = {"inner": "deepened", "attempts": 2}
    inner: ClassVar[Any] = {"deepened": iterative_deepening.entry}
    test_registering_it_imports_nothing_heavy = None
