"""`itscale schema`: the JSON schema of a study, for editors."""

from __future__ import annotations

import typer

__all__ = ["schema"]


def schema() -> None:
    """Print the JSON schema of study files."""
    from itscale.study.schema import study_schema_text

    typer.echo(study_schema_text(), nl=False)
