"""`itscale import`: check results from elsewhere and write them as outcomes that a study can name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itscale.cli.terminal import say

if TYPE_CHECKING:
    from itscale.selection import Design
    from itscale.stages.imports import Imported

__all__ = ["import_"]


def import_(
    sources: Annotated[list[Path], typer.Argument(help="CSV, JSON, JSON lines or parquet; several are one")],
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--columns",
            help="FIELD=COLUMN,... with the fields problem, correct, attempt, n, answer, score, score.LABEL, "
            "prompt_tokens, generated_tokens, cost; a column inside of others: a.b, a[0], a[].b for each",
        ),
    ] = None,
    design: Annotated[
        str | None,
        typer.Option(help="how many attempts were made: fixed beforehand, until_success, or adaptive"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="where to; SOURCE with .outcomes.parquet if left out"),
    ] = None,
) -> None:
    """Check results from elsewhere, attempts or counts (n, correct), and write them as outcomes."""
    from itscale.importing.columns import parse_columns
    from itscale.importing.source import Source
    from itscale.stages.imports import import_outcomes

    mapping = parse_columns(",".join(columns)) if columns else None
    source = Source.find(sources, mapping, _design(design))
    path = output or sources[0].with_suffix(".outcomes.parquet")
    _say(import_outcomes(source, path), path)


def _design(name: str | None) -> Design | None:
    from itscale.errors import StudyError, nearest
    from itscale.selection import DESIGNS

    if name is not None and name not in DESIGNS:
        raise StudyError(f"--design: found {name!r}; {nearest(name, DESIGNS)}")
    return name


def _say(imported: Imported, path: Path) -> None:
    attempts = f"{imported.fewest:,}"
    if imported.most > imported.fewest:
        attempts = f"{imported.fewest:,} to {imported.most:,} (ragged: the curve ends at the smallest)"
    held = ["answers"] * imported.answers + [f"scores of {label}" for label in imported.scorers]
    say(f"{path}: {imported.problems:,} problems, {imported.attempts:,} attempts, {attempts} each")
    single = f"pass@1 {100 * imported.single:.2f} %, " if imported.design == "fixed" else ""  # else biased
    say(f"{single}design {imported.design}, with {', '.join(held) or 'correctness alone'}")
    say("in a study:")
    say(f"outcomes:\n  LABEL: {{path: {path}, task: TASK}}")
