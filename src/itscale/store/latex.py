"""LaTeX tables: text that may hold anything becomes text that TeX sets as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

__all__ = ["booktabs", "escape", "transposed"]

LINE = 98
"""Letters of small print (8 points) in a line of 5.5 inches, that of the narrower one-column venues."""

GAP = 2
"""Letters between two columns."""

ABREAST = 2
"""Places of a study side by side in a table that is transposed."""

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
    "—": "---",
    "·": r"$\cdot$",
    "±": r"$\pm$",
}


def escape(text: str) -> str:
    """Return `text` as LaTeX that sets it literally: one line, no commands, no control characters."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return "".join(_SPECIAL.get(letter, letter) for letter in " ".join(printable.split()))


def booktabs(table: pl.DataFrame, caption: str, note: str = "", *, groups: Sequence[str] = ()) -> str:
    """Return a `tabular` (packages booktabs and array) no wider than the text, its note a paragraph below it.

    Text columns are set flush left, numbers flush right; null is an em dash. Where the cells are wider than a
    line of small print, the widest columns wrap.

    Parameters
    ----------
    table
        The cells, as they shall be read.
    caption
        Goes above, as a comment.
    note
        What stands below the table.
    groups
        Columns that become headings above the rows that share them.
    """
    shown = table.drop(groups)
    numeric = [dtype.is_numeric() for dtype in shown.dtypes]
    rows = [["---" if cell is None else str(cell) for cell in row] for row in shown.iter_rows()]
    types = _columns(shown.columns, rows, numeric)
    lines = [rf"\begin{{tabular}}{{{types}}}", r"\toprule", _row(shown.columns)]
    named = [
        " · ".join(str(part) for part in name if part is not None) for name in table[list(groups)].rows()
    ]
    last = None
    for name, row in zip(named or [""] * len(rows), rows, strict=True):
        if name != last:
            lines.append(r"\midrule")
            lines += (
                [rf"\multicolumn{{{shown.width}}}{{@{{}}l}}{{\emph{{{escape(name)}}}}} \\"] if name else []
            )
            last = name
        lines.append(_row(row))
    lines += [r"\midrule"] if last is None else []
    return _page([*lines, r"\bottomrule", r"\end{tabular}"], caption, note)


def transposed(rows: Sequence[Mapping[str, str]], caption: str, note: str = "") -> str:
    """Return rows side by side, `ABREAST` at a time, a line for each heading: one `tabular` below another."""
    lines: list[str] = []
    for start in range(0, max(len(rows), 1), ABREAST):
        beside = rows[start : start + ABREAST]
        names = dict.fromkeys(name for row in beside for name in row)
        cells = [[name, *(row.get(name, "") for row in beside)] for name in names]
        head, *body = cells or [[""]]
        lines += [r"\par\medskip\noindent"] if lines else []
        lines += [rf"\begin{{tabular}}{{{_columns(head, body, [False] * len(head))}}}", r"\toprule"]
        lines += [_row(head), r"\midrule", *map(_row, body), r"\bottomrule", r"\end{tabular}"]
    return _page(lines, caption, note)


def _page(lines: Sequence[str], caption: str, note: str) -> str:
    """Put a table into small print, with its note as a paragraph as wide as the text."""
    below = (
        [r"\par\smallskip\noindent", rf"\parbox{{\linewidth}}{{\raggedright {escape(note)}}}"] if note else []
    )
    top = [f"% {escape(caption)}", r"{\footnotesize\setlength{\tabcolsep}{4pt}\noindent"]
    return "\n".join([*top, *lines, *below, "}", ""])


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    """Return the column types of a table: those that are too wide together wrap, the widest first."""
    cells = list(zip(head, *rows, strict=True))
    widths = [max(map(len, column)) for column in cells]
    words = [max((len(word) for cell in column for word in cell.split()), default=0) for column in cells]
    room = LINE - GAP * (len(widths) - 1)
    cap = max(widths, default=0)
    while cap > 1 and sum(map(_fitted, widths, words, [cap] * len(widths))) > room:
        cap -= 1
    types = []
    for width, word, number in zip(widths, words, numeric, strict=True):
        taken = _fitted(width, word, cap)
        wraps = rf">{{\raggedright\arraybackslash}}p{{{taken / LINE:.3f}\linewidth}}"
        types.append(("r" if number else "l") if taken == width else wraps)
    return "@{}" + "".join(types) + "@{}"


def _fitted(width: int, word: int, cap: int) -> int:
    """Return how many letters wide a column is that wraps at `cap`, but breaks no word."""
    return min(width, max(word, cap))


def _row(cells: Sequence[str]) -> str:
    # A row that begins with [ or * would be read as an argument of the \\ before it.
    return " & ".join("{}" + escape(cell) if cell[:1] in "[*" else escape(cell) for cell in cells) + r" \\"
