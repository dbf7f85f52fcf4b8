"""`itscale check`: validate a study and say what it amounts to, without starting anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from itscale.planning.plan import Plan

__all__ = ["check", "checked_plan"]


def check(study: Annotated[Path, typer.Argument(help="the study, a YAML file")]) -> None:
    """Validate a study, load its problems, and count jobs, completions and tokens. Starts nothing.

    Ends with status 1 after a line for every mistake, with 0 if there is none.
    """
    from rich.table import Table

    from itscale.cli.console import LiteralConsole
    from itscale.cli.tables import refuse_strangers

    plan, notes = checked_plan(study)
    refuse_strangers(plan, Path("results", plan.study.name), frozenset(plan.block_paths()), everything=False)
    table = Table(box=None, pad_edge=False)
    for column in ("task", "model", "strategy"):
        table.add_column(column, overflow="fold")
    for column in ("problems", "blocks", "completions", "tokens at most"):
        table.add_column(column, justify="right")
    for place, blocks in plan.cut.items():
        if not blocks:
            table.add_row(*place, "imported", *("—" for _ in range(3)))
            continue
        extent = plan.extent(place)
        counts = (plan.problems[place[0]], extent.blocks, extent.completions, extent.tokens)
        table.add_row(*place, *(f"{count:,}" for count in counts))
    console = LiteralConsole()
    console.print(table)
    _print_judges(plan, console)
    jobs = plan.jobs()
    console.print(
        f"\n{sum(jobs.values()):,} jobs: {', '.join(f'{count} {rule}' for rule, count in jobs.items())}"
    )
    for note in notes:
        console.print(f"{study}: note: {note}", markup=False)
    console.print(f"{study}: in order", markup=False)


def _print_judges(plan: Plan, console: Console) -> None:
    """Print what verifiers ask of models, if any do: it comes on top of what is sampled."""
    from rich.table import Table

    extents = plan.verdict_extents()
    if not extents:
        return
    table = Table(box=None, pad_edge=False)
    for column in ("verifier", "asks"):
        table.add_column(column, overflow="fold")
    for column in ("verdicts", "tokens at most"):
        table.add_column(column, justify="right")
    for one in extents:
        tokens = "unknown" if one.tokens is None else f"{one.tokens:,}"
        if one.while_sampling and one.tokens:
            tokens += " and more while sampling"
        verdicts = f"{one.verdicts:,}{' and while sampling' * one.while_sampling}"
        table.add_row(one.verifier, ", ".join(one.models), verdicts, tokens)
    console.print()
    console.print(table)
    console.print(
        "\nTokens at most are those that models generate. What they read comes on top, and is not known "
        "before: prompts, and the completions that are judged."
    )


def checked_plan(path: Path, *, elsewhere: bool = False) -> tuple[Plan, list[str]]:
    """Validate a study, see that it can run here, and load its problems.

    Parameters
    ----------
    path
        The study.
    elsewhere
        Whether models run on other machines.

    Returns
    -------
    plan
        What would run.
    notes
        What a reader of the results should know.

    Raises
    ------
    UserError
        With everything that is wrong, a line each.
    """
    from itscale.planning.plan import make_plan
    from itscale.planning.readiness import ready
    from itscale.study.resolution import read_study

    examined = read_study(path)
    found = ready(examined, elsewhere=elsewhere)
    study = examined.whole()
    return make_plan(study, Path("results", study.name), problems=found.problems), found.notes
