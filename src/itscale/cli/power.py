"""`itscale power`: how many problems and completions a study needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itscale.errors import DataError, StudyError
from itscale.messages.numbers import counted

if TYPE_CHECKING:
    from itscale.curves.pools import ProblemCounts
    from itscale.power import Cell, Rates, StudySize

__all__ = ["power"]

PROBLEMS = (25, 50, 100, 200, 400, 800, 1600)
TIMES = (1, 2, 4, 8)  # completions, in multiples of the largest k
LARGEST_K, MOST_PROBLEMS = 1_000_000, 100_000  # beyond, one simulated study takes gigabytes

Several = list[int] | None


def power(
    beta: Annotated[
        tuple[float, float] | None, typer.Option(help="success rates are Beta(ALPHA, BETA)")
    ] = None,
    pilot: Annotated[
        list[Path] | None,
        typer.Option(
            help="outcomes of a study, or a CSV of counts (problem, n, correct); twice for both arms"
        ),
    ] = None,
    k: Annotated[
        Several, typer.Option("--k", min=1, max=LARGEST_K, help="budget of coverage; may be repeated")
    ] = None,
    width: Annotated[
        float | None, typer.Option(min=0.001, max=1, help="wanted width of the interval, a share")
    ] = None,
    difference: Annotated[
        float | None, typer.Option(min=-1, max=1, help="difference in coverage to detect, a share")
    ] = None,
    correlation: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="of both arms' success rates; from the pilot if it has both arms"),
    ] = None,
    wanted: Annotated[float, typer.Option("--power", min=0.01, max=0.999, help="wanted power")] = 0.8,
    confidence: Annotated[float, typer.Option(min=0.5, max=0.999, help="of intervals and tests")] = 0.95,
    problems: Annotated[
        Several, typer.Option(min=2, max=MOST_PROBLEMS, help="how many; may be repeated")
    ] = None,
    completions: Annotated[
        Several,
        typer.Option(min=1, max=TIMES[-1] * LARGEST_K, help="completions per problem; may be repeated"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1)] = 0,
) -> None:
    """Say which plans give a wanted interval width or detect a wanted difference, and the cheapest."""
    if (width is None) == (difference is None):
        raise StudyError("power: expected either --width or --difference")
    counts = [_counts(path) for path in pilot or []]
    rates = _rates(beta, counts)
    budgets = sorted(set(k or [1]))
    grid = sorted(set(problems or PROBLEMS))
    depths = sorted(set(completions or [times * budgets[-1] for times in TIMES]))
    if depths[-1] < budgets[-1]:
        raise StudyError(f"--completions: found {depths[-1]} at most, expected at least k = {budgets[-1]}")
    plans = (rates, budgets, grid, depths, seed, confidence)
    if width is not None:
        _advise_on_width(width, *plans)
    elif difference is not None:
        _advise_on_difference(difference, _correlation(correlation, counts), wanted, *plans)


def _advise_on_width(
    width: float,
    rates: Rates,
    budgets: list[int],
    grid: list[int],
    depths: list[int],
    seed: int,
    confidence: float,
) -> None:
    """Print the interval width of every plan, and the cheapest that is narrow enough."""
    import numpy as np

    from itscale.power import cheapest, interval_widths

    cells = interval_widths(rates, budgets, grid, depths, np.random.default_rng(seed), confidence=confidence)
    title = f"width of the {100 * confidence:g} % interval, points (Monte Carlo error)"
    _show(cells, title, 100, cheapest(cells, most=width), f"a width of {100 * width:g} points")


def _advise_on_difference(
    difference: float,
    correlation: float,
    wanted: float,
    rates: Rates,
    budgets: list[int],
    grid: list[int],
    depths: list[int],
    seed: int,
    confidence: float,
) -> None:
    """Print the power of every plan to detect a difference, and the cheapest that has enough."""
    import numpy as np

    from itscale.power import cheapest, detection_power

    level = 1 - confidence
    rng = np.random.default_rng(seed)
    cells = detection_power(rates, difference, correlation, budgets, grid, depths, rng, level=level)
    title = (
        f"power at level {level:.3g} for {100 * difference:+zg} points, correlation {correlation:.2f} "
        "(Monte Carlo error)"
    )
    _show(cells, title, 1, cheapest(cells, least=wanted), f"power {wanted:g}")


def _show(cells: list[Cell], title: str, scale: float, best: StudySize | None, goal: str) -> None:
    """Print a table of plans for every k (problems down, completions across), and the cheapest."""
    from rich.table import Table

    from itscale.cli.console import LiteralConsole

    console = LiteralConsole()
    console.print(title)
    for k in sorted({cell.k for cell in cells}):
        found = {(c.plan.problems, c.plan.completions): c for c in cells if c.k == k}
        depths = sorted({n for _, n in found})
        table = Table(box=None, pad_edge=False)
        table.add_column(f"k = {k}: problems", justify="right")
        for n in depths:
            table.add_column(f"n = {n}", justify="right")
        for count in sorted({count for count, _ in found}):
            row = [found[count, n] for n in depths]
            shown = (f"{scale * c.value:.3g} ({scale * c.error:.1g})" for c in row)
            table.add_row(f"{count:,}", *shown)
        console.print(table)
    if best is None:
        console.print(f"no plan here gives {goal}: give more --problems or --completions")
        return
    arms = " in each of two arms" if best.arms == 2 else ""
    console.print(
        f"cheapest for {goal}: {best.problems:,} problems x {best.completions:,} completions{arms} = "
        f"{best.cost:,} completions"
    )


def _rates(beta: tuple[float, float] | None, counts: list[ProblemCounts]) -> Rates:
    from itscale.power import SMALLEST, BetaRates, PilotRates

    if (beta is None) == (not counts):
        raise StudyError("power: expected either --beta ALPHA BETA or --pilot FILE")
    if beta is None:
        return PilotRates(counts[0].sampled, counts[0].correct)
    for parameter in beta:
        if not SMALLEST <= parameter <= 1 / SMALLEST:
            raise StudyError(
                f"--beta: found {parameter:g}, expected both from {SMALLEST:g} to {1 / SMALLEST:,.0f}"
            )
    return BetaRates(*beta)


def _correlation(stated: float | None, counts: list[ProblemCounts]) -> float:
    """Return the correlation that was stated, or that of the pilot's two arms."""
    from itscale.power import rate_correlation

    if stated is not None:
        return stated
    if len(counts) != 2:
        raise StudyError(
            "--correlation: missing, expected it (0 if unknown: cautious) or a --pilot for each arm"
        )
    places = [{problem: at for at, problem in enumerate(arm.problems)} for arm in counts]
    shared = [problem for problem in counts[0].problems if problem in places[1]]
    if len(shared) < 3:
        found = counted(len(shared), "problem")
        raise DataError(f"--pilot: found {found} in both files, expected at least 3")
    rows = [[place[problem] for problem in shared] for place in places]
    first, second = ((arm.sampled[at], arm.correct[at]) for arm, at in zip(counts, rows, strict=True))
    return rate_correlation(first, second)


def _counts(path: Path) -> ProblemCounts:
    """Read the counts of a pilot: outcomes of a study, or a CSV."""
    import polars as pl

    from itscale.curves.pools import ProblemCounts, open_outcomes
    from itscale.errors import nearest
    from itscale.store.parquet import literal

    if path.suffix == ".parquet":
        return open_outcomes(path).counts()
    try:
        table = pl.read_csv(literal(path), glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path}: not a readable CSV: {' '.join(str(error).split())[:100]}") from None
    for name in ("problem", "n", "correct"):
        if name not in table.columns:
            raise DataError(f"{path}: no column {name!r}; {nearest(name, table.columns)}")
    bad = table.filter(~(pl.col("n") >= 1) | ~pl.col("correct").is_between(0, pl.col("n")))
    if len(bad) or table.is_empty():
        raise DataError(
            f"{path}: found {len(bad)} bad rows of {len(table)}, expected n >= 1 and 0 <= correct <= n"
        )
    return ProblemCounts(
        problems=tuple(table["problem"].cast(pl.String)),
        sampled=table["n"].cast(pl.Int64).to_numpy(),
        correct=table["correct"].cast(pl.Int64).to_numpy(),
    )
