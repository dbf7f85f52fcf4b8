"""Curves: the accuracy of each selector against completions and tokens, with intervals over problems."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from itscale.boundary import CheckedSelector, make_prices, make_selector
from itscale.curves.accuracies import accuracy_rows
from itscale.curves.clusters import Counted, clusters_of, counted_curve
from itscale.curves.pools import Outcomes, Pool, open_outcomes
from itscale.curves.spending import (
    Spending,
    all_runs,
    read_spending,
    run_budgets,
    spending_by_problem,
    spending_of_pools,
    spending_of_runs,
    spent_for,
)
from itscale.errors import DataError
from itscale.estimators import curve_intervals, k_grid
from itscale.outcomes import COVERAGE, Accuracy, FloatArray, IntArray
from itscale.plugins.entries import SelectorEntry
from itscale.plugins.ingredient import Ingredient
from itscale.seeds import generator
from itscale.stages.declared import CURVES as STAGE
from itscale.store.parquet import read_metadata, write_table
from itscale.store.schemas import CURVES
from itscale.study.study import Study

__all__ = ["estimate_curves"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Matrix:
    """Accuracy per problem and budget, and its simulation error, shape (problems, budgets).

    NaN where a problem has fewer completions than the budget. `drawn` is how many completions the selector
    draws of it, same shape; `counts` where they alone give the accuracy.
    """

    problems: Sequence[str]
    accuracy: FloatArray
    error: FloatArray
    drawn: FloatArray
    counts: Counted | None = None


def estimate_curves(
    study: Study,
    task: str,
    model: str,
    strategy: str,
    *,
    outcomes: Path,
    ledgers: Sequence[Path],
    verdicts: Mapping[str, Sequence[Path]] | None = None,
    output: Path,
    accuracies: Path | None = None,
) -> None:
    """Estimate every selector's curve and write it (schema `CURVES`).

    An exchangeable strategy has one pool of n completions per problem, all of which serve every k. A strategy
    run anew at each budget is judged by the answer selected from the whole run, averaged over replicates.
    Intervals resample problems, the same ones for every selector, model and strategy of a task. A k that some
    problem tells nothing of has no point: those left would be others than at a smaller k.

    Parameters
    ----------
    outcomes
        Judged completions (schema `OUTCOMES`).
    ledgers
        What sampling spent (schema `LEDGER`). Without any, tokens are those of the completions.
    verdicts
        Of the scorers that selectors read, by their labels (schema `VERDICTS`): they say what was asked.
    output
        Where the curves go.
    accuracies
        Where what they are means of goes, problem by problem (schema `ACCURACIES`), if it is wanted.

    Raises
    ------
    DataError
        If the outcomes are damaged or empty.
    ContractError
        If a selector claims what cannot be: more than coverage, less than 0, NaN ...
    """
    opened = open_outcomes(outcomes)
    priced = study.prices_of(model, strategy)
    prices = {label: make_prices(table) for label, table in priced.items()}
    spent = read_spending(ledgers, verdicts, prices)
    in_runs = study.draws(strategy) == "runs"
    runs = all_runs(opened.runs(), spent) if in_runs else spent.clear()
    budgets = run_budgets(runs) if in_runs else _grid(study, opened)
    judge = _judge_runs if in_runs else _judge_pools
    tables, by_problem = [], []
    for label, matrix in judge(study, task, opened, runs, budgets).items():
        mine = spent_for(spent, study.scorer_read_by(label) or "")
        if in_runs:
            spending = spending_of_runs(runs, mine, budgets)
            each = spending_by_problem(runs, mine, matrix.problems, budgets)
        else:
            drawn = opened.spans, mine, matrix.problems, matrix.drawn
            each = spending_of_pools(
                *drawn,
                model=model,
                conversations=study.converses(strategy),
                rereads=study.rereads(model),
            )
            spending = each.mean()
        estimand = study.selectors[label].entry.estimand
        named = {"selector": label, "estimand": estimand}
        rows = _rows(study, task, matrix, budgets, spending, rises=estimand == COVERAGE and not in_runs)
        tables.append(rows.with_columns(**{name: pl.lit(value) for name, value in named.items()}))
        by_problem.append(accuracy_rows(label, matrix.problems, budgets, matrix.accuracy, matrix.error, each))
    identity = {"task": task, "model": model, "strategy": strategy, "simulated": opened.simulated}
    identity["axis"] = opened.axis
    table = pl.concat(tables).with_columns(**{key: pl.lit(value) for key, value in identity.items()})
    _check_blocks(outcomes, ledgers)
    inputs = {"outcomes": outcomes} | {f"ledger/{path.stem}": path for path in ledgers}
    for label, paths in (verdicts or {}).items():
        inputs |= {f"verdicts/{label}/{path.stem}": path for path in paths}
    place = {"task": task, "model": model, "strategy": strategy}
    metadata = STAGE.footer(study, place, inputs, *study.selectors.values(), *priced.values())
    metadata |= {"simulated": opened.simulated, "axis": opened.axis}
    write_table(table.select(pl.col(name).cast(dtype) for name, dtype in CURVES.items()), output, metadata)
    if accuracies is not None:
        write_table(pl.concat(by_problem), accuracies, metadata)


def _check_blocks(outcomes: Path, ledgers: Sequence[Path]) -> None:
    """Refuse outcomes of other blocks than those whose ledgers are there."""
    inputs = read_metadata(outcomes).get("inputs", {})
    gathered = {name.removeprefix("completions/") for name in inputs if name.startswith("completions/")}
    beyond = sorted(gathered ^ {path.stem for path in ledgers})
    if gathered and beyond:
        raise DataError(
            f"{outcomes}: gathered from other blocks than there are ({beyond[0]}); move it elsewhere, and "
            "`itscale run` gathers them again"
        )


def _grid(study: Study, opened: Outcomes) -> IntArray:
    """Return the k of the study, or log-spaced ones up to the smallest pool.

    Up to the largest where sampling stopped at a success: the small pools are those that were solved early.
    """
    sizes = opened.counts().sampled
    until_success = opened.design == "until_success"
    if study.config.curves.budgets is None:
        return k_grid(int(sizes.max() if until_success else sizes.min()))
    wanted = np.unique(np.asarray(study.config.curves.budgets, dtype=np.int64))
    limit = int(sizes.max() if until_success else sizes.min())
    if wanted.min() > limit:
        raise DataError(
            f"{opened.path}: curves.budgets: found none up to {limit}, expected one: some problem has no "
            "more completions"
        )
    if wanted.max() > limit:
        short = int((sizes < wanted.max()).sum())
        logger.warning(
            "%s: curves end at k = %d: %d of %d problems have fewer than %d completions",
            *(opened.path, wanted[wanted <= limit].max(), short, len(sizes), wanted.max()),
        )
    kept: IntArray = wanted[wanted <= sizes.max()]  # pools of one study may differ in size
    return kept


def _scorers(study: Study) -> set[str]:
    """Return labels of the scorers that selectors ask: other scores are not read."""
    asked = {study.scorer_read_by(label) for label in study.selectors}
    return {label for label in asked if label is not None}


def _judge_pools(
    study: Study, task: str, opened: Outcomes, _: pl.DataFrame, budgets: IntArray
) -> dict[str, _Matrix]:
    """Judge one pool per problem at every k it holds, by every selector while the pool is in memory."""
    counts = opened.counts()
    place = {problem: row for row, problem in enumerate(counts.problems)}
    shape = (len(place), len(budgets))
    judges = {label: make_selector(item) for label, item in study.selectors.items()}
    matrices = {
        label: _Matrix(
            problems=counts.problems,
            accuracy=np.full(shape, np.nan),
            error=np.full(shape, np.nan),
            drawn=np.tile(budgets.astype(np.float64), (len(place), 1)),
            counts=counted_curve(selector.entry, counts.sampled, counts.correct, budgets)
            if opened.design == "fixed"
            else None,
        )
        for label, selector in study.selectors.items()
    }
    for part in opened.pools(_scorers(study)):
        # a problem that was solved early tells of every k
        held = (budgets <= part.outcomes.n) | (part.outcomes.design == "until_success")
        row = place[part.outcomes.problem_id]
        for label, selector in study.selectors.items():
            found = _judge(study, task, selector, judges[label], part, budgets[held])
            mine = matrices[label]
            mine.accuracy[row, held], mine.error[row, held] = found.mean, found.monte_carlo_error
            mine.drawn[row, held] = found.drawn
    return matrices


def _judge_runs(
    study: Study, task: str, opened: Outcomes, runs: pl.DataFrame, budgets: IntArray
) -> dict[str, _Matrix]:
    """Average over replicates what is selected from each whole run; a run without completions is wrong."""
    problems = {problem: row for row, problem in enumerate(sorted(set(runs["problem_id"])))}
    column = {budget: at for at, budget in enumerate(budgets.tolist())}
    shape = (len(problems), len(budgets))
    replicates = np.zeros(shape)
    for problem, budget in runs.select("problem_id", "budget").iter_rows():
        replicates[problems[problem], column[budget]] += 1
    judges = {label: make_selector(item) for label, item in study.selectors.items()}
    total = {label: np.zeros(shape) for label in judges}
    variance = {label: np.zeros(shape) for label in judges}
    for part in opened.pools(_scorers(study)):
        cell = problems[part.outcomes.problem_id], column[part.budget]
        for label, selector in study.selectors.items():
            whole = np.array([part.outcomes.n])
            found = _judge(study, task, selector, judges[label], part, whole)
            total[label][cell] += found.mean[0]
            variance[label][cell] += found.monte_carlo_error[0] ** 2
    with np.errstate(invalid="ignore"):
        return {
            label: _Matrix(
                problems=list(problems),
                accuracy=total[label] / replicates,
                error=np.sqrt(variance[label]) / replicates,
                drawn=replicates,  # a run is spent whole
            )
            for label in judges
        }


def _judge(
    study: Study,
    task: str,
    selector: Ingredient[SelectorEntry],
    judge: CheckedSelector,
    part: Pool,
    budgets: IntArray,
) -> Accuracy:
    """Return a selector's accuracy on one pool."""
    pool = part.outcomes
    stream = (study.config.seed, "selection", task, pool.problem_id, part.budget, part.replicate)
    try:
        return judge.accuracy(pool, budgets, generator(*stream, selector.fingerprint()))
    except ValueError as error:  # imported scores may be any number, and not every selector takes all
        raise DataError(f"selectors.{selector.label}: problem {pool.problem_id!r}: {error}") from None


