"""LaTeX tables: text that may hold anything becomes text that TeX sets as it is."""

from __future__ import annotations

import polars as pl

__all__ = ["booktabs", "escape"]

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "−": r"$-$",
    "–": "--",
}


def escape(text: str) -> str:
    """Return `text` as LaTeX that sets it literally: one line, no commands, no control characters."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return "".join(_SPECIAL.get(letter, letter) for letter in " ".join(printable.split()))


def booktabs(table: pl.DataFrame, caption: str, note: str = "") -> str:
    """Return a `tabular` (package booktabs), the caption above it as a comment, the note as its last line.

    Text columns are set flush left, numbers flush right; null is an em dash.
    """
    numeric = [dtype.is_numeric() for dtype in table.dtypes]
    lines = [f"% {escape(caption)}", r"\begin{tabular}{" + "".join("r" if n else "l" for n in numeric) + "}"]
    lines += [r"\toprule", _row(table.columns), r"\midrule"]
    lines += [_row(["---" if cell is None else str(cell) for cell in row]) for row in table.iter_rows()]
    if note:
        width = max(1, table.width)
        lines += [r"\midrule", rf"\multicolumn{{{width}}}{{l}}{{\footnotesize {escape(note)}}} \\"]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _row(cells: list[str]) -> str:
    # A row that begins with [ or * would be read as an argument of the \\ before it.
    return " & ".join("{}" + escape(cell) if cell[:1] in "[*" else escape(cell) for cell in cells) + r" \\"
