"""Paired differences of curves over the same problems: with intervals, bands, and tests of all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from itscale.curves.axes import AXES, Axis, budget_axis
from itscale.curves.clusters import clusters_of
from itscale.errors import DataError
from itscale.estimators import curve_intervals
from itscale.estimators.paired import Arm, at_equal_budgets, at_equal_cost, flips_for, holm, sign_flip
from itscale.messages.numbers import counted, interval_note
from itscale.outcomes import COMPLETIONS, FloatArray, IntArray, selector_names
from itscale.seeds import generator
from itscale.stages.declared import DIFFERENCES as STAGE
from itscale.store.latex import booktabs
from itscale.store.parquet import read_metadata, read_table, without_noise, write_csv, write_table, write_text
from itscale.store.schemas import ACCURACIES, DIFFERENCES
from itscale.study.config import ArmSection
from itscale.study.imported import Combination
from itscale.study.study import Study

__all__ = ["compare_curves", "difference_note", "difference_rows", "shown_selectors"]

ARM = ("model", "strategy", "selector")
MINUS = tuple(f"minus_{name}" for name in ARM)
COSTS = {axis.name: axis for axis in AXES}
DIGITS = ",.0f"
"""How a budget is written that is no cost."""

SIDES = (-1.0, 1.0)
"""Between what a difference of two shares lies."""


@dataclass(frozen=True)
class _Curves:
    """The per-problem accuracies of one (task, model, strategy)."""

    task: str
    table: pl.DataFrame
    simulated: bool
    axis: str


@dataclass(frozen=True)
class _Pair:
    """The rows of two curves, of the problems that both have."""

    problems: list[str]
    tables: tuple[pl.DataFrame, pl.DataFrame]

    def arms(self, axis: Axis) -> tuple[Arm, Arm]:
        """Return both as matrices with the same rows, with what each problem cost on an axis."""
        first, second = (_arm(table, self.problems, axis) for table in self.tables)
        return first, second


def compare_curves(study: Study, *, accuracies: Sequence[Path], output: Path, csv: Path, tex: Path) -> None:
    """Estimate and test every difference the study names; write `DIFFERENCES` and a short table of them.

    Each comparison is made at every budget that both curves have, where both count the same, and over the
    range of tokens (and USD, where there are prices) that both reach. Holm's adjustment is for all
    comparisons of the study, each at its largest budget, at equal k (or what else budgets count), tokens and
    USD apart.

    Parameters
    ----------
    accuracies
        Accuracies by problem (schema `ACCURACIES`), one file `{task}/{model}/{strategy}.parquet` each.
    output
        Where the differences go.
    csv, tex
        Where the short table goes, as numbers and for a paper.

    Raises
    ------
    DataError
        If the two curves of a difference have no two problems in common.
    """
    curves = {_identity(path): _read(path) for path in accuracies}
    compared = [
        (label, *pair)
        for label, section in study.config.differences.items()
        for pair in _pairs(section.of, section.minus, curves)
    ]
    flips = flips_for(len(compared), 1 - study.config.curves.confidence)
    rows = [row for each in compared for row in _difference(study, *each, curves, flips)]
    table = _adjusted(pl.DataFrame(rows, schema=dict(DIFFERENCES), orient="row"))
    inputs = {f"accuracies/{'/'.join(_identity(path))}": path for path in accuracies}
    metadata = STAGE.footer(study, {}, inputs)
    write_table(table, output, metadata | {"simulated": bool(table["simulated"].any())})
    short = without_noise(table.filter(pl.col("p_holm").is_not_null()))
    write_csv(short, csv)
    simulated = "Simulated completions. " if short["simulated"].any() else ""
    note = simulated + difference_note(short, study.config.curves.confidence)
    text = pl.DataFrame(difference_rows(short, shown_selectors(study)), infer_schema_length=None)
    groups = ("difference", "task") if text.height else ()
    write_text(tex, booktabs(text, f"Paired differences of {study.name}", note, groups=groups))


def difference_note(table: pl.DataFrame, confidence: float) -> str:
    """Return what the numbers of `difference_rows` are, which of them decides, and where it cannot."""
    of_patterns = ", ± its Monte Carlo error" if (table["p_error"] > 0).any() else ""
    return " ".join(
        [
            f"Brackets: {100 * confidence:g} % {interval_note(table['interval'])}.",
            f"p: sign-flip test over problems{of_patterns}.",
            "Holm: p adjusted for all comparisons against the same budget.",
            "The test is not the interval turned round: where p is near the level one may leave out 0 and "
            "the other not reject it; Holm's p decides.",
            *_hopeless(table, 1 - confidence),
        ]
    )


def _hopeless(table: pl.DataFrame, level: float) -> Iterator[str]:
    """Yield where no p could fall to the level, whatever the differences: there are too few problems."""
    beyond = table.filter(pl.col("p_least") * pl.col("comparisons") > level)
    for (against, comparisons), rows in beyond.group_by("against", "comparisons", maintain_order=True):
        fewest, least = rows.select(pl.col("problems").min(), pl.col("p_least").max()).row(0)
        yield (
            f"At equal {against!s}, {rows.height} of {comparisons} comparisons cannot be significant, "
            f"whatever their difference: all sign patterns of {fewest} problems (or clusters) give no p "
            f"below {least:.2g}, and Holm multiplies the smallest by {comparisons}. More problems or fewer "
            "comparisons would tell."
        )


def shown_selectors(study: Study) -> dict[str, str]:
    """Return what a reader is shown in the place of each selector's label."""
    return selector_names({label: selector.entry.estimand for label, selector in study.selectors.items()})


