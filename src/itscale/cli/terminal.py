"""Where lines leave for the terminal: whatever they hold, it is shown and not obeyed."""

from __future__ import annotations

import typer

from itscale.messages import one_line, printable

__all__ = ["complain", "say"]


def say(text: str) -> None:
    """Print a line of our own, or several."""
    typer.echo(printable(text))


def complain(message: object) -> None:
    """Print what is wrong, as one line, to standard error."""
    typer.echo(f"itscale: {one_line(message)}", err=True)