def _rows(
    study: Study, task: str, matrix: _Matrix, budgets: IntArray, spending: Spending, *, rises: bool
) -> pl.DataFrame:
    """Average over problems where every one of them has a value, with an interval from resampling them."""
    options = study.config.curves
    told = np.asarray(~np.isnan(matrix.accuracy).any(axis=0))
    budgets, accuracy = budgets[told], matrix.accuracy[:, told]
    spending = spending.at(told)
    interval = curve_intervals(
        accuracy,
        options,
        generator(study.config.seed, "problems", task),
        clusters=clusters_of(matrix.problems, options.clusters),
        counts=None if matrix.counts is None else (*matrix.counts[:2], matrix.counts[2][told]),
        rising=budgets if rises else None,
    )
    problems = len(matrix.problems)
    return pl.DataFrame(
        {
            "budget": budgets,
            "generated_tokens": pl.Series(spending.generated, nan_to_null=True),
            "prompt_tokens": pl.Series(spending.prompt, nan_to_null=True),
            "scorer_tokens": pl.Series(spending.scorer, nan_to_null=True),
            "usd": pl.Series(spending.usd, nan_to_null=True),
            "estimate": accuracy.mean(axis=0),
            "low": interval.low,
            "high": interval.high,
            "interval": interval.kind,
            "band_low": interval.band_low,
            "band_high": interval.band_high,
            "monte_carlo_error": np.sqrt((matrix.error[:, told] ** 2).sum(axis=0)) / problems,
            "problems": np.full(len(budgets), problems),
        }
    )