def difference_rows(table: pl.DataFrame, selectors: Mapping[str, str]) -> list[dict[str, str]]:
    """Return differences as text, one mapping of headings to cells per row: `+4.2 points [1.1, 7.0]`.

    `selectors` has the names that are shown in the place of their labels.
    """
    table = table.with_columns(pl.col("selector", "minus_selector").replace(selectors))
    return [
        {
            "difference": row["difference"],
            "task": row["task"],
            "of": _name(row, ""),
            "minus": _name(row, "minus_"),
            "at equal": _equal(row["against"], row["budget"]),
            "points": f"{100 * row['estimate']:+z.1f} [{100 * row['low']:+z.1f}, {100 * row['high']:+z.1f}]",
            "p": f"{row['p_value']:.2g}" + (f" ± {row['p_error']:.1g}" if row["p_error"] > 0 else ""),
            "Holm": f"{row['p_holm']:.2g}",
            "problems": str(row["problems"]),
        }
        for row in table.iter_rows(named=True)
    ]


def _equal(against: str, budget: float) -> str:
    """Say what is equal: a cost, or a budget, of which a run may leave a part."""
    if against in COSTS:
        return f"{against}: {budget:{COSTS[against].digits}}"
    return f"budget: {budget:{DIGITS}} {against}"


def _name(row: Mapping[str, Any], side: str) -> str:
    """Name an arm by its own labels, or by the selector where nothing else differs."""
    own = [row[side + name] for name in ARM if row[name] != row[f"minus_{name}"]]
    shared = [row[name] for name in ARM if row[name] == row[f"minus_{name}"]] if not side else []
    simulated = " (simulated)" if row["simulated"] and not side else ""
    return " · ".join([*own, *shared]) + simulated


def _identity(path: Path) -> Combination:
    return path.parent.parent.name, path.parent.name, path.stem


def _read(path: Path) -> _Curves:
    metadata = read_metadata(path)
    simulated, axis = bool(metadata.get("simulated", False)), str(metadata.get("axis", COMPLETIONS))
    return _Curves(path.parent.parent.name, read_table(path, ACCURACIES), simulated, axis)


def _pairs(
    of: ArmSection, minus: ArmSection, curves: Mapping[Combination, _Curves]
) -> Iterator[tuple[str, Combination, Combination]]:
    """Yield the task and both arms (model, strategy, selector) of every comparison a section stands for."""
    known: dict[str, list[str]] = {
        "model": sorted({key[1] for key in curves}),
        "strategy": sorted({key[2] for key in curves}),
        "selector": sorted({name for found in curves.values() for name in found.table["selector"].unique()}),
    }
    choices = []
    for name in ARM:
        chosen = (getattr(of, name), getattr(minus, name))
        choices.append([chosen] if None not in chosen else [(each, each) for each in known[name]])
    for task in sorted({key[0] for key in curves}):
        for sides in product(*choices):
            first, second = ((side[0], side[1], side[2]) for side in zip(*sides, strict=True))
            if (task, *first[:2]) in curves and (task, *second[:2]) in curves:
                yield task, first, second


