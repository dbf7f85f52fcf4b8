"""`itscale check`: validate a study and say what it amounts to, without starting anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from itscale.plan import Plan

__all__ = ["check", "checked_plan"]


def check(study: Annotated[Path, typer.Argument(help="the study, a YAML file")]) -> None:
    """Validate a study, load its problems, and count jobs, completions and tokens. Starts nothing."""
    from rich.table import Table

    from itscale.cli.console import LiteralConsole

    plan = checked_plan(study)
    table = Table(box=None, pad_edge=False)
    for column in ("task", "model", "strategy"):
        table.add_column(column)
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
    jobs = plan.jobs()
    console.print(
        f"\n{sum(jobs.values()):,} jobs: {', '.join(f'{count} {rule}' for rule, count in jobs.items())}"
    )
    console.print(f"{study}: in order")


def checked_plan(path: Path) -> Plan:
    """Validate a study, see that its plugins can run here, and load its problems.

    Raises
    ------
    UserError
        At the first thing that is wrong.
    """
    from itscale.evaluation import require_sandbox
    from itscale.plan import make_plan
    from itscale.study import load_study

    study = load_study(path)
    for ingredient in study.ingredients():
        ingredient.require_installed()
    require_sandbox(study)
    return make_plan(study, Path("results", study.name))
