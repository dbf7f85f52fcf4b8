"""`itscale merge`: bring together what several machines made of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from itscale.cli.terminal import complain, say

__all__ = ["merge"]


def merge(
    sources: Annotated[list[Path], typer.Argument(help="directories in which parts of the study ran")],
    into: Annotated[Path, typer.Option(help="the directory to run the study in afterwards")],
    prefer: Annotated[
        Path | None, typer.Option(help="the place that is right where others contradict it")
    ] = None,
) -> None:
    """Merge blocks and verdicts of several directories into one; run the study there to make the rest."""
    from itscale.provenance.merging import merge as merge_places

    for name, done in merge_places(sources, into, prefer).items():
        total = sum(done.blocks.values())
        taken = ", ".join(f"{count} of {place}" for place, count in sorted(done.blocks.items()))
        say(
            f"{name}: {total} blocks ({taken}), {done.shared} of them in several places, "
            f"{done.verdicts} files of verdicts"
        )
        for line in done.left_out:
            complain(f"left out: {line}")
        if done.unrecorded:
            complain(
                f"{done.unrecorded} blocks came without .snakemake: a later change of the study's "
                "options will not be noticed for them"
            )