def _difference(
    study: Study,
    label: str,
    task: str,
    first: Combination,
    second: Combination,
    curves: Mapping[Combination, _Curves],
    flips: int,
) -> list[dict[str, Any]]:
    """Return the rows of one comparison, at equal k and at equal cost on each axis."""
    sides = [curves[task, arm[0], arm[1]] for arm in (first, second)]
    pair = _pair(
        [side.table.filter(selector=arm[2]) for side, arm in zip(sides, (first, second), strict=True)]
    )
    if len(pair.problems) < 2:
        raise DataError(
            f"differences.{label}: {task}: found {counted(len(pair.problems), 'problem')} that "
            f"{' · '.join(first)} and {' · '.join(second)} have in common, expected at least 2"
        )
    identity = {
        "difference": label,
        "task": task,
        **dict(zip(ARM, first, strict=True)),
        **dict(zip(MINUS, second, strict=True)),
        "simulated": any(side.simulated for side in sides),
    }
    rows: list[dict[str, Any]] = []
    if sides[0].axis == sides[1].axis:  # else equal numbers of them say nothing
        budgets, values = at_equal_budgets(*pair.arms(AXES[0]))
        against = budget_axis(sides[0].axis)
        rows = _rows(study, task, pair.problems, budgets.astype(np.float64), values, against, flips)
    for axis in AXES:
        costs, values = at_equal_cost(*pair.arms(axis))
        rows += _rows(study, task, pair.problems, costs, values, axis.name, flips)
    return [{**dict.fromkeys(DIFFERENCES), **identity, **row} for row in rows]


def _pair(tables: Sequence[pl.DataFrame]) -> _Pair:
    problems = sorted(set(tables[0]["problem_id"]) & set(tables[1]["problem_id"]))
    return _Pair(problems, (tables[0], tables[1]))


def _arm(table: pl.DataFrame, problems: Sequence[str], axis: Axis) -> Arm:
    budgets: IntArray = np.unique(table["budget"].to_numpy())
    row = {problem: at for at, problem in enumerate(problems)}
    kept = table.filter(pl.col("problem_id").is_in(list(problems)))
    rows = np.array([row[problem] for problem in kept["problem_id"]], dtype=np.int64)
    columns = np.searchsorted(budgets, kept["budget"].to_numpy())
    accuracy, cost = np.full((2, len(problems), len(budgets)), np.nan)
    accuracy[rows, columns] = kept["accuracy"].to_numpy()
    cost[rows, columns] = kept[axis.name].to_numpy()
    return Arm(budgets, accuracy, cost)


def _rows(
    study: Study,
    task: str,
    problems: Sequence[str],
    budgets: FloatArray,
    values: FloatArray,
    against: str,
    flips: int,
) -> list[dict[str, Any]]:
    """Return a row per budget; none where the curves have no budget in common."""
    known = (~np.isnan(values)).sum(axis=0)
    # at equal k all problems or none: those with few completions may be the hard ones
    held = known >= (2 if against in COSTS else max(2, len(problems)))
    budgets, values = budgets[held], values[:, held]
    if len(budgets) == 0:
        return []
    options, seed = study.config.curves, study.config.seed
    clusters = clusters_of(problems, options.clusters)
    found = curve_intervals(
        values, options, generator(seed, "problems", task), clusters=clusters, within=SIDES
    )
    test = sign_flip(values, flips, generator(seed, "signs", task), clusters)
    columns = {
        "budget": budgets,
        "estimate": np.nanmean(values, axis=0),
        "low": found.low,
        "high": found.high,
        "interval": found.kind,
        "band_low": found.band_low,
        "band_high": found.band_high,
        "p_value": test.p_value,
        "p_error": test.error,
        "p_curve": test.p_curve,
        "p_least": test.least,
        "problems": (~np.isnan(values)).sum(axis=0),
    }
    return [{"against": against, **row} for row in pl.DataFrame(columns).to_dicts()]


def _adjusted(table: pl.DataFrame) -> pl.DataFrame:
    """Add Holm's p-values at the largest budget of each comparison, over all of them."""
    identity = ["difference", "task", *ARM, *MINUS]
    largest = pl.col("budget") == pl.col("budget").max().over([*identity, "against"])
    parts = []
    budgets = sorted(set(table["against"]) - set(COSTS))
    for against in (*budgets, *COSTS):
        part = table.filter(against=against).with_columns(last=largest)
        p_values = holm(part.filter("last")["p_value"].to_numpy())
        adjusted = np.full(len(part), np.nan)
        adjusted[part["last"].to_numpy()] = p_values
        holms = pl.Series("p_holm", adjusted).fill_nan(None)
        parts.append(part.with_columns(holms, comparisons=pl.lit(len(p_values), pl.Int64)).drop("last"))
    return pl.concat(parts).select(list(DIFFERENCES)).sort(*identity, "against", "budget")
