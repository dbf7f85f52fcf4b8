"""reStructuredText that Snakemake's report sets: text that may hold anything becomes text as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["escape", "side_by_side"]

ABREAST = 2
"""Places of a study side by side in the text at the beginning of a report, which takes half its width."""


def escape(text: str) -> str:
    """Return `text` as reStructuredText that sets it literally, in one line."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    kept = (letter if letter.isalnum() or letter == " " else f"\\{letter}" for letter in printable)
    return " ".join("".join(kept).split())


def side_by_side(rows: Sequence[Mapping[str, str]]) -> str:
    """Return rows as tables, `ABREAST` of them side by side, a line for each heading."""
    tables = []
    for start in range(0, len(rows), ABREAST):
        beside = rows[start : start + ABREAST]
        lines = [".. list-table::", "   :stub-columns: 1", ""]
        for name in dict.fromkeys(name for row in beside for name in row):
            lines.append(f"   * - {escape(name)}")
            lines += [f"     - {escape(row.get(name, ''))}".rstrip() for row in beside]
        tables.append("\n".join(lines))
    return "\n\n".join([*tables, ""])
