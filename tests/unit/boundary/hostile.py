"""A study of which one plugin is exchanged for a hostile one, and what is said of it."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from itscale.errors import UserError
from itscale.sampling.blocks import Block
from itscale.stages.curves import estimate_curves
from itscale.stages.fits import fit_law
from itscale.stages.sampling import sample_block
from itscale.store.parquet import write_table
from itscale.store.schemas import FITS, OUTCOMES
from itscale.types import Problem

STUDY = {
    "study": "tiny",
    "tasks": {"sums": {"plugin": "jsonl", "file": "sums.jsonl", "oracle": "judge"}},
    "models": {"sim": {"plugin": "simulated"}},
    "strategies": {
        "pool": {"plugin": "repeated_sampling", "completions": 4},
        "search": {"plugin": "particle_filter", "budgets": [2], "scorer": "reward"},
    },
    "verifiers": {"reward": {"plugin": "process_reward"}, "judge": {"plugin": "exact_match"}},
    "selectors": {"oracle": {}, "vote": {"plugin": "majority_vote"}},
    "laws": {"line": {"plugin": "power_law"}},
    "figures": {"plot": {"plugin": "coverage_curves"}},
}
WHERE = ("sums", "sim", "pool")
NAN = math.nan


def hostile(study, kind, label, factory):
    """Return the study with the factory of one of its plugins exchanged."""
    ingredients = getattr(study, kind)
    entry = replace(ingredients[label].entry, factory=factory)
    return replace(study, **{kind: {**ingredients, label: replace(ingredients[label], entry=entry)}})


def sample(study, strategy="pool"):
    block = Block(0, 0, 3, 0, 4) if strategy == "pool" else Block(2, 0, 3, 0, 1)
    kinds = {"completions": "block", "ledger": "ledger", "trees": "trees"}
    files = {kind: Path(f"{name}.parquet") for kind, name in kinds.items()}
    problems = Path("problems.parquet")
    sample_block(study, "sums", "sim", strategy, block, problems=problems, model_directories={}, **files)


def outcomes():
    rows = [
        (f"p{problem}", 0, 0, index, str(index % 3), index < problem, "judged", 5, 9)
        for problem in range(6)
        for index in range(8)
    ]
    write_table(pl.DataFrame(rows, schema=dict(OUTCOMES), orient="row"), Path("outcomes.parquet"), {})


def curves(study):
    outcomes()
    estimate_curves(
        study, *WHERE, outcomes=Path("outcomes.parquet"), ledgers=[], output=Path("curves.parquet")
    )


def refusal(action, *names):
    """Return the one line with which an action is refused."""
    with pytest.raises(UserError) as caught:
        action()
    line = str(caught.value)
    assert "\n" not in line
    for word in (*names, "found", "expected"):
        assert word in line
    return line


GOOD = Problem(problem_id="1", messages=({"role": "user", "content": "1?"},), reference="1")


class Obliging(float):
    """A number that says yes to any comparison."""

    def __le__(self, other):
        return True

    __ge__ = __lt__ = __gt__ = __le__


def strategy(change):
    """Return a strategy that draws as it should and hands in something else."""

    async def hands_in(problem, session, options):
        drawn = await session.extend([session.start()] * session.budget, options.completion())
        return change(session, drawn)

    return hands_in


class Law:
    """A law as it should be, of 24 points at most."""

    parameters, estimand = ("rate",), "effective slope"

    def fit(self, data, start=None):
        return np.array([float(data.coverage[0])])

    def predict(self, parameters, budgets):
        return 1 - (1 - parameters[0]) ** budgets


def law(**changes):
    methods = {name: staticmethod(how) if callable(how) else how for name, how in changes.items()}
    return lambda options: type("Hostile", (Law,), methods)()


def message_of(study):
    curves(study)
    names = ("fits", "forecasts", "refits")
    files = {name: Path(f"{name}.parquet") for name in names}
    fit_law(study, *WHERE, "line", outcomes=Path("outcomes.parquet"), curves=Path("curves.parquet"), **files)
    table = pl.read_parquet("fits.parquet", columns=list(FITS))
    return table.select("status", "message").row(0)
