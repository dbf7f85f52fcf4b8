"""The boundary: where what a plugin returns enters, checked for type, number, range and NaN.

Stages make what plugins bring here and nowhere else. What breaks its kind's word is a `ContractError` that
names kind, plugin and label, the problem where there is one, what was found and what was expected.
"""

from itscale.boundary.engines import CheckedEngine, make_engine
from itscale.boundary.figures import make_figure
from itscale.boundary.laws import make_law, make_table_law
from itscale.boundary.prices import make_prices
from itscale.boundary.selectors import CheckedSelector, make_selector
from itscale.boundary.strategies import (
    check_completions,
    completions_of_run,
    run_inner,
    run_strategy,
    stops_after,
    tokens_of_run,
    worth_of,
)
from itscale.boundary.tasks import make_problems
from itscale.boundary.verifiers import CheckedOracle, CheckedScorer, cost_of, make_oracle, make_scorer
from itscale.plugins.place import Place

__all__ = [
    "CheckedEngine",
    "CheckedOracle",
    "CheckedScorer",
    "CheckedSelector",
    "Place",
    "check_completions",
    "completions_of_run",
    "cost_of",
    "make_engine",
    "make_figure",
    "make_law",
    "make_oracle",
    "make_prices",
    "make_problems",
    "make_scorer",
    "make_selector",
    "make_table_law",
    "run_inner",
    "run_strategy",
    "stops_after",
    "tokens_of_run",
    "worth_of",
]
