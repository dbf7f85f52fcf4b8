"""Output to the terminal, which shows whatever a line holds and obeys none of it."""

from __future__ import annotations

import shutil
import sys
import textwrap

import typer

from itscale.messages.printable import one_line, printable

__all__ = ["complain", "say"]


def say(text: str) -> None:
    """Print a line of our own, or several."""
    typer.echo(printable(text))


def complain(*messages: object) -> None:
    """Print what is wrong, a line each and their number, to standard error; folded on a terminal."""
    for message in messages:
        line = f"itscale: {one_line(message)}"
        typer.echo(_folded(line) if sys.stderr.isatty() else line, err=True)
    if len(messages) > 1:
        typer.echo(f"itscale: {len(messages)} mistakes, nothing was started", err=True)


def _folded(line: str) -> str:
    """Break a line between words, as wide as the terminal, and indent what follows."""
    width = shutil.get_terminal_size().columns
    return textwrap.fill(
        line, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
