"""Where lines leave for the terminal: whatever they hold, it is shown and not obeyed."""

from __future__ import annotations

import typer

from itscale.messages import one_line, printable

__all__ = ["complain", "say"]


def say(text: str) -> None:
    """Print a line of our own, or several."""
    typer.echo(printable(text))


def complain(*messages: object) -> None:
    """Print what is wrong, a line each and their number, to standard error."""
    for message in messages:
        typer.echo(f"itscale: {one_line(message)}", err=True)
    if len(messages) > 1:
        typer.echo(f"itscale: {len(messages)} mistakes, nothing was started", err=True)
