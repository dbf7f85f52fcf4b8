"""Contract tests for plugin authors: subclass the contract of your kind, and pytest does the rest.

    from itscale.testing import StrategyContract
    from my_package import my_strategy

    class TestMyStrategy(StrategyContract):
        entry = my_strategy.entry
        options = {"width": 4}

Every built-in passes the same contracts. The core never imports this package: it needs pytest.
"""

import pkgutil

import pytest

# Before they are imported, or a contract would fail without saying what it found.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))

from itscale.testing.engines import EngineContract
from itscale.testing.entries import EntryContract
from itscale.testing.figures import FigureContract
from itscale.testing.laws import LawContract
from itscale.testing.prices import PriceContract
from itscale.testing.registries import plugin_module, registry_of
from itscale.testing.selectors import SelectorContract
from itscale.testing.strategies import StrategyContract
from itscale.testing.table_laws import TableLawContract
from itscale.testing.tasks import TaskContract
from itscale.testing.verifiers import HOSTILE_TEXTS, OracleContract, ScorerContract

__all__ = [
    "HOSTILE_TEXTS",
    "EngineContract",
    "EntryContract",
    "FigureContract",
    "LawContract",
    "OracleContract",
    "PriceContract",
    "ScorerContract",
    "SelectorContract",
    "StrategyContract",
    "TableLawContract",
    "TaskContract",
    "plugin_module",
    "registry_of",
]
